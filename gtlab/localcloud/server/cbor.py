"""CBOR (RFC 8949), as far as Smithy's RPC v2 needs it: the values of JSON, and points in time (tag 1) as numbers."""

from __future__ import annotations

import struct
from typing import Any

_MOST_LEVELS = 32
_INDEFINITE = 31
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_BREAK = object()


class Epoch(float):
    """A point in time, in epoch seconds."""


def encode(value: Any) -> bytes:
    out = bytearray()
    _write(out, value)
    return bytes(out)


def _write(out: bytearray, value: Any) -> None:
    if value is None or value is True or value is False:
        out.append(0xE0 | {False: 20, True: 21, None: 22}[value])
    elif isinstance(value, int):
        _head(out, 0 if value >= 0 else 1, value if value >= 0 else -1 - value)
    elif isinstance(value, float):
        if isinstance(value, Epoch):
            _head(out, 6, 1)
        out += b"\xfb" + struct.pack(">d", value)
    elif isinstance(value, str):
        text = value.encode()
        _head(out, 3, len(text))
        out += text
    elif isinstance(value, list):
        _head(out, 4, len(value))
        for each in value:
            _write(out, each)
    else:
        _head(out, 5, len(value))
        for name, each in value.items():
            _write(out, name)
            _write(out, each)


def _head(out: bytearray, kind: int, number: int) -> None:
    if number < 24:
        out.append(kind << 5 | number)
        return
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            out.append(kind << 5 | code)
            out += number.to_bytes(size, "big")
            return
    raise ValueError(f"{number} has more than 64 bits")


def decode(data: bytes) -> Any:
    """The value. Raises ValueError for what is not one whole value."""
    value, end = _read(data, 0, 0)
    if end != len(data) or value is _BREAK:
        raise ValueError("there is more than one value")
    return value


def _read(data: bytes, at: int, level: int) -> tuple[Any, int]:
    if at >= len(data) or level > _MOST_LEVELS:
        raise ValueError("the value ends too early, or is nested too deep")
    kind, info = data[at] >> 5, data[at] & 31
    at += 1
    if kind == 7:
        return _read_simple(data, at, info)
    number, at = _number(data, at, info)
    if kind in (0, 1):
        if number is None:
            raise ValueError("a number without an end")
        return (number if kind == 0 else -1 - number), at
    if kind in (2, 3):
        return _read_text(data, at, kind, number, level)
    if kind == 6:
        return _read(data, at, level + 1)
    items = list[Any]()
    wanted = None if number is None else number * (kind - 3)
    while wanted is None or len(items) < wanted:
        value, at = _read(data, at, level + 1)
        if value is _BREAK:
            if wanted is not None or (kind == 5 and len(items) % 2):
                raise ValueError("an end that was not expected")
            break
        items.append(value)
    return (items if kind == 4 else _pairs(items)), at


def _pairs(items: list[Any]) -> dict[str, Any]:
    names = items[::2]
    if not all(isinstance(name, str) for name in names):
        raise ValueError("the names in a map must be text")
    return dict(zip(names, items[1::2], strict=True))


def _read_simple(data: bytes, at: int, info: int) -> tuple[Any, int]:
    if info == _INDEFINITE:
        return _BREAK, at
    if info in _SIMPLE:
        return _SIMPLE[info], at
    if info not in _FLOATS:
        raise ValueError("an unknown simple value")
    size = struct.calcsize(_FLOATS[info])
    if at + size > len(data):
        raise ValueError("the value ends too early")
    return struct.unpack(_FLOATS[info], data[at:at + size])[0], at + size


def _number(data: bytes, at: int, info: int) -> tuple[Any, int]:
    """The number in a head; None for an indefinite length."""
    if info < 24:
        return info, at
    if info == _INDEFINITE:
        return None, at
    if info > 27:
        raise ValueError("a head that is not defined")
    size = 1 << info - 24
    if at + size > len(data):
        raise ValueError("the value ends too early")
    return int.from_bytes(data[at:at + size], "big"), at + size


def _read_text(data: bytes, at: int, kind: int, length: int | None, level: int) -> tuple[Any, int]:
    if length is not None:
        if at + length > len(data):
            raise ValueError("the value ends too early")
        content = data[at:at + length]
        return (content.decode() if kind == 3 else content), at + length
    parts = list[Any]()
    while True:
        part, at = _read(data, at, level + 1)
        if part is _BREAK:
            return ("" if kind == 3 else b"").join(parts), at
        if type(part) is not (str if kind == 3 else bytes):
            raise ValueError("a piece of another type")
        parts.append(part)
