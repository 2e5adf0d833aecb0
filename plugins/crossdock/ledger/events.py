"""Share events: one row per record delivered to one consumer, in one parquet file per delivery."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crossdock.errors import LedgerBroken, ObjectMissing, Transient, WrongUse
from crossdock.identity import canonical
from crossdock.ledger.tree import Tree, leaf_hash
from crossdock.storage.shelf import Shelf
from crossdock.storage.store import Store

Operation = Literal["insert", "update", "delete"]
OPERATIONS: tuple[Operation, ...] = ("insert", "update", "delete")
HASH = pa.binary(16)
SCHEMA = pa.schema(
    [
        pa.field("subject", HASH, nullable=False),  # whom the record is about, or the record when it is about nobody
        pa.field("record", HASH),  # null when it is the subject
        pa.field("operation", pa.dictionary(pa.int8(), pa.string()), nullable=False),
    ]
)
RUN = 1_048_576  # events that are sorted at a time
ROW_GROUP = 32_768  # rows; what a lookup reads
_ORDER, _ABOUT = ".order", ".json"
RUN_GROUPS = RUN // ROW_GROUP
LEAF = 1_024  # events that are one leaf of a delivery's Merkle tree
# An event in a leaf: subject, position in OPERATIONS, 1 if there is another record, that record (or zeros).
_EVENT = np.dtype([("subject", "V16"), ("operation", "u1"), ("named", "u1"), ("record", "V16")])


class EventWriter:
    """Writes the share events of one delivery to a local parquet file, about 16 bytes each, each RUN of them sorted.

    Use it as a context manager: leaving it normally makes the file whole, leaving it by an error removes the file.
    A delivery without events leaves a file without rows.
    """

    def __init__(self, path: Path, shelf: Shelf | None = None) -> None:
        self.path, self._shelf = path, shelf
        self.counts: dict[Operation, int] = dict.fromkeys(OPERATIONS, 0)
        self._waiting: list[pa.RecordBatch] = []
        self._rows_waiting = 0
        self._writer: pq.ParquetWriter | None = None
        self._order = path.with_suffix(_ORDER)  # where each event stood when it was added, in the file's order
        self._tree = Tree()
        self._again = self._name = ""  # the root of events that were taken over; the name under which to keep them

    @property
    def tree(self) -> str:
        """The root of the Merkle tree over all events in their order, LEAF of them a leaf, as hex; known once closed."""
        return self._again or self._tree.root().hex()

    @property
    def rows(self) -> int:
        """How many events were added."""
        return sum(self.counts.values())

    def add(self, record: pa.Array, subject: pa.Array | None, operation: pa.Array | str) -> None:
        """Adds one event per element.

        Args:
            record: keyed record hashes, fixed_size_binary(16) without nulls (`identity.keyed_hashes`).
            subject: keyed subject hashes of the same records, or None when the record hash is all there is.
            operation: "insert", "update" or "delete" for all, or an array of these words.

        Raises:
            WrongUse: lengths, types or words do not fit.
        """
        rows = len(record)
        record = _hashes(record, "record")
        if record.null_count:
            raise WrongUse("A share event needs a record hash; some are null.", where=str(self.path.name))
        about = pa.nulls(rows, HASH) if subject is None else _hashes(subject, "subject")
        codes = _codes(operation, rows)
        if not rows == len(about) == len(codes):
            raise WrongUse(
                f"{rows} records, {len(about)} subjects and {len(codes)} operations do not pair up.",
                where=str(self.path.name),
            )
        for counted in pc.value_counts(codes).to_pylist():
            self.counts[OPERATIONS[counted["values"]]] += counted["counts"]
        words = pa.DictionaryArray.from_arrays(codes, pa.array(OPERATIONS))
        if about.null_count == rows:
            about, record = record, about
        else:
            about, record = pc.coalesce(about, record), pc.if_else(about.is_valid(), record, None)
        self._waiting.append(pa.RecordBatch.from_arrays([about, record, words], schema=SCHEMA))
        self._rows_waiting += rows
        while self._rows_waiting >= RUN:
            self._write(RUN)

    def again(self, name: str) -> bool:
        """Takes over all events that another writer kept under a name; tells False when the shelf has none."""
        about = self.path.with_suffix(_ABOUT)
        shelf = self._shelf
        if not shelf or not all(shelf.take(name + path.suffix, path) for path in (self.path, self._order, about)):
            return False
        known = json.loads(about.read_bytes())
        self._again, self.counts = known["tree"], known["counts"]
        return True

    def keep(self, name: str) -> None:
        """Keeps all events on the shelf, once they are written, for deliveries that have the same."""
        self._name = name

    def close(self) -> None:
        """Writes what is waiting and makes the file whole."""
        if self._again:
            return
        if self._rows_waiting or self._writer is None:
            self._write(self._rows_waiting)
        if self._writer is not None:
            self._writer.close()
        if self._shelf and self._name:
            about = self.path.with_suffix(_ABOUT)
            about.write_bytes(canonical({"tree": self.tree, "counts": self.counts}))
            for path in (self.path, self._order, about):
                self._shelf.put(self._name + path.suffix, path)

    def _write(self, rows: int) -> None:
        """Writes the next run."""
        table = pa.Table.from_batches(self._waiting, schema=SCHEMA)
        run = table.slice(0, rows).combine_chunks()
        if self._writer is None:
            self._writer = open_writer(self.path, SCHEMA)
            self._order.touch()
        order = _order(run)
        with self._order.open("ab") as file:
            (order + np.uint32(self.rows - self._rows_waiting)).tofile(file)
        run = run.take(pa.array(order))
        self._writer.write_table(run, row_group_size=ROW_GROUP)
        for leaf in leaves_of(run):
            self._tree.add(leaf_hash(leaf))
        self._waiting = table.slice(rows).to_batches()
        self._rows_waiting -= rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        if self._writer is not None:
            self._writer.close()
        self.path.unlink(missing_ok=True)


def positions(path: Path, added: Collection[int]) -> dict[int, int]:
    """Returns where in its file a writer put the events that were added as the first (0), second (1), ..., position -> added."""
    order = np.fromfile(path.with_suffix(_ORDER), np.uint32)
    found = np.flatnonzero(np.isin(order, list(added)))
    return dict(zip(found.tolist(), order[found].tolist(), strict=True))


def open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Opens a parquet file for events that come sorted by subject; its row groups tell where each one begins and ends."""
    encodings = {"subject": "DELTA_BYTE_ARRAY", "record": "PLAIN", "entry": "DELTA_BINARY_PACKED"}
    return pq.ParquetWriter(
        path,
        schema,
        # Hashes are random: compression makes them no smaller; sorted, they share their beginnings.
        compression={name: "zstd" if name == "operation" else "none" for name in schema.names},
        use_dictionary=["operation"],
        column_encoding={name: encodings[name] for name in schema.names if name in encodings},
        write_statistics=["subject"],
    )


