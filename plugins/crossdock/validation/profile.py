"""What an extract looks like in numbers, and how far that is from what earlier ones looked like.

A profile holds sums over many rows, never the values of one: rows, shares of missing values, and, where the contract
asks for them, mean and quantiles of numbers and dates, and the shares of listed values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.bounds import bind_value
from crossdock.contracts.model import Column, Contract
from crossdock.validation.plan import Check

Profile = Mapping[str, Any]
LEAST_HISTORY = 3  # earlier extracts without which there is nothing to be far from
_LEAST_VALUES = 100  # fewer are no distribution, and would tell of single rows
_SAMPLE = 100_000  # rows, evenly spread, of which quantiles are taken
_QUANTILES = (0.25, 0.5, 0.75, 0.05, 0.95)
_OTHER = "other values"


def profile(contract: Contract, checks: Sequence[Check], typed_file: Path, nulls: Mapping[str, int]) -> Profile:
    """Returns an extract's profile.

    Args:
        contract: gives the columns their places.
        checks: those about drift say which columns' values and shares are wanted.
        typed_file: an Arrow IPC file with the columns c0, c1, ... in contract order; only wanted ones are read.
        nulls: how many rows lack a value, by column.
    """
    places = {column.name: place for place, column in enumerate(contract.columns)}
    wanted = {
        measure: {check.columns[0].name: check.columns[0] for check in checks if check.args.get("measure") == measure}
        for measure in ("values", "shares")
    }
    with pa.memory_map(str(typed_file)) as file, pa.ipc.open_file(file) as reader:
        rows = sum(reader.get_batch(number).num_rows for number in range(reader.num_record_batches))

        def batches(name: str) -> Iterator[pa.Array]:
            yield from (reader.get_batch(n).column(places[name]) for n in range(reader.num_record_batches))

        values = {name: _values(batches(name), max(1, rows // _SAMPLE)) for name in wanted["values"]}
        shares = {name: _shares(batches(name), _listed(contract, column)) for name, column in wanted["shares"].items()}
    return {
        "rows": rows,
        "missing": {name: count / rows for name, count in nulls.items()} if rows else {},
        "values": {name: found for name, found in values.items() if found},
        "shares": {name: found for name, found in shares.items() if found},
    }


def _values(batches: Iterator[pa.Array], step: int) -> list[float]:
    """Returns mean, quartiles, and the 5th and 95th percentile; nothing when there are few values."""
    total, count, sampled, seen = 0.0, 0, [], 0
    for batch in batches:
        numbers = _numbers(batch)
        there = numbers[np.isfinite(numbers)]
        total, count = total + float(there.sum()), count + len(there)
        sampled.append(numbers[-seen % step :: step])
        seen += len(numbers)
    if count < _LEAST_VALUES:
        return []
    sample = np.concatenate(sampled)
    sample = sample[np.isfinite(sample)]
    return [total / count, *map(float, np.quantile(sample, _QUANTILES))] if len(sample) else []


def _numbers(values: pa.Array) -> np.ndarray:
    """Returns values as 64-bit floats: dates as days, timestamps as their unit since 1970; nulls as not a number."""
    plain = values
    if pa.types.is_date32(values.type):
        plain = values.cast(pa.int32())
    elif pa.types.is_timestamp(values.type):
        plain = values.cast(pa.int64())
    floats = pc.fill_null(plain.cast(pa.float64(), safe=False), float("nan"))
    return np.asarray(floats)


def _listed(contract: Contract, column: Column) -> frozenset[str]:
    given = [rule.args["values"] for rule in contract.rules if rule.kind == "in_set" and rule.columns == (column.name,)]
    return frozenset(str(bind_value(value, column, where="")) for values in given for value in values)  # type: ignore[attr-defined] # a rule's values are a tuple


def _shares(batches: Iterator[pa.Array], listed: frozenset[str]) -> dict[str, float]:
    """Returns the share of each value that the contract lists; whatever it does not list is one more."""
    counts: Counter[str] = Counter()
    for batch in batches:
        for pair in batch.drop_null().value_counts():
            value = str(pair["values"].as_py())
            counts[value if value in listed else _OTHER] += pair["counts"].as_py()
    total = counts.total()
    return {value: count / total for value, count in sorted(counts.items())} if total >= _LEAST_VALUES else {}


def drifts(checks: Sequence[Check], now: Profile, earlier: Sequence[Profile]) -> Mapping[str, float | None]:
    """Returns how far an extract is from earlier ones, in percent, by the id of each rule that asks.

    None where fewer than LEAST_HISTORY of the earlier ones, the newest first, tell, or the extract itself does not.
    """
    found: dict[str, float | None] = {}
    for check in checks:
        if check.scope == "drift":
            measure, name = str(check.args["measure"]), check.columns[0].name if check.columns else ""
            history: Any = check.args["history"]
            past = [each for each in (_of(p, measure, name) for p in earlier) if each is not None][:history]
            present = _of(now, measure, name)
            known = present is not None and len(past) >= LEAST_HISTORY
            found[check.rule.id] = _DISTANCES[measure](present, past) if known else None
    return found


def _of(given: Profile, measure: str, name: str) -> Any:
    return given["rows"] if measure == "rows" else given[measure].get(name)


def _rows(now: int, past: Sequence[int]) -> float:
    return _percent(abs(now - median(past)), median(past))


def _missing(now: float, past: Sequence[float]) -> float:
    return 100 * abs(now - median(past))


def _moved(now: Sequence[float], past: Sequence[Sequence[float]]) -> float:
    """Returns how far mean or a quartile went at most, in percent of the usual way from the 5th to the 95th percentile."""
    spread = median(each[5] - each[4] for each in past)
    return max(_percent(abs(now[n] - median(each[n] for each in past)), spread) for n in range(4))


def _otherwise(now: Mapping[str, float], past: Sequence[Mapping[str, float]]) -> float:
    """Returns how many percent of the rows would need another value for the shares to be the usual ones."""
    values = set(now).union(*past)
    usual = {value: sum(each.get(value, 0.0) for each in past) / len(past) for value in values}
    return 50 * sum(abs(now.get(value, 0.0) - usual[value]) for value in values)


def _percent(part: float, whole: float) -> float:
    if not part:
        return 0.0
    return 100 * part / whole if whole else inf


_DISTANCES: Mapping[str, Callable[[Any, Sequence[Any]], float]] = {
    "rows": _rows,
    "missing": _missing,
    "values": _moved,
    "shares": _otherwise,
}
