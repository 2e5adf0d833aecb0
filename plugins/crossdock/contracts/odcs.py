"""Reads a data contract: Open Data Contract Standard 3.x, with what it has no place for in one custom property."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject

from crossdock.contracts.documents import Document, Steps, parsed, read_document
from crossdock.contracts.model import Column, Contract, Label, Sharing, SourceSpec, Subject, Tolerance, TransformStep
from crossdock.contracts.relationships import relationship_rules
from crossdock.contracts.rules import Rules, object_rules, property_rules, schedule, service_rules
from crossdock.contracts.types import read_column
from crossdock.errors import did_you_mean
from crossdock.identity import content_id

CONTRACT_FILE = "contract.odcs.yaml"
TECHNICAL = frozenset({"_arrival", "_failures", "_contract_version"})  # columns of quarantine files
_STATUSES = ("proposed", "draft", "active", "deprecated", "retired")


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class _Label(_Strict):
    zh: str
    en: str


class _Sharing(_Strict):
    kind: Annotated[Sharing, pydantic.Field(alias="class")]
    basis: str = ""


class _Subject(_Strict):
    kind: Literal["person", "enterprise"]
    column: str


class _Tolerance(_Strict):
    rows: Annotated[int, pydantic.Field(ge=0)] | None = None
    percent: Annotated[float, pydantic.Field(ge=0, le=100)] | None = None

    def value(self) -> Tolerance:
        return Tolerance(rows=self.rows, percent=self.percent)


class _Transform(_Strict):
    use: str
    columns: tuple[str, ...]
    reference: str | None = None
    options: dict[str, Any] = pydantic.Field(default_factory=dict)


class _Source(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        extra="allow", frozen=True
    )  # what a kind of source takes beside, it checks itself
    kind: str
    connection: str = ""
    watermark: str = ""


class _Crossdock(_Strict):
    title: _Label | None = None
    sharing: _Sharing = _Sharing.model_validate({"class": "none"})
    subject: _Subject | None = None
    source: _Source | None = None
    transforms: tuple[_Transform, ...] = ()
    tolerance: _Tolerance = _Tolerance()
    tolerances: dict[str, _Tolerance] = pydantic.Field(default_factory=dict)
    null_tokens: Annotated[tuple[str, ...], pydantic.Field(alias="nullTokens")] = ()


def read_contract(path: Path, *, root: Path | None = None, schema: str | None = None) -> Contract:
    """Reads one contract file.

    Args:
        path: the file; in a contracts tree ("<root>/<department>/<dataset>/contract.odcs.yaml") the folders name the
            dataset, elsewhere the contract itself does.
        root: the contracts tree, when the file is known to stand in one.
        schema: which schema object to read, needed only when the contract has several.

    Raises:
        ContractInvalid: the file is wrong; it holds every problem that was found.
    """
    document = read_document(path)
    contract = parsed(document, OpenDataContractStandard, document.data)
    if contract is None:
        document.raise_problems()
        raise AssertionError  # parsed() has noted why
    _check_header(document, contract)
    found = _Reader(document, contract, _schema(document, contract, schema)).contract(*_names(contract, path, root))
    document.raise_problems()
    return found


def _check_header(document: Document, contract: OpenDataContractStandard) -> None:
    if contract.kind != "DataContract":
        document.report(("kind",), f"This is a '{contract.kind}', not a DataContract.", "Write `kind: DataContract`.")
    if not re.fullmatch(r"v3\.\d+\.\d+", contract.apiVersion or ""):
        document.report(
            ("apiVersion",), f"crossdock reads ODCS 3.x, not '{contract.apiVersion}'.", "Write `apiVersion: v3.2.0`."
        )
    for name in ("id", "version"):
        if not getattr(contract, name):
            document.report((), f"The contract has no {name}.", f"Add `{name}: ...`.")
    if (contract.status or "active") not in _STATUSES:
        document.report(
            ("status",), f"There is no status '{contract.status}'.", did_you_mean(str(contract.status), _STATUSES)
        )


def _schema(document: Document, contract: OpenDataContractStandard, name: str | None) -> tuple[int, SchemaObject]:
    objects = contract.schema_ or []
    chosen = [(i, o) for i, o in enumerate(objects) if name in (None, o.name, o.id)]
    if len(chosen) != 1:
        names = ", ".join(str(o.name) for o in objects)
        what = (
            f"The contract describes {len(objects)} objects ({names}), not one."
            if objects
            else "The contract describes no object."
        )
        document.report(
            ("schema",), what, "A dataset is one table: split the contract." if objects else "Add `schema`."
        )
        document.raise_problems()
    return chosen[0]


def _names(contract: OpenDataContractStandard, path: Path, root: Path | None) -> tuple[str, str]:
    """Returns department and dataset."""
    if root is not None or path.name == CONTRACT_FILE:
        folder = path.absolute().parent
        return folder.parent.name, folder.name
    return _word(contract.tenant or contract.domain or "local"), _word(contract.name or contract.id or path.stem)


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower() or "unnamed"


class _Reader:
    """One contract being put together."""

    def __init__(self, document: Document, given: OpenDataContractStandard, schema: tuple[int, SchemaObject]) -> None:
        self.document, self.given = document, given
        self.object = schema[1]
        self.at: Steps = ("schema", schema[0])
        self.extra_at, self.extra = self._crossdock()

    def _crossdock(self) -> tuple[Steps, _Crossdock]:
        for index, entry in enumerate(self.given.customProperties or []):
            if entry.property == "crossdock":
                at = ("customProperties", index, "value")
                return at, parsed(self.document, _Crossdock, entry.value, at) or _Crossdock()
        return (), _Crossdock()

    def contract(self, department: str, dataset: str) -> Contract:
        """Returns the contract; what is wrong is noted in the document."""
        columns = self._columns()
        by_name = {column.name: column for column in columns}
        rules = self._rules(by_name, f"{department}/{dataset}")
        extra, description = self.extra, self.given.description
        title = extra.title
        if extra.sharing.kind != "unconditional" and self.extra_at and not extra.sharing.basis:
            self.document.report(
                (*self.extra_at, "sharing"), "Sharing that is not unconditional needs its legal basis.", "Add `basis`."
            )
        made = Contract(
            id=f"{department}/{dataset}",
            department=department,
            dataset=dataset,
            version=str(self.given.version),
            status=self.given.status or "active",
            title=Label(zh=title.zh, en=title.en) if title else Label(zh=dataset, en=dataset),
            description=(description.purpose if description else None) or self.object.description or "",
            theme=self.given.domain or "",
            sharing=extra.sharing.kind,
            sharing_basis=extra.sharing.basis,
            subject=self._subject(by_name),
            source=self._source(by_name),
            columns=columns,
            rules=rules,
            transforms=self._transforms(by_name),
            tolerance=extra.tolerance.value(),
            schedule=self._schedule(),
            null_tokens=extra.null_tokens,
            digest=content_id(self.document.data),
            path=self.document.path,
        )
        if made.source and made.source.watermark and not made.primary_key:
            self.document.report(
                (*self.extra_at, "source", "watermark"),
                "Pulling by watermark needs a primary key.",
                "Mark the key columns with `primaryKey: true`.",
            )
        return made

    def _columns(self) -> tuple[Column, ...]:
        columns: dict[str, Column] = {}
        for index, given in enumerate(self.object.properties or []):
            at = (*self.at, "properties", index)
            column = read_column(self.document, at, given)
            if column is None:
                continue
            if column.name in columns or column.name in TECHNICAL:
                what = "stands twice" if column.name in columns else "is a name crossdock keeps for itself"
                self.document.report((*at, "name"), f"The column name '{column.name}' {what}.", "Choose another name.")
            columns[column.name] = column
        if not columns:
            self.document.report(self.at, "The object has no properties.", "Describe its columns.")
        return tuple(columns.values())

    def _rules(self, columns: Mapping[str, Column], dataset: str) -> tuple[Any, ...]:
        rules = Rules(self.document, columns)
        for index, given in enumerate(self.object.properties or []):
            at = (*self.at, "properties", index)
            if given.name and given.name in columns:
                property_rules(rules, at, given, columns[given.name])
                relationship_rules(
                    rules, (*at, "relationships"), given.relationships or [], (given.name,), self._self(dataset)
                )
        key = tuple(c.name for c in sorted(columns.values(), key=lambda c: c.key_position or 0) if c.key_position)
        object_rules(rules, self.at, self.object, key)
        relationship_rules(rules, (*self.at, "relationships"), self.object.relationships or [], (), self._self(dataset))
        for index, level in enumerate(self.given.slaProperties or []):
            service_rules(rules, ("slaProperties", index), level, self.given.slaDefaultElement)
        return tuple(self._tolerated(rules))

    def _self(self, dataset: str) -> tuple[str, str]:
        return self.object.name or "", dataset

    def _tolerated(self, rules: Rules) -> Sequence[Any]:
        for name in self.extra.tolerances.keys() - rules.found.keys():
            self.document.report(
                (*self.extra_at, "tolerances", name), f"There is no rule '{name}'.", did_you_mean(name, rules.found)
            )
        given = {name: each.value() for name, each in self.extra.tolerances.items()}
        return [replace(rule, tolerance=given[rule.id]) if rule.id in given else rule for rule in rules.found.values()]

    def _known(self, steps: Steps, names: Sequence[str], columns: Mapping[str, Column]) -> None:
        for name in names:
            if name not in columns:
                self.document.report(steps, f"There is no column '{name}'.", did_you_mean(name, columns))

    def _subject(self, columns: Mapping[str, Column]) -> Subject | None:
        subject = self.extra.subject
        if subject is None:
            return None
        self._known((*self.extra_at, "subject", "column"), [subject.column], columns)
        return Subject(kind=subject.kind, column=subject.column)

    def _source(self, columns: Mapping[str, Column]) -> SourceSpec | None:
        source = self.extra.source
        if source is None:
            return None
        at = (*self.extra_at, "source")
        kinds = ("database", "files", "http")
        if source.kind not in kinds:
            self.document.report(
                (*at, "kind"), f"There is no kind of source '{source.kind}'.", did_you_mean(source.kind, kinds)
            )
            return None
        if source.watermark:
            self._known((*at, "watermark"), [source.watermark], columns)
        return SourceSpec(
            kind=source.kind,  # type: ignore[arg-type] # one of the kinds, as just checked
            connection=source.connection,
            watermark=source.watermark,
            options=source.model_extra or {},
            path=".".join(map(str, at)),
        )

    def _transforms(self, columns: Mapping[str, Column]) -> tuple[TransformStep, ...]:
        steps = []
        for index, step in enumerate(self.extra.transforms):
            at = (*self.extra_at, "transforms", index)
            self._known((*at, "columns"), step.columns, columns)
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

    def _schedule(self) -> str | None:
        for index, level in enumerate(self.given.slaProperties or []):
            if (level.property or "").lower() == "frequency":
                return schedule(self.document, ("slaProperties", index), level)
        return None
