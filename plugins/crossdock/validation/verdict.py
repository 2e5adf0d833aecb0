"""From counts to a verdict: findings, tolerances, and whether the extract is accepted, in part or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from crossdock.contracts.model import Contract, Tolerance
from crossdock.contracts.rules import sentence
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
    return check.rule.reason or sentence(check.rule)


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
