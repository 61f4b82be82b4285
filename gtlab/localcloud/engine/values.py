"""The values of attributes: their types, numbers, sizes, order and equality.

A value is as the API's JSON has it: an object with one member, whose name is the type, such as ``{"S": "text"}``. A
checked value has its numbers in canonical form, so that equal numbers are equal strings.

The texts of refusals are the service's, as other projects have captured them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from gtlab.localcloud.model import Refusal, invalid, invalid_values

Value = dict[str, Any]
Item = dict[str, Value]

MOST_DIGITS = 38
_LARGEST_EXPONENT, _SMALLEST_EXPONENT = 125, -130   # of the first significant digit
_MOST_LEVELS = 32                                   # of nested lists and maps
_LONGEST_NUMBER = 1000  # characters; the longest canonical number has about 170, and more are refused before parsing
_NUMBER = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?")
_PLAIN = re.compile(r"0|-?[1-9][0-9]{0,37}")        # an integer that is canonical if it does not end in zeros
TYPES = ("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M")
SETS = ("SS", "NS", "BS")
ITEM_BYTES = 400 * 1024  # of an item at most, with the names of its attributes
TOO_LARGE = "Item size has exceeded the maximum allowed size"


def number(text: str, *, as_parameter: bool = False) -> str:
    """The canonical form of a number: no exponent, no sign on zero, no zeros that mean nothing.

    Raises Refusal for text that is not a number, for more than 38 significant digits, and for a magnitude outside of
    1E-130 to 9.99…E+125; that of zero is its exponent as it is written. An exponent has at most 64 bits.
    ``as_parameter``: a constant of PartiQL, whose exponent and scale have at most 32, and whose magnitude is computed
    in 32, so that it wraps. (Source: captures of the service by others, October 2026.)
    """
    if _PLAIN.fullmatch(text):
        return text
    found = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    exponent = int(found[5] or 0) if found else 0
    end = 1 << (31 if as_parameter else 63)
    if found is None or not -end <= exponent < end:
        raise not_a_number(text)
    sign, whole, fraction = found[1], found[2] or "", found[3] or found[4] or ""
    exponent -= len(fraction)  # of the last digit
    if as_parameter and -exponent >= end:
        raise not_a_number(text)
    leading = (whole + fraction).lstrip("0")
    trimmed = leading.rstrip("0")
    if len(trimmed) > MOST_DIGITS:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    first = exponent + max(len(leading), 1) - 1
    magnitude = (first + 1 + end) % (2 * end) - end - 1 if as_parameter else first
    if magnitude > _LARGEST_EXPONENT:
        raise invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
    if magnitude < _SMALLEST_EXPONENT:
        raise invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
    if not trimmed:
        return "0"
    plain = _plain(trimmed, first)
    return "-" + plain if sign == "-" else plain


def _plain(digits: str, first: int) -> str:
    """Digits without zeros at their ends, the first of which has an exponent, as a number without one."""
    if first >= len(digits) - 1:
        return digits + "0" * (first - len(digits) + 1)
    if first >= 0:
        return f"{digits[:first + 1]}.{digits[first + 1:]}"
    return "0." + "0" * (-first - 1) + digits


def not_a_number(text: str) -> Refusal:
    shown = text if len(text) <= 100 else text[:100] + "…"
    return invalid("The parameter cannot be converted to a numeric value" + (f": {shown}" if text else ""))


def check(value: Any, level: int = 0, number: Callable[[str], str] = number) -> Value:
    """A value with its numbers in canonical form. Returns the same object if nothing had to be changed. ``number``
    makes that form.

    Raises Refusal if it is not a valid value.
    """
    if len(value) != 1:
        raise invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the "
                      "supported datatypes" if value else
                      "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
    (kind, content), = value.items()
    if kind in ("S", "BOOL"):
        return value
    if kind == "N":
        plain = number(content)
        return value if plain == content else {"N": plain}
    if kind in ("L", "M"):
        return _checked_document(value, kind, content, level, number)
    if kind in SETS:
        return _checked_set(value, kind, content, number)
    if kind == "NULL":
        if content is not True:
            raise invalid_values("Null attribute value types must have the value of true")
    elif kind == "B":
        binary(content)
    else:
        raise invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
    return value


def _checked_document(value: Value, kind: str, content: Any, level: int, number: Callable[[str], str]) -> Value:
    if level >= _MOST_LEVELS - 1 and content:
        raise too_deep()
    if kind == "L":
        members = [check(member, level + 1, number) for member in content]
        return value if all(map(_same, members, content)) else {"L": members}
    changed = {name: check(member, level + 1, number) for name, member in content.items()}
    return value if all(map(_same, changed.values(), content.values())) else {"M": changed}


def too_deep() -> Refusal:
    return invalid("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond "
                   "supported limit")


def check_depth(value: Value, level: int = 0) -> None:
    """Refuse a checked value that has too many levels."""
    (kind, content), = value.items()
    if kind in ("L", "M"):
        if level >= _MOST_LEVELS - 1 and content:
            raise too_deep()
        for member in content if kind == "L" else content.values():
            check_depth(member, level + 1)


def _same(one: Any, other: Any) -> bool:
    return one is other


def _checked_set(value: Value, kind: str, content: list[str], number: Callable[[str], str]) -> Value:
    if not content:
        raise invalid_values({"SS": "An string set  may not be empty", "NS": "An number set  may not be empty",
                              "BS": "Binary sets should not be empty"}[kind])
    if kind == "NS":
        members = [number(member) for member in content]
    else:
        members = content
        if kind == "BS":
            for member in content:
                binary(member)
    if len(set(members)) < len(members):
        if kind == "NS":
            raise invalid("Input collection contains duplicates")
        shown = f"Input collection [{', '.join(members)[:200]}]"
        raise invalid_values(shown + (" contains duplicates." if kind == "SS" else "of type BS contains duplicates."))
    members = in_order(kind, members)
    return value if members == content else {kind: members}


def in_order(kind: str, members: list[str]) -> list[str]:
    """The members of a set in the order in which the service returns them: numbers by value, others by their bytes."""
    if len(members) < 2:
        return members
    if kind == "SS":
        return sorted(members)  # code points have the order of UTF-8
    return sorted(members, key=Decimal if kind == "NS" else binary)


def binary(text: str) -> bytes:
    """The bytes of a binary value. Raises Refusal if it is not valid base64, in its one form."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = None
    if found is None or base64.b64encode(found).decode() != text:
        raise Refusal("SerializationException", f"Base64 encoded length is expected a multiple of 4 bytes but found: "
                      f"{len(text)}" if len(text) % 4 else "Invalid last non-pad Base64 character dectected")
    return found