def _order(events: pa.Table) -> npt.NDArray[np.uint32]:
    """Returns the order of events by subject, then by record, then by operation.

    Hashes are random, so the first half of the subject's decides nearly always; only where it does not, the rest is
    looked at, which takes longer.
    """
    first = _halves(events["subject"])[:, 0]
    order = np.argsort(first)
    same = first[order][1:] == first[order][:-1]
    if same.any():
        tied = np.zeros(len(order), bool)
        tied[1:] |= same
        tied[:-1] |= same
        some = events.take(pa.array(order[tied]))
        subject, record = _halves(some["subject"]), _halves(some["record"])
        codes = np.asarray(_codes(some["operation"], some.num_rows))
        keys = (codes, record[:, 1], record[:, 0], subject[:, 1], subject[:, 0])
        order[tied] = order[tied][np.lexsort(keys)]
    return order.astype(np.uint32)


def _halves(hashes: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """Returns hashes as two numbers each that sort as their bytes do; a null as zeros."""
    octets = _hashes(hashes, "event").fill_null(bytes(16))
    return _sixteens(octets).view(">u8").reshape(-1, 2).astype(np.uint64)


def leaves_of(events: pa.Table) -> Iterator[bytes]:
    """Yields the leaves that a whole row group of events makes: 34 bytes per event, one after the other."""
    if not events.num_rows:
        return
    spelled = np.zeros(events.num_rows, _EVENT)
    subject, record = (_hashes(events[name], name) for name in ("subject", "record"))
    spelled["subject"] = _sixteens(subject)
    spelled["operation"] = _codes(events["operation"], events.num_rows)
    if record.null_count < len(record):
        there = np.asarray(record.is_valid())
        spelled["named"] = there
        spelled["record"][there] = _sixteens(record)[there]
    for start in range(0, len(spelled), LEAF):
        yield spelled[start : start + LEAF].tobytes()


def _sixteens(hashes: pa.Array) -> np.ndarray:
    return np.frombuffer(hashes.buffers()[1], "V16")[hashes.offset : hashes.offset + len(hashes)]


def _hashes(values: pa.Array, name: str) -> pa.Array:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if array.type != HASH:
        raise WrongUse(f"The {name} hashes are {array.type}, not {HASH}.", fix="Make them with identity.keyed_hashes.")
    return array


def _codes(operation: pa.Array | str, rows: int) -> pa.Array:
    """Returns operations as int8 positions in OPERATIONS."""
    if isinstance(operation, str):
        words = pa.repeat(operation, rows)
    else:
        words = operation.combine_chunks() if isinstance(operation, pa.ChunkedArray) else operation
    if isinstance(words, pa.DictionaryArray):
        codes = _codes(words.dictionary, len(words.dictionary)).take(words.indices)
    else:
        codes = pc.index_in(words, value_set=pa.array(OPERATIONS)).cast(pa.int8())
    if codes.null_count:
        raise WrongUse("A share event's operation is something else than insert, update or delete.")
    return codes


def read_events(store: Store, key: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yields the share events of one delivery, as record batches of `SCHEMA` or some of its columns.

    Raises:
        ObjectMissing: there is no such file.
        LedgerBroken: the file is not what an `EventWriter` wrote.
        Transient: the store did not give it.
    """
    with open_events(store, key, SCHEMA) as file, reading(key):
        yield from file.iter_batches(batch_size=ROW_GROUP, columns=columns)


def find_events(
    file: pq.ParquetFile, key: str, hashes: Sequence[bytes], columns: Sequence[str], *, run: int
) -> pa.Table:
    """Returns the events of a file that have one of the hashes as subject; reads only where they can be.

    Args:
        file: of events, sorted by subject in runs.
        key: its key, for errors.
        hashes: whom they are about.
        columns: what to return of them; `subject` is among them.
        run: how many row groups are one run.

    Raises:
        LedgerBroken: the file can't be read.
        Transient: the store did not give it.
    """
    with reading(key):
        metadata = file.metadata
        wanted: set[int] = set()
        for first in range(0, metadata.num_row_groups, run):
            groups = range(first, min(first + run, metadata.num_row_groups))
            for each in hashes:
                at = bisect_left(groups, each, key=lambda group: _ends(metadata, group).max)
                while at < len(groups) and _ends(metadata, groups[at]).min <= each:
                    wanted.add(groups[at])
                    at += 1
        found = file.read_row_groups(sorted(wanted), columns=columns)
        return found.filter(pc.is_in(found["subject"], value_set=pa.array(hashes, HASH)))


def _ends(metadata: pq.FileMetaData, group: int) -> pq.Statistics:
    """Returns the statistics that hold a row group's first and last subject."""
    return metadata.row_group(group).column(0).statistics


def open_events(store: Store, key: str, schema: pa.Schema) -> pq.ParquetFile:
    """Opens a parquet file of events.

    Raises:
        ObjectMissing: there is no such file.
        LedgerBroken: it has another schema, or is no parquet file.
        Transient: the store did not give it.
    """
    filesystem, root = store.filesystem()
    try:
        with reading(key):
            file = pq.ParquetFile(f"{root}/{key}", filesystem=filesystem)
    except FileNotFoundError as error:
        raise ObjectMissing("An event file that the ledger names is missing.", where=key, fix=_VERIFY) from error
    if not file.schema_arrow.equals(schema):
        file.close()
        raise _unreadable(key)
    return file


_VERIFY = "`crossdock ledger verify` names every broken place."


@contextmanager
def reading(key: str) -> Iterator[None]:
    """Tells a file that is no event file from a store that does not give it now."""
    try:
        yield
    except FileNotFoundError:
        raise
    except pa.ArrowInvalid as error:
        raise _unreadable(key) from error
    except OSError as error:
        raise Transient("The store did not give an event file.", where=key, fix=f"Try again. {_VERIFY}") from error


def _unreadable(key: str) -> LedgerBroken:
    return LedgerBroken("An event file cannot be read as share events.", where=key, fix=_VERIFY)
