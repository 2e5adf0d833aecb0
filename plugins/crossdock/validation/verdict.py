"""From counts to a verdict: findings, tolerances, and whether the extract is accepted, in part or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from crossdock.contracts.model import Contract, Tolerance
from crossdock.storage.records import Finding
from crossdock.validation.plan import Check
from crossdock.validation.quarantine import Reason

Outcome = Literal["accepted", "partial", "rejected"]
_EXTRA = "schema.extra_column"
_NAMED = 20  # columns that are missing or unknown
WAIVED = "waived"  # the severity of what a person has accepted as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What is known of an extract when all rules have been judged.

    `broken` counts rows per rule; `unkept` names the rules that do not hold for the extract as a whole; `failing` is
    how many rows broke at least one rule that keeps a row out. What is waived is counted apart.
    """

    rows: int
    failing: int
    broken: Mapping[str, int]
    waived: Mapping[str, int]
    of_extract_waived: frozenset[str]
    unkept: frozenset[str]
    missing: Sequence[str]  # columns of the contract that the extract lacks
    extra: Sequence[str]  # columns of the source that the contract does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The findings, and what is wrong with the extract as a whole (nothing: its good rows are accepted)."""

    findings: tuple[Finding, ...]
    of_extract: tuple[Reason, ...]

    def outcome(self, failing: int) -> Outcome:
        """Returns the verdict in one word."""
        if self.of_extract:
            return "rejected"
        return "partial" if failing else "accepted"


def assess(contract: Contract, checks: Sequence[Check], counted: Counted) -> Assessment:
    """Weighs what was counted. A reason never holds a value of a row."""
    found = [*_of_schema(contract, counted), *_of_checks(checks, counted), *_of_all_rows(contract, counted)]
    fatal = [reason for reason in found if reason.rule not in counted.of_extract_waived]
    if counted.failing == counted.rows > 0 and not fatal:
        said = "Every row fails, so the extract is rejected and the last snapshot stays."
        fatal.append(Reason(rule="no_row_accepted", columns=(), reason=said))
    findings = [
        Finding(rule=reason.rule, column="+".join(reason.columns), reason=reason.reason, rows=counted.rows)
        for reason in fatal
    ]
    findings += [_finding(check, counted.broken[check.rule.id]) for check in checks if _breaks_rows(check, counted)]
    findings += [_finding(check, counted.rows) for check in checks if _unkept(check, counted, "warning")]
    findings += _waived(checks, counted, [reason for reason in found if reason not in fatal])
    if contract.new_columns != "freeze":
        findings += _extra(contract, counted)
    return Assessment(findings=tuple(findings), of_extract=tuple(fatal))


def _of_schema(contract: Contract, counted: Counted) -> Iterator[Reason]:
    for columns, named in _named(counted.missing):
        said = f"The source lacks {named}, which the contract promises."
        yield Reason(rule="schema.missing_column", columns=columns, reason=said)
    for columns, named in _named(counted.extra if contract.new_columns == "freeze" else ()):
        said = f"The source has {named} that the contract does not know, and its columns are frozen."
        yield Reason(rule=_EXTRA, columns=columns, reason=said)


