"""One difference between two versions of a contract, and what it is to those who rely on the dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["major", "minor", "patch"]
Aspect = Literal["form", "type", "values", "key", "dataset"]
LEVELS: tuple[Level, ...] = ("patch", "minor", "major")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference, told in a sentence.

    `level` is what consumers see of it: "major", something they rely on no longer holds; "minor", they are offered or
    promised more, or told something that binds; "patch", nothing but words. `burdens`: the source has to give more than
    it had to before. `aspect` says what of the data it is about: whether a column may be had by its name, of which
    type it is, which values may come, which columns are the key, or the dataset as a whole.
    """

    what: str
    level: Level
    aspect: Aspect
    columns: tuple[str, ...] = ()  # as the old contract names them; none for the dataset
    path: str = ""  # YAML path in the new contract, else in the old one
    burdens: bool = False

    @property
    def breaking(self) -> bool:
        """True when it breaks what a consumer may have built on the dataset."""
        return self.level == "major"
