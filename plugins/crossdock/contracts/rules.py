"""The rules of one contract as they are found: checked against its columns, named uniquely, worded for people.

One sentence governs them all: a row that breaks a rule of severity error is quarantined and never delivered; what no
row can be blamed for (row count, freshness, a metric that must be large) rejects the whole extract.
A promise that can't be run is a problem at load, never a silent pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from crossdock.contracts.checks import check_rule
from crossdock.contracts.documents import Document, spelled
from crossdock.contracts.limits import Limits
from crossdock.contracts.model import Column, Rule, Tolerance
from crossdock.contracts.nested import routes
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import CrossdockError, did_you_mean


class Rules:
    """The rules of one contract, collected with their places; ids are unique.

    `columns` are the table's and what is inside of them, by path; `table` the former alone.
    """

    def __init__(self, document: Document, columns: Mapping[str, Column], tables: Sequence[str] = ()) -> None:
        self.document, self.table = document, columns
        self.columns = {**columns} | {path: way[-1] for path, way in routes(tuple(columns.values())).items()}
        self.tables = tuple(tables)  # the names by which a query may call the table
        self.found: dict[str, Rule] = {}

    def add(self, rule: Rule, at: Steps, *, named: bool = False) -> None:
        """Adds a rule, with the sentence that people read for it; one that can't be run becomes a problem.

        Args:
            rule: its id is what it would be called if no other rule had that name.
            at: where it is stated.
            named: the author chose the id. A rule without a name of its own that says what another says is that one.
        """
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
        rule = replace(rule, path=spelled(at), reason=rule.reason or sentence(rule))
        known = self.found.get(rule.id)
        both = _joined(known, rule) if known and not named else None
        rule = both or (replace(rule, id=self._free(rule)) if known else rule)
        self.found[rule.id] = rule

    def _free(self, rule: Rule) -> str:
        """Returns an id that no rule has: names repeat from column to column, and one column may have two patterns."""
        of_column = f"{'+'.join(rule.columns)}.{rule.id}"
        name = of_column if rule.columns and not rule.id.startswith(f"{'+'.join(rule.columns)}.") else rule.id
        names = [name, *(f"{name}_{number}" for number in range(2, len(self.found) + 3))]
        return next(each for each in names if each not in self.found)


def _joined(known: Rule, rule: Rule) -> Rule | None:
    """Returns the one rule that two statements of the same promise are; None when they differ."""
    same = (known.kind, known.columns, known.args, known.severity) == (
        rule.kind,
        rule.columns,
        rule.args,
        rule.severity,
    )
    if not same or (Tolerance() not in (known.tolerance, rule.tolerance) and known.tolerance != rule.tolerance):
        return None
    bounded = rule if known.tolerance == Tolerance() else known
    return replace(known, tolerance=bounded.tolerance, dimension=known.dimension or rule.dimension)


def sentence(rule: Rule) -> str:
    """Returns the sentence people read for a row that breaks the rule; it tells the promise, never a value."""
    args, columns = rule.args, rule.columns
    named = ", ".join(columns)
    if rule.kind in _MEASURED:
        return _span(rule)
    values = args.get("values")
    allowed = len(values) if isinstance(values, tuple) else 0
    age = args.get("max_age_seconds")
    return {
        "type": f"It is no valid {args.get('type', 'value')}.",
        "not_null": "It is missing.",
        "unique_items": "A value stands in it twice.",
        "unique": f"The same {named} stands in several rows.",
        "in_set": f"It is not one of the {allowed} allowed values.",
        "not_in_set": "It is one of the values that are not allowed.",
        "pattern": f"It does not match the pattern {args.get('regex')}.",
        "ordered": f"{columns[0]} is after {columns[-1]}." if columns else "",
        "checksum": f"Its check digit is wrong ({str(args.get('scheme', '')).upper()}).",
        "reference": f"It does not exist in {args.get('dataset') or 'this dataset'}.",
        "freshness": f"The newest {named} is older than {_age(age if isinstance(age, int) else 0)}.",
        "expectation": f"It fails {args.get('type')}.",
    }[rule.kind]


def _span(rule: Rule) -> str:
    if names := rule.args.get("names"):
        return f"It lacks one of: {', '.join(map(str, names)) if isinstance(names, tuple) else names}."
    return Limits.of(rule.args).sentence(_MEASURED[rule.kind])


_MEASURED: Mapping[str, str] = {
    "length": "Its length",
    "items": "The number of its items",
    "properties": "The number of its properties",
    "between": "It",
    "row_count": "The number of rows",
    "count": "The number of rows that break it",
    "query": "The result of its query",
}


def _age(seconds: int) -> str:
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:,} {unit}"
    return f"{seconds:,} seconds"
