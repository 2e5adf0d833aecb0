"""All that can be said against contracts and agreements before any data comes: every problem of every file at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from crossdock.comparison import Comparison, compare_folders
from crossdock.contracts.agreement import APPROVED, REQUESTED, Agreement
from crossdock.contracts.catalogue import load_catalogue
from crossdock.contracts.documents import located, spelled
from crossdock.contracts.model import Contract
from crossdock.contracts.oaas import SUFFIX, read_agreement, terms_place
from crossdock.contracts.odcs import CONTRACT_FILE, read_contract
from crossdock.contracts.yaml_tree import Steps
from crossdock.delivery.channels.channel import wrong_options as wrong_options_of_delivery
from crossdock.delivery.decide import contradictions
from crossdock.errors import ContractInvalid, CrossdockError, Problem, TransformInvalid, WrongUse
from crossdock.revisions import at_revision
from crossdock.sources.source import wrong_options
from crossdock.validation.plan import plan
from crossdock.validation.transform import load_transform


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was checked, and everything found."""

    departments: int
    contracts: int
    agreements: int
    problems: tuple[Problem, ...]
    compared: Comparison | None = None  # with another revision, when one was asked for


def lint(path: Path, *, transforms: Path, against: str = "") -> Report:
    """Checks a contracts folder, or one contract or agreement file by itself.

    Args:
        path: the folder or file.
        transforms: the folder whose files contracts name as transforms.
        against: a git revision; what changed in the folder since is held against the rules of contract evolution.

    Raises:
        WrongUse: a file was to be compared, or there is no such revision.
    """
    if against:
        if path.is_file():
            raise WrongUse("Only a contracts folder has revisions.", where=str(path), fix="Name the folder.")
        with at_revision(path, against) as earlier:
            return replace(lint(path, transforms=transforms), compared=compare_folders(earlier, path))
    if path.is_file():
        return _one_file(path, transforms)
    catalogue = load_catalogue(path, transforms=transforms)
    more = [problem for contract in catalogue.contracts.values() for problem in _unrunnable(contract, transforms)]
    for agreement in catalogue.agreements.values():
        more += _undeliverable(agreement, catalogue.contracts[agreement.dataset])
    more += _meeting(catalogue.agreements.values())
    return Report(
        departments=len(catalogue.departments),
        contracts=len(catalogue.contracts),
        agreements=len(catalogue.agreements),
        problems=(*catalogue.problems, *more),
    )


def _one_file(path: Path, transforms: Path) -> Report:
    empty = Report(departments=0, contracts=0, agreements=0, problems=())
    try:
        if path.name.endswith(SUFFIX):
            contract = read_contract(path.absolute().parents[1] / CONTRACT_FILE)
            return replace(
                empty, agreements=1, problems=tuple(_undeliverable(read_agreement(path, contract), contract))
            )
        contract = read_contract(path)
    except ContractInvalid as error:
        return replace(empty, problems=error.problems)
    return replace(empty, contracts=1, problems=tuple(_unrunnable(contract, transforms)))


def _unrunnable(contract: Contract, transforms: Path) -> list[Problem]:
    """Returns what source, engine and transforms would refuse: each is asked, and nothing is run."""
    found = wrong_options(contract)
    try:
        plan(contract)
    except CrossdockError as error:
        found.append(Problem(file=contract.path, path="schema", what=error.what, fix=error.fix))
    for step in contract.transforms:
        try:
            load_transform(transforms, step.use)
        except TransformInvalid as error:
            found.append(Problem(file=contract.path, path=f"{step.path}.use", what=error.what, fix=error.fix))
    return [located(problem) for problem in found]


def _undeliverable(agreement: Agreement, contract: Contract) -> list[Problem]:
    """Returns what the channel, and the decision to deliver, would refuse on any day."""
    found = [(objection.at, objection.what, "") for objection in contradictions(agreement, contract)]
    if not agreement.is_publication:
        options = wrong_options_of_delivery(agreement)
        found += [(("delivery", name), what, fix) for name, what, fix in options]
    return [_problem(agreement, at, what, fix) for at, what, fix in found]


def _meeting(agreements: Iterable[Agreement]) -> Iterator[Problem]:
    """Yields which agreements deliver to a place where another one does at the same time: who loads it would mix them up."""
    known: defaultdict[tuple[str, str, PurePosixPath], list[Agreement]] = defaultdict(list)
    for agreement in sorted(agreements, key=lambda each: each.id):
        spec = agreement.delivery
        option = "table" if spec.channel == "database" else "path"
        if option not in spec.options or agreement.status not in APPROVED | {REQUESTED}:
            continue
        others = known[spec.channel, spec.connection, PurePosixPath(str(spec.options[option]))]
        for other in others:
            if agreement.start < other.end and other.start < agreement.end:
                what = f"Agreement {other.id} delivers to the same place."
                yield _problem(agreement, ("delivery", option), what, f"Name another {option}.")
        others.append(agreement)


def _problem(agreement: Agreement, at: Steps, what: str, fix: str) -> Problem:
    """Returns what is wrong at a place in an agreement's terms; nowhere in them when it has no steps."""
    path = spelled((*terms_place(agreement.path), *at)) if at else ""
    return located(Problem(file=agreement.path, path=path, what=what, fix=fix))
