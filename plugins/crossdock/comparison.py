"""Two versions of a contract, or of a whole contracts folder: what changed, and which consumers would break.

An agreement that was renewed together with its contract (it has another version than before) is taken as agreed anew:
what its consumer sees of the change is then no finding, only what can't be delivered is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from crossdock.contracts.agreement import APPROVED, Agreement
from crossdock.contracts.change import Change
from crossdock.contracts.documents import read_document
from crossdock.contracts.evolution import Edition, Evolution, evolve, read_edition
from crossdock.contracts.model import IN_FORCE, Contract
from crossdock.contracts.oaas import SUFFIX, read_agreement
from crossdock.contracts.odcs import CONTRACT_FILE
from crossdock.delivery.decide import contradictions
from crossdock.errors import ContractInvalid, Problem, WrongUse
from crossdock.identity import now

Fate = Literal["changed", "added", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An agreement in force whose consumer a change would break, and why."""

    agreement: str
    consumer: str
    reasons: tuple[str, ...]
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What became of one dataset; `evolution` is there when both versions of its contract are."""

    dataset: str
    fate: Fate
    path: Path
    evolution: Evolution | None = None
    broken: tuple[Broken, ...] = ()

    @property
    def findings(self) -> tuple[Problem, ...]:
        """What has to be mended before the new version can be taken over."""
        return tuple(_findings(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All datasets that changed, by id, and the files that could not be read, on either side."""

    datasets: tuple[Compared, ...]
    old_problems: tuple[Problem, ...] = ()
    new_problems: tuple[Problem, ...] = ()

    @property
    def findings(self) -> tuple[Problem, ...]:
        """The findings of all datasets."""
        return tuple(finding for dataset in self.datasets for finding in dataset.findings)


def compare(old: Path, new: Path) -> Comparison:
    """Compares two contract files, or two contracts folders; the agreements are those beside the new contracts.

    Raises:
        ContractInvalid: a contract on either side is wrong.
        WrongUse: one is a file and the other a folder.
    """
    if old.is_dir() != new.is_dir():
        raise WrongUse("A file can't be compared with a folder.", where=f"{old}, {new}", fix="Name two of one kind.")
    if old.is_dir():
        found = compare_folders(old, new)
        if problems := (*found.old_problems, *found.new_problems):
            raise ContractInvalid(problems)
        return found
    before, after = read_edition(old), read_edition(new)
    named = replace(
        before.contract,
        id=after.contract.id,
        department=after.contract.department,
        dataset=after.contract.dataset,
    )
    return Comparison(datasets=tuple(_evolved(replace(before, contract=named), after)))


def compare_folders(old: Path, new: Path) -> Comparison:
    """Compares every contract of two contracts folders; what can't be read is told and left out."""
    before, after = _contract_files(old), _contract_files(new)
    changed = {n for n in before.keys() & after.keys() if before[n].read_bytes() != after[n].read_bytes()}
    was, old_problems = _read_all(old, {n: p for n, p in before.items() if n in changed or n not in after})
    is_, new_problems = _read_all(new, {n: after[n] for n in changed})
    datasets = [each for name in changed & was.keys() & is_.keys() for each in _evolved(was[name], is_[name])]
    datasets += [Compared(dataset=n, fate="added", path=p) for n, p in after.items() if n not in before]
    datasets += [_removed(was[name].contract, old, new) for name in was if name not in after]
    return Comparison(
        datasets=tuple(sorted(datasets, key=lambda each: each.dataset)),
        old_problems=tuple(old_problems),
        new_problems=tuple(new_problems),
    )


def _contract_files(root: Path) -> dict[str, Path]:
    return {f"{p.parent.parent.name}/{p.parent.name}": p for p in sorted(root.glob(f"*/*/{CONTRACT_FILE}"))}


def _read_all(root: Path, paths: Mapping[str, Path]) -> tuple[dict[str, Edition], list[Problem]]:
    found: dict[str, Edition] = {}
    problems: list[Problem] = []
    for name, path in paths.items():
        try:
            found[name] = read_edition(path, root=root)
        except ContractInvalid as error:
            problems.extend(error.problems)
    return found, problems


