"""What a property or a table promises by its own keys: type, required, unique, key, enum, logicalTypeOptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from open_data_contract_standard.model import SchemaProperty

from crossdock.contracts.model import Column, Rule, RuleKind
from crossdock.contracts.nested_options import nested_rules, vector_rules
from crossdock.contracts.rules import Rules
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import did_you_mean

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
TEXT_FORMATS = {
    "byte": r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "email": rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(\.{_LABEL})+$",
    "hostname": rf"^{_LABEL}(\.{_LABEL})*$",
    "ipv4": rf"^({_OCTET}\.){{3}}{_OCTET}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$",
    "uuid": r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$",
}
_SAY_NOTHING = {"password", "binary"}  # formats that describe a field to people and promise nothing of its text
_FLOATS = {"f32", "f64"}
_INTEGER_FORMATS = {f"{sign}{bits}": (sign, bits) for sign in "iu" for bits in (8, 16, 32, 64, 128)}
_LARGEST = 2**63 - 1  # integers are 64 bits wide here, so wider formats promise no more
_RANGE = frozenset({"format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_KNOWN: Mapping[str, frozenset[str]] = {
    "string": frozenset({"format", "minLength", "maxLength", "pattern"}),
    "boolean": frozenset(),
    "object": frozenset({"minProperties", "maxProperties", "required"}),
    "array": frozenset({"minItems", "maxItems", "uniqueItems"}),
    "map": frozenset(),
    **dict.fromkeys(("integer", "number", "date"), _RANGE),
    **dict.fromkeys(("timestamp", "time"), _RANGE | {"timezone", "defaultTimezone"}),
}


def property_rules(rules: Rules, at: Steps, given: SchemaProperty, column: Column) -> None:
    """Adds what one property promises by its keys."""
    rules.add(_of(column, "type", "type", {"type": column.type}), at)
    if column.required:
        rules.add(_of(column, "not_null", "not_null", {}, dimension="completeness"), at)
    if given.unique:
        rules.add(_of(column, "unique", "unique", {}, dimension="uniqueness"), at)
    if given.enum is not None:
        values = tuple(item.value for item in given.enum if item.value is not None)
        if not values:
            rules.document.report((*at, "enum"), "The enum allows no value.", "List values, or remove it.")
        rules.add(_of(column, "in_set", "in_set", {"values": values}), (*at, "enum"))
    options, place = given.logicalTypeOptions or {}, (*at, "logicalTypeOptions")
    if given.logicalType == "vector":
        vector_rules(rules, place, options, column)
    else:
        _option_rules(rules, place, options, column)
        nested_rules(rules, place, options, column)


def key_rules(rules: Rules, at: Steps, key: tuple[str, ...]) -> None:
    """Adds that the primary key names one row."""
    if key:
        rules.add(Rule(id=f"{'+'.join(key)}.unique", kind="unique", columns=key, dimension="uniqueness"), at)


def _of(
    column: Column, suffix: str, kind: RuleKind, args: Mapping[str, object], *, dimension: str = "conformity"
) -> Rule:
    return Rule(id=f"{column.name}.{suffix}", kind=kind, columns=(column.name,), args=args, dimension=dimension)


def _option_rules(rules: Rules, at: Steps, options: Mapping[str, Any], column: Column) -> None:
    known = _KNOWN[column.type]
    for key in options.keys() - known:
        fix = did_you_mean(str(key), known)
        rules.document.report(
            (*at, str(key)), f"crossdock can't run the option '{key}' of type {column.type}.", fix if known else ""
        )
    lengths = {ours: options[key] for key, ours in (("minLength", "min"), ("maxLength", "max")) if key in options}
    if column.type == "string" and lengths:
        rules.add(_of(column, "length", "length", lengths), at)
    if column.type == "string" and "pattern" in options:
        rules.add(_of(column, "pattern", "pattern", {"regex": str(options["pattern"])}), (*at, "pattern"))
    if "minimum" in known and (bounds := _bounds(options)):
        rules.add(_of(column, "between", "between", bounds), at)
    if options.get("format") is not None:
        _format_rule(rules, (*at, "format"), str(options["format"]), column)


def _bounds(options: Mapping[str, Any]) -> dict[str, Any]:
    """Reads minimum and maximum; "exclusive" is a bound of its own since ODCS 3.0, and a flag in JSON Schema before."""
    bounds = {
        ours: options[key] for key, ours in (("minimum", "min"), ("maximum", "max")) if options.get(key) is not None
    }
    for exclusive, end in (("exclusiveMinimum", "min"), ("exclusiveMaximum", "max")):
        value = options.get(exclusive)
        if value is True and end in bounds:
            bounds[f"strict_{end}"] = True
        elif value is not None and not isinstance(value, bool):
            bounds |= {end: value, f"strict_{end}": True}
    return bounds


def _format_rule(rules: Rules, at: Steps, form: str, column: Column) -> None:
    """Adds what a format promises; date patterns are part of the type, and every float is an f64."""
    if column.type == "integer" and form in _INTEGER_FORMATS:
        sign, bits = _INTEGER_FORMATS[form]
        low, high = (0, 2**bits - 1) if sign == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        bounds = {"min": max(low, -_LARGEST - 1), "max": min(high, _LARGEST)}
        rules.add(replace(_of(column, "format", "between", bounds), reason=f"It does not fit {form}."), at)
    elif column.type == "string" and form in TEXT_FORMATS:
        pattern = _of(column, "format", "pattern", {"regex": TEXT_FORMATS[form]})
        rules.add(replace(pattern, reason=f"It is no {form}."), at)
    elif column.type in ("string", "integer", "number"):
        known = {"string": set(TEXT_FORMATS), "integer": set(_INTEGER_FORMATS), "number": _FLOATS}[column.type]
        if form not in (_FLOATS if column.type == "number" else _SAY_NOTHING):
            rules.document.report(at, f"crossdock can't check the format '{form}'.", did_you_mean(form, known))
