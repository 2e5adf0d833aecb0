"""Every exception crossdock raises: each says what happened, where, and what to do about it.

`Permanent` errors come back the same however often the work is repeated, so Airflow must not retry them;
`Transient` ones may pass, so it should.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


class CrossdockError(Exception):
    """Base of every error crossdock raises.

    Args:
        what: what is wrong, in one sentence, without any personal value.
        where: the file, YAML path, dataset, table or object in which it is wrong.
        fix: what the reader can do about it.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(what, where, fix)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (type(self), self.what, self.where, self.fix)  # exceptions cross process borders

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f" {self.fix}" if self.fix else "")


def _rebuilt(kind: type[CrossdockError], what: str, where: str, fix: str) -> CrossdockError:
    return kind(what, where=where, fix=fix)


class Permanent(CrossdockError):
    """Repeating the work cannot help."""


class Transient(CrossdockError):
    """Repeating the work later may help."""


class Defect(Transient):
    """crossdock failed in a way that nobody foresaw; whether it passes, nobody knows."""


class WrongUse(Permanent):
    """A command or function was called with something that does not exist or does not fit."""


class SourceInvalid(Permanent):
    """A source's content cannot be read as its contract says (encoding, structure, missing file)."""


class SourceUnavailable(Transient):
    """A source did not answer."""


class RowFilterInvalid(Permanent):
    """An agreement's row filter cannot be read, or does not fit the contract's columns."""


class TransformInvalid(Permanent):
    """A transform broke its promise (rows lost, columns missing, unknown name)."""


class ConsumerUnavailable(Transient):
    """A consumer's system did not answer."""


class ConsumerRefused(Permanent):
    """A consumer's system answered, and will not take what is delivered."""


class DeliveryRefused(Permanent):
    """An agreement does not allow this delivery (unapproved, not yet valid, expired, unmatched)."""


class StorageConflict(Permanent):
    """An object of that name exists with other content."""


class StateDamaged(Permanent):
    """The state database's file or pages are not those of a database any more."""


class ObjectMissing(Permanent):
    """An object that the state names is not in the store."""


class ProofWrong(Permanent):
    """What was handed out as a proof proves nothing."""


class LedgerBroken(Permanent):
    """The ledger does not agree with itself or with the invariant `accepted = delivered + unchanged + filtered`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a contract, agreement, department or transform file."""

    file: Path
    path: str  # YAML path, such as schema[0].properties[3].quality[0].metric; "" for the file as a whole
    what: str
    fix: str = ""
    line: int | None = None  # 1-based

    def __str__(self) -> str:
        place = str(self.file) + (f":{self.line}" if self.line else "")
        return f"{place}: {self.path + ': ' if self.path else ''}{self.what}" + (f" {self.fix}" if self.fix else "")


class ContractInvalid(Permanent):
    """One or more contract, agreement or department files are wrong; `problems` holds all that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in problems) or "invalid contract")

    def __reduce__(self) -> tuple[type[ContractInvalid], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns "Did you mean 'x'?" for the nearest known word, else the (short) list of what is known."""
    names = sorted(set(known))
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f"Did you mean '{near[0]}'?"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"Known here: {', '.join(names[:12])}{more}." if names else "None is known here."
