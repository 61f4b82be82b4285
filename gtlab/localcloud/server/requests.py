"""Parse an HTTP request into a call: its account, Region, operation and input.

Inputs are checked against botocore's model of the API, so that a value of the wrong type is refused here,
with the service's error, and never reaches the engine.
"""

from __future__ import annotations

import functools
import operator
import re
import threading
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, NotRequired, Required, TypedDict
from urllib.parse import parse_qs, unquote

import msgspec
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from gtlab import regions
from gtlab.contract import ACCOUNT, CALLER_HEADER, DEFAULT_ACCOUNT
from gtlab.localcloud.engine import READS, WRITES
from gtlab.localcloud.engine.values import too_deep
from gtlab.localcloud.engine.writes import NO_REQUESTS
from gtlab.localcloud.model import Call, Refusal, invalid
from gtlab.localcloud.server import model_rules

# Prefix of X-Amz-Target → botocore's name of the service.
_TARGETS = {"DynamoDB_20120810": "dynamodb", "DynamoDBStreams_20120810": "dynamodbstreams",
            "AnyScaleFrontendService": "application-autoscaling", "GraniteServiceVersion20100801": "cloudwatch",
            "ResourceGroupsTaggingAPI_20170126": "resourcegroupstaggingapi"}
# Services that are called by method and path (rest-json): their names in the credential scope, and botocore's.
_REST = ("fis",)
# Both are linear in the length of the text: parts have bounds, and no part can match what another one does.
_CREDENTIAL = re.compile(r"Credential=([^/,\s]{1,128})/(\d{8})/([^/,\s]{1,64})/([^/,\s]{1,64})/aws4_request")
# Operations with a text of their own for a member that is missing.
_OWN_TEXTS = dict.fromkeys(("CreateTable", "DescribeTable", "UpdateTable", "DeleteTable"), (
    "TableName", "The parameter 'TableName' is required but was not present in the request")) | {
    "BatchWriteItem": ("RequestItems", NO_REQUESTS)}
_TYPED_DEPTH = 7  # enough for the attributes of a batch's items; what is deeper is checked value by value
_TYPED_LEVELS = 33  # of lists and maps in an attribute's value: more than the engine takes
LARGE = 1 << 18        # bytes of a body that is decoded in pieces; each takes up to 20 ms
MOST_OTHER = 1 << 20   # bytes of a request that is not about items (ours): it is read and checked as a whole
_LARGE_LEVELS = 8      # of lists and maps that are taken apart for that
_MOST_LEVELS = 120  # nested lists and maps that are read; the engine refuses much fewer, in the service's order


@functools.cache
def model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@functools.cache
def operations(service: str) -> frozenset[str]:
    return frozenset(model(service).operation_names)


def parse(headers: dict[str, str], body: bytes, method: str = "POST", target: str = "/") -> Call:
    """The call that a request makes. Raises Refusal for an invalid request. Header names are in lower case; ``target``
    is the path as the client sent it, with its query string."""
    authorization = headers.get("authorization", "")
    signed = signed_service(authorization) if "x-amz-target" not in headers else None
    if signed is not None and signed in _REST:
        service = signed
        account, region = identity(authorization)
        operation, data = _rest(service, body, method, target)
    else:
        service, operation = _targeted(headers.get("x-amz-target", ""))
        account, region = identity(authorization)
        if len(body) < LARGE:
            decoder = _decoder(service, operation)
        else:
            decoder = None
            if operation not in READS and operation not in WRITES:
                check_length(body)
        try:
            if decoder:
                return Call(account, region, service, operation, decoder.decode(body), caller_of(headers))
        except (ValueError, RecursionError):
            pass  # check_input raises the detailed error
        data = _json(body)
    check_input(service, operation, data)
    return Call(account, region, service, operation, data, caller_of(headers))


def check_length(body: bytes) -> None:
    """Refuse a body that is too large for a request that is not about items."""
    if len(body) > MOST_OTHER:
        raise Refusal("RequestEntityTooLargeException", "A request that does not read or write items may have "
                      f"{MOST_OTHER} bytes in gtlab's local cloud.", 413)


