"""What an object, an array or a vector promises by its logicalTypeOptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossdock.contracts.model import Column, Rule
from crossdock.contracts.rules import Rules
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import did_you_mean

# How a vector is made and searched is for people.
_VECTOR = frozenset({"dimensions", "elementType", "distanceMetric", "embeddingModel", "embeddingModelVersion"})
_WHOLE = {"int8": (-128, 127), "uint8": (0, 255), "binary": (0, 1)}
_FLOATING = ("bfloat16", "float16", "float32", "float64")


def nested_rules(rules: Rules, at: Steps, options: Mapping[str, Any], column: Column) -> None:
    """Adds how much is inside of an object or an array; `required` of an object with properties is theirs."""
    if column.type == "array" and (ends := _ends(options, "Items")):
        rules.add(_of(column, "items", ends), at)
    if column.type == "array" and options.get("uniqueItems"):
        rules.add(_of(column, "unique_items", {}), (*at, "uniqueItems"))
    if column.type == "object" and (ends := _ends(options, "Properties")):
        rules.add(_of(column, "properties", ends), at)
    names = options.get("required")
    if column.type != "object" or names is None:
        return
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        rules.document.report((*at, "required"), "`required` lists names of properties.")
    elif not column.children:
        rules.add(_of(column, "properties", {"names": tuple(names)}), (*at, "required"))


def _ends(options: Mapping[str, Any], word: str) -> dict[str, Any]:
    """Returns the smallest and the largest number; at least none says nothing."""
    ends = {end: options.get(f"{end}{word}") for end in ("min", "max")}
    return {end: number for end, number in ends.items() if number is not None and (end, number) != ("min", 0)}


def vector_rules(rules: Rules, at: Steps, options: Mapping[str, Any], column: Column) -> None:
    """Adds that a vector has its dimensions, each of them filled and within its type."""
    for key in options.keys() - _VECTOR - {"normalized"}:
        what = f"crossdock can't run the option '{key}' of type vector."
        rules.document.report((*at, str(key)), what, did_you_mean(str(key), _VECTOR))
    if options.get("normalized"):
        rules.document.report((*at, "normalized"), "crossdock can't check that a vector is normalized.", "Remove it.")
    if not column.children or options.get("dimensions") is None:
        rules.document.report(at, "A vector needs `dimensions`.", "Add `logicalTypeOptions: {dimensions: 768}`.")
        return
    item, size = column.children[0], options["dimensions"]
    kind = str(options.get("elementType", "float32"))
    rules.add(_of(column, "items", {"min": size, "max": size}), (*at, "dimensions"))
    rules.add(_of(item, "not_null", {}), at)
    if kind in _WHOLE:
        rules.add(_of(item, "between", dict(zip(("min", "max"), _WHOLE[kind], strict=True))), (*at, "elementType"))
    elif kind not in _FLOATING:
        fix = did_you_mean(kind, (*_FLOATING, *_WHOLE))
        rules.document.report((*at, "elementType"), f"There is no element type '{kind}'.", fix)


def _of(column: Column, kind: Any, args: Mapping[str, object]) -> Rule:
    dimension = {"unique_items": "uniqueness", "not_null": "completeness"}.get(kind, "conformity")
    return Rule(id=f"{column.name}.{kind}", kind=kind, columns=(column.name,), args=args, dimension=dimension)
