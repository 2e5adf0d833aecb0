"""The catalogue: every department, contract and agreement of a contracts tree, cross-checked; and what is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import pydantic

from crossdock.contracts.agreement import Agreement
from crossdock.contracts.documents import demanded, read_document, steps_of
from crossdock.contracts.model import Contract, Department, Label, Rule
from crossdock.contracts.oaas import PUBLIC, SUFFIX, check_form, read_agreement
from crossdock.contracts.odcs import CONTRACT_FILE, read_contract
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import ContractInvalid, Problem, did_you_mean

DEPARTMENT_FILE = "department.yaml"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What a contracts tree holds, by id. Whatever has a problem is in `problems` and not in the mappings."""

    departments: Mapping[str, Department]
    contracts: Mapping[str, Contract]
    agreements: Mapping[str, Agreement]
    problems: tuple[Problem, ...]


class _Name(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    zh: Annotated[str, pydantic.Field(min_length=1)]
    en: Annotated[str, pydantic.Field(min_length=1)]


class _Department(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    id: str
    name: _Name
    contact: str = ""
    findings: str = ""


def load_catalogue(root: Path, *, transforms: Path) -> Catalogue:
    """Reads a contracts tree; a broken file costs only itself and what depends on it.

    Args:
        root: holds one folder per department, with department.yaml and one folder per dataset.
        transforms: the folder whose files contracts name as transforms.
    """
    loading = _Loading(root.absolute(), transforms)
    loading.read()
    return loading.catalogue()


def _order(problem: Problem) -> tuple[str, str, int, str]:
    """A contract's problems come before those of its agreements, which may follow from them."""
    return str(problem.file.parent), str(problem.file), problem.line or 0, problem.path


class ContractsTree:
    """A contracts tree that is read as far as it is asked for: a task needs one dataset of two thousand.

    Both answers are kept: a tree object sees the files as they were when it first read them.
    """

    def __init__(self, root: Path, transforms: Path) -> None:
        self._root, self._transforms = root.absolute(), transforms
        self._parts: dict[str, Catalogue] = {}

    @cached_property
    def whole(self) -> Catalogue:
        """All of it, as `load_catalogue` reads it."""
        return load_catalogue(self._root, transforms=self._transforms)

    def part(self, dataset: str) -> Catalogue:
        """Returns the catalogue of one dataset: its contract, agreements and problems, and all departments."""
        if "whole" in self.__dict__:
            return self.whole
        if dataset not in self._parts:
            loading = _Loading(self._root, self._transforms)
            loading.read_part(dataset)
            self._parts[dataset] = loading.catalogue()
        return self._parts[dataset]


def read_department(path: Path) -> Department:
    """Reads a department.yaml.

    Raises:
        ContractInvalid: the file is wrong.
    """
    document = read_document(path)
    given = demanded(document, _Department, document.data)
    folder = path.absolute().parent.name
    if given.id != folder:
        document.report(("id",), f"The id '{given.id}' is not the folder's name.", f"Write `id: {folder}`.")
    if folder == PUBLIC:
        document.report((), f"'{PUBLIC}' is the public, no department.", "Choose another id.")
    document.raise_problems()
    return Department(
        id=given.id,
        name=Label(zh=given.name.zh, en=given.name.en),
        contact=given.contact,
        path=path,
        findings=given.findings,
    )


class _Loading:
    """A catalogue being put together."""

    def __init__(self, root: Path, transforms: Path) -> None:
        self.root = root
        self.transforms = {path.stem for path in transforms.glob("*.py")}
        self.departments: dict[str, Department] = {}
        self.contracts: dict[str, Contract] = {}
        self.agreements: dict[str, Agreement] = {}
        self.problems: list[Problem] = []

    def read(self) -> None:
        """Reads departments, then contracts, then agreements: each is checked against those before it."""
        if not self.root.is_dir():
            self.problems.append(
                Problem(
                    file=self.root,
                    path="",
                    what="There is no contracts folder.",
                    fix="Make it, or start in the exchange's folder.",
                )
            )
            return
        folders = self._folders()
        for folder in folders:
            self._department(folder)
        paths = {
            f"{path.parent.parent.name}/{path.parent.name}": path
            for folder in folders
            for path in self._contract_files(folder)
        }
        for path in paths.values():
            self._contract(path)
        for name in [name for name in self.contracts if self._dangles(name, paths)]:
            del self.contracts[name]
        for name, path in paths.items():
            self._agreements(path, name)

    def read_part(self, dataset: str) -> None:
        """Reads the departments, one contract with those it refers to, and its agreements."""
        for folder in self._folders():
            self._department(folder)
        paths = {f"{p.parent.parent.name}/{p.parent.name}": p for p in self.root.glob(f"*/*/{CONTRACT_FILE}")}
        if dataset not in paths:
            return
        self._contract(paths[dataset])
        if dataset in self.contracts:
            for name in self.contracts[dataset].refers_to & paths.keys():
                self._contract(paths[name])
            if self._dangles(dataset, paths):
                del self.contracts[dataset]
        self._agreements(paths[dataset], dataset)

    def catalogue(self) -> Catalogue:
        """Returns what was read."""
        return Catalogue(
            departments=self.departments,
            contracts=self.contracts,
            agreements=self.agreements,
            problems=tuple(sorted(self.problems, key=_order)),
        )

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.root.iterdir() if path.is_dir() and not path.name.startswith("."))

    def _agreements(self, contract: Path, dataset: str) -> None:
        for agreement in sorted((contract.parent / "agreements").glob(f"*{SUFFIX}")):
            self._agreement(agreement, dataset)

    def _department(self, folder: Path) -> None:
        try:
            department = read_department(folder / DEPARTMENT_FILE)
            self.departments[department.id] = department
        except ContractInvalid as error:
            self.problems.extend(error.problems)

    def _contract_files(self, folder: Path) -> Iterator[Path]:
        self._check_names(folder, {DEPARTMENT_FILE})
        for dataset in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
            self._check_names(dataset, {CONTRACT_FILE})
            self._check_names(dataset / "agreements", set())
            if (dataset / CONTRACT_FILE).is_file():
                yield dataset / CONTRACT_FILE
            else:
                self._note(dataset, f"The folder has no {CONTRACT_FILE}.", "Add it, or remove the folder.")

    def _check_names(self, folder: Path, known: set[str]) -> None:
        """Notes names that nothing would read: a file that is silently left out is worse than one that is wrong."""
        if folder.name != "agreements" and not _NAME.fullmatch(folder.name):
            what = f"'{folder.name}' can't name a department or dataset."
            self._note(folder, what, "Use small letters, digits and _, with a letter first.")
        for path in sorted(folder.glob("*.y*ml")):
            agreement = folder.name == "agreements" and path.name.endswith(SUFFIX)
            if path.name not in known and not agreement:
                expected = f"<consumer>{SUFFIX}" if folder.name == "agreements" else ", ".join(sorted(known))
                self._note(path, "Nothing reads a file of this name here.", f"Call it {expected}, or remove it.")

    def _note(self, file: Path, what: str, fix: str) -> None:
        problem = Problem(file=file, path="", what=what, fix=fix)
        if problem not in self.problems:
            self.problems.append(problem)

    def _contract(self, path: Path) -> None:
        try:
            contract = read_contract(path, root=self.root)
        except ContractInvalid as error:
            self.problems.extend(error.problems)
            return
        self.contracts[contract.id] = contract

    def _dangles(self, name: str, paths: Mapping[str, Path]) -> bool:
        """Returns whether a contract names a transform or dataset which does not exist, after noting where."""
        contract = self.contracts[name]
        notes = list(_dangling(contract, self.contracts, paths, self.transforms))
        if notes:
            document = read_document(contract.path)
            for steps, what, fix in notes:
                document.report(steps, what, fix)
            self.problems.extend(document.problems)
        return bool(notes)

    def _agreement(self, path: Path, dataset: str) -> None:
        consumer = path.name.removesuffix(SUFFIX)
        if consumer != PUBLIC and consumer not in self.departments:
            self._note(path, f"There is no department '{consumer}'.", did_you_mean(consumer, self.departments))
            return
        contract = self.contracts.get(dataset)
        try:
            if contract is None:
                what = f"The contract of '{dataset}' is wrong, so this agreement can't be used."
                self._note(path, what, "Mend the contract.")
                check_form(path)
                return
            agreement = read_agreement(path, contract)
        except ContractInvalid as error:
            self.problems.extend(error.problems)
            return
        self.agreements[agreement.id] = agreement


def _dangling(
    contract: Contract, contracts: Mapping[str, Contract], paths: Mapping[str, Path], transforms: set[str]
) -> Iterator[tuple[Steps, str, str]]:
    """Yields place, what and fix of each name that leads nowhere."""
    for step in contract.transforms:
        at = steps_of(step.path)
        if step.use not in transforms:
            yield (*at, "use"), f"There is no transform '{step.use}'.", did_you_mean(step.use, transforms)
        if step.reference and step.reference not in paths:
            yield (*at, "reference"), f"There is no dataset '{step.reference}'.", did_you_mean(step.reference, paths)
    for rule in contract.rules:
        if rule.kind == "reference" and rule.args.get("dataset"):
            yield from _dangling_reference(rule, contracts, paths)


def _dangling_reference(
    rule: Rule, contracts: Mapping[str, Contract], paths: Mapping[str, Path]
) -> Iterator[tuple[Steps, str, str]]:
    dataset, at = str(rule.args["dataset"]), (*steps_of(rule.path), "to")
    if dataset not in paths:
        yield at, f"There is no dataset '{dataset}'.", did_you_mean(dataset, paths)
    known = {column.name for column in contracts[dataset].columns} if dataset in contracts else None
    wanted = rule.args.get("columns")
    for name in wanted if known is not None and isinstance(wanted, tuple) else ():
        if name not in (known or ()):
            yield at, f"Dataset '{dataset}' has no column '{name}'.", did_you_mean(name, known or ())
