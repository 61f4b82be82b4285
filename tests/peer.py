"""The library that the engine used before, ``ministack``, as a second voice: its answers to the same requests."""

from __future__ import annotations

import copy
import json
import logging

from ministack.core import responses
from ministack.services import dynamodb

from gtlab.localcloud.model import Refusal

logging.getLogger("dynamodb").setLevel(logging.ERROR)  # the library warns about every expression that it refuses


def call_whole(account: str, region: str, operation: str, data: dict) -> dict:
    """As :func:`call`, for operations on tables: if the library refuses one, it has changed nothing."""
    tables = copy.deepcopy(dynamodb._tables._data)
    try:
        return call(account, region, operation, data)
    except Refusal:
        dynamodb._tables._data = tables
        raise


def call(account: str, region: str, operation: str, data: dict) -> dict:
    return send(account, region, operation, json.dumps(data).encode())


def send(account: str, region: str, operation: str, body: bytes) -> dict:
    """The library's answer. Raises Refusal, also where it fails on the request."""
    responses._request_account_id.set(account)
    responses._request_region.set(region)
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    handled = dynamodb.handle_request("POST", "/", headers, body, {})
    try:
        handled.send(None)
        raise AssertionError("the library waits for something")
    except StopIteration as done:
        status, _, body = done.value
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise Refusal("Stumbled", str(error)) from None
    answer = json.loads(body)
    if status >= 400:
        raise Refusal(answer["__type"].rpartition("#")[2], answer.get("message", ""))
    return answer
