"""From one version of a contract to the next: what changed, whom it breaks, and which version has to say so.

The version speaks to consumers. What breaks them needs a new major version, what offers or promises them more a new
minor one, anything else a new patch. A contract that was not in force bound nobody, and may change as it likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from croniter import croniter

from crossdock.contracts.change import LEVELS, Change, Level
from crossdock.contracts.column_changes import column_changes
from crossdock.contracts.documents import read_document
from crossdock.contracts.model import IN_FORCE, Contract, SourceSpec, TransformStep
from crossdock.contracts.odcs import read_contract
from crossdock.contracts.rule_changes import rule_changes, tolerates_less

_CLASSES = ("unconditional", "conditional", "none")  # from the widest to the narrowest
_VERSION = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:[-+].*)?")
_FIRINGS = 400  # of a schedule, to find its longest pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One version of a contract: what it means, and what its file says."""

    contract: Contract
    written: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution:
    """What changed between two editions of a contract.

    `required` is the least version that tells consumers of it; the old one when nothing has to be told, "" when the old
    version is no semantic one.
    """

    old: str
    new: str
    changes: tuple[Change, ...]
    required: str

    @property
    def objection(self) -> str:
        """What is wrong with the new version, in a sentence; "" when nothing is."""
        given, least = _numbers(self.new), _numbers(self.required)
        if given is None:
            return f"Version '{self.new}' is no semantic version, and consumers can't see what it breaks."
        if least is None or given >= least:
            return ""
        if self.required == self.old:
            return f"Version {self.new} goes back behind {self.old}."
        return f"Version {self.new} says too little for what changed since {self.old}."


def read_edition(path: Path, *, root: Path | None = None) -> Edition:
    """Reads one contract file as `read_contract` does, and keeps what it says beside.

    Raises:
        ContractInvalid: the file is wrong.
    """
    return Edition(contract=read_contract(path, root=root), written=read_document(path).data)


def evolve(old: Edition, new: Edition) -> Evolution:
    """Returns what changed, the heaviest first, and the version that it takes."""
    before, after = old.contract, new.contract
    found = [*_of_dataset(before, after), *column_changes(before, after), *rule_changes(before, after)]
    found += _of_service(old.written, new.written)
    if not found and _without_version(old.written) != _without_version(new.written):
        found = [Change(what="Words changed that promise nothing.", level="patch", aspect="dataset")]
    changes = tuple(sorted(found, key=lambda change: -LEVELS.index(change.level)))
    demanded = changes if before.status in IN_FORCE else ()
    return Evolution(
        old=before.version,
        new=after.version,
        changes=changes,
        required=required_version(before.version, demanded[0].level if demanded else None),
    )


def required_version(version: str, level: Level | None) -> str:
    """Returns the next version that tells of a change of this level (None: of nothing); "" after one without numbers."""
    numbers = _numbers(version)
    if numbers is None:
        return ""
    major, minor, patch = numbers
    return {
        None: version,
        "major": f"{major + 1}.0.0",
        "minor": f"{major}.{minor + 1}.0",
        "patch": f"{major}.{minor}.{patch + 1}",
    }[level]


def _numbers(version: str) -> tuple[int, int, int] | None:
    found = _VERSION.fullmatch(version)
    if not found:
        return None
    major, minor, patch = (int(number or 0) for number in found.groups())
    return major, minor, patch


def _of_dataset(old: Contract, new: Contract) -> Iterator[Change]:
    yield from _status(old, new)
    if old.sharing != new.sharing:
        tighter = _CLASSES.index(new.sharing) > _CLASSES.index(old.sharing)
        what = f"The sharing class was {old.sharing} and is now {new.sharing}."
        yield _dataset(what, "major" if tighter else "minor", "customProperties")
    elif old.sharing_basis != new.sharing_basis:
        yield _dataset("The legal basis of sharing changed.", "minor", "customProperties")
    if old.subject != new.subject:
        yield _dataset("Whom a record is about changed: others can ask who received it.", "minor", "customProperties")
    if old.tolerance != new.tolerance:
        less = tolerates_less(old.tolerance, new.tolerance)
        what = f"An extract may have {'fewer' if less else 'more'} failing rows."
        yield _dataset(what, "minor", "customProperties", burdens=less)
    yield from _schedule(old, new)
    for what, path in _unseen(old, new):
        yield _dataset(what, "patch", path)


