"""A request of :mod:`generated` as an HTTP request, in each protocol, and what is wrong with an answer."""

from __future__ import annotations

import datetime
import json
import re
from random import Random
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ParamValidationError
from botocore.model import OperationModel, Shape
from botocore.serialize import create_serializer
from generated import ACCOUNT, Request

from gtlab.localcloud.server.requests import model

_TARGETS = {"dynamodb": "DynamoDB_20120810", "dynamodbstreams": "DynamoDBStreams_20120810",
            "application-autoscaling": "AnyScaleFrontendService"}
_SIGNED = {"dynamodbstreams": "dynamodb", "cloudwatch": "monitoring"}


def protocol_of(request: Request, random: Random) -> str:
    """A protocol in which a client may send this: CloudWatch has three."""
    if request.service == "cloudwatch":
        return random.choice(("query", "json", "smithy-rpc-v2-cbor"))
    return {"fis": "rest-json", "sts": "query"}.get(request.service, "json")


def sent(request: Request, protocol: str) -> tuple[str, str, dict[str, str], bytes]:
    """Method, target, headers and body of the HTTP request. botocore's serializer makes it; where a spoiled input makes
    that fail, the input is sent as plain JSON."""
    operation = model(request.service).operation_model(request.operation)
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20270101/{request.region}/"
                                f"{_SIGNED.get(request.service, request.service)}/aws4_request, SignedHeaders=host, "
                                "Signature=0"}
    if protocol == "json" and request.service in _TARGETS:
        return "POST", "/", headers | {"X-Amz-Target": f"{_TARGETS[request.service]}.{request.operation}",
                                       "Content-Type": "application/x-amz-json-1.0"}, _json(request.data)
    try:
        return _serialized(request, operation, protocol, headers)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, ParamValidationError):
        uri = re.sub(r"\{\w+\}", "x", operation.http["requestUri"])
        return operation.http["method"], uri, headers | {"Content-Type": "application/x-amz-json-1.1"}, _json(
            request.data)


def _json(data: dict) -> bytes:
    return json.dumps(data, default=str).encode("utf-8", "surrogatepass")


def _serialized(request: Request, operation: OperationModel, protocol: str,
                headers: dict[str, str]) -> tuple[str, str, dict[str, str], bytes]:
    if operation.input_shape and any(request.data.get(name) == "" for name, member in
                                     operation.input_shape.members.items() if member.serialization.get(
                                         "location") == "uri"):
        raise ValueError("without a part, the path is another operation's")
    serializer = create_serializer(protocol, include_validation=False)
    made = serializer.serialize_to_request(_with_times(request.data, operation.input_shape), operation)
    body = made["body"]
    if isinstance(body, dict):
        body = "&".join(f"{quote(str(name))}={quote(str(value))}" for name, value in body.items())
    query = made["query_string"]
    if isinstance(query, dict):
        query = "&".join(f"{name}={quote(str(value), safe='')}" for name, values in query.items()
                         for value in (values if isinstance(values, list) else [values]))
    target = made["url_path"] + (f"?{query}" if query else "")
    found = headers | {name: value.decode() if isinstance(value, bytes) else value
                       for name, value in dict(made["headers"]).items()}
    return made["method"], target, found, body.encode() if isinstance(body, str) else body


def _with_times(value: Any, shape: Shape | None) -> Any:
    """The input with its points in time as the serializer wants them."""
    if shape is None:
        return {}
    if shape.type_name == "structure" and isinstance(value, dict):
        return {name: _with_times(each, shape.members[name]) for name, each in value.items() if name in shape.members}
    if shape.type_name == "list" and isinstance(value, list):
        return [_with_times(each, shape.member) for each in value]
    if shape.type_name == "timestamp" and type(value) is int:
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    return value


# Answers

def faults(value: Any, shape: Shape | None, where: str = "") -> list[str]:
    """Where an answer in JSON is not what the model says: members that it does not have, values of another type."""
    if value is None or shape is None:
        return [] if value is None or value == {} else [f"{where}: no answer is described"]
    kind = shape.type_name
    if not isinstance(value, _TYPES[kind]) or isinstance(value, bool) != (kind == "boolean"):
        return [f"{where}: {value!r:.60} is not a {kind}"]
    if kind == "structure":
        found = [f"{where}.{name} is unknown" for name in value if name not in shape.members]
        return found + [each for name, inner in value.items() if name in shape.members
                        for each in faults(inner, shape.members[name], f"{where}.{name}")]
    if kind == "list":
        return [each for inner in value for each in faults(inner, shape.member, f"{where}[]")]
    if kind == "map":
        return [each for inner in value.values() for each in faults(inner, shape.value, f"{where}{{}}")]
    return []


_TYPES = {"structure": dict, "list": list, "map": dict, "string": str, "blob": str, "boolean": bool, "integer": int,
          "long": int, "double": (int, float), "float": (int, float), "timestamp": (int, float)}