def caller_of(headers: dict[str, str]) -> str | None:
    caller = headers.get(CALLER_HEADER)
    if caller is not None and caller not in regions.REGIONS:
        raise invalid(f"The {CALLER_HEADER} header must name an AWS Region that gtlab knows, not {caller}")
    return caller


@functools.lru_cache(maxsize=256)
def _targeted(target: str) -> tuple[str, str]:
    """The service and the operation that X-Amz-Target names."""
    prefix, _, operation = target.partition(".")
    service = _TARGETS.get(prefix)
    if service is None or operation not in operations(service):
        raise Refusal("UnknownOperationException", "")
    return service, operation


def signed_service(authorization: str) -> str | None:
    """The service that a signature names; None where there is no signature."""
    scope = _scope(authorization)
    return scope[2] if scope else None


def is_known(target: str) -> bool:
    """Whether X-Amz-Target names a service of the local cloud."""
    return target.partition(".")[0] in _TARGETS


def identity(authorization: str) -> tuple[str, str]:
    """Account and Region from the signature's credential scope. Signatures are not verified."""
    if not authorization:
        raise Refusal("MissingAuthenticationTokenException", "Request is missing Authentication Token")
    scope = _scope(authorization)
    if scope is None:
        raise Refusal("IncompleteSignatureException",
                      "Authorization header requires 'Credential' parameter of the form "
                      "KEY/DATE/REGION/dynamodb/aws4_request.")
    account, region, _ = scope
    if region not in regions.REGIONS:
        raise Refusal("InvalidSignatureException",
                      f"Credential should be scoped to a valid Region, not '{region}'. "
                      f"The local cloud has: {', '.join(sorted(regions.REGIONS))}.")
    return account, region


def _scope(authorization: str) -> tuple[str, str, str] | None:
    """Account, Region and service of a signature; None where there is none."""
    same = authorization.partition(", SignedHeaders=")[0]  # this part is the same in all requests of a client: cache it
    return _scope_of(same if "Credential=" in same else authorization)


@functools.lru_cache(maxsize=256)
def _scope_of(authorization: str) -> tuple[str, str, str] | None:
    found = _CREDENTIAL.search(authorization)
    if not found:
        return None
    key, _, region, service = found.groups()
    return (key if ACCOUNT.fullmatch(key) else DEFAULT_ACCOUNT), region, service


class _Route(NamedTuple):
    method: str
    path: tuple[str, ...]    # its parts; labels are written as {name}
    operation: str


@functools.cache
def _routes(service: str) -> tuple[_Route, ...]:
    models = (model(service).operation_model(name) for name in model(service).operation_names)
    return tuple(_Route(each.http["method"], tuple(each.http["requestUri"].strip("/").split("/")), each.name)
                 for each in models)


def _rest(service: str, body: bytes, method: str, target: str) -> tuple[str, dict]:
    """The operation for a method and a path, and its input from the path, the query string and the body."""
    check_length(body)
    path, _, query = target.partition("?")
    parts = tuple(path.strip("/").split("/"))
    fitting = ((route.operation, _labels(route.path, parts)) for route in _routes(service) if route.method == method)
    operation, labels = next(((name, labels) for name, labels in fitting if labels is not None), ("", {}))
    if not operation:
        raise Refusal("UnknownOperationException", f"{method} {path} is not an operation of {service}.", 404)
    shape = model(service).operation_model(operation).input_shape
    asked, data = parse_qs(query, keep_blank_values=True), _json(body)
    for name, member in shape.members.items():
        wire_name = member.serialization.get("name", name)
        place = member.serialization.get("location")
        if place is not None:
            data.pop(name, None)  # members of the path and the query string are not read from the body
        if place == "uri":
            data[name] = labels[wire_name]
        elif place == "querystring" and wire_name in asked:
            data[name] = _from_query(wire_name, asked[wire_name], member)
    return operation, data


