"""Before the first paid call: who is asking, what is missing, what will be made and what it costs at most, and a
question. Nothing has been made when this raises.

What is checked: credentials, identity, that every Region is enabled and answers, that no table of others has a name of
the course's, and, by harmless calls on tables that do not exist, whether the identity is allowed to do what the course
does. No call can find out in advance whether a replica may be created in its Region (dynamodb:CreateTableReplica).
"""

from __future__ import annotations

import hashlib
import os
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gtlab import permissions, redaction, regions
from gtlab.contract import CONSENT_VARIABLE, RUN_TAG
from gtlab.lab.aws import errors, footprint, guard
from gtlab.lab.aws.errors import NotReady, Where
from gtlab.lab.choice import Choice

QUESTION = "Go on? [y/N] "
_REHEARSAL = "This is a rehearsal: a local cloud takes AWS's place, and nothing costs anything. On AWS it would say:"
_GLOBAL = "us-east-1"  # a Region that every account has
_AT_ONCE = 24
_WIDTH = 84  # of the lines of the screen, after their headings
_MOST_NAMED = 6  # refused calls that a message names
_KEY = {"Artist": {"S": "gtlab"}}

_agreed: set[str] = set()  # consents that were given in this process


class Refused(NotReady):
    """The user has not agreed; nothing has been made."""


class Identity(NamedTuple):
    """The caller. ``name`` is the ARN's part after the account; ``account`` is never shown as a whole."""

    account: str
    name: str
    profile: str


@dataclass(frozen=True)
class Asked:
    """What is asked of :func:`ready`: the lab's Regions, what AWS is used for, tables of the user's own that gtlab may
    change, and an answer to the question that was given in advance. ``rehearsal``: a local cloud takes AWS's place."""

    choice: Choice
    purpose: footprint.Purpose
    tables: tuple[str, ...] = ()
    profile: str | None = None
    yes: bool = False
    rehearsal: bool = False

    @property
    def regions(self) -> tuple[str, ...]:
        if self.purpose.where == "course":
            return footprint.regions_of(self.choice)
        return self.choice.regions if self.purpose.where == "lab" else ()


@dataclass
class Report:
    """What was found: the ``identity``, and the tables of the course that are there already, as text."""

    identity: Identity
    there: list[str] = field(default_factory=list)


Clients = Callable[[str, str], Any]  # a client by Region and service


def ready(clients: Clients, asked: Asked) -> Identity:
    """Check everything, show the screen, and ask. Returns the identity; raises NotReady, Refused included."""
    report = check(clients, asked)
    print("\n".join(screen(report, asked)))
    agree(report.identity, asked)
    return report.identity


def check(clients: Clients, asked: Asked) -> Report:
    """Everything that can be known before something is made. Raises NotReady."""
    identity = _identity(clients, asked)
    _regions_answer(clients, asked)
    found = Report(identity)
    if asked.purpose.where == "course":
        found.there = _tables(clients, asked, scope(identity))
        _permissions(clients, asked, identity.account)
    return found


def scope(identity: Identity) -> str:
    """The name of the account in gtlab's own records, which shows nothing of it."""
    return "aws " + hashlib.sha256(identity.account.encode()).hexdigest()[:12]


def screen(report: Report, asked: Asked) -> list[str]:
    """What the user should know before going on, as lines of text."""
    identity, purpose = report.identity, asked.purpose
    profile = f" --profile {asked.profile}" if asked.profile else ""
    beside = [region for region in asked.regions if region not in asked.choice.regions]
    where = [f"{regions.label(asked.choice.home)}, home", *map(regions.label, asked.choice.replicas)]
    rows = [("account", [f"ends in {identity.account[-4:]}"]), ("identity", [identity.name]),
            ("profile", [identity.profile]), ("Regions", where if asked.regions else []),
            ("also", [f"{regions.label(region)}, for tables with strong consistency" for region in beside]),
            ("makes", list(purpose.makes)), ("there", report.there), ("costs", list(purpose.costs)),
            ("delete", [f"{purpose.delete}{profile}"] if purpose.delete else [])]
    return [_REHEARSAL if asked.rehearsal else "This is AWS itself, at your cost.", *(
        f"  {name if number == 0 else '':<10}{line}" for name, lines in rows
        for number, line in enumerate(part for line in lines for part in textwrap.wrap(line, _WIDTH)))]


