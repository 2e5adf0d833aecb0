"""One data file, wherever it lies: its bytes unpacked, its texts decoded strictly."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import pyarrow as pa
import pyarrow.fs as pafs

from crossdock.errors import SourceInvalid, SourceUnavailable

_CHUNK = 1 << 20
_PACKED = (".gz", ".zip")
_THREE_BYTES = range(0x800, 0x10000)  # code points that UTF-8 spells with three bytes: all common Chinese


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file of a filesystem; `name` is what people know it by, for messages."""

    name: str
    path: str
    filesystem: pafs.FileSystem

    @property
    def suffix(self) -> str:
        """The format's part of the name, in small letters: "csv" of "flights.CSV.zip"."""
        name = self.path.rpartition("/")[2].lower()
        for packed in _PACKED:
            name = name.removesuffix(packed)
        return name.rpartition(".")[2] if "." in name else ""

    def invalid(self, what: str, fix: str = "") -> SourceInvalid:
        """Returns the error that this file is not as it should be."""
        return SourceInvalid(what, where=self.name, fix=fix)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turns what reading raises into our errors."""
        try:
            yield
        except FileNotFoundError:
            raise self.invalid("The file is gone.", "Wait until the department has put it there again.") from None
        except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError):
            raise self.invalid(
                "The packed file is damaged or cut off.", "Ask the department to send it again."
            ) from None
        except OSError as error:
            raise SourceUnavailable(
                f"The file can't be read now ({type(error).__name__}).",
                where=self.name,
                fix="Check our rights on it and the way to it.",
            ) from None

    def open_bytes(self) -> IO[bytes]:
        """Opens the file's content, unpacked when it is a .gz or a .zip of one file."""
        stream: IO[bytes] = self.filesystem.open_input_file(self.path)
        if self.path.lower().endswith(".gz"):
            return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value] # it reads like any binary file
        return self._unzipped(stream) if self.path.lower().endswith(".zip") else stream

    def read_through(self) -> None:
        """Reads the file to its end, packed as it is: an OSError tells that the place fails, and not the content."""
        with self.filesystem.open_input_stream(self.path) as stream:
            while stream.read(_CHUNK):
                pass

    def _unzipped(self, stream: IO[bytes]) -> IO[bytes]:
        try:
            return self._only_member(zipfile.ZipFile(stream))
        except (pa.ArrowInvalid, UnicodeDecodeError):  # it names a place before its first byte, or has a garbled name
            raise zipfile.BadZipFile from None
        except NotImplementedError:
            raise self.invalid("The archive's packing method is not known.", "Pack it with deflate.") from None

    def _only_member(self, archive: zipfile.ZipFile) -> IO[bytes]:
        members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith(("__MACOSX/", "."))]
        if len(members) != 1:
            raise self.invalid(
                f"The archive holds {len(members)} files; which one is meant?", "Pack exactly one data file in it."
            )
        if members[0].flag_bits & 1:
            raise self.invalid("The archive is encrypted.", "Ask the department for one without a password.")
        return archive.open(members[0])


class Decoded(io.RawIOBase):
    """A binary stream of UTF-8 made from one in a declared encoding; no byte is ever replaced.

    Raises:
        SourceInvalid: while reading, at the first byte that is not of that encoding, with its place.
    """

    def __init__(self, file: DataFile, stream: IO[bytes], encoding: str) -> None:
        super().__init__()
        self._file, self._stream, self._encoding = file, stream, encoding
        self._decoder = _codec(file, encoding).incrementaldecoder("strict")
        self._ready = memoryview(b"")
        self.tail = ""  # what is read after the stream's end
        self._consumed, self._lines, self._begun, self._ended = 0, 1, False, False

    def readable(self) -> bool:
        """Returns that it can be read."""
        return True

    def readinto(self, target: bytearray | memoryview) -> int:  # type: ignore[override] # as io.BufferedReader calls it
        """Fills the target with UTF-8."""
        while not self._ready and not self._ended:
            self._ready = memoryview(self._next().encode())
        if not self._ready:
            self._ready, self.tail = memoryview(self.tail.encode()), ""
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        """Closes the stream beneath, too."""
        self._stream.close()
        super().close()

    def unread(self, data: bytes) -> None:
        """Puts back what was read too far."""
        self._ready = memoryview(data + bytes(self._ready))

    def _next(self) -> str:
        with self._file.guarded():
            raw = self._stream.read(_CHUNK)
        self._ended = not raw
        pending = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(raw, final=self._ended)
        except UnicodeDecodeError as error:
            line = self._lines + error.object[: error.start].count(b"\n")
            raise self._file.invalid(
                f"Byte {self._consumed - pending + error.start} (line {line}) is not {self._encoding}.",
                "Declare the file's encoding in the contract's source (encoding: gb18030), or mend the file.",
            ) from None
        self._consumed += len(raw)
        self._lines += raw.count(b"\n")
        if text and not self._begun:
            self._begun = True
            self._suspect_utf8(raw)
            text = text.removeprefix("\ufeff")
        return text

    def _suspect_utf8(self, raw: bytes) -> None:
        """Refuses UTF-8 that is declared as another encoding and would decode to nonsense without an error.

        Text of GB 18030 can pass for UTF-8 by chance ("联通"), but hardly with four characters of three bytes.
        """
        if codecs.lookup(self._encoding).name.startswith("utf"):
            return
        try:
            text = codecs.getincrementaldecoder("utf-8")("strict").decode(raw)
        except UnicodeDecodeError:
            return
        if sum(ord(letter) in _THREE_BYTES for letter in text) > 3:
            raise self._file.invalid(
                f"The contract declares {self._encoding}, but the file is UTF-8.", "Declare encoding: utf-8."
            )


def _codec(file: DataFile, encoding: str) -> codecs.CodecInfo:
    try:
        "".encode(encoding)  # refuses codecs that are no text encodings
        return codecs.lookup(encoding)
    except LookupError:
        raise file.invalid(
            f"There is no encoding '{encoding}'.", "Declare one of utf-8, gb18030, gbk, big5, utf-16."
        ) from None


def text_schema(names: tuple[str, ...]) -> pa.Schema:
    """Returns the schema of a source that knows only text."""
    return pa.schema([pa.field(name, pa.string()) for name in names])