def _labels(template: tuple[str, ...], parts: tuple[str, ...]) -> dict[str, str] | None:
    """The values of a path's labels, or None if the path does not match the template."""
    if len(template) != len(parts):
        return None
    found = {}
    for wanted, part in zip(template, parts, strict=True):
        if wanted.startswith("{") and part:
            found[wanted.strip("{}")] = unquote(part)
        elif wanted != part:
            return None
    return found


def _from_query(name: str, values: list[str], shape: Shape) -> Any:
    if shape.type_name == "list":
        return values
    if shape.type_name != "integer":
        return values[0]
    if not re.fullmatch(r"-?[0-9]{1,9}", values[0]):
        raise Refusal("SerializationException", "STRING_VALUE cannot be converted to Integer")
    return int(values[0])


def _json(body: bytes) -> dict:
    try:
        data = _decoded(body) if body else {}
    except (ValueError, RecursionError):
        raise Refusal("SerializationException", "The request body is not valid JSON.") from None
    if not isinstance(data, dict):
        raise Refusal("SerializationException", "The request body must be a JSON object.")
    return data


def _decoded(json: bytes, levels: int = _LARGE_LEVELS) -> Any:
    """JSON as Python's values; msgspec is stricter and much faster than json. It lets no other thread run, so large
    lists and maps are taken apart, and decoded piece by piece."""
    first = json.lstrip()[:1]
    if len(json) < LARGE or not levels or first not in (b"{", b"["):
        return msgspec.json.decode(json)
    if first == b"{":
        members = msgspec.json.decode(json, type=dict[str, msgspec.Raw])
        return {name: _decoded(bytes(member), levels - 1) for name, member in members.items()}
    found = list[Any]()
    for several in _pieces(msgspec.json.decode(json, type=list[msgspec.Raw])):
        found += ([_decoded(several[0], levels - 1)] if len(several) == 1 else
                  msgspec.json.decode(b"[%b]" % b",".join(several)))
    return found


def _pieces(members: list[msgspec.Raw]) -> Iterator[list[bytes]]:
    """The members of a list, one after the other: as many together as are not large, or one."""
    several, length = list[bytes](), 0
    for member in map(bytes, members):
        if several and length + len(member) >= LARGE:
            yield several
            several, length = [], 0
        several.append(member)
        length += len(member)
    if several:
        yield several


# The Python types of each kind of shape after decoding JSON. bool is a subclass of int: _check compares it separately.
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,), "blob": (str,), "boolean": (bool,), "integer": (int,), "long": (int,),
    "float": (int, float), "double": (int, float), "timestamp": (int, float),
    "list": (list,), "map": (dict,), "structure": (dict,),
}
# What a number of the model can be. A larger one would go on as Python's integers do, to where it cannot be used.
_RANGES = {"integer": range(-(1 << 31), 1 << 31), "long": range(-(1 << 63), 1 << 63)}


@dataclass
class _Plan:
    """The checks for a shape of the model. Plans are cached by the shape's name, because botocore creates a new object
    for each occurrence of a shape. ``java`` names the shape in the service's refusals."""

    kind: str
    java: str
    types: tuple[type, ...]
    required: frozenset[str]
    is_text: bool              # any string is valid
    is_value: bool             # an attribute's value
    members: dict[str, _Plan] = field(default_factory=dict)  # of a structure
    inner: _Plan | None = None                               # of a list's members, or of a map's values


_plans: dict[tuple[str, str], _Plan] = {}
_planning = threading.Lock()  # a plan is in the cache before it is complete; bodies are checked in two threads
# Shapes of DynamoDB whose missing members the service reports in another order than the model has, as captured.
_REPORTED_FIRST = {"AttributeDefinition": ("AttributeType",), "ProvisionedThroughput": ("WriteCapacityUnits",),
                   "TimeToLiveSpecification": ("AttributeName",)}
# Shapes of DynamoDB for whose missing members the service has other texts: those who read them refuse them.
_REPORTED_LATER = ("Tag", "CreateReplicationGroupMemberAction")


