"""An answer to a request, and how it is sent."""

from __future__ import annotations

import json
import random
import zlib

import msgspec

from gtlab.localcloud.model import Refusal
from gtlab.localcloud.server.connections import Connection
from gtlab.localcloud.server.exchange import Exchange

Client = Connection | Exchange  # the connection on which a client waits for an answer


class Answer(msgspec.Struct, frozen=True):  # made in a fifth of the time that a NamedTuple takes
    status: int
    body: bytes
    type: bytes = b"application/x-amz-json-1.0"
    headers: tuple[tuple[bytes, bytes], ...] = ()


def refused(refusal: Refusal) -> Answer:
    asks = ((b"www-authenticate", b"Bearer"),) if refusal.status == 401 else ()
    return Answer(refusal.status, json.dumps(refusal.body()).encode(), headers=asks)


async def send_answer(connection: Client, answer: Answer) -> None:
    lines = (b"content-type: %b\r\ncontent-length: %d\r\nx-amz-crc32: %d\r\nx-amzn-requestid: %052X\r\n" % (
        answer.type, len(answer.body), zlib.crc32(answer.body), random.getrandbits(208)))
    for header in answer.headers:
        lines += b"%b: %b\r\n" % header
    await connection.answer(answer.status, lines, answer.body)