def agree(identity: Identity, asked: Asked) -> None:
    """Ask, unless the answer is known. Raises Refused for no, and where nobody can be asked."""
    given = consent(identity, asked)
    if asked.yes or given in _agreed or given in os.environ.get(CONSENT_VARIABLE, "").split(","):
        _agreed.add(given)
        return
    try:
        answer = input(QUESTION)
    except (EOFError, OSError, RuntimeError):  # IPython's error without a front end is a RuntimeError
        raise Refused('Nobody can be asked here whether to go on, so nothing was made. Agree in advance: '
                      'gtlab.connect("aws", yes=True), or in a terminal --yes') from None
    if answer.strip().lower() not in ("y", "yes"):
        raise Refused("You did not agree, so nothing was made.")
    _agreed.add(given)


def agreed() -> str:
    """What was agreed to in this process, for the environment variable CONSENT_VARIABLE of processes that it starts."""
    return ",".join(sorted(_agreed))


def consent(identity: Identity, asked: Asked) -> str:
    """What an agreement holds for: this account, identity, purpose, and these Regions. It shows none of them."""
    told = "|".join((*identity[:2], *asked.purpose.makes, *sorted(asked.regions), *sorted(asked.tables)))
    return hashlib.sha256(told.encode()).hexdigest()[:32]


# --- the checks ---

def _identity(clients: Clients, asked: Asked) -> Identity:
    home = asked.choice.home
    where = Where("sts:GetCallerIdentity", home, asked.profile)
    try:
        answer = _caller(clients, home)
    except ValueError:  # boto3 is configured to call another address
        raise
    except Exception as error:
        if home != _GLOBAL and errors.is_unknown_here(error):
            try:
                _caller(clients, _GLOBAL)
            except Exception as other:
                raise NotReady(errors.explain(other, where._replace(region=_GLOBAL))) from None
            raise NotReady(errors.not_enabled(home)) from None
        raise NotReady(errors.explain(error, where)) from None
    name = answer["Arn"].split(":", 5)[5]
    redaction.remember_account(answer["Account"])
    profile = asked.profile or os.environ.get("AWS_PROFILE") or "default"
    return Identity(answer["Account"], errors.redacted(name), profile)


def _caller(clients: Clients, region: str) -> dict[str, Any]:
    answer: dict[str, Any] = clients(region, "sts").get_caller_identity()
    return answer


def _regions_answer(clients: Clients, asked: Asked) -> None:
    """Every Region is enabled, answers, and lets its tables be listed."""
    def answers(region: str) -> str:
        try:
            clients(region, "dynamodb").list_tables(Limit=1)
        except Exception as error:
            if errors.is_unknown_here(error):  # the credentials are good: STS has just answered
                return errors.not_enabled(region)
            return errors.explain(error, Where("dynamodb:ListTables", region, asked.profile))
        return ""

    _raise(asked.regions, at_once(answers, asked.regions))


def _tables(clients: Clients, asked: Asked, name: str) -> list[str]:
    """The course's tables that exist, as text. Raises NotReady if one of these names is taken by a table of others."""
    def whose(place: tuple[str, str]) -> str:
        region, table = place
        try:
            return guard.owner(lambda code: clients(code, "dynamodb"), name, region, table)
        except Exception as error:
            raise NotReady(errors.explain(error, Where("dynamodb:DescribeTable", region, asked.profile))) from None

    places = [(region, table) for table in footprint.TABLES if table not in asked.tables for region in asked.regions]
    found = dict(zip(places, at_once(whose, places), strict=True))
    others = [(region, table, run) for (region, table), run in found.items() if run not in (guard.OURS, guard.ABSENT)]
    if others:
        region, table, run = others[0]
        more = f" (There are {len(others)} such tables.)" if len(others) > 1 else ""
        told = guard.foreign(table, region, run)
        raise NotReady(told[0].upper() + told[1:] + more)
    where: dict[str, list[str]] = {}
    for (region, table), run in found.items():
        if run == guard.OURS:
            where.setdefault(table, []).append(regions.get(region).place)
    return [f"{table} in {', '.join(places)}, from an earlier run" for table, places in where.items()]


