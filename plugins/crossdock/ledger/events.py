"""Share events: one row per record delivered to one consumer, in one parquet file per delivery."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crossdock.columnar import all_null, in_one_piece
from crossdock.errors import WrongUse
from crossdock.identity import canonical, file_sha256
from crossdock.ledger.packing import writing
from crossdock.ledger.tree import Tree, leaf_hash
from crossdock.ordered import behind
from crossdock.storage.shelf import Shelf

if TYPE_CHECKING:
    from crossdock.sorting import Order

Operation = Literal["insert", "update", "delete"]
Codes = npt.NDArray[np.int8]  # operations by their places among
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
ORDER, _ABOUT = ".order", ".json"
RUN_GROUPS = RUN // ROW_GROUP
LEAF = 1_024  # events that are one leaf of a delivery's Merkle tree
_EVENT_BYTES = 34  # of an event in a leaf; see `compiled.spell_events`
_NONE = np.empty((0, 16), np.uint8)
_NONE.flags.writeable = False
_WORDS = pa.array(OPERATIONS)
# Events as they wait: operations by their place in OPERATIONS.
_WAITING = SCHEMA.set(2, pa.field("code", pa.int8(), nullable=False))


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
        self._open: ExitStack | None = None
        self._writer: pq.ParquetWriter
        self._order: BinaryIO  # where each event stood when it was added, in the file's order
        self._tree = Tree()
        self._finishing: Future[None] | None = None
        self._again = self._name = ""  # the root of events that were taken over; the name under which to keep them
        self.sha256 = ""  # of the file; known once closed

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
        about = in_one_piece(all_null(HASH, rows)) if subject is None else _hashes(subject, "subject")
        codes = _codes(operation, rows)
        if not rows == len(about) == len(codes):
            raise WrongUse(
                f"{rows} records, {len(about)} subjects and {len(codes)} operations do not pair up.",
                where=str(self.path.name),
            )
        for word, added in zip(OPERATIONS, np.bincount(codes, minlength=len(OPERATIONS)).tolist(), strict=True):
            self.counts[word] += added
        if about.null_count == rows:
            about, record = record, about
        else:
            about, record = pc.coalesce(about, record), pc.if_else(about.is_valid(), record, None)
        self._waiting.append(pa.RecordBatch.from_arrays([about, record, pa.array(codes)], schema=_WAITING))
        self._rows_waiting += rows
        while self._rows_waiting >= RUN:
            self._write(RUN)

    def again(self, name: str) -> bool:
        """Takes over all events that another writer kept under a name; tells False when the shelf has none."""
        about = self.path.with_suffix(_ABOUT)
        shelf = self._shelf
        taken = [
            shelf.take(name + path.suffix, path) if shelf else ""
            for path in (self.path, self.path.with_suffix(ORDER), about)
        ]
        if not all(taken):
            return False
        known = json.loads(about.read_bytes())
        self._again, self.counts, self.sha256 = known["tree"], known["counts"], taken[0]
        self._beside(self._settle)
        return True

    def keep(self, name: str) -> None:
        """Keeps all events on the shelf, once they are written, for deliveries that have the same."""
        self._name = name

    def done(self) -> None:
        """Says that all events were added: they are written while the caller does something else."""
        if not self._again:
            self._beside(self._finish)

    def _beside(self, work: Callable[[], None]) -> None:
        pool = ThreadPoolExecutor(1, thread_name_prefix="crossdock")
        self._finishing = pool.submit(work)
        pool.shutdown(wait=False)

    def _settle(self) -> None:
        """Brings the file to the disk: who stores it, once rows are encoded, need not wait for that then."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def _finish(self) -> None:
        if self._rows_waiting or self._open is None:
            self._write(self._rows_waiting)
        if self._open is not None:
            self._open.close()

    def close(self) -> None:
        """Writes what is waiting and makes the file whole."""
        if self._finishing:
            self._finishing.result()
        else:
            self._finish()
        if self._again:
            return
        self.sha256 = file_sha256(self.path)
        if self._shelf and self._name:
            about = self.path.with_suffix(_ABOUT)
            about.write_bytes(canonical({"tree": self.tree, "counts": self.counts}))
            for path, sha256 in ((self.path, self.sha256), (self.path.with_suffix(ORDER), None), (about, None)):
                self._shelf.put(self._name + path.suffix, path, sha256)

    def _write(self, rows: int) -> None:
        """Writes the next run."""
        table = pa.Table.from_batches(self._waiting, schema=_WAITING)
        columns = [each if _is_nothing(each) else in_one_piece(each) for each in table.slice(0, rows).columns]
        run = pa.table(columns, schema=_WAITING)
        if self._open is None:
            self._open = ExitStack()
            self._writer = self._open.enter_context(writing(self.path, SCHEMA))
            self._order = self._open.enter_context(self.path.with_suffix(ORDER).open("wb"))
        order = _order(run)
        (order + np.uint32(self.rows - self._rows_waiting)).tofile(self._order)
        subject, record, code = (_taken(column, order) for column in run.columns)
        words = pa.DictionaryArray.from_arrays(code, _WORDS)
        many = rows > ROW_GROUP  # for few, a thread takes longer than what it would do
        with behind(self._grow) if many else nullcontext(self._grow) as grow:
            grow(_leaves(subject, record, np.asarray(code)))
            self._writer.write_table(pa.table([subject, record, words], schema=SCHEMA), row_group_size=ROW_GROUP)
        self._waiting = table.slice(rows).to_batches()
        self._rows_waiting -= rows

    def _grow(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            self._tree.add(leaf_hash(leaf))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        if self._finishing:
            wait([self._finishing])
        if self._open is not None:
            self._open.close()
        self.path.unlink(missing_ok=True)


def _taken(column: pa.ChunkedArray, order: Order) -> pa.Array | pa.ChunkedArray:
    return all_null(HASH, len(column)) if _is_nothing(column) else in_one_piece(column).take(pa.array(order))


def _is_nothing(column: pa.ChunkedArray) -> bool:
    return len(column) > 0 and column.null_count == len(column)  # as are the records where they are the subjects


def _order(events: pa.Table) -> Order:
    """Returns the order of events by subject, then by record, then by operation; equal ones stay as they came.

    Hashes are random, so the first half of the subject's decides nearly always; only where it does not, the rest is
    looked at, which takes longer.
    """
    from crossdock.sorting import order_of

    def rest(tied: Order) -> tuple[npt.NDArray[Any], ...]:
        some = events.take(pa.array(tied))
        record = _halves(some["record"])
        return np.asarray(some["code"]), record[:, 1], record[:, 0], _halves(some["subject"])[:, 1]

    return order_of(_octets(_known(events["subject"])).view(">u8")[:, 0].astype(np.uint64), rest)


def _halves(hashes: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """Returns hashes as two numbers each that sort as their bytes do; a null as zeros."""
    return _octets(_known(hashes)).view(">u8").astype(np.uint64)


def _known(hashes: pa.ChunkedArray) -> pa.Array:
    """Returns hashes in one piece, zeros for nulls."""
    octets = _hashes(hashes, "event")
    return octets.fill_null(bytes(16)) if octets.null_count else octets


def leaves_of(events: pa.Table) -> Iterator[bytes]:
    """Yields the leaves that a whole row group of events makes: 34 bytes per event, one after the other."""
    subject, record = (_hashes(events[name], name) for name in ("subject", "record"))
    return _leaves(subject, record, _codes(events["operation"], events.num_rows))


def _leaves(subject: pa.Array, record: pa.Array | pa.ChunkedArray, codes: Codes) -> Iterator[bytes]:
    from crossdock.compiled import spell_events

    named = np.asarray(record.is_valid()) if record.null_count < len(record) else np.zeros(len(record), np.bool_)
    subjects, records = (_octets(each) if each.null_count < len(each) else _NONE for each in (subject, record))
    room, codes = np.empty((LEAF, _EVENT_BYTES), np.uint8), codes.view()
    codes.flags.writeable = False  # as the others: compiled loops are compiled once
    for start in range(0, len(codes), LEAF):
        part = slice(start, start + LEAF)
        leaf = room[: len(codes) - start]
        spell_events(subjects[part], records[part], codes[part], named[part], leaf)
        yield leaf.tobytes()


def _octets(hashes: pa.Array) -> npt.NDArray[np.uint8]:
    """Returns hashes as bytes, which are not to be written to."""
    octets = np.frombuffer(hashes.buffers()[1], np.uint8).reshape(-1, 16)[hashes.offset : hashes.offset + len(hashes)]
    octets.flags.writeable = False
    return octets


def _hashes(values: pa.Array, name: str) -> pa.Array:
    array = in_one_piece(values) if isinstance(values, pa.ChunkedArray) else values
    if array.type != HASH:
        raise WrongUse(f"The {name} hashes are {array.type}, not {HASH}.", fix="Make them with identity.keyed_hashes.")
    return array


def _codes(operation: pa.Array | str, rows: int) -> Codes:
    """Returns operations by their places in OPERATIONS."""
    codes: Codes
    if isinstance(operation, str):
        codes = np.full(rows, _code(operation), np.int8)
    else:
        words = operation.combine_chunks() if isinstance(operation, pa.ChunkedArray) else operation
        if not isinstance(words, pa.DictionaryArray):
            words = words.dictionary_encode()
        meant = [_code(word) for word in words.dictionary.to_pylist()]
        codes = np.array([*meant, -1], np.int8)[np.asarray(words.indices.fill_null(len(meant)))]
    if codes.min(initial=0) < 0:
        raise WrongUse("A share event's operation is something else than insert, update or delete.")
    return codes


def _code(word: str | None) -> int:
    return OPERATIONS.index(word) if word in OPERATIONS else -1
