"""Rules on what is inside of nested columns: kernels see all values of a path at once, and a row breaks with any of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.errors import WrongUse
from crossdock.validation.nesting import any_of, reach
from crossdock.validation.plan import Check


def run_inside(check: Check, typed: pa.RecordBatch, misfit: pa.BooleanArray) -> tuple[pa.BooleanArray, int]:
    """Returns which rows break a check on a path, and on how many rows it could be judged.

    Args:
        check: has a way.
        typed: the rows.
        misfit: the rows in which a value at the path does not fit its type: it breaks the type and no other rule.

    Raises:
        WrongUse: the check has no kernel.
    """
    values, rows = reach(typed.column(check.way[0].name), check.way)
    misfits = misfit.to_numpy(zero_copy_only=False)
    judged = np.zeros(typed.num_rows, np.bool_)
    judged[rows if check.judges_presence else rows[values.is_valid().to_numpy(zero_copy_only=False)]] = True
    if check.scope == "type":
        return misfit, int((judged | misfits).sum())
    if check.kernel is None:
        raise WrongUse("There is no kernel for it.", where=f"rule {check.rule.id}")
    broken = any_of(check.kernel(values), rows, typed.num_rows)
    return (pc.and_not(broken, misfit) if check.judges_presence else broken), int(judged.sum())