def _plan(service: str, shape: Shape) -> _Plan:
    plan = _plans.get((service, shape.name))
    if plan is None:
        kind = shape.type_name
        checked_later = service == "dynamodb" and shape.name in _REPORTED_LATER
        required = frozenset(shape.required_members if kind == "structure" and not checked_later else ())
        plan = _plans[service, shape.name] = _Plan(kind, _java(service, shape), _KINDS[kind], required,
                                                   kind == "string", shape.name == "AttributeValue")
        if kind == "structure":  # after the plan is in the cache, because AttributeValue contains itself
            names = (*_REPORTED_FIRST.get(shape.name, ()), *shape.members) if service == "dynamodb" else shape.members
            plan.members = {name: _plan(service, shape.members[name]) for name in names}
        elif kind in ("list", "map"):
            plan.inner = _plan(service, shape.member if kind == "list" else shape.value)
    return plan


@functools.cache
def _plan_of(service: str, operation: str) -> _Plan | None:
    shape = model(service).operation_model(operation).input_shape
    with _planning:
        return _plan(service, shape) if shape else None


@functools.cache
def _decoder(service: str, operation: str) -> msgspec.json.Decoder | None:
    """A decoder for valid inputs that is much faster than :func:`check_input`. It fails on every input that must be
    refused, corrected or checked further; :func:`check_input` then does so."""
    shape = model(service).operation_model(operation).input_shape
    return msgspec.json.Decoder(_type(shape, _TYPED_DEPTH)) if shape and service not in model_rules.SERVICES else None


def _type(shape: Shape, depth: int) -> Any:
    """A shape as a type for msgspec, down to a depth. Deeper values do not match it."""
    kind = shape.type_name
    if depth == 0 and kind in ("list", "map", "structure"):
        return msgspec.UnsetType  # matches no JSON value
    if shape.name == "AttributeValue":
        return _value_type(_TYPED_LEVELS)
    if kind == "list":
        return types.GenericAlias(list, (_type(shape.member, depth - 1),))
    if kind == "map":
        return types.GenericAlias(dict, (str, _type(shape.value, depth - 1)))
    if kind in _RANGES:
        return Annotated[int, msgspec.Meta(ge=_RANGES[kind][0], le=_RANGES[kind][-1])]
    if kind == "structure":
        make: Any = TypedDict  # built at run time: type checkers accept only literal arguments
        return make(shape.name, {name: (Required if name in shape.required_members else NotRequired)[
            _type(member, depth - 1)] for name, member in shape.members.items()})
    return functools.reduce(operator.or_, _KINDS[kind])


@functools.cache
def _value_type(levels: int) -> Any:
    """An attribute's value with so many levels of lists and maps. Each level is made once: all operations share it."""
    if not levels:
        return msgspec.UnsetType
    inner = _value_type(levels - 1)
    documents: dict[str, Any] = {"L": types.GenericAlias(list, (inner,)), "M": types.GenericAlias(dict, (str, inner))}
    members = model("dynamodb").shape_for("AttributeValue").members
    make: Any = TypedDict
    return make("AttributeValue", {name: NotRequired[documents.get(name) or _type(member, 2)]
                                   for name, member in members.items()})


def check_input(service: str, operation: str, data: dict) -> None:
    """Refuse values of a wrong type and missing required members; remove members that the model does not have. Where
    the model is all that a service checks, refuse what violates its constraints, too."""
    plan = _plan_of(service, operation)
    if plan is None:
        return
    try:
        _check(data, plan, None, 0)
    except Refusal as refusal:
        name, text = _OWN_TEXTS.get(operation, ("", ""))
        if name and refusal.code == "ValidationException" and name not in data:
            raise invalid(text) from None
        raise
    if service in model_rules.SERVICES:
        model_rules.check(model(service), operation, data)


_Path = tuple["_Path", str] | None  # the path to a value, last part first; joined only for an error message


