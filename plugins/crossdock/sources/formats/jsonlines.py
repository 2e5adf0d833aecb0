"""JSON files: one object a line, or one list of objects, whatever the name says; read piece by piece."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import IO, Any

from crossdock.contracts.json_text import DECODER, RepeatedKey
from crossdock.contracts.model import Contract
from crossdock.sources.formats.file import DataFile, Decoded
from crossdock.sources.formats.records import NAMED_TWICE, Record, pull_records
from crossdock.sources.source import Pulled, option

_CHUNK = 1 << 20
_LONGEST = 64 << 20  # characters of one record
_SPACE = " \t\r\n"


def read(file: DataFile, contract: Contract) -> Pulled:
    """Opens a JSON file.

    Raises:
        SourceInvalid: while reading, where it is no JSON, is cut off, or holds something else than objects.
    """
    with file.guarded():
        stream = Decoded(file, file.open_bytes(), option(contract, "encoding", "utf-8"))
    buffered = io.BufferedReader(stream, _CHUNK)
    records = _listed(file, buffered) if buffered.peek(1).lstrip()[:1] == b"[" else _lines(file, buffered)
    return pull_records(records, contract, where=file.name)


def _lines(file: DataFile, stream: IO[bytes]) -> Iterator[Record]:
    number = 0
    while line := stream.readline(_LONGEST):
        number += 1
        text = line.strip()
        if text:
            try:
                yield _record(file, DECODER.decode(text.decode()), f"Line {number}")
            except RepeatedKey:
                raise file.invalid(f"Line {number} holds {NAMED_TWICE}.", "Name each key once.") from None
            except (ValueError, RecursionError):
                raise file.invalid(f"Line {number} is no JSON object.", "Write one JSON object in each line.") from None


def _listed(file: DataFile, stream: IO[bytes]) -> Iterator[Record]:
    """Yields the objects of one list, holding little more than one of them in memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    text, at, number, size = "", 0, 0, _CHUNK
    ended = False
    while True:
        at = _skip(text, at, _SPACE + ("[" if number == 0 else ","))
        if text[at : at + 1] == "]":
            if text[at + 1 :].strip(_SPACE) or stream.read().strip():
                raise file.invalid("Something follows the list.", "Write one list of objects and nothing else.")
            return
        found = _first(file, text, at, number + 1)
        if found:
            number, size = number + 1, _CHUNK
            yield found[0]
            at = found[1]
            continue
        if ended or len(text) - at > _LONGEST:
            raise file.invalid(
                f"Record {number + 1} is no JSON object, or the file is cut off.", "Send it again, whole."
            )
        more = stream.read(size)
        text, at, size, ended = text[at:] + decoder.decode(more, not more), 0, size * 2, not more


def _skip(text: str, at: int, letters: str) -> int:
    while at < len(text) and text[at] in letters:
        at += 1
    return at


def _first(file: DataFile, text: str, at: int, number: int) -> tuple[Record, int] | None:
    """Returns the object that begins here and where it ends; None while it is not all there."""
    if at >= len(text):
        return None
    if text[at] != "{":
        raise file.invalid(f"Record {number} is no object.", "Write a list of objects.")
    try:
        value, end = DECODER.raw_decode(text, at)
    except RepeatedKey:
        raise file.invalid(f"Record {number} holds {NAMED_TWICE}.", "Name each key once.") from None
    except (ValueError, RecursionError):
        return None
    return _record(file, value, f"Record {number}"), end


def _record(file: DataFile, value: Any, where: str) -> Record:
    if not isinstance(value, dict):
        raise file.invalid(f"{where} is no object.", "Each record must be an object: {...}.")
    return value
