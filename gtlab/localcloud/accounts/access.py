"""The policies of the accounts' users, and whether a call is allowed. An account without a policy may do everything."""

from __future__ import annotations

from typing import Any

from gtlab.localcloud.accounts.needs import Known, Need, needs, user
from gtlab.localcloud.accounts.policy import Decision, Policy, read
from gtlab.localcloud.model import Call, Refusal

_NO_RESOURCE = ("*",)
# Services whose protocols and codes for a refusal differ from DynamoDB's: code and HTTP status.
_CODES = {"cloudwatch": ("AccessDenied", 403), "sts": ("AccessDenied", 403),
          "fis": ("com.amazonaws.fis#AccessDeniedException", 403)}


class Access:
    """One policy for each account, and what has been asked of it."""

    def __init__(self, known: Known):
        self._known = known
        self._policies: dict[str, Policy] = {}
        # By account: whether an action on a resource is allowed
        self._used: dict[str, dict[tuple[str, str], bool]] = {}

    def set(self, account: str, document: Any) -> None:
        """Give the account's user a policy, and forget what has been asked. Raises ValueError for a document that
        is no policy, or that has parts that are not evaluated here."""
        self._policies[account] = read(document)
        self._used[account] = {}

    def clear(self, account: str) -> None:
        self._policies.pop(account, None)
        self._used.pop(account, None)

    def __bool__(self) -> bool:
        return bool(self._policies)

    @property
    def accounts(self) -> list[str]:
        """The accounts that have a policy."""
        return sorted(self._policies)

    def described(self, account: str) -> dict[str, Any]:
        """The policy of an account (None if it has none), and each action that has been asked for with its resource,
        and whether it was allowed."""
        policy = self._policies.get(account)
        return {"account": account, "policy": policy.document if policy else None,
                "asked": [{"action": action, "resource": resource, "allowed": allowed}
                          for (action, resource), allowed in self._used.get(account, {}).items()]}

    def check(self, call: Call) -> None:
        """Raise Refusal, AccessDeniedException, for a call that the policy of its account does not allow."""
        policy = self._policies.get(call.account)
        if policy is None:
            return
        for need in needs(call, self._known):
            decision = policy.decide(*need)
            self._used[call.account][need.action, need.resource] = decision is Decision.ALLOWED
            if decision is not Decision.ALLOWED:
                raise _denied(call, need, decision)

    def take_over(self, other: Access) -> None:
        """Continue with another's policies."""
        self._policies, self._used = other._policies, other._used


def _denied(call: Call, need: Need, decision: Decision) -> Refusal:
    on = "" if need.resource in _NO_RESOURCE else f" on resource: {need.resource}"
    why = ("with an explicit deny in an identity-based policy" if decision is Decision.DENIED
           else f"because no identity-based policy allows the {need.action} action")
    code, status = _CODES.get(call.service, ("AccessDeniedException", 400))
    return Refusal(code, f"User: {user(call.account)} is not authorized to perform: {need.action}{on} {why}", status)