def _check(value: Any, plan: _Plan, path: _Path, depth: int) -> None:
    """``depth``: the number of attribute values that contain this one."""
    kind, fits = plan.kind, isinstance(value, plan.types)
    if not fits or (value is True or value is False) != (kind == "boolean") or (
            kind in _RANGES and value not in _RANGES[kind]):
        raise Refusal("SerializationException", _misfit(value, plan, path))
    if kind == "structure":
        _check_members(value, plan, path, depth)
        return
    inner = plan.inner
    if inner is None:
        return
    if inner.is_value and depth > _MOST_LEVELS:
        raise too_deep()
    if kind == "list":
        for at, item in enumerate(value, start=1):
            _check(item, inner, (path, f"{at}.member"), depth)
    else:
        for key, item in value.items():
            if not _is_one_text(item, inner):
                _check(item, inner, (path, f"{key}.member"), depth)


def _is_one_text(value: Any, plan: _Plan) -> bool:
    """Whether a value is a structure with a single string, like most attribute values: it needs no more checks."""
    if plan.kind != "structure" or plan.required or type(value) is not dict or len(value) != 1:
        return False
    (name, given), = value.items()
    return type(given) is str and name in plan.members and plan.members[name].is_text


def _check_members(value: dict, plan: _Plan, path: _Path, depth: int) -> None:
    members = plan.members
    if None in value.values() or not members.keys() >= value.keys():
        for name in [name for name, given in value.items() if given is None or name not in members]:
            del value[name]  # the service treats JSON null as an absent member, and ignores unknown members
    if not plan.required <= value.keys():
        missing = [name for name in members if name in plan.required and name not in value]
        raise invalid(_constraints([f"Value null at '{_told((path, name))}' failed to satisfy constraint: "
                                    "Member must not be null" for name in missing]))
    for name, given in value.items():
        member = members[name]
        if type(given) is not str or not member.is_text:  # most members are strings: skip the call
            _check(given, member, (path, name), depth + plan.is_value)


def _told(path: _Path) -> str:
    """A path in the service's notation: names begin in lower case."""
    parts = []
    while path is not None:
        path, part = path
        parts.append(part if part.endswith(".member") else part[:1].lower() + part[1:])
    return ".".join(reversed(parts))


def _constraints(failures: list[str]) -> str:
    errors = "error" if len(failures) == 1 else "errors"
    return f"{len(failures)} validation {errors} detected: " + "; ".join(failures)


# Values of a wrong type, in the service's words (captured from the service by dynalite)

_JAVA = {"string": "java.lang.String", "boolean": "java.lang.Boolean", "integer": "java.lang.Integer",
         "long": "java.lang.Long", "float": "java.lang.Float", "double": "java.lang.Double",
         "blob": "java.nio.ByteBuffer", "timestamp": "java.util.Date"}


def _java(service: str, shape: Shape) -> str:
    """The Java type of a shape."""
    kind = shape.type_name
    if kind == "structure":
        return f"com.amazonaws.{'dynamodb.v20120810' if service.startswith('dynamodb') else service}.{shape.name}"
    if kind == "list":
        return f"java.util.List<{_java(service, shape.member)}>"
    if kind == "map":
        return f"java.util.Map<java.lang.String, {_java(service, shape.value)}>"
    return _JAVA[kind]


def _misfit(value: Any, plan: _Plan, path: _Path) -> str:
    """What the service says of a value that is not of its type."""
    kind = plan.kind
    if isinstance(value, dict):
        return "Start of structure or map found where not expected"
    if isinstance(value, list):
        return f"Unrecognized collection type {'' if kind == 'map' else 'class '}{plan.java}"
    if kind in ("list", "map", "structure"):
        is_inner = path is not None and path[1].endswith(".member")
        return "Unexpected value type in payload" if kind == "structure" and is_inner else "Unexpected field type"
    if kind == "blob":
        return "only base-64-encoded strings are convertible to bytes"
    if kind == "boolean" and isinstance(value, str):
        return "Unexpected token received from parser"
    names = {str: "STRING_VALUE", bool: "TRUE_VALUE" if value else "FALSE_VALUE", int: "NUMBER_VALUE",
             float: "DECIMAL_VALUE"}
    return f"{names.get(type(value), 'NULL_VALUE')} cannot be converted to {plan.java.rpartition('.')[2]}"
