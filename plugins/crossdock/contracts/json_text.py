"""JSON as text and back: numbers keep the digits they were written with, and no key stands twice."""

from __future__ import annotations

import json
from typing import Any


class Number(str):
    """A number as its JSON text: no float and no rounding in between."""

    __slots__ = ()


class RepeatedKey(ValueError):
    """An object names a key twice; JSON parsers silently keep the last."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise RepeatedKey
    return record


DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=_object)


def spelled_json(value: Any) -> str:
    """Returns what DECODER read as JSON text, in the order it has."""
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {spelled_json(v)}" for k, v in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(spelled_json, value)) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def in_one_order(value: Any) -> Any:
    """Returns what DECODER read with the keys of every object sorted, so that the same objects have one spelling."""
    if isinstance(value, dict):
        return {key: in_one_order(value[key]) for key in sorted(value)}
    return [in_one_order(item) for item in value] if isinstance(value, list) else value
