"""From what a contract promises (options, keys, enums, quality entries, service levels) to rules the engine can run.

One sentence governs them all: a row that breaks a rule of severity error is quarantined and never delivered; what no
row can be blamed for (row count, freshness, a metric that must be large) rejects the whole extract.
A promise that can't be run is a problem at load, never a silent pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from open_data_contract_standard.model import DataQuality, SchemaObject, SchemaProperty, ServiceLevelAgreementProperty

from crossdock.contracts.checks import check_rule
from crossdock.contracts.documents import Document, Steps, spelled
from crossdock.contracts.expectations import rule_of_expectation
from crossdock.contracts.model import Column, Rule, RuleKind, Severity, Tolerance
from crossdock.errors import CrossdockError, did_you_mean

_SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(("error", "critical", "blocker", "high", "major", "fatal"), "error"),
    **dict.fromkeys(("warning", "warn", "info", "low", "minor", "medium"), "warning"),
}
# ODCS 3.0 spelled metrics as `rule`, freely; these are the spellings of its examples.
_METRICS = {
    **{name: name for name in ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")},
    **dict.fromkeys(("nullCheck", "nullCount"), "nullValues"),
    **dict.fromkeys(("duplicateCount", "duplicateCheck", "uniqueCheck", "uniqueness"), "duplicateValues"),
    **dict.fromkeys(("validValues", "invalidCount"), "invalidValues"),
    **dict.fromkeys(("missingCount",), "missingValues"),
    **dict.fromkeys(("rowcount", "row_count", "countCheck"), "rowCount"),
}
_OPERATORS = (
    "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo",
    "mustBeBetween", "mustNotBeBetween",
)  # fmt: skip
_TEXT_FORMATS = {
    "email": r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$",
    "uuid": r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$",
    "hostname": r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    "ipv4": r"^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$",
}
_INTEGER_FORMATS = {f"{sign}{bits}": (sign, bits) for sign in "iu" for bits in (8, 16, 32, 64)}
_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 604_800),
    **dict.fromkeys(("mo", "month", "months"), 2_678_400),
    **dict.fromkeys(("y", "yr", "year", "years"), 31_622_400),
}


class Rules:
    """The rules of one contract, collected with their places; ids are unique."""

    def __init__(self, document: Document, columns: Mapping[str, Column]) -> None:
        self.document, self.columns = document, columns
        self.found: dict[str, Rule] = {}

    def add(self, rule: Rule, at: Steps) -> None:
        """Adds a rule; one that another part of the contract states already, in the same words, is kept once."""
        known = self.found.get(rule.id)
        if known and (known.kind, known.columns, known.args) == (rule.kind, rule.columns, rule.args):
            return
        if known:
            self.document.report(
                at, f"Two different rules are called '{rule.id}'.", "Give one of them an `id` of its own."
            )
            return
        unknown = [name for name in rule.columns if name not in self.columns]
        for name in unknown:
            self.document.report(at, f"There is no column '{name}'.", did_you_mean(name, self.columns))
        if unknown:
            return
        try:
            check_rule(rule, self.columns)
        except CrossdockError as error:
            self.document.report(at, error.what, error.fix)
            return
        self.found[rule.id] = rule

    def make(self, name: str, kind: RuleKind, columns: Sequence[str], at: Steps, **more: Any) -> None:
        """Adds a rule with the sentence that people read for it."""
        args = more.pop("args", {})
        reason = more.pop("reason", "") or _reason(kind, columns, args)
        self.add(
            Rule(id=name, kind=kind, columns=tuple(columns), args=args, path=spelled(at), reason=reason, **more), at
        )


def property_rules(rules: Rules, at: Steps, given: SchemaProperty, column: Column) -> None:
    """Adds what one property promises: its type, options, enum and quality entries."""
    name = column.name
    rules.make(f"{name}.type", "type", [name], at, dimension="conformity", args={"type": column.type})
    if column.required:
        rules.make(f"{name}.not_null", "not_null", [name], at, dimension="completeness")
    if given.unique:
        rules.make(f"{name}.unique", "unique", [name], at, dimension="uniqueness")
    if given.enum:
        values = tuple(item.value for item in given.enum)
        rules.make(f"{name}.in_set", "in_set", [name], (*at, "enum"), dimension="conformity", args={"values": values})
    _options(rules, (*at, "logicalTypeOptions"), given.logicalTypeOptions or {}, column)
    for index, quality in enumerate(given.quality or []):
        quality_rules(rules, (*at, "quality", index), quality, column)


def object_rules(rules: Rules, at: Steps, given: SchemaObject, key: tuple[str, ...]) -> None:
    """Adds what the schema object promises as a whole: its key and its quality entries."""
    if key:
        rules.make(f"{'+'.join(key)}.unique", "unique", key, at, dimension="uniqueness")
    for index, quality in enumerate(given.quality or []):
        quality_rules(rules, (*at, "quality", index), quality, None)


def _options(rules: Rules, at: Steps, options: Mapping[str, Any], column: Column) -> None:
    known = {"format", "timezone", "defaultTimezone"}
    if column.type == "string":
        known = {"format", "minLength", "maxLength", "pattern"}
        bounds = _named(options, {"minLength": "min", "maxLength": "max"})
        if bounds:
            rules.make(f"{column.name}.length", "length", [column.name], at, dimension="conformity", args=bounds)
        if "pattern" in options:
            pattern = {"regex": str(options["pattern"])}
            rules.make(
                f"{column.name}.pattern",
                "pattern",
                [column.name],
                (*at, "pattern"),
                dimension="conformity",
                args=pattern,
            )
    elif column.type != "boolean":
        known |= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
        bounds = _range(options)
        if bounds:
            rules.make(f"{column.name}.between", "between", [column.name], at, dimension="conformity", args=bounds)
    _format(rules, (*at, "format"), options.get("format"), column)
    for key in options.keys() - known:
        rules.document.report(
            (*at, key), f"crossdock can't run the option '{key}' of a {column.type}.", did_you_mean(key, known)
        )


def _format(rules: Rules, at: Steps, form: Any, column: Column) -> None:
    if form is None or column.type not in ("string", "integer"):
        return  # Date patterns are part of the type; f32 and f64 say nothing that a float does not.
    name = f"{column.name}.format"
    if column.type == "integer" and form in _INTEGER_FORMATS:
        sign, bits = _INTEGER_FORMATS[form]
        low, high = (0, 2**bits - 1) if sign == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        bounds = {"min": low, "max": min(high, 2**63 - 1)}
        rules.make(name, "between", [column.name], at, dimension="conformity", args=bounds)
    elif column.type == "string" and form in _TEXT_FORMATS:
        reason = f"It is no {form}."
        rules.make(
            name,
            "pattern",
            [column.name],
            at,
            dimension="conformity",
            args={"regex": _TEXT_FORMATS[form]},
            reason=reason,
        )
    elif form not in ("password", "binary"):  # These two describe a field for people; they promise nothing of it.
        formats = _TEXT_FORMATS if column.type == "string" else _INTEGER_FORMATS
        rules.document.report(at, f"crossdock can't check the format '{form}'.", did_you_mean(str(form), formats))


def _named(options: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: options[theirs] for theirs, ours in names.items() if options.get(theirs) is not None}


def _range(options: Mapping[str, Any]) -> dict[str, Any]:
    """Reads minimum and maximum; "exclusive" is a bound of its own since ODCS 3.1, and was a flag before."""
    bounds = _named(options, {"minimum": "min", "maximum": "max"})
    for exclusive, end in (("exclusiveMinimum", "min"), ("exclusiveMaximum", "max")):
        value = options.get(exclusive)
        if value is True:
            bounds[f"strict_{end}"] = True
        elif value is not None and value is not False:
            bounds |= {end: value, f"strict_{end}": True}
    return bounds


def quality_rules(rules: Rules, at: Steps, given: DataQuality, column: Column | None) -> None:
    """Adds the rules of one quality entry, of a property (column given) or of the schema object."""
    severity = _SEVERITIES.get((given.severity or "error").lower())
    if severity is None:
        rules.document.report(
            (*at, "severity"),
            f"There is no severity '{given.severity}'.",
            did_you_mean(str(given.severity), _SEVERITIES),
        )
        return
    kind = given.type or (
        "sql" if given.query else "custom" if given.engine else "library" if given.metric or given.rule else "text"
    )
    common = {"severity": severity, "dimension": given.dimension or "", "reason": given.description or ""}
    if kind == "custom":
        _custom(rules, at, given, column, common)
    elif kind == "library":
        _library(rules, at, given, column, common)
    elif kind == "sql":
        rules.document.report(
            at,
            "crossdock can't run a quality rule of type sql.",
            "Write it as a library metric or a Great Expectations expectation.",
        )
    elif kind != "text":
        rules.document.report(
            (*at, "type"), f"There is no quality type '{kind}'.", did_you_mean(kind, ("library", "custom", "text"))
        )


def _custom(rules: Rules, at: Steps, given: DataQuality, column: Column | None, common: dict[str, Any]) -> None:
    if (given.engine or "").replace("-", "").replace("_", "").lower() not in ("greatexpectations", "gx"):
        rules.document.report(
            (*at, "engine"), f"crossdock has no engine '{given.engine}'.", "Write `engine: greatExpectations`."
        )
        return
    written: Any = given.implementation
    if isinstance(written, str):
        try:
            written = yaml.safe_load(written)
        except yaml.YAMLError:
            written = None
    name = (
        written.get("type") or written.get("expectation_type") or written.get("expectation")
        if isinstance(written, dict)
        else None
    )
    if not isinstance(name, str):
        rules.document.report((*at, "implementation"), "An expectation needs `type` and, if it takes any, `kwargs`.")
        return
    kwargs = dict(written.get("kwargs") or {})
    pair = {"column_A", "column_B", "column_list"} & kwargs.keys()
    if column and not pair and "table" not in name:
        kwargs.setdefault("column", column.name)
    try:
        kind, columns, args = rule_of_expectation(name, kwargs)
    except CrossdockError as error:
        rules.document.report((*at, "implementation"), error.what, error.fix)
        return
    rule_id = _name(given) or f"{'+'.join(columns) or 'table'}.{kind if kind != 'expectation' else name}"
    rules.make(rule_id, kind, columns, (*at, "implementation"), args=args, **common)


def _name(given: DataQuality) -> str:
    return re.sub(r"\s+", "_", (given.id or given.name or "").strip())


def _library(rules: Rules, at: Steps, given: DataQuality, column: Column | None, common: dict[str, Any]) -> None:
    word = str(given.metric or given.rule or "")
    metric = _METRICS.get(word)
    if metric is None:
        rules.document.report(
            (*at, "metric"), f"crossdock can't run the metric '{word}'.", did_you_mean(word, _METRICS)
        )
        return
    bound = _bound(rules.document, at, given)
    if bound is None:
        return
    if metric == "rowCount":
        low, high, _ = bound
        args = {name: int(value) for name, value in (("min", low), ("max", high)) if value is not None}
        rules.make(_name(given) or "row_count", "row_count", [], at, args=args, **common)
        return
    arguments = {**(given.arguments or {})}
    columns = tuple(arguments.pop("properties", None) or ([column.name] if column else []))
    if not columns:
        rules.document.report(
            at,
            f"The metric '{word}' stands at no property.",
            "Move it to one, or name columns: `arguments: {properties: [...]}`.",
        )
        return
    _check_arguments(rules.document, at, metric, arguments)
    parts = list(_metric(metric, arguments))
    for suffix, kind, args in parts:
        rule_id = _name(given) + (f".{suffix}" if _name(given) and len(parts) > 1 else "")
        _bounded(rules, at, (rule_id or f"{'+'.join(columns)}.{suffix}", kind, columns, args), bound, common)


_ARGUMENTS = {"missingValues": {"missingValues"}, "invalidValues": {"validValues", "pattern"}}


def _check_arguments(document: Document, at: Steps, metric: str, arguments: Mapping[str, Any]) -> None:
    known = _ARGUMENTS.get(metric, set())
    for key in arguments.keys() - known:
        fix = did_you_mean(key, known | {"properties"})
        document.report((*at, "arguments", key), f"The metric {metric} takes no argument '{key}'.", fix)
    if metric == "invalidValues" and not arguments.keys() & known:
        document.report(at, "The metric invalidValues needs `arguments` with validValues or pattern.")


def _metric(metric: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, RuleKind, dict[str, Any]]]:
    """Yields suffix, kind and args of the rules that one library metric counts the failures of."""
    missing = list(arguments.get("missingValues") or [None]) if metric == "missingValues" else []
    if metric == "nullValues" or None in missing:
        yield "not_null", "not_null", {}
    if any(word is not None for word in missing):
        yield "not_in_set", "not_in_set", {"values": tuple(word for word in missing if word is not None)}
    if metric == "duplicateValues":
        yield "unique", "unique", {}
    if "validValues" in arguments:
        yield "in_set", "in_set", {"values": tuple(arguments["validValues"])}
    if "pattern" in arguments:
        yield "pattern", "pattern", {"regex": str(arguments["pattern"])}


Bound = tuple[float | None, float | None, str]


def _bound(document: Document, at: Steps, given: DataQuality) -> Bound | None:
    """Returns the smallest and largest number of failures (or rows) that keep the promise, and the unit."""
    unit = (given.unit or "rows").lower()
    if unit not in ("rows", "percent", "%"):
        document.report((*at, "unit"), f"crossdock can't count in '{given.unit}'.", "Write rows or percent.")
        return None
    stated = [(name, getattr(given, name)) for name in _OPERATORS if getattr(given, name) is not None]
    if not stated:
        return (1, None, unit) if (given.metric or given.rule) == "rowCount" else (0, 0, "rows")
    if len(stated) > 1 or stated[0][0] in ("mustNotBe", "mustNotBeBetween"):
        document.report(
            (*at, stated[-1][0]),
            f"crossdock can't run {' and '.join(n for n, _ in stated)} here.",
            "State one range that must hold.",
        )
        return None
    name, value = stated[0]
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and n >= 0 for n in numbers):
        document.report((*at, name), "A count or percentage must be a number of at least 0.")
        return None
    step = 1 if unit == "rows" else 1e-9
    low, high = {
        "mustBe": (numbers[0], numbers[0]),
        "mustBeGreaterThan": (numbers[0] + step, None),
        "mustBeGreaterOrEqualTo": (numbers[0], None),
        "mustBeLessThan": (None, numbers[0] - step),
        "mustBeLessOrEqualTo": (None, numbers[0]),
        "mustBeBetween": (numbers[0], numbers[-1]),
    }[name]
    return low, high, "percent" if unit == "%" else unit


def _bounded(
    rules: Rules,
    at: Steps,
    rule: tuple[str, RuleKind, tuple[str, ...], dict[str, Any]],
    bound: Bound,
    common: dict[str, Any],
) -> None:
    """Adds a row rule whose upper bound is the tolerance; with a lower bound no row is to blame: then it is counted."""
    name, kind, columns, args = rule
    low, high, unit = bound
    if low:
        if unit != "rows":
            rules.document.report(
                at, "A smallest share of failing rows can't be checked.", "State it in rows, or as a largest share."
            )
            return
        limits = {key: int(value) for key, value in (("min", low), ("max", high)) if value is not None}
        rules.make(name, "count", columns, at, args={"of": {"kind": kind, **args}, **limits}, **common)
        return
    tolerance = Tolerance()
    if high and high >= (1 if unit == "rows" else 1e-6):
        tolerance = Tolerance(rows=int(high)) if unit == "rows" else Tolerance(percent=round(high, 9))
    rules.make(name, kind, columns, at, args=args, tolerance=tolerance, **common)


def service_rules(rules: Rules, at: Steps, given: ServiceLevelAgreementProperty, default_element: str | None) -> None:
    """Adds the freshness that a service level promises; the other service levels are not about the rows."""
    if (given.property or "").lower() not in ("freshness", "latency"):
        return
    element = given.element or default_element or ""
    if not element:
        rules.document.report(at, f"The {given.property} names no column.", "Add `element: <schema>.<column>`.")
        return
    seconds = _SECONDS.get((given.unit or "").lower())
    if seconds is None or not isinstance(given.value, int | float):
        rules.document.report(
            at, f"The {given.property} needs a number and a unit.", "Write for example `value: 30, unit: d`."
        )
        return
    column = element.rpartition(".")[2]
    age = {"max_age_seconds": int(given.value * seconds)}
    rules.make("freshness", "freshness", [column], at, dimension="timeliness", args=age)


def schedule(document: Document, at: Steps, given: ServiceLevelAgreementProperty) -> str | None:
    """Returns the cron expression or preset of a frequency, or None after noting why there is none."""
    if given.schedule:
        return given.schedule
    unit, value = (given.unit or "").lower(), given.value
    presets = {
        60: "* * * * *",
        3600: "@hourly",
        86_400: "@daily",
        604_800: "@weekly",
        2_678_400: "@monthly",
        31_622_400: "@yearly",
    }
    seconds = _SECONDS.get(unit)
    if value == 1 and seconds in presets:
        return presets[seconds]
    if isinstance(value, int) and value > 1 and seconds in (60, 3600, 86_400):
        return {60: f"*/{value} * * * *", 3600: f"0 */{value} * * *", 86_400: f"0 0 */{value} * *"}[seconds]
    document.report(
        at, "This frequency can't be scheduled.", "Write `value: 1, unit: d`, or a cron expression as `schedule`."
    )
    return None


def _reason(kind: RuleKind, columns: Sequence[str], args: Mapping[str, Any]) -> str:
    """Returns the sentence people read for a failing row; it names the promise, never the value."""
    named = ", ".join(columns)
    fixed = {
        "type": f"It is no valid {args.get('type', 'value')}.",
        "not_null": "It is missing.",
        "unique": f"The same {named} stands in several rows.",
        "in_set": f"It is not one of the {len(args.get('values', ()))} allowed values.",
        "not_in_set": "It is one of the values that are not allowed.",
        "pattern": f"It does not match the pattern {args.get('regex')}.",
        "ordered": f"{columns[0]} is not before {columns[-1]}." if columns else "",
        "checksum": f"Its check digit is wrong ({str(args.get('scheme', '')).upper()}).",
        "reference": f"It does not exist in {args.get('dataset') or 'this dataset'}.",
        "freshness": f"The newest {named} is older than {int(args.get('max_age_seconds', 0)) // 3600:,} hours.",
        "expectation": f"It fails {args.get('type')}.",
    }
    if kind in fixed:
        return fixed[kind]
    low, high = args.get("min"), args.get("max")
    what = {
        "length": "Its length",
        "between": "It",
        "row_count": "The number of rows",
        "count": "The number of rows that break it",
    }[kind]
    span = " and ".join(
        part
        for part in (f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else "")
        if part
    )
    return f"{what} is not {span}."
