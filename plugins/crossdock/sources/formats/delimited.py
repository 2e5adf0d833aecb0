"""CSV and TSV: every value as it is written. Nothing between delimiters is null, "" is an empty text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.csv as pacsv

from crossdock.contracts.model import Contract
from crossdock.errors import SourceInvalid
from crossdock.sources.formats.file import DataFile, Decoded, text_schema
from crossdock.sources.source import Match, Pulled, match_columns, option

_BLOCK = 8 << 20  # bytes parsed at a time: the longest record there can be
_HEADER = 1 << 20
_END = "crossdock-end-of-file"  # a last line of our own: an unclosed quote, or a file cut off in one, swallows it
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$")


def read(file: DataFile, contract: Contract) -> Pulled:
    """Opens a delimited file with a header line; `delimiter` and `encoding` are the contract's.

    Raises:
        SourceInvalid: the header is missing or doubtful (while reading: a line has too few or too many values).
    """
    delimiter = option(contract, "delimiter") or ("\t" if file.suffix == "tsv" else ",")
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise file.invalid("The delimiter must be one ASCII character.", 'Write delimiter: ";" or leave it out.')
    with file.guarded():
        stream = Decoded(file, file.open_bytes(), option(contract, "encoding", "utf-8"))
    header, lines = _header(file, stream, delimiter)
    stream.tail = "\n" + delimiter.join([_END] * len(header)) + "\n"
    match = match_columns(contract, header, where=file.name)
    return Pulled(
        batches=_batches(file, stream, _Layout(delimiter, len(header), lines, match)),
        schema=text_schema(match.names),
        missing=match.missing,
        extra=match.extra,
    )


class _Layout:
    """How the lines after the header are laid out, and the first that is not so."""

    def __init__(self, delimiter: str, width: int, lines: int, match: Match) -> None:
        self.delimiter, self.lines, self.match = delimiter, lines, match
        self.names = [f"c{index}" for index in range(width)]
        self._ragged: pacsv.InvalidRow | None = None

    def parse(self, stream: IO[bytes]) -> pacsv.CSVStreamingReader:
        wanted = [self.names[position] for position in self.match.positions]
        return pacsv.open_csv(
            stream,
            # With threads Arrow can't number the rows, and is slower at this.
            read_options=pacsv.ReadOptions(column_names=self.names, block_size=_BLOCK, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=self._note
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()),
                include_columns=wanted,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def broken(self, file: DataFile) -> SourceInvalid:
        """Returns the error for lines that did not parse."""
        row = self._ragged
        if row is None:
            return file.invalid(
                f"A quote is not closed, or a record is longer than {_BLOCK:,} bytes.",
                "Mend the file's quotes; if it was cut off, have it sent again.",
            )
        return file.invalid(
            f"Line {row.number + self.lines} has {row.actual_columns} values, the header has {row.expected_columns} "
            "(a value that holds line breaks counts as one line).",
            "Quote values that hold the delimiter, and give every line as many values as the header.",
        )

    def _note(self, row: pacsv.InvalidRow) -> str:
        self._ragged = self._ragged or row
        return "error"


def _header(file: DataFile, stream: Decoded, delimiter: str) -> tuple[list[str], int]:
    """Reads the header line and leaves the stream behind it; returns the names and how many lines it took."""
    head = b""
    while len(head) < _HEADER and (more := stream.read(_HEADER)):
        head += more
    taken: list[str] = []
    lines = _noted(_LINE.findall(head.decode(errors="ignore")), taken)
    try:
        names = next((row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row), [])
    except csv.Error:
        names = []
    if not names:
        raise file.invalid("It has no header line with column names.", "Write the column names in the first line.")
    stream.unread(head[len("".join(taken).encode()) :])
    return names, len(taken)


def _noted(lines: list[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _batches(file: DataFile, stream: Decoded, layout: _Layout) -> Iterator[pa.RecordBatch]:
    schema = text_schema(layout.match.names)
    last: pa.RecordBatch | None = None
    try:
        for batch in layout.parse(io.BufferedReader(stream, _BLOCK)):
            if not batch.num_rows:
                continue
            if last is not None:
                yield last
            last = pa.RecordBatch.from_arrays(batch.columns, schema=schema)
    except pa.ArrowInvalid:
        # Arrow's message holds the line's content: it is not passed on.
        raise layout.broken(file) from None
    if last is None or any(column[-1].as_py() != _END for column in last.columns):
        raise layout.broken(file)
    yield last.slice(0, last.num_rows - 1)
