"""What became of a contract's rules: a looser promise breaks consumers, a tighter one burdens the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from crossdock.contracts.bounds import Range, Value, bind_range, bind_value
from crossdock.contracts.change import Change, Level
from crossdock.contracts.column_changes import retyped
from crossdock.contracts.limits import Limits
from crossdock.contracts.model import Column, Contract, Rule, Tolerance
from crossdock.contracts.nested import routes

_SHOWN = 5  # of the values that an enum gained
_COUNTED = frozenset(
    {"length", "row_count", "count", "query", "items", "properties", "drift"}
)  # kinds that bound a number
_ENDS = frozenset({"min", "max", "strict_min", "strict_max"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    """In which direction a promise moved; a pattern that became another one may have moved in both."""

    looser: bool = False
    tighter: bool = False
    how: str = ""


def rule_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Yields rules added, removed and altered, beside what follows from changes of the columns themselves."""
    told = _Told.by_columns(old, new)
    before = {rule.id: rule for rule in old.rules if not told.covers(rule)}
    after = {rule.id: rule for rule in new.rules if not told.covers(rule)}
    pairs = [(before[name], after[name]) for name in before if name in after and before[name].kind == after[name].kind]
    pairs += _under_another_name(before, after, {rule.id for pair in pairs for rule in pair})
    for was, now in pairs:
        yield from _altered(was, now, new)
    kept = {was.id for was, _ in pairs}, {now.id for _, now in pairs}
    for rule in before.values():
        if rule.id not in kept[0]:
            yield _change(rule, "is no longer promised", _Shift(looser=True))
    for rule in after.values():
        if rule.id not in kept[1]:
            yield _change(rule, "is now promised", _Shift(tighter=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the changes of columns and key say already, so that their rules need not say it again."""

    columns: frozenset[str]  # gone, new, or of another type
    required: frozenset[str]
    keys: frozenset[tuple[str, ...]]

    @classmethod
    def by_columns(cls, old: Contract, new: Contract) -> _Told:
        before, after = (_by_path(contract) for contract in (old, new))
        both = before.keys() & after.keys()
        keys = {old.primary_key, new.primary_key} if old.primary_key != new.primary_key else set()
        return cls(
            columns=frozenset(
                (before.keys() ^ after.keys()) | {name for name in both if retyped(before[name], after[name])}
            ),
            required=frozenset(name for name in both if before[name].required != after[name].required),
            keys=frozenset(keys),
        )

    def covers(self, rule: Rule) -> bool:
        """True when what became of this rule follows from what became of its columns."""
        of_key = rule.kind == "unique" and rule.columns in self.keys
        of_required = rule.kind == "not_null" and set(rule.columns) <= self.required
        return rule.kind == "type" or of_key or of_required or bool(self.columns & set(rule.columns))


def _by_path(contract: Contract) -> dict[str, Column]:
    """Returns the columns by name, and what is inside of them by path."""
    inside = {path: way[-1] for path, way in routes(contract.columns).items()}
    return {**{column.name: column for column in contract.columns}, **inside}


def _under_another_name(
    before: Mapping[str, Rule], after: Mapping[str, Rule], paired: set[str]
) -> list[tuple[Rule, Rule]]:
    """Pairs rules that promise the same and are called otherwise."""
    free = [rule for rule in after.values() if rule.id not in paired]
    pairs = []
    for was in (rule for rule in before.values() if rule.id not in paired):
        same = next((r for r in free if (r.kind, r.columns, r.args) == (was.kind, was.columns, was.args)), None)
        if same:
            free.remove(same)
            pairs.append((was, same))
    return pairs


def _altered(was: Rule, now: Rule, new: Contract) -> Iterator[Change]:
    if was.severity != now.severity:
        stricter = now.severity == "error"
        how = "now keeps rows away, and only warned" if stricter else "only warns now, and kept rows away"
        yield _change(now, how, _Shift(looser=not stricter, tighter=stricter), binding=True)
    if was.columns != now.columns:
        yield _change(now, "is about other columns", _Shift(looser=True, tighter=True))
    elif was.args != now.args:
        shift = _shift(was, now, _by_path(new))
        yield _change(now, shift.how or ("promises something else" if shift.looser else "is written otherwise"), shift)
    if was.tolerance != now.tolerance:
        less = tolerates_less(was.tolerance, now.tolerance)
        what = f"Rule '{now.id}' tolerates {'fewer' if less else 'more'} rows that break it."
        yield Change(what=what, level="minor", aspect="dataset", path=now.path, burdens=less)
    if (was.id, was.reason, was.dimension) != (now.id, now.reason, now.dimension) and was.args == now.args:
        yield Change(
            what=f"Rule '{was.id}' is worded otherwise.", level="patch", aspect="values", path=now.path,
            columns=now.columns,
        )  # fmt: skip


def tolerates_less(old: Tolerance, new: Tolerance) -> bool:
    """True when an extract may be rejected that was accepted before."""

    def limit(value: float | None) -> float:
        return inf if value is None else value

    return limit(new.rows) < limit(old.rows) or limit(new.percent) < limit(old.percent)


def _change(rule: Rule, how: str, shift: _Shift, *, binding: bool = False) -> Change:
    """Tells what became of a rule; what only warns binds nobody, and how much drift we bear is no promise to consumers."""
    binds = (binding or rule.severity == "error") and rule.kind != "drift"
    level: Level = "major" if binds and shift.looser else "minor" if binds and shift.tighter else "patch"
    return Change(
        what=f"Rule '{rule.id}' {how}.", level=level, aspect="values" if rule.columns and rule.kind != "freshness" else "dataset",
        columns=rule.columns, path=rule.path, burdens=(binds or rule.kind == "drift") and shift.tighter,
    )  # fmt: skip


def _shift(was: Rule, now: Rule, columns: Mapping[str, Column]) -> _Shift:
    if now.kind in ("in_set", "not_in_set"):
        return _sets(was, now, columns[now.columns[0]])
    if now.kind == "between":
        column = columns[now.columns[0]]
        return _ranges(bind_range(was.args, column, where=""), bind_range(now.args, column, where=""))
    if now.kind in _COUNTED and _less(was.args, _ENDS) == _less(now.args, _ENDS):
        return _ranges(_ends(was), _ends(now))
    if now.kind == "freshness":
        before, after = (_whole(rule.args.get("max_age_seconds")) or 0 for rule in (was, now))
        how = "allows older data" if after > before else "demands newer data"
        return _Shift(looser=after > before, tighter=after < before, how=how)
    if now.kind == "ordered":
        strict = bool(now.args.get("strict"))
        return _Shift(
            looser=not strict, tighter=strict, how="forbids equal values" if strict else "allows equal values"
        )
    return _Shift(looser=True, tighter=True)


def _less(args: Mapping[str, object], names: frozenset[str]) -> dict[str, object]:
    return {name: value for name, value in args.items() if name not in names}


def _ends(rule: Rule) -> Range:
    limits = Limits.of(rule.args)
    return Range(low=limits.low, high=limits.high, strict_low=limits.strict_low, strict_high=limits.strict_high)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _sets(was: Rule, now: Rule, column: Column) -> _Shift:
    before, after = (_values(rule, column) for rule in (was, now))
    gained, lost = after - before, before - after
    if now.kind == "not_in_set":
        gained, lost = lost, gained
    shown = ", ".join(sorted(map(str, gained))[:_SHOWN]) + (", ..." if len(gained) > _SHOWN else "")
    hows = [f"allows more values ({shown})"] * bool(gained) + [f"allows {len(lost)} values less"] * bool(lost)
    return _Shift(looser=bool(gained), tighter=bool(lost), how=" and ".join(hows))


def _values(rule: Rule, column: Column) -> set[Value]:
    given = rule.args.get("values")
    return {bind_value(value, column, where="") for value in given} if isinstance(given, list | tuple) else set()


def _ranges(was: Range, now: Range) -> _Shift:
    if was.empty or now.empty:
        return _Shift(looser=was.empty and not now.empty, tighter=now.empty and not was.empty)
    looser, tighter = _reaches_beyond(now, was), _reaches_beyond(was, now)
    hows = ["reaches further"] * looser + ["reaches less far"] * tighter
    return _Shift(looser=looser, tighter=tighter, how=" and ".join(hows))


def _reaches_beyond(range_: Range, other: Range) -> bool:
    """True when a range holds a value, at either end, that the other does not."""
    low = _beyond((range_.low, range_.strict_low), (other.low, other.strict_low), below=True)
    return low or _beyond((range_.high, range_.strict_high), (other.high, other.strict_high), below=False)


def _beyond(end: tuple[Any, bool], other: tuple[Any, bool], *, below: bool) -> bool:
    (value, strict), (limit, limit_strict) = end, other
    if limit is None:
        return False
    if value is None:
        return True
    if value == limit:
        return limit_strict and not strict
    return bool(value < limit if below else value > limit)