def _dataset(what: str, level: Level, path: str, *, burdens: bool = False) -> Change:
    return Change(what=what, level=level, aspect="dataset", path=path, burdens=burdens)


def _status(old: Contract, new: Contract) -> Iterator[Change]:
    if old.status == new.status:
        return
    ends = old.status in IN_FORCE and new.status not in IN_FORCE
    stays_out = old.status not in IN_FORCE and new.status not in IN_FORCE
    what = f"The status was {old.status} and is now {new.status}" + (
        ": nothing is delivered any more." if ends else "."
    )
    yield _dataset(what, "major" if ends else "patch" if stays_out else "minor", "status")


def _schedule(old: Contract, new: Contract) -> Iterator[Change]:
    if old.schedule == new.schedule:
        return
    rarer = old.schedule is not None and (new.schedule is None or _pause(new.schedule) > _pause(old.schedule))
    what = f"The dataset is pulled {'less' if rarer else 'more'} often: {new.schedule or 'when asked'}, no longer {old.schedule or 'when asked'}."
    yield _dataset(what, "major" if rarer else "minor", "slaProperties", burdens=not rarer)


def _pause(schedule: str) -> float:
    """Returns the longest pause, in seconds, between two times of a schedule."""
    times = croniter(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    moments = islice(iter(lambda: float(times.get_next(float)), None), _FIRINGS)
    return max(later - earlier for earlier, later in pairwise(moments))


def _unseen(old: Contract, new: Contract) -> Iterator[tuple[str, str]]:
    """Yields what consumers can't see: how the data is got, and words."""
    for changed, what, path in (
        (_placeless(old.source) != _placeless(new.source), "It is pulled from elsewhere, or otherwise.", "customProperties"),
        ([*map(_placeless, old.transforms)] != [*map(_placeless, new.transforms)], "Its values are standardised otherwise.", "customProperties"),
        (old.null_tokens != new.null_tokens, "Other texts stand for a missing value at the source.", "customProperties"),
        (old.new_columns != new.new_columns, "Columns that only the source has are treated otherwise.", "customProperties"),
        (old.title != new.title, "The title changed.", "customProperties"),
        (old.description != new.description, "The description changed.", "description"),
        (old.theme != new.theme, "The theme changed.", "domain"),
    ):  # fmt: skip
        if changed:
            yield what, path


def _placeless(part: SourceSpec | TransformStep | None) -> SourceSpec | TransformStep | None:
    """Returns a part of a contract without its place in the file."""
    return replace(part, path="") if part else None


def _of_service(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yields service levels that crossdock does not measure: whether another value is a worse one, only people know."""
    before, after = _levels(old), _levels(new)
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield _dataset(f"The service level '{name}' is now promised.", "minor", "slaProperties", burdens=True)
        elif name not in after:
            yield _dataset(f"The service level '{name}' is no longer promised.", "major", "slaProperties")
        elif before[name] != after[name]:
            yield _dataset(f"The service level '{name}' changed.", "major", "slaProperties", burdens=True)


def _levels(written: Mapping[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for level in written.get("slaProperties") or []:
        name = str(level.get("property"))
        ruled = name.lower() == "latency" and level.get("element")
        if not ruled and name.lower() not in ("freshness", "frequency"):  # compared as a rule, and as the schedule
            found.setdefault(name, []).append([level.get(key) for key in ("value", "valueExt", "unit", "element")])
    return found


def _without_version(written: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in written.items() if key != "version"}
