"""AWS's protocols other than JSON: query, EC2's, REST with XML, and RPC v2 with CBOR.

Calls of STS and CloudWatch are read and answered in them; calls of services that the local cloud does not have get an
error that their clients can read. A request says by its form which protocol it uses, and by the credential scope of its
signature which service it is for.
"""

from __future__ import annotations

import datetime
import json
import re
import uuid
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from xml.sax import saxutils

from botocore.model import OperationModel, Shape

from gtlab.localcloud.model import Call, Refusal
from gtlab.localcloud.server import cbor, requests

QUERY, EC2, XML, S3, JSON, CBOR = "query", "ec2", "rest-xml", "s3", "json", "cbor"
TARGET_CBOR = "cbor with a target"  # the JSON protocol, written in CBOR: that of Java's clients of Kinesis
# Services whose calls are read in these protocols: their names in a credential scope, and botocore's.
_SERVED = {"sts": "sts", "monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}
_SPOKEN = {"sts": (QUERY, CBOR), "monitoring": (QUERY, CBOR), "tagging": (CBOR,)}
_JSON_SERVED = ("dynamodb", "fis", "application-autoscaling")
_REST_XML = ("s3-control", "cloudfront", "route53")
_CONTENT = {QUERY: b"text/xml", EC2: b"text/xml", XML: b"text/xml", S3: b"application/xml",
            JSON: b"application/x-amz-json-1.0", CBOR: b"application/cbor",
            TARGET_CBOR: b"application/x-amz-cbor-1.1"}
_NAMES = {"iam": "IAM", "ec2": "EC2", "s3": "S3", "lambda": "Lambda", "kms": "KMS", "sqs": "SQS", "sns": "SNS",
          "logs": "CloudWatch Logs", "cloudformation": "CloudFormation", "kinesis": "Kinesis", "ssm": "Systems Manager",
          "secretsmanager": "Secrets Manager", "route53": "Route 53", "cloudfront": "CloudFront",
          "events": "EventBridge", "states": "Step Functions", "rds": "RDS", "backup": "Backup",
          "dax": "DAX", "sso": "IAM Identity Center", "elasticloadbalancing": "Elastic Load Balancing"}
_HAS = ("it has DynamoDB, DynamoDB Streams and FIS, and parts of CloudWatch, Application Auto Scaling, STS and the "
        "Resource Groups Tagging API. Nothing was done.")
_MOST_PARAMETERS = 2000
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Form(NamedTuple):
    """How a request is made: its protocol, and the service that its signature names."""

    protocol: str
    service: str

    @property
    def is_served(self) -> bool:
        return self.protocol in _SPOKEN.get(self.service, ())


def form_of(headers: dict[str, str]) -> Form | None:
    """The form of a request; None if it is one for :mod:`requests`."""
    service = requests.signed_service(headers.get("authorization", ""))
    if "authorization" not in headers:
        return _unsigned(headers)
    if service is None or service in _JSON_SERVED:
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if "x-amz-target" in headers:
        if requests.is_known(headers["x-amz-target"]):
            return None
        return Form(TARGET_CBOR if kind == "application/x-amz-cbor-1.1" else JSON, service)
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return Form(CBOR, service)
    if kind == "application/x-www-form-urlencoded" or QUERY in _SPOKEN.get(service, ()) or service == "ec2":
        return Form(EC2 if service == "ec2" else QUERY, service)
    return Form(S3 if service == "s3" else XML if service in _REST_XML else JSON, service)


def _unsigned(headers: dict[str, str]) -> Form | None:
    """The form of a request without a signature, such as those for tokens. None of the local cloud's operations is
    called so."""
    target = headers.get("x-amz-target", "")
    if "." in target and not requests.is_known(target):
        return Form(JSON, target.partition(".")[0][:100])
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return Form(QUERY, "service that is called without a signature of version 4")
    return None


def nothing_at(target: str) -> Refusal:
    """The refusal of a request without a signature that is for no service of the local cloud."""
    return Refusal("UnknownOperationException", f"gtlab's local cloud has nothing at {target[:100]}: {_HAS}")


def parse(form: Form, headers: dict[str, str], body: bytes, target: str) -> Call:
    """The call that a request makes. Raises Refusal."""
    if form.is_served or "authorization" in headers:
        account, region = requests.identity(headers.get("authorization", ""))
    if not form.is_served:
        name = _NAMES.get(form.service, form.service)
        raise Refusal("UnknownOperationException", f"gtlab's local cloud has no {name}: {_HAS}")
    requests.check_length(body)
    service = _SERVED[form.service]
    if form.protocol == CBOR:
        operation = target.partition("?")[0].rpartition("/")[2]
        data = _from_cbor(body)
    else:
        pairs = _pairs(body.decode("utf-8", "replace") or target.partition("?")[2])
        operation = pairs.pop("Action", "")
    if operation not in requests.operations(service):
        raise Refusal("InvalidAction", f"Could not find operation {operation[:100] or 'in the request'} for {service}")
    shape = requests.model(service).operation_model(operation).input_shape
    if form.protocol == QUERY:
        data = _structure(pairs, shape) if shape else {}
    requests.check_input(service, operation, data)
    return Call(account, region, service, operation, data, requests.caller_of(headers))


def answer(form: Form, call: Call | None, status: int, body: bytes) -> tuple[bytes, bytes, tuple]:
    """An answer in JSON, in a request's own protocol: body, content type and further headers."""
    data = json.loads(body)
    extra: tuple = ((b"smithy-protocol", b"rpc-v2-cbor"),) if form.protocol == CBOR else ()
    if status != 200 or call is None:
        code = data["__type"].rpartition("#")[2]
        if form.protocol in (JSON, TARGET_CBOR):
            extra = ((b"x-amzn-errortype", code.encode()),)
        return _error(form.protocol, data["__type"], code, data.get("message", ""), status), _CONTENT[
            form.protocol], extra
    operation = requests.model(call.service).operation_model(call.operation)
    if form.protocol == CBOR:
        return cbor.encode(_timed(data, operation.output_shape)), _CONTENT[CBOR], extra
    return _result(operation, data), _CONTENT[QUERY], extra


# Errors

def _error(protocol: str, kind: str, code: str, message: str, status: int) -> bytes:
    if protocol in (CBOR, TARGET_CBOR):
        return cbor.encode({"__type": kind, "message": message})
    if protocol == JSON:
        return json.dumps({"__type": kind, "message": message}).encode()
    request, fault = uuid.uuid4(), "Sender" if status < 500 else "Receiver"
    inner = f"<Code>{_escaped(code)}</Code><Message>{_escaped(message)}</Message>"
    if protocol == EC2:
        text = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{request}</RequestID></Response>"
    elif protocol == S3:
        text = f"<Error>{inner}<RequestId>{request}</RequestId></Error>"
    else:
        text = (f"<ErrorResponse><Error><Type>{fault}</Type>{inner}</Error><RequestId>{request}</RequestId>"
                "</ErrorResponse>")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()


# The query protocol: parameters such as Dimensions.member.1.Name, and XML

def _pairs(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise Refusal("MalformedQueryString", f"A request may have at most {_MOST_PARAMETERS} parameters.") from None


def _structure(pairs: dict[str, str], shape: Shape) -> dict[str, Any]:
    """A structure from the parameters of its members."""
    by_first: dict[str, dict[str, str]] = {}
    for path, value in pairs.items():
        first, _, rest = path.partition(".")
        by_first.setdefault(first, {})[rest] = value
    return {name: _value(parts, shape.members[name]) for name, parts in by_first.items() if name in shape.members}


def _value(parts: dict[str, str], shape: Shape) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return _structure(parts, shape)
    if kind == "list":
        listed: dict[int, dict[str, str]] = {}
        for path, value in parts.items():
            if not path:  # an empty list
                continue
            member, _, rest = path.partition(".")
            if member != "member":  # a flat list
                member, rest = "member", path
            number, _, rest = rest.partition(".")
            if not number.isdecimal() or len(number) > 9:
                raise Refusal("MalformedInput", f"{path[:100]} is not the place of a list's member")
            listed.setdefault(int(number), {})[rest] = value
        return [_value(listed[number], shape.member) for number in sorted(listed)]
    return _scalar(parts.get("", ""), kind)


def _scalar(text: str, kind: str) -> Any:
    try:
        if kind == "timestamp":
            return _seconds(text)
        if kind in ("integer", "long"):
            return int(text[:20])
        if kind in ("float", "double"):
            return float(text[:50])
    except ValueError:
        raise Refusal("MalformedInput", f"{text[:100]} is not a {kind}") from None
    return text.lower() == "true" if kind == "boolean" else text


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _escaped(text: str) -> str:
    """A text in XML. It may repeat what a client sent, and XML cannot have all of that."""
    return saxutils.escape(_NOT_IN_XML.sub("\ufffd", text))


def _result(operation: OperationModel, data: dict) -> bytes:
    namespace, name = operation.service_model.metadata["xmlNamespace"], operation.name
    inner = _xml(f"{name}Result", data, operation.output_shape) if operation.output_shape else ""
    return (f'<{name}Response xmlns="{namespace}">{inner}<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId>'
            f"</ResponseMetadata></{name}Response>").encode()


def _xml(tag: str, value: Any, shape: Shape) -> str:
    kind = shape.type_name
    if kind == "structure":
        inner = "".join(_xml(name, value[name], member) for name, member in shape.members.items()
                        if value.get(name) is not None)
    elif kind == "list":
        inner = "".join(_xml("member", each, shape.member) for each in value)
    elif kind == "timestamp":
        moment = datetime.datetime.fromtimestamp(value, datetime.UTC)
        inner = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    else:
        inner = _escaped(str(value).lower() if isinstance(value, bool) else str(value))
    return f"<{tag}>{inner}</{tag}>"


# CBOR

def _from_cbor(body: bytes) -> dict:
    try:
        data = cbor.decode(body) if body else {}
    except (ValueError, OverflowError):
        raise Refusal("SerializationException", "The request body is not valid CBOR.") from None
    if not isinstance(data, dict):
        raise Refusal("SerializationException", "The request body must be a CBOR map.")
    return data


def _timed(value: Any, shape: Shape | None) -> Any:
    """A value with its points in time marked."""
    if shape is None or value is None:
        return value
    kind = shape.type_name
    if kind == "structure":
        return {name: _timed(each, shape.members.get(name)) for name, each in value.items()}
    if kind == "list":
        return [_timed(each, shape.member) for each in value]
    if kind == "timestamp":
        return cbor.Epoch(value)
    return float(value) if kind in ("double", "float") else value
