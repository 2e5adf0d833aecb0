"""How a text file is laid out: its encoding, tried on every byte, and its delimiter, from the first line."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator

from crossdock.errors import SourceInvalid
from crossdock.sources.formats.file import DataFile, Decoded

_DELIMITED = ("csv", "tsv", "txt")
_TEXTS = (*_DELIMITED, "jsonl", "ndjson", "json")
_CHUNK = 1 << 20
_HEAD = 1 << 16


def find_layout(file: DataFile) -> dict[str, str]:
    """Returns the options (format, encoding, delimiter) by which a file can be read.

    Raises:
        SourceInvalid: a text file is in no encoding that is tried: UTF-8, GB 18030, UTF-16.
    """
    if file.suffix not in _TEXTS:
        return {"format": file.suffix}
    encoding = _encoding(file)
    layout = {"format": "csv" if file.suffix == "txt" else file.suffix, "encoding": encoding}
    delimiter = _delimiter(file, encoding) if file.suffix in _DELIMITED else ""
    return layout | ({"delimiter": delimiter} if delimiter else {})


def _encoding(file: DataFile) -> str:
    with file.guarded(), file.open_bytes() as stream:
        head = stream.read(_HEAD)
    for encoding in _candidates(head):
        try:
            deque(_decoded(file, encoding), maxlen=0)
        except SourceInvalid:
            continue
        return encoding
    raise file.invalid("It is no text in UTF-8, GB 18030 or UTF-16.", "Save it as UTF-8.")


def _candidates(head: bytes) -> tuple[str, ...]:
    """UTF-16 has a mark at its beginning, or zeros in every other place: text in the other encodings has none."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ("utf-16",)
    if b"\0" in head:
        return ("utf-16-le",) if head[1::2].count(0) > head[::2].count(0) else ("utf-16-be",)
    return ("utf-8", "gb18030")


def _decoded(file: DataFile, encoding: str) -> Iterator[bytes]:
    with file.guarded(), Decoded(file, file.open_bytes(), encoding) as stream:
        while piece := stream.read(_CHUNK):
            yield piece


def _delimiter(file: DataFile, encoding: str) -> str:
    """Returns the delimiter when it is not the format's own: one that stands in the first two lines."""
    usual = "\t" if file.suffix == "tsv" else ","
    with file.guarded(), io.BufferedReader(Decoded(file, file.open_bytes(), encoding)) as stream:
        lines = [stream.readline(_HEAD).decode(errors="ignore") for _ in range(2)]
    header, *rows = [line for line in lines if line] or [""]
    if usual in header:
        return ""
    others = [each for each in (",", ";", "\t", "|") if each in header and all(each in row for row in rows)]
    return max(others, key=header.count, default="")