def _permissions(clients: Clients, asked: Asked, account: str) -> None:
    """Call what the course calls, on a table that does not exist: AWS refuses an identity that may not, before it looks
    for the table. Whether a call that is answered otherwise is allowed is not certain, but nothing speaks against it.
    """
    def denied(probe: tuple[str, str, str, dict[str, Any]]) -> str:
        region, service, operation, params = probe
        try:
            getattr(clients(region, service), operation)(**params)
        except Exception as error:
            if errors.is_denied(error):
                prefix = service.removesuffix("streams")
                action = f"{prefix}:{''.join(map(str.capitalize, operation.split('_')))}"
                return errors.denied(error, Where(action, region, asked.profile))
        return ""

    probes = [(region, service, operation, params) for region in asked.regions
              for service, operation, params in _probes(region, account)]
    _raise([region for region, *_ in probes], at_once(denied, probes))


def _probes(region: str, account: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Calls that change nothing: the table does not exist, and the one that would create it is not valid."""
    table = permissions.PROBE
    arn = f"arn:aws:dynamodb:{region}:{account}:table/{table}"
    return [("dynamodb", "create_table", {  # its key is not among its attributes
                "TableName": table, "KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "Another", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST", "Tags": [{"Key": RUN_TAG, "Value": "preflight"}]}),
            ("dynamodb", "describe_table", {"TableName": table}),
            ("dynamodb", "list_tags_of_resource", {"ResourceArn": arn}),
            ("dynamodb", "update_table", {"TableName": table, "DeletionProtectionEnabled": False}),
            ("dynamodb", "delete_table", {"TableName": table}),
            ("dynamodb", "put_item", {"TableName": table, "Item": _KEY}),
            ("dynamodb", "get_item", {"TableName": table, "Key": _KEY}),
            ("dynamodb", "update_item", {"TableName": table, "Key": _KEY}),
            ("dynamodb", "delete_item", {"TableName": table, "Key": _KEY}),
            ("dynamodb", "scan", {"TableName": table, "Limit": 1}),
            ("dynamodbstreams", "describe_stream", {"StreamArn": f"{arn}/stream/2026-01-01T00:00:00.000"}),
            ("cloudwatch", "get_metric_statistics", {
                "Namespace": "AWS/DynamoDB", "MetricName": "ReplicationLatency", "Period": 60, "StartTime": 0,
                "EndTime": 60, "Statistics": ["SampleCount"], "Dimensions": [{"Name": "TableName", "Value": table}]})]


def at_once(ask: Callable[[Any], Any], about: Sequence[Any]) -> list[Any]:
    """The answers to a question about several places, which are asked at the same time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, about))


def _raise(places: Sequence[str], told: Sequence[str]) -> None:
    """Raise NotReady with the sentences that are not empty, each once. What is the same in several Regions is one
    sentence. ``places`` are the sentences' Regions."""
    where: dict[str, list[str]] = {}
    for region, text in zip(places, told, strict=True):
        label = regions.label(region)
        if text and label not in where.setdefault(text.replace(f" in {label}", " in {}"), []):
            where[text.replace(f" in {label}", " in {}")].append(label)
    found = [text.replace("{}", ", ".join(labels)) for text, labels in where.items()]
    if found:
        more = len(found) - _MOST_NAMED
        raise NotReady("\n".join(found[:_MOST_NAMED]) + (f"\n(and {more} more)" if more > 0 else ""))