def _named(names: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yields the first columns one by one, and how many more there are: every failing row repeats what is told here."""
    for name in names[:_NAMED]:
        yield (name,), f"a column '{name}'"
    if len(names) > _NAMED:
        yield (), f"{len(names) - _NAMED:,} more columns"


def _of_checks(checks: Sequence[Check], counted: Counted) -> Iterator[Reason]:
    for check in checks:
        rule = check.rule
        if _unkept(check, counted, "error"):
            yield Reason(rule=rule.id, columns=rule.columns, reason=reason_of(check))
        if check.quarantines and _exceeds(rule.tolerance, counted.broken[rule.id], counted.rows):
            said = _intolerable(f"break {rule.id}", rule.tolerance)
            yield Reason(rule=f"{rule.id}.tolerance", columns=rule.columns, reason=said)


def _of_all_rows(contract: Contract, counted: Counted) -> Iterator[Reason]:
    if _exceeds(contract.tolerance, counted.failing, counted.rows):
        yield Reason(rule="tolerance", columns=(), reason=_intolerable("fail", contract.tolerance))


def _waived(checks: Sequence[Check], counted: Counted, of_extract: Sequence[Reason]) -> Iterator[Finding]:
    for check in checks:
        if check.rule.id in counted.waived:
            yield _finding(check, counted.waived[check.rule.id], severity=WAIVED)
    for reason in of_extract:
        columns = "+".join(reason.columns)
        yield Finding(rule=reason.rule, column=columns, reason=reason.reason, rows=counted.rows, severity=WAIVED)


def _unkept(check: Check, counted: Counted, severity: str) -> bool:
    return check.judges_extract and check.rule.id in counted.unkept and check.rule.severity == severity


def _breaks_rows(check: Check, counted: Counted) -> bool:
    return not check.judges_extract and counted.broken[check.rule.id] > 0


def _extra(contract: Contract, counted: Counted) -> Iterator[Finding]:
    kept = "kept in landing only" if contract.new_columns == "evolve" else "not taken"
    for columns, named in _named(counted.extra):
        said = f"The source has {named} that the contract does not know: {kept}."
        yield Finding(rule=_EXTRA, column="".join(columns), reason=said, rows=counted.rows, severity="warning")


def reason_of(check: Check) -> str:
    """Returns the sentence for a person: the contract's own, else a plain one in English."""
    if check.rule.reason:
        return check.rule.reason
    name = str(check.rule.args["type"]) if check.rule.kind == "expectation" else check.rule.kind
    columns = ", ".join(f"'{column}'" for column in check.rule.columns)
    return _SENTENCES.get(name, "Column {columns} breaks the expectation {name}.").format(
        columns=columns, name=name, dataset=check.args.get("dataset") or "this dataset"
    )


def _finding(check: Check, rows: int, *, severity: str = "") -> Finding:
    rule, columns = check.rule, "+".join(check.rule.columns)
    return Finding(rule=rule.id, column=columns, reason=reason_of(check), rows=rows, severity=severity or rule.severity)


def _exceeds(tolerance: Tolerance, failing: int, rows: int) -> bool:
    if tolerance.rows is not None and failing > tolerance.rows:
        return True
    return tolerance.percent is not None and failing * 100 > Fraction(repr(tolerance.percent)) * rows


def _intolerable(what: str, tolerance: Tolerance) -> str:
    bounds = [f"{tolerance.rows} rows"] if tolerance.rows is not None else []
    bounds += [f"{tolerance.percent:g} % of the rows"] if tolerance.percent is not None else []
    return f"The extract is rejected: more than {' or '.join(bounds)} {what}."


_SENTENCES = {
    "type": "The value of {columns} does not fit the declared type.",
    "not_null": "Column {columns} must be filled.",
    "unique": "The value of {columns} occurs more than once.",
    "in_set": "The value of {columns} is none of the allowed ones.",
    "not_in_set": "The value of {columns} is one that is not allowed.",
    "pattern": "The value of {columns} does not match the pattern.",
    "length": "The value of {columns} is too short or too long.",
    "between": "The value of {columns} is out of range.",
    "ordered": "The values of {columns} are not in order: the first must not be above the second.",
    "reference": "The value of {columns} is not found in {dataset}.",
    "checksum": "The check digit of {columns} is wrong.",
    "items": "The array {columns} holds too few or too many items.",
    "unique_items": "A value stands twice in the array {columns}.",
    "properties": "The object {columns} has too few or too many properties, or lacks one.",
    "row_count": "The extract has too few or too many rows.",
    "freshness": "The newest value of {columns} is too old.",
    "query": "The result of its query is out of range.",
    "count": "Too few or too many rows break a rule on {columns}.",
    "expect_column_values_to_be_null": "Column {columns} must be empty.",
    "expect_column_values_to_not_match_regex": "The value of {columns} matches a pattern it must not match.",
    "expect_column_pair_values_to_be_equal": "The values of {columns} differ.",
}
