"""Who is in the made-up registers: as many different identities as wanted, without keeping track of those used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np

from crossdock.demo.text import Numbers

HOME = "52"  # Guizhou, where everybody lives now

_FIRST_BIRTH = int(np.datetime64("1935-01-01").astype(np.int64))
_BIRTH_DAYS = 33_000
_SEQUENCES = 995  # 996 to 999 were kept for people over a hundred
_STRIDE = 7_368_787_003  # shares no factor with the sizes below: its multiples visit every place before any again


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a register is made of; the same settings make the same register."""

    rows: int
    seed: int
    as_of: date  # nothing in the register is newer
    counties: Sequence[str]  # codes of China's county-level divisions
    employers: int = 0  # population: how many of the enterprise register's codes serve as employers


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Where people were first registered: most of them in the home province."""

    home: Numbers
    away: Numbers
    seed: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Splits the counties into those of the home province and the others."""
        codes = sorted(settings.counties)
        home = [int(code) for code in codes if code.startswith(HOME)]
        away = [int(code) for code in codes if not code.startswith(HOME)]
        return cls(home=np.array(home, np.int64), away=np.array(away, np.int64), seed=settings.seed)

    def identities(self, people: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Returns region, day of birth (since 1970) and sequence (1 to 995) of each person; no two share all three."""
        moved = people % 20 >= 17
        regions, births, sequences = (np.empty(len(people), np.int64) for _ in range(3))
        for pool, rows in ((self.home, ~moved), (self.away, moved)):
            size = len(pool) * _BIRTH_DAYS * _SEQUENCES
            places = (people[rows] * (_STRIDE % size) + self.seed * 104_729) % size
            regions[rows] = pool[places % len(pool)]
            births[rows] = _FIRST_BIRTH + places // len(pool) % _BIRTH_DAYS
            sequences[rows] = places // len(pool) // _BIRTH_DAYS + 1
        return regions, births, sequences