# Size

class StoredItem(dict[str, Value]):
    """An item that is never changed, with its size."""

    __slots__ = ("_packed", "size")

    def __init__(self, item: Item):
        super().__init__(item)
        self.size = item_size(item)
        self._packed: Packed | None = None

    @property
    def packed(self) -> Packed:
        """The item as it is stored. All Regions that have the item share these bytes."""
        if self._packed is None:
            self._packed = (msgspec.json.encode(self), self.size)
        return self._packed

    def pack(self) -> None:
        """Do what takes most of the time of storing it."""
        _ = self.packed


# An item as it is stored: its JSON, as answers have it, and its size. A dictionary of dictionaries takes several times
# the memory, and Python's garbage collector visits each of them.
Packed = tuple[bytes, int]


def packed(item: Item) -> Packed:
    """An item as it is stored."""
    return item.packed if type(item) is StoredItem else StoredItem(item).packed


def repacked(json: bytes) -> Packed:
    """An item as it is stored, from its JSON."""
    return json, item_size(msgspec.json.decode(json))


def unpack(packed: Packed) -> StoredItem:
    item = StoredItem.__new__(StoredItem)
    item.update(msgspec.json.decode(packed[0]))
    item.size, item._packed = packed[1], packed
    return item


def shown(packed: Packed) -> msgspec.Raw:
    """An item in an answer that is encoded next."""
    return msgspec.Raw(packed[0])


def item_size(item: Item) -> int:
    """Bytes of an item as the service counts them: the names of its attributes and their values."""
    if type(item) is StoredItem:
        return item.size
    total = 0
    for name, value in item.items():  # a loop takes half the time of sum(), and this is done for each write
        total += (len(name) if name.isascii() else len(name.encode())) + size(value)
    return total


