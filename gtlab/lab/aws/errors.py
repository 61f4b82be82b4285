"""Why AWS cannot be used as things are: one sentence for people, with the remedy. No sentence has an account id."""

from __future__ import annotations

import re
from typing import NamedTuple

from gtlab import regions

POLICY = "docs/aws.md has the policy that the course needs"
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
_EXPIRED_TYPES = ("UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError", "LoginRefreshRequired",
                  "LoginTokenLoadError")
_CLOCK = ("RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture")
_UNKNOWN = ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure",
            "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignatureException")
_DISABLED = ("OptInRequired", "RegionDisabledException", "SubscriptionRequiredException")
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
_THROTTLED = ("ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException")
_SILENT_TYPES = ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError",
                 "ProxyConnectionError", "HTTPClientError", "SSLError")
_ACTION = re.compile(r"perform: ([a-z-]+:[A-Za-z]+)")
_DIGITS = re.compile(r"(?<![0-9])[0-9]{8}([0-9]{4})(?![0-9])")


class NotReady(ValueError):
    """AWS cannot be used as things are; the text says why and what to do. Nothing has been made."""


class Where(NamedTuple):
    """A call that failed: its ``action``, as in an IAM policy, its Region, and the profile that was named."""

    action: str
    region: str
    profile: str | None = None


def code_of(error: BaseException) -> str:
    """The service's error code; empty if the service has not answered."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_denied(error: BaseException) -> bool:
    return code_of(error) in _DENIED


def is_unknown_here(error: BaseException) -> bool:
    """Whether the Region does not know the credentials. That is how a Region answers that is not enabled, too."""
    return code_of(error) in (*_UNKNOWN, *_DISABLED)


def not_enabled(region: str) -> str:
    """The sentence for a Region that the account has not enabled."""
    return (f"Region {regions.label(region)} is not enabled in your AWS account. Enable it in the AWS console "
            "(Account, AWS Regions), which takes some minutes, or choose other Regions in 00_start_here.")


def explain(error: BaseException, where: Where) -> str:
    """What an error of boto3 or of AWS means, in one sentence, and the remedy."""
    kind, code = type(error).__name__, code_of(error)
    named = f" of profile {where.profile}" if where.profile else ""
    option = f" --profile {where.profile}" if where.profile else ""
    place = regions.label(where.region)
    if kind == "ProfileNotFound":
        return (f"There is no AWS profile {where.profile!r} on this machine: `aws configure list-profiles` lists them."
                if where.profile else f"{error}. It is named by AWS_PROFILE: `aws configure list-profiles` lists them.")
    if kind in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return (f"There are no AWS credentials{named} on this machine. Sign in with `aws sso login{option}` or "
                f"`aws configure{option}`, or name a profile that has them.")
    if code in _EXPIRED or kind in _EXPIRED_TYPES:
        return (f"Your AWS credentials{named} have expired. Get new ones, for example with `aws sso login{option}`, "
                "and run this again.")
    if code in _CLOCK or (code in _UNKNOWN and "expired" in _message(error).lower()):
        return ("AWS refuses the time of this machine's clock: set the clock, and run this again.")
    if code in _DISABLED:
        return not_enabled(where.region)
    if code in _UNKNOWN:
        return (f"AWS does not know these credentials{named} in {place}. Check the access key, or sign in again with "
                f"`aws sso login{option}`.")
    if code in _DENIED:
        return denied(error, where)
    if code in _THROTTLED:
        return f"AWS is throttling this account's calls in {place}. Wait a minute, and run this again."
    if kind in _SILENT_TYPES:
        return (f"{place} does not answer on AWS. Check the network of this machine (AWS needs HTTPS to "
                f"*.amazonaws.com), or choose other Regions.")
    return f"{where.action} failed in {place}: {redacted(str(error))}"


def denied(error: BaseException, where: Where) -> str:
    """The sentence for a call that is not allowed: by whom it is forbidden, and whom to ask."""
    message = _message(error)
    action = found.group(1) if (found := _ACTION.search(message)) else where.action
    place = regions.label(where.region)
    if "service control policy" in message:
        return (f"A service control policy of your organization forbids {action} in {place}. Ask those who manage the "
                "organization, or choose Regions that it allows.")
    if "permissions boundary" in message:
        return (f"The permissions boundary of your identity does not allow {action} in {place}. Ask those who manage "
                "the account.")
    return f"Your identity may not call {action} in {place}: {POLICY}."


def redacted(text: str) -> str:
    """A text in which account ids are shortened to their last four digits."""
    return _DIGITS.sub(r"…\1", text)


def _message(error: BaseException) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Message", "")) if isinstance(response, dict) else str(error)
