"""From a contract's rules to the checks that a scan runs: what is judged row by row, over the whole extract, or of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from crossdock.contracts.model import Column, Contract, Rule, Tolerance
from crossdock.contracts.nested import routes
from crossdock.errors import WrongUse, did_you_mean
from crossdock.validation.kernels import Kernel, kernel_of

Scope = Literal[
    "type",  # the typing pass found which values do not fit
    "row",  # an Arrow kernel sees one row at a time
    "unique",  # DuckDB: every copy of a repeated key
    "reference",  # DuckDB: keys that the other dataset does not hold
    "row_count",
    "freshness",
    "query",
    "drift",
]
_WHOLE: Mapping[str, Scope] = {"unique": "unique", "reference": "reference"}
_EXTRACT: Mapping[str, Scope] = {"row_count": "row_count", "freshness": "freshness", "query": "query", "drift": "drift"}

_COLUMNS = {"row_count": {0}, "freshness": {1}, "query": {0, 1}, "drift": {0, 1}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A rule, how it is judged, and with what.

    `counts` marks a rule of kind "count": its broken rows are only counted, and the count is what is judged.
    `args` are the args of what is judged (for a count: of the rule that is counted). `way` leads to what is judged
    inside of a nested column: the column first; a row breaks the rule when any value there does.
    """

    rule: Rule
    scope: Scope
    args: Mapping[str, object]
    columns: tuple[Column, ...]
    kernel: Kernel | None = None
    way: tuple[Column, ...] = ()
    counts: bool = False

    @property
    def quarantines(self) -> bool:
        """True when a row that breaks it must not be accepted."""
        return self.rule.severity == "error" and not self.counts and self.scope not in _EXTRACT.values()

    @property
    def judges_presence(self) -> bool:
        """True when it asks whether a value is there at all."""
        return (counted(self.rule)[0] if self.counts else self.rule.kind) == "not_null"

    @property
    def judges_extract(self) -> bool:
        """True when it holds or not for the extract as a whole, and no single row is to blame."""
        return self.counts or self.scope in _EXTRACT.values()


def plan(contract: Contract) -> tuple[Check, ...]:
    """Compiles every rule of the contract, and those that go without saying: values fit their type, required is filled.

    Raises:
        WrongUse: a rule can't be judged, or two have one id.
    """
    rules = contract.rules + tuple(_implied(contract))
    for repeated in sorted(name for name, times in Counter(rule.id for rule in rules).items() if times > 1):
        raise WrongUse(f"Two rules have the id '{repeated}'.", where=contract.id, fix="Give one of them another id.")
    ways = routes(contract.columns)
    known = {column.name: column for column in contract.columns} | {path: way[-1] for path, way in ways.items()}
    return tuple(_check(rule, known, ways, f"{contract.id}, rule {rule.id}") for rule in rules)


def row_by_row(contract: Contract) -> Contract:
    """Returns the contract without what it promises of an extract as a whole: bad rows by themselves can't keep that."""
    rules = (replace(check.rule, tolerance=Tolerance()) for check in plan(contract) if not check.judges_extract)
    return replace(contract, rules=tuple(rules), tolerance=Tolerance())


def _implied(contract: Contract) -> list[Rule]:
    """A misfit is null in the typed batch, and snapshots hold no nulls in required columns: both must be quarantined."""
    fatal = {(rule.kind, rule.columns) for rule in contract.rules if rule.severity == "error"}
    taken = {rule.id for rule in contract.rules}
    wanted = [("type", name) for name in (*(column.name for column in contract.columns), *routes(contract.columns))]
    wanted += [("not_null", column.name) for column in contract.columns if column.required]
    return [
        Rule(id=_free(f"{name}.{kind}", taken), kind=kind, columns=(name,))  # type: ignore[arg-type] # both are kinds
        for kind, name in wanted
        if (kind, (name,)) not in fatal
    ]


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_implied"
    return name


def _check(rule: Rule, known: Mapping[str, Column], ways: Mapping[str, tuple[Column, ...]], where: str) -> Check:
    for name in rule.columns:
        if name not in known:
            raise WrongUse(f"There is no column '{name}'.", where=where, fix=did_you_mean(name, known))
    columns = tuple(known[name] for name in rule.columns)
    if rule.kind == "count":
        kind, args = counted(rule)
        judged = _judged(kind, args, columns, where)
        return replace(judged, rule=rule, way=_way(rule, ways, where), counts=True)
    return replace(_judged(rule.kind, rule.args, columns, where), rule=rule, way=_way(rule, ways, where))


def _way(rule: Rule, ways: Mapping[str, tuple[Column, ...]], where: str) -> tuple[Column, ...]:
    inside = [name for name in rule.columns if name in ways]
    if inside and (len(rule.columns) > 1 or rule.kind in (*_WHOLE, *_EXTRACT)):
        raise WrongUse(f"A rule of kind '{rule.kind}' can't look inside of a column.", where=where)
    return ways[inside[0]] if inside else ()


def counted(rule: Rule) -> tuple[str, Mapping[str, object]]:
    """Returns kind and args of the rule whose broken rows a rule of kind "count" counts."""
    of = rule.args.get("of")
    inner = of if isinstance(of, Mapping) else {}
    return str(inner.get("kind")), {key: value for key, value in inner.items() if key != "kind"}


def _judged(kind: str, args: Mapping[str, object], columns: Sequence[Column], where: str) -> Check:
    """Returns a check whose rule is still a stand-in."""
    if kind == "expectation":
        kwargs = args.get("kwargs")
        kind, args = str(args.get("type")), kwargs if isinstance(kwargs, Mapping) else {}
    columns = tuple(columns)
    stand_in = Rule(id="", kind="type", columns=())
    if kind in _EXTRACT:
        _must_have_columns(kind, columns, _COLUMNS[kind], where)
        return Check(rule=stand_in, scope=_EXTRACT[kind], args=args, columns=columns)
    if kind in _WHOLE:
        _must_have_columns(kind, columns, None, where)
        return Check(rule=stand_in, scope=_WHOLE[kind], args=args, columns=columns)
    if kind == "type":
        _must_have_columns(kind, columns, {1}, where)
        return Check(rule=stand_in, scope="type", args=args, columns=columns)
    kernel = kernel_of(kind, columns, args, where)
    return Check(rule=stand_in, scope="row", args=args, columns=columns, kernel=kernel)


def _must_have_columns(kind: str, columns: Sequence[Column], allowed: set[int] | None, where: str) -> None:
    if not columns if allowed is None else len(columns) not in allowed:
        raise WrongUse(f"A rule of kind '{kind}' can't have {len(columns)} column(s).", where=where)
