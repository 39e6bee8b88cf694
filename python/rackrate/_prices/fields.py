"""Fields of an answer from the network: of the kind that is documented, or refused with their path."""

from __future__ import annotations

import math
from typing import TypeGuard


class UnreadableError(Exception):
    """A field is missing or of another kind than documented; the message names its path."""


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Whether JSON gave an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Whether JSON gave a list."""
    return isinstance(value, list)


def an_object(value: object, at: str) -> dict[str, object]:
    """Give the value as an object."""
    if is_object(value):
        return value
    raise UnreadableError(f"{at}: {kind(value)} given, an object expected")


def a_list(holder: dict[str, object], name: str, at: str) -> list[object]:
    """Give the field as a list."""
    value = needed(holder, name, at)
    if is_list(value):
        return value
    raise UnreadableError(f"{joined(at, name)}: {kind(value)} given, a list expected")


def text(holder: dict[str, object], name: str, at: str) -> str:
    """Give the field as text, which may be empty."""
    value = needed(holder, name, at)
    if isinstance(value, str):
        return value
    raise UnreadableError(f"{joined(at, name)}: {kind(value)} given, text expected")


def optional_text(holder: dict[str, object], name: str, at: str) -> str | None:
    """Give the field as text; None where it is absent or null."""
    return None if holder.get(name) is None else text(holder, name, at)


def amount(holder: dict[str, object], name: str, at: str) -> float:
    """Give the field as a finite number of zero or more: a price, an edge of a tier."""
    value = needed(holder, name, at)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnreadableError(f"{joined(at, name)}: {kind(value)} given, a number expected")
    number = as_float(value)
    if not math.isfinite(number) or number < 0:
        raise UnreadableError(f"{joined(at, name)}: {value!r} is no price")
    return number


def optional_amount(holder: dict[str, object], name: str, at: str) -> float | None:
    """Give the field as a number of zero or more; None where it is absent or null."""
    return None if holder.get(name) is None else amount(holder, name, at)


def as_float(value: float) -> float:
    """Give a number of JSON as a float; one of hundreds of digits is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def needed(holder: dict[str, object], name: str, at: str) -> object:
    """Give the field, which has to be there."""
    if name not in holder:
        raise UnreadableError(f"{joined(at, name)} is missing")
    return holder[name]


def joined(at: str, name: str) -> str:
    """Give the path of a field."""
    return f"{at}.{name}" if at else name


def kind(value: object) -> str:
    """Name the kind of a value in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value[:40]}"'
    if is_object(value):
        return "an object"
    return "a list" if is_list(value) else str(value)[:40]
