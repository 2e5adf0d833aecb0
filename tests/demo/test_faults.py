import numpy as np
import pyarrow as pa
import pytest

from crossdock.demo.faults import SHARE, Copying, FaultPlan, Spoiling

KINDS = (
    Spoiling(rules=("a.not_null",), column="a", values=[None]),
    Spoiling(rules=("a.pattern", "a.length"), column="a", change=lambda text: text + "!"),
    Copying(rules=("a+b.unique",), columns=("a", "b")),
)


def spoil(rows, seed=0):
    before = {"a": pa.array([f"a{i}" for i in range(rows)]), "b": pa.array(range(rows))}
    after = dict(before)
    plan = FaultPlan(np.random.default_rng(seed), rows=rows, kinds=len(KINDS))
    plan.apply(KINDS, after)
    return before, after, plan


@pytest.mark.parametrize("rows", [200, 1_001, 60_000])
@pytest.mark.parametrize("seed", range(5))
def test_exactly_the_listed_rows_are_spoiled_each_in_one_way(rows, seed):
    _, after, plan = spoil(rows, seed)
    listed = {row["arrival"] - 10: row["rules"] for row in plan.table(10).to_pylist()}
    a, b = after["a"].to_pylist(), after["b"].to_pylist()
    share = max(1, round(rows * SHARE / 3))
    assert len(listed) == 4 * share
    copies = 0
    for row in range(rows):
        match listed.get(row):
            case ["a.not_null"]:
                assert a[row] is None
            case ["a.pattern", "a.length"]:
                assert a[row] == f"a{row}!"
            case ["a+b.unique"]:
                assert [(a[i], b[i]) for i in range(rows)].count((a[row], b[row])) == 2
                copies += 1
            case None:
                assert (a[row], b[row]) == (f"a{row}", row)
    assert copies == 2 * share
    assert rows - 1 not in listed
    assert plan.sound(rows).sum() == rows - len(listed)


@pytest.mark.parametrize("rows", [1, 2, 199])
def test_a_small_chunk_stays_sound(rows):
    before, after, plan = spoil(rows)
    assert after == before
    assert plan.table(0).num_rows == 0
