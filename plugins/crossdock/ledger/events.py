"""Share events: one row per record delivered to one consumer, in one parquet file per delivery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crossdock.errors import CrossdockError, LedgerBroken, ObjectMissing, Transient, WrongUse
from crossdock.ledger.tree import Tree, leaf_hash
from crossdock.storage.store import Store

Operation = Literal["insert", "update", "delete"]
OPERATIONS: tuple[Operation, ...] = ("insert", "update", "delete")
HASH = pa.binary(16)
SCHEMA = pa.schema(
    [
        pa.field("record", HASH, nullable=False),
        pa.field("subject", HASH),  # null when the record is about nobody, or the record itself is the subject
        pa.field("operation", pa.dictionary(pa.int8(), pa.string()), nullable=False),
    ]
)
ROW_GROUP = 131_072  # rows; one bloom filter each
LEAF = 1_024  # events that are one leaf of a delivery's Merkle tree
# An event in a leaf: record, position in OPERATIONS, 1 if there is a subject, subject (or zeros).
_EVENT = np.dtype([("record", "V16"), ("operation", "u1"), ("about", "u1"), ("subject", "V16")])


class EventWriter:
    """Writes the share events of one delivery to a local parquet file, about 17 bytes each.

    Use it as a context manager: leaving it normally makes the file whole, leaving it by an error removes the file.
    A delivery without events leaves a file without rows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: dict[Operation, int] = dict.fromkeys(OPERATIONS, 0)
        self._waiting: list[pa.RecordBatch] = []
        self._rows_waiting = 0
        self._writer: pq.ParquetWriter | None = None
        self._tree = Tree()

    @property
    def tree(self) -> str:
        """The root of the Merkle tree over all events in their order, LEAF of them a leaf, as hex; known once closed."""
        return self._tree.root().hex()

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
        subject = pa.nulls(rows, HASH) if subject is None else _hashes(subject, "subject")
        codes = _codes(operation, rows)
        if not rows == len(subject) == len(codes):
            raise WrongUse(
                f"{rows} records, {len(subject)} subjects and {len(codes)} operations do not pair up.",
                where=str(self.path.name),
            )
        for counted in pc.value_counts(codes).to_pylist():
            self.counts[OPERATIONS[counted["values"]]] += counted["counts"]
        words = pa.DictionaryArray.from_arrays(codes, pa.array(OPERATIONS))
        self._waiting.append(pa.RecordBatch.from_arrays([record, subject, words], schema=SCHEMA))
        self._rows_waiting += rows
        while self._rows_waiting >= ROW_GROUP:
            self._write(ROW_GROUP)

    def close(self) -> None:
        """Writes what is waiting and makes the file whole."""
        if self._rows_waiting or self._writer is None:
            self._write(self._rows_waiting)
        if self._writer is not None:
            self._writer.close()

    def _write(self, rows: int) -> None:
        """Writes the next row group; the first one tells how large the bloom filters need to be."""
        table = pa.Table.from_batches(self._waiting, schema=SCHEMA)
        group = table.slice(0, rows)
        if self._writer is None:
            self._writer = _open_writer(self.path, group)
        self._writer.write_table(group, row_group_size=ROW_GROUP)
        for leaf in leaves_of(group):
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


def leaves_of(events: pa.Table) -> Iterator[bytes]:
    """Yields the leaves that a whole row group of events makes: 34 bytes per event, one after the other."""
    if not events.num_rows:
        return
    spelled = np.zeros(events.num_rows, _EVENT)
    record, subject = (_hashes(events[name], name) for name in ("record", "subject"))
    spelled["record"] = _sixteens(record)
    spelled["operation"] = _codes(events["operation"], events.num_rows)
    if subject.null_count < len(subject):
        there = np.asarray(subject.is_valid())
        spelled["about"] = there
        spelled["subject"][there] = _sixteens(subject)[there]
    for start in range(0, len(spelled), LEAF):
        yield spelled[start : start + LEAF].tobytes()


def _sixteens(hashes: pa.Array) -> np.ndarray:
    return np.frombuffer(hashes.buffers()[1], "V16")[hashes.offset : hashes.offset + len(hashes)]


def _open_writer(path: Path, first: pa.Table) -> pq.ParquetWriter:
    hashed = ["record"] if first["subject"].null_count == first.num_rows else ["record", "subject"]
    filters = {name: {"ndv": first.num_rows, "fpp": 0.05} for name in hashed} if first.num_rows else None
    return pq.ParquetWriter(
        path,
        SCHEMA,
        # Hashes are random: neither compression nor a dictionary makes them smaller.
        compression={"record": "none", "subject": "none", "operation": "zstd"},
        use_dictionary=["operation"],
        write_statistics=["operation"],
        bloom_filter_options=filters,
    )


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


def read_events(store: Store, key: str) -> Iterator[pa.RecordBatch]:
    """Yields the share events of one delivery, as record batches of `SCHEMA`.

    Raises:
        ObjectMissing: there is no such file.
        LedgerBroken: the file is not what an `EventWriter` wrote.
        Transient: the store did not give it.
    """
    with _open(store, key) as file:
        batches = file.iter_batches(batch_size=ROW_GROUP)
        while True:
            try:
                yield next(batches)
            except StopIteration:
                return
            except (pa.ArrowInvalid, OSError) as error:
                raise _unreadable(key, error) from error


def count_events(store: Store, key: str) -> Mapping[Operation, int]:
    """Returns how many records one delivery inserted, updated and deleted, counted in its event file; raises as above."""
    with _open(store, key) as file:
        try:
            return _tally(file.read(columns=["operation"])["operation"])
        except (pa.ArrowInvalid, OSError) as error:
            raise _unreadable(key, error) from error


def find_events(store: Store, key: str, hashes: pa.Array) -> Mapping[Operation, int]:
    """Returns how many events of one delivery, by operation, have one of the hashes as record or as subject.

    Raises as `read_events` does.
    """
    found = [pa.array([], pa.string())]
    for batch in read_events(store, key):
        wanted = pc.is_in(batch["record"], value_set=hashes)
        if batch["subject"].null_count < batch.num_rows:
            wanted = pc.or_(wanted, pc.is_in(batch["subject"], value_set=hashes))
        if wanted.true_count:
            found.append(batch["operation"].filter(wanted).dictionary_decode())
    return _tally(pa.chunked_array(found))


def _tally(words: pa.ChunkedArray) -> Mapping[Operation, int]:
    counts: dict[Operation, int] = dict.fromkeys(OPERATIONS, 0)
    for counted in pc.value_counts(words).to_pylist():
        counts[counted["values"]] += counted["counts"]
    return counts


def _open(store: Store, key: str) -> pq.ParquetFile:
    filesystem, root = store.filesystem()
    try:
        file = pq.ParquetFile(f"{root}/{key}", filesystem=filesystem)
    except FileNotFoundError as error:
        raise ObjectMissing("An event file that the ledger names is missing.", where=key, fix=_VERIFY) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(key, error) from error
    if not file.schema_arrow.equals(SCHEMA):
        raise _unreadable(key)
    return file


_VERIFY = "`crossdock ledger verify` names every broken place."


def _unreadable(key: str, error: Exception | None = None) -> CrossdockError:
    """Tells a file that is no event file from a store that does not give it now."""
    if isinstance(error, OSError):
        return Transient("The store did not give an event file.", where=key, fix=f"Try again. {_VERIFY}")
    return LedgerBroken("An event file cannot be read as share events.", where=key, fix=_VERIFY)
