"""Which numbers keep a promise: from here to there, but not these; ODCS's operators in one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, isfinite
from typing import Any, Literal, Self

from open_data_contract_standard.model import DataQuality

from crossdock.errors import WrongUse

Number = int | float
# Whole rows from 0 on (ends become whole numbers too), a share of them from 0 to 100, or any number.
Measure = Literal["count", "share", "number"]
_MOST = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A range (None: no end on that side) less some gaps; both ends of a gap belong to it.

    `percent`: what is held against them is a share of the extract's rows, from 0 to 100.
    """

    low: Number | None = None
    high: Number | None = None
    strict_low: bool = False
    strict_high: bool = False
    gaps: tuple[tuple[Number, Number], ...] = ()
    percent: bool = False

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Self:
        """Reads what `args` wrote, from among the args of a rule."""
        return cls(
            low=args.get("min"),
            high=args.get("max"),
            strict_low=bool(args.get("strict_min")),
            strict_high=bool(args.get("strict_max")),
            gaps=tuple((first, last) for first, last in args.get("gaps", ())),
            percent=bool(args.get("percent")),
        )

    def args(self) -> dict[str, Any]:
        """Returns the limits as args of a rule; what says nothing is left out."""
        stated: dict[str, Any] = {"strict_min": self.strict_low, "strict_max": self.strict_high}
        stated |= {"gaps": self.gaps, "percent": self.percent}
        ends = {name: end for name, end in (("min", self.low), ("max", self.high)) if end is not None}
        return ends | {name: value for name, value in stated.items() if value}

    def hold(self, value: Number | Decimal | Fraction | None) -> bool:
        """Returns whether a number is within the limits, exactly; no number is not, and neither is infinity."""
        number = _exact(value)
        if number is None:
            return False
        low, high = _exact(self.low), _exact(self.high)
        if low is not None and (number < low or (self.strict_low and number == low)):
            return False
        if high is not None and (number > high or (self.strict_high and number == high)):
            return False
        gaps = ((_exact(first), _exact(last)) for first, last in self.gaps)
        return not any(first is not None and last is not None and first <= number <= last for first, last in gaps)

    def hold_of(self, count: int, rows: int) -> bool:
        """Returns whether a count of rows is within the limits, or its share if they are percent; of no rows it is 0."""
        return self.hold((Fraction(100 * count, rows) if rows else 0) if self.percent else count)

    @property
    def only_at_most(self) -> bool:
        """True when all they demand is that a count is not above something."""
        return not self.gaps and (self.low is None or (self.low <= 0 and not self.strict_low))

    def sentence(self, what: str) -> str:
        """Returns what is wrong with a number outside of them: "The number of rows is not at least 5."."""
        unit = " percent" if self.percent else ""
        more = "more than" if self.strict_low else "at least"
        less = "less than" if self.strict_high else "at most"
        parts = [f"{more} {self.low}{unit}"] * (self.low is not None)
        parts += [f"{less} {self.high}{unit}"] * (self.high is not None)
        if self.low is not None and self.low == self.high and not (self.strict_low or self.strict_high):
            parts = [f"{self.low}{unit}"]
        wrong = [f"is not {' and '.join(parts)}"] * bool(parts)
        wrong += [f"is {a}{unit}" if a == b else f"is from {a} to {b}{unit}" for a, b in self.gaps]
        return f"{what} {', or '.join(wrong)}."


def _exact(value: object) -> Fraction | None:
    """Returns a number as its decimal text says it: 0.1 is a tenth. None for no number, NaN and infinity."""
    if value is None or not isinstance(value, int | float | Decimal | Fraction):
        return None
    if isinstance(value, float):
        return Fraction(repr(value)) if isfinite(value) else None
    return None if isinstance(value, Decimal) and not value.is_finite() else Fraction(value)


def limits_of(given: DataQuality, of: Measure) -> Limits | None:
    """Returns what a quality entry's operators demand together of a measure; None when it has none.

    Raises:
        WrongUse: a bound is no number, or no number can be within them all.
    """
    stated = {name: getattr(given, name) for name in _READ if getattr(given, name) is not None}
    if not stated:
        return None
    each = [_READ[name](*_numbers(name, value, of)) for name, value in stated.items()]
    if of == "count":
        each = [_whole(limits) for limits in each]
    lows = sorted((end.low, end.strict_low) for end in each if end.low is not None)
    highs = sorted((end.high, not end.strict_high) for end in each if end.high is not None)
    both = Limits(
        low=lows[-1][0] if lows else None,
        strict_low=lows[-1][1] if lows else False,
        high=highs[0][0] if highs else None,
        strict_high=not highs[0][1] if highs else False,
        gaps=tuple(gap for limits in each for gap in limits.gaps),
    )
    if _empty(both, of):
        raise WrongUse(f"No number is in the range that {' and '.join(stated)} leave(s).")
    return both


_READ: Mapping[str, Callable[..., Limits]] = {
    "mustBe": lambda n: Limits(low=n, high=n),
    "mustNotBe": lambda n: Limits(gaps=((n, n),)),
    "mustBeGreaterThan": lambda n: Limits(low=n, strict_low=True),
    "mustBeGreaterOrEqualTo": lambda n: Limits(low=n),
    "mustBeLessThan": lambda n: Limits(high=n, strict_high=True),
    "mustBeLessOrEqualTo": lambda n: Limits(high=n),
    "mustBeBetween": lambda a, b: Limits(low=a, high=b),
    "mustNotBeBetween": lambda a, b: Limits(gaps=((a, b),)),
}


def _numbers(name: str, value: Any, of: Measure) -> list[Number]:
    numbers = value if name.endswith("Between") else [value]
    least = -_MOST if of == "number" else 0
    if len(numbers) != (2 if name.endswith("Between") else 1):
        raise WrongUse(f"{name} takes two numbers.", fix="Write for example `[1, 10]`.")
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and least <= n <= _MOST for n in numbers):
        raise WrongUse(f"The bound of {name} must be a number from {least:,} to {_MOST:,}.")
    if of == "count" and name in ("mustBe", "mustNotBe") and numbers[0] != int(numbers[0]):
        raise WrongUse("A number of rows is whole.")
    if numbers[0] > numbers[-1]:
        raise WrongUse(f"{name} goes from the smaller to the greater number.")
    return numbers


def _whole(limits: Limits) -> Limits:
    """Moves ends to the whole numbers that mean the same: more than 1.5 rows are at least 2."""
    low, high = limits.low, limits.high
    first = None if low is None else floor(low) + 1 if limits.strict_low else ceil(low)
    last = None if high is None else ceil(high) - 1 if limits.strict_high else floor(high)
    gaps = tuple((ceil(a), floor(b)) for a, b in limits.gaps)
    beyond = [b + 1 for a, b in gaps if a == 0]  # there are no fewer rows than none
    return Limits(low=beyond[0] if beyond else first, high=last, gaps=() if beyond else gaps)


def _empty(limits: Limits, of: Measure) -> bool:
    least, most = {"count": (0, None), "share": (0, 100), "number": (None, None)}[of]
    low, strict_low = (least, False) if limits.low is None else (limits.low, limits.strict_low)
    high, strict_high = (most, False) if limits.high is None else (limits.high, limits.strict_high)
    if low is None or high is None:
        return False
    covered = any(first <= low and high <= last for first, last in limits.gaps)
    return low > high or (low == high and (strict_low or strict_high)) or covered
