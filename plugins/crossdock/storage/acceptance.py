"""How a verdict comes to count: it is recorded, its snapshot comes into force, and older quarantine entries are closed."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crossdock.errors import Transient
from crossdock.storage import tables
from crossdock.storage.quarantine import settle
from crossdock.storage.records import Snapshot, Verdict
from crossdock.storage.rows import add, columns_of, newest_snapshot
from crossdock.storage.state import State


def record_verdict(state: State, verdict: Verdict, snapshot: Snapshot | None, *, base: Snapshot | None = None) -> None:
    """Records a verdict and puts its snapshot into force, in one transaction; nothing changes when it is known.

    Args:
        state: where.
        verdict: what was found.
        snapshot: its accepted rows; None when there are none to put into force.
        base: the snapshot that they were joined to.

    Raises:
        Transient: another snapshot than `base` is in force by now; judge again.
    """
    with state.begin() as connection:
        current = newest_snapshot(connection, tables.snapshot.c.dataset == verdict.dataset)
        if base and (current is None or current["seq"] != base.seq):
            raise Transient("The snapshot changed meanwhile.", where=verdict.dataset, fix="Validate the extract again.")
        values = columns_of(verdict) | {"findings": [f.to_dict() for f in verdict.findings]}
        if not add(connection, tables.verdict, values):
            return
        late = base is None and _superseded(connection, verdict)
        settle(connection, values, late=late)
        if snapshot is None:
            return
        seq: dict[str, int] = {}
        if late:
            # Below all that ever were in force: known, should the source go back to it, but not the current one.
            lowest = connection.execute(sa.select(sa.func.min(tables.snapshot.c.seq))).scalar_one()
            seq = {"seq": min(lowest, 0) - 1}
        connection.execute(tables.snapshot.insert().values(columns_of(snapshot, without="seq") | seq))


def reaccept(state: State, verdict: Verdict) -> None:
    """Puts the snapshot of a known verdict into force again when the source went back to what it held before."""
    with state.begin() as connection:
        mine = newest_snapshot(connection, tables.snapshot.c.verdict == verdict.id)
        current = newest_snapshot(connection, tables.snapshot.c.dataset == verdict.dataset)
        late = _superseded(connection, verdict)
        settle(connection, columns_of(verdict), late=late)
        if mine and current and current["verdict"] != verdict.id and not late:
            again = {name: value for name, value in mine.items() if name != "seq"}
            connection.execute(tables.snapshot.insert().values(again))


def _superseded(connection: Connection, verdict: Verdict) -> bool:
    """True when the snapshot in force comes from an extract pulled later: a late judgement must not bring old data back."""
    current = newest_snapshot(connection, tables.snapshot.c.dataset == verdict.dataset)
    if current is None:
        return False
    pulled = (
        sa.select(tables.extract.c.pulled_at)
        .join(tables.verdict, tables.verdict.c.extract == tables.extract.c.id)
        .where(tables.verdict.c.id == sa.bindparam("verdict"))
    )
    theirs = connection.execute(pulled, {"verdict": current["verdict"]}).scalar_one()
    mine = connection.execute(pulled, {"verdict": verdict.id}).scalar_one()
    return bool(theirs > mine)