def _evolved(old: Edition, new: Edition) -> Iterator[Compared]:
    evolution = evolve(old, new)
    if evolution.changes or evolution.old != evolution.new:
        yield Compared(
            dataset=new.contract.id,
            fate="changed",
            path=new.contract.path,
            evolution=evolution,
            broken=tuple(_broken(old.contract, new.contract, evolution.changes)),
        )


def _removed(contract: Contract, old: Path, new: Path) -> Compared:
    """Returns what a contract leaves behind, with the places where its files would be now."""
    live = [_read(path, contract)[0] for path in _agreement_files(contract)] if contract.status in IN_FORCE else []
    broken = [
        Broken(
            agreement=agreement.id,
            consumer=agreement.consumer,
            reasons=("The contract is removed.",),
            path=new / agreement.path.relative_to(old),
        )
        for agreement in live
        if agreement and _in_force(agreement)
    ]
    path = new / contract.path.relative_to(old)
    return Compared(dataset=contract.id, fate="removed", path=path, broken=tuple(broken))


def _agreement_files(contract: Contract) -> list[Path]:
    return sorted((contract.path.parent / "agreements").glob(f"*{SUFFIX}"))


def _in_force(agreement: Agreement) -> bool:
    return agreement.status in APPROVED and agreement.end > now()


def _broken(old: Contract, new: Contract, changes: Iterable[Change]) -> Iterator[Broken]:
    """Yields the agreements beside the new contract that worked with the old one and would not with the new one."""
    breaking = [change for change in changes if change.breaking] if old.status in IN_FORCE else []
    earlier = old.path.parent / "agreements"
    for path in _agreement_files(new):
        if earlier.is_dir() and not (earlier / path.name).is_file():
            continue  # made for the new contract
        (before, known), (after, refused) = _read(path, old), _read(path, new)
        agreement = after or before
        if agreement is None or not _in_force(agreement):
            continue
        reasons = [reason for reason in refused if reason not in known]
        agreed = _agreed(earlier / path.name, old) or agreement
        if agreed.version == agreement.version:
            reasons += [change.what for change in breaking if _sees(agreed, change)]
        if reasons:
            yield Broken(agreement=agreement.id, consumer=agreement.consumer, reasons=tuple(reasons), path=path)


def _read(path: Path, contract: Contract) -> tuple[Agreement | None, list[str]]:
    """Returns an agreement as it is read beside a contract, and what of it could not be delivered."""
    try:
        agreement = read_agreement(path, contract)
    except ContractInvalid as error:
        return None, [problem.what for problem in error.problems]
    return agreement, [objection.what for objection in contradictions(agreement, contract)]


def _agreed(path: Path, old: Contract) -> Agreement | None:
    """Returns an agreement as it was before; None when there was none, or none that could be read."""
    return _read(path, old)[0] if path.is_file() else None


def _sees(agreement: Agreement, change: Change) -> bool:
    """True when a change shows in what the agreement delivers."""
    if change.aspect == "key":
        return agreement.delivery.mode == "changes"
    hidden = {"type": ("mask", "generalise"), "values": ("drop",)}.get(change.aspect, ())
    protected = {name for name, protection in agreement.protect.items() if protection.kind in hidden}
    return set(change.columns) <= set(agreement.columns) - protected


def _findings(compared: Compared) -> Iterator[Problem]:
    evolution = compared.evolution
    if evolution and evolution.objection:
        fix = f"Write `version: {evolution.required}`." if evolution.required else "Write for example `version: 1.0.0`."
        line = read_document(compared.path).lines.get(("version",))
        yield Problem(file=compared.path, path="version", what=evolution.objection, fix=fix, line=line)
    for broken in compared.broken:
        what = f"Consumer '{broken.consumer}' would break. {' '.join(broken.reasons)}"
        if compared.fate == "removed":
            fix = "Set the contract's status to retired and end its agreements first; remove it later."
        else:
            fix = "Agree with the consumer, then adapt the agreement and raise its version; or take the change back."
        yield Problem(file=broken.path, path="", what=what, fix=fix)
