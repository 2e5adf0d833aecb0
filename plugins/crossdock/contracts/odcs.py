"""Reads a data contract: Open Data Contract Standard 3.x, with what it has no place for in one custom property."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_type_hints

from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject

from crossdock.contracts.confirmations import check_confirmed, check_dataset_confirmed
from crossdock.contracts.documents import Document, demanded, parsed, read_document
from crossdock.contracts.drifting import drift_rules
from crossdock.contracts.extension import PROPERTY, Extension
from crossdock.contracts.model import (
    NESTED,
    OF_EXTRACT,
    Column,
    Contract,
    Label,
    Rule,
    SourceSpec,
    Subject,
    Tolerance,
    TransformStep,
)
from crossdock.contracts.names import Here
from crossdock.contracts.options import key_rules
from crossdock.contracts.promised import column_rules
from crossdock.contracts.quality import quality_rules
from crossdock.contracts.relationships import relationship_rules
from crossdock.contracts.rules import Rules
from crossdock.contracts.services import retention_of, schedule_of, service_rules
from crossdock.contracts.table import read_columns
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import did_you_mean
from crossdock.identity import content_id

CONTRACT_FILE = "contract.odcs.yaml"
_STATUSES = ("proposed", "draft", "active", "deprecated", "retired")
_KINDS = get_args(get_type_hints(SourceSpec)["kind"])


def read_contract(path: Path, *, root: Path | None = None, schema: str | None = None) -> Contract:
    """Reads one contract file.

    Args:
        path: the file; in a contracts tree ("<root>/<department>/<dataset>/contract.odcs.yaml") the folders name the
            dataset, elsewhere the contract itself does.
        root: the contracts tree, when the file is known to stand in one.
        schema: which schema object to read, by name, physical name or id; needed only when the contract has several.

    Raises:
        ContractInvalid: the file is wrong; it holds every problem that was found.
    """
    document = read_document(path)
    _modernise(document.data)
    given = demanded(document, OpenDataContractStandard, document.data)
    in_tree = root is not None or _stands_in_a_tree(path)
    _check_header(document, given, in_tree=in_tree)
    index, table = _table(document, given, schema)
    names = (path.absolute().parent.parent.name, path.absolute().parent.name) if in_tree else _own_names(given, path)
    contract = _Reader(document, given, index, table).contract(*names)
    document.raise_problems()
    return contract


def _modernise(data: Any) -> None:
    """Moves `validValues`, which ODCS 3.0 wrote beside `rule`, to where ODCS 3.1 has it: among the arguments."""
    for entry in _quality_entries(data):
        if "rule" in entry and "metric" not in entry and "validValues" in entry and "arguments" not in entry:
            entry["arguments"] = {"validValues": entry.pop("validValues")}


def _quality_entries(data: Any) -> Iterator[dict[str, Any]]:
    for table in _mappings(data, "schema"):
        for part in (table, *_mappings(table, "properties")):
            yield from _mappings(part, "quality")


def _mappings(data: Any, key: str) -> list[dict[str, Any]]:
    items = data.get(key) if isinstance(data, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _stands_in_a_tree(path: Path) -> bool:
    folder = path.absolute().parent
    return path.name == CONTRACT_FILE and (
        (folder.parent / "department.yaml").exists() or (folder / "agreements").is_dir()
    )


def _own_names(given: OpenDataContractStandard, path: Path) -> tuple[str, str]:
    """Returns department and dataset as the contract itself names them."""
    return _word(given.tenant or given.domain or "local"), _word(given.name or given.id or path.stem)


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower() or "unnamed"


def _check_header(document: Document, given: OpenDataContractStandard, *, in_tree: bool) -> None:
    if given.kind != "DataContract":
        document.report(("kind",), f"This is a '{given.kind}', not a DataContract.", "Write `kind: DataContract`.")
    if not re.fullmatch(r"v3\.\d+\.\d+", given.apiVersion or ""):
        document.report(
            ("apiVersion",), f"crossdock reads ODCS 3.x, not '{given.apiVersion}'.", "Write `apiVersion: v3.2.0`."
        )
    for name in ("id", "version"):
        if not getattr(given, name):
            document.report((name,), f"The contract has no {name}.", f"Add `{name}: ...`.")
    # ODCS leaves the words for a status open; whether we may share hangs on ours.
    if in_tree and (given.status or "active") not in _STATUSES:
        fix = did_you_mean(str(given.status), _STATUSES)
        document.report(("status",), f"There is no status '{given.status}'.", fix)


def _table(document: Document, given: OpenDataContractStandard, name: str | None) -> tuple[int, SchemaObject]:
    """Returns the one schema object that is meant, and its place."""
    tables = list(enumerate(given.schema_ or []))
    names = [str(table.name or table.physicalName or table.id) for _, table in tables]
    chosen = [(i, t) for i, t in tables if name is None or name in (t.name, t.physicalName, t.id)]
    if len(chosen) == 1:
        return chosen[0]
    if not tables:
        document.report(("schema",), "The contract describes no table.", "Add `schema`.")
    elif name is None:
        what = f"The contract describes {len(tables)} tables, and a dataset is one: {', '.join(names)}."
        document.report(("schema",), what, "Say which one is meant, or give each a contract of its own.")
    else:
        what = f"The contract describes {'several tables' if chosen else 'no table'} '{name}'."
        document.report(("schema",), what, did_you_mean(name, names))
    raise document.invalid()


class _Reader:
    """One contract being put together; what is wrong is noted in the document."""

    def __init__(self, document: Document, given: OpenDataContractStandard, index: int, table: SchemaObject) -> None:
        self.document, self.given, self.table = document, given, table
        self.at: Steps = ("schema", index)
        self.extra_at, self.extra = _extension(document, given)
        check_dataset_confirmed(document, self.extra_at, self.extra.confirm)
        check_confirmed(document, self.at, table)
        found = read_columns(document, self.at, table)
        self.columns: Mapping[str, Column] = {column.name: column for column in found.values()}
        self.by_place = found

    def contract(self, department: str, dataset: str) -> Contract:
        """Returns the contract."""
        given, extra = self.given, self.extra
        levels = given.slaProperties or []
        title = Label(zh=extra.title.zh, en=extra.title.en) if extra.title else self._title(dataset)
        if self.extra_at and extra.sharing.kind != "unconditional" and not extra.sharing.basis:
            what = "Sharing that is not unconditional needs its legal basis."
            self.document.report((*self.extra_at, "sharing"), what, "Add `basis`.")
        return Contract(
            id=f"{department}/{dataset}",
            department=department,
            dataset=dataset,
            version=str(given.version),
            status=given.status or "active",
            title=title,
            description=(given.description.purpose if given.description else None) or self.table.description or "",
            theme=given.domain or "",
            sharing=extra.sharing.kind,
            sharing_basis=extra.sharing.basis,
            subject=self._subject(),
            source=self._source(),
            columns=tuple(self.columns.values()),
            rules=self._rules(),
            transforms=self._transforms(),
            tolerance=extra.tolerance.value(),
            schedule=schedule_of(self.document, levels) if extra.source else None,
            retention=retention_of(self.document, levels, self._here()),
            new_columns=extra.drift.columns,
            null_tokens=extra.null_tokens,
            digest=content_id(self.document.data, self.table.name),
            path=self.document.path,
        )

    def _title(self, dataset: str) -> Label:
        name = self.given.name or self.table.businessName or dataset
        return Label(zh=self.table.businessName or name, en=name)

    def _rules(self) -> tuple[Rule, ...]:
        rules = Rules(
            self.document, self.columns, [name for name in (self.table.name, self.table.physicalName) if name]
        )
        here = self._here()
        for index, given in enumerate(self.table.properties or []):
            if index in self.by_place:
                at, column = (*self.at, "properties", index), self.by_place[index]
                column_rules(rules, at, given, column)
                relationship_rules(rules, at, given.relationships or [], (column.name,), here)
        key = sorted((c for c in self.columns.values() if c.key_position), key=lambda c: c.key_position or 0)
        key_rules(rules, self.at, tuple(column.name for column in key))
        quality_rules(rules, self.at, self.table.quality or [], None)
        relationship_rules(rules, self.at, self.table.relationships or [], (), here)
        service_rules(rules, self.given.slaProperties or [], self.given.slaDefaultElement, here)
        drift_rules(rules, (*self.extra_at, "drift"), self.extra.drift)
        return tuple(self._tolerated(rules.found))

    def _here(self) -> Here:
        tables = [name for t in self.given.schema_ or [] for name in (t.name, t.physicalName, t.id)]
        places = [(self.by_place[i], p) for i, p in enumerate(self.table.properties or []) if i in self.by_place]
        aliases = {alias: column.name for column, given in places for alias in (given.id, given.physicalName) if alias}
        own = (self.table.name, self.table.physicalName, self.table.id)
        return Here(own, tables, {alias: name for alias, name in aliases.items() if alias not in self.columns})

    def _tolerated(self, found: Mapping[str, Rule]) -> Iterator[Rule]:
        given = {name: each.value() for name, each in self.extra.tolerances.items()}
        at = (*self.extra_at, "tolerances")
        for name in given.keys() - found.keys():
            self.document.report((*at, name), f"There is no rule '{name}'.", did_you_mean(name, found))
        for rule in found.values():
            if rule.id in given and rule.kind in OF_EXTRACT:
                self.document.report((*at, rule.id), "No row can be blamed for this rule, so none can be tolerated.")
            elif rule.id in given and rule.tolerance not in (Tolerance(), given[rule.id]):
                self.document.report((*at, rule.id), "The rule's own bound says something else.", "State it once.")
            yield replace(rule, tolerance=given.get(rule.id, rule.tolerance))

    def _known(self, steps: Steps, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.columns:
                self.document.report(steps, f"There is no column '{name}'.", did_you_mean(name, self.columns))

    def _plain(self, steps: Steps, name: str, what: str) -> None:
        if name in self.columns and self.columns[name].type in NESTED:
            self.document.report(steps, f"Column '{name}' is of type {self.columns[name].type}, which {what}.")

    def _subject(self) -> Subject | None:
        subject = self.extra.subject
        if subject is None:
            return None
        self._known((*self.extra_at, "subject", "column"), [subject.column])
        self._plain((*self.extra_at, "subject", "column"), subject.column, "names nobody")
        return Subject(kind=subject.kind, column=subject.column)

    def _source(self) -> SourceSpec | None:
        source, at = self.extra.source, (*self.extra_at, "source")
        if source is None:
            return None
        if source.kind not in _KINDS:
            what = f"There is no kind of source '{source.kind}'."
            self.document.report((*at, "kind"), what, did_you_mean(source.kind, _KINDS))
        if source.watermark:
            self._known((*at, "watermark"), [source.watermark])
            self._plain((*at, "watermark"), source.watermark, "has no newest value")
            if not any(column.key_position for column in self.columns.values()):
                fix = "Mark the key columns with `primaryKey: true`."
                self.document.report((*at, "watermark"), "Pulling by watermark needs a primary key.", fix)
        return SourceSpec(
            kind=source.kind,  # type: ignore[arg-type] # another kind has been noted, so this value never leaves
            connection=source.connection,
            watermark=source.watermark,
            options=source.model_extra or {},
            path=".".join(map(str, at)),
        )

    def _transforms(self) -> tuple[TransformStep, ...]:
        steps = []
        for index, step in enumerate(self.extra.transforms):
            at = (*self.extra_at, "transforms", index)
            self._known((*at, "columns"), step.columns)
            steps.append(
                TransformStep(
                    use=step.use,
                    columns=step.columns,
                    options=step.options,
                    reference=step.reference,
                    path=".".join(map(str, at)),
                )
            )
        return tuple(steps)


def _extension(document: Document, given: OpenDataContractStandard) -> tuple[Steps, Extension]:
    """Returns the crossdock property and its place; a contract of other people has none."""
    entries = list(enumerate(given.customProperties or []))
    found = [(index, entry) for index, entry in entries if entry.property == PROPERTY]
    for index, _ in found[1:]:
        document.report(("customProperties", index), f"The property '{PROPERTY}' stands twice.", "Keep one of them.")
    if found:
        at: Steps = ("customProperties", found[0][0], "value")
        extension = parsed(document, Extension, found[0][1].value, at)
        return (at, extension) if extension else ((), Extension())
    for index, entry in entries:
        if get_close_matches(entry.property or "", [PROPERTY], cutoff=0.8):
            what = f"There is no property '{entry.property}'."
            document.report(("customProperties", index, "property"), what, f"Did you mean '{PROPERTY}'?")
    return (), Extension()