def size(value: Value) -> int:
    """Bytes of a value as the service counts them."""
    (kind, content), = value.items()
    if kind == "S":
        return len(content) if content.isascii() else len(content.encode())
    if kind == "N":
        return _number_size(content)
    if kind == "B":
        return _binary_size(content)
    if kind == "SS":
        return sum(len(member.encode()) for member in content)
    if kind == "NS":
        return sum(map(_number_size, content))
    if kind == "BS":
        return sum(map(_binary_size, content))
    if kind == "L":
        return 3 + sum(1 + size(member) for member in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + size(member) for name, member in content.items())
    return 1  # BOOL and NULL


def _number_size(text: str) -> int:
    """One byte for each two significant digits, before the point and behind it by themselves, one more, and another for
    a minus sign. (Source: measured by others on the service to the byte, August 2026; the guide says less.)"""
    whole, _, fraction = text.lstrip("-").partition(".")
    if not fraction:
        return (len(whole.rstrip("0")) + 1) // 2 + 1 + text.startswith("-")
    before, behind = (0, fraction.lstrip("0")) if whole == "0" else (len(whole), fraction)
    return (before + 1) // 2 + (len(behind) + 1) // 2 + 1 + text.startswith("-")


def _binary_size(text: str) -> int:
    return len(text) * 3 // 4 - text[-2:].count("=")


# Order and equality

def kind(value: Value) -> str:
    return next(iter(value))


def ordered(value: Value) -> Any:
    """What sorts like the value among values of its type (S, N or B): strings by their UTF-8, numbers by value."""
    (type_, content), = value.items()
    if type_ == "N":
        return Decimal(content)
    return content.encode() if type_ == "S" else binary(content)


def sort_bytes(value: Value) -> bytes:
    """Bytes that sort like the value of a key among values of its type."""
    (type_, content), = value.items()
    return sort_bytes_of(type_)(content)


def sort_bytes_of(type_: str) -> Callable[[str], bytes]:
    """The function that makes such bytes of the contents of a type."""
    return str.encode if type_ == "S" else _number_bytes if type_ == "N" else binary


def _number_bytes(text: str) -> bytes:
    """A canonical number as bytes in its order: sign, exponent of the first digit, digits. For negative numbers, all
    of that is inverted, with an end that sorts behind every digit."""
    if text == "0":
        return b"\x80"
    whole, _, fraction = text.lstrip("-").partition(".")
    if whole == "0":
        digits = fraction.lstrip("0")
        exponent = len(digits) - len(fraction) - 1
    else:
        digits, exponent = whole + fraction, len(whole) - 1
    positive = (exponent + 1000).to_bytes(2, "big") + digits.rstrip("0").encode()
    if text[0] != "-":
        return b"\x81" + positive
    return b"\x7f" + bytes(255 - byte for byte in positive) + b"\xff"


def sorted_as(type_: str, found: bytes) -> str:
    """The contents of a type that have these sort bytes."""
    if type_ == "S":
        return found.decode()
    return _number_of(found) if type_ == "N" else base64.b64encode(found).decode()


def _number_of(found: bytes) -> str:
    if found == b"\x80":
        return "0"
    is_negative = found[0] == 0x7f
    positive = bytes(255 - byte for byte in found[1:-1]) if is_negative else found[1:]
    return "-" * is_negative + _plain(positive[2:].decode(), int.from_bytes(positive[:2], "big") - 1000)


def equal(one: Value, other: Value) -> bool:
    """Whether two checked values are equal: sets without regard to order, documents member by member."""
    (kind_one, content), = one.items()
    (kind_other, with_this), = other.items()
    if kind_one != kind_other:
        return False
    if kind_one in SETS:
        return len(content) == len(with_this) and set(content) == set(with_this)
    if kind_one == "L":
        return len(content) == len(with_this) and _all_equal(content, with_this)
    if kind_one == "M":
        return content.keys() == with_this.keys() and _all_equal(
            content.values(), (with_this[name] for name in content))
    return content == with_this


def _all_equal(members: Iterable[Value], others: Iterable[Value]) -> bool:
    """Most members are equal as Python's values are, which is found in a tenth of the time."""
    for one, other in zip(members, others, strict=True):
        if one != other and not equal(one, other):
            return False
    return True
