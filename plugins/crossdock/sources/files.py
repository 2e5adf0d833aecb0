"""Files that a department drops in a folder or bucket: CSV, TSV, JSON, spreadsheets, parquet, packed or not.

The connection names the place (type fs: a folder; type aws: "bucket/prefix", both as `path` in its extra); the
contract names files below it. Several files of one pattern are read in name order as one extract.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.fs as pafs

from crossdock.connections import Connection, Lookup
from crossdock.contracts.model import Contract
from crossdock.errors import SourceInvalid, SourceUnavailable, did_you_mean
from crossdock.sources.formats.file import DataFile
from crossdock.sources.source import OPTIONAL, REQUIRED, Pulled, option, spec_of

OPTIONS = {"path": REQUIRED, **dict.fromkeys(("format", "encoding", "delimiter", "sheet"), OPTIONAL)}
_FORMATS = {
    **dict.fromkeys(("csv", "tsv", "txt"), "delimited"),
    **dict.fromkeys(("jsonl", "ndjson", "json"), "jsonlines"),
    **dict.fromkeys(("xlsx", "xlsm", "xls", "ods"), "workbook"),
    "parquet": "columnar",
}
_WILD = re.compile(r"[*?]")


def pull(contract: Contract, lookup: Lookup, *, since: str | None) -> Pulled:  # noqa: ARG001 - files are read whole
    """Opens the files of a contract's source; see `sources.source.read`."""
    spec = spec_of(contract)
    connection = lookup(spec.connection)
    filesystem, base = _place(connection)
    found = _find(filesystem, base, _safe(option(contract, "path"), connection), connection)
    files = [
        DataFile(name=f"{connection.id}:{p.removeprefix(base).lstrip('/')}", path=p, filesystem=filesystem)
        for p in found
    ]
    return _together(files, contract)


def read_file(path: Path, contract: Contract) -> Pulled:
    """Opens one local file by its suffix, with the options (encoding, delimiter, sheet) of the contract's source.

    Raises:
        SourceInvalid: there is no such file, its format is not known, or it is not as the contract says.
    """
    file = local_file(path)
    return _open(file, contract, file.suffix if file.suffix in _FORMATS else option(contract, "format"))


def local_file(path: Path) -> DataFile:
    """Returns a file of this machine.

    Raises:
        SourceInvalid: there is none.
    """
    if not path.is_file():
        raise SourceInvalid("There is no such file.", where=str(path), fix="Check the path.")
    return DataFile(name=str(path), path=str(path.absolute()), filesystem=pafs.LocalFileSystem())


def file_columns(path: Path, contract: Contract) -> list[str]:
    """Returns the names of a local file's columns, as they stand in it; of JSON, every key of every record.

    Args:
        path: the file.
        contract: says how to read it (encoding, delimiter, sheet); its columns are not asked for.

    Raises:
        SourceInvalid: as `read_file` does, or no column has a name.
    """
    pulled = read_file(path, replace(contract, columns=()))
    if not pulled.extra and _FORMATS.get(local_file(path).suffix) == "jsonlines":
        deque(pulled.batches, maxlen=0)
    names = [name for name in pulled.extra if name]
    if not names:
        raise SourceInvalid("It has no column with a name.", where=str(path), fix="Name the columns in its first line.")
    return names


def _open(file: DataFile, contract: Contract, kind: str) -> Pulled:
    if kind not in _FORMATS:
        raise file.invalid(
            f"The format '{kind}' is not known." if kind else "The file's name tells no format.",
            f"Name it in the contract's source (format: csv). {did_you_mean(kind, _FORMATS)}",
        )
    pulled: Pulled = import_module(f"crossdock.sources.formats.{_FORMATS[kind]}").read(file, contract)
    return pulled


def _together(files: Sequence[DataFile], contract: Contract) -> Pulled:
    """Opens the first file for its columns; the others follow as they are reached, and must have the same."""
    kind = option(contract, "format")
    first = _open(files[0], contract, kind or files[0].suffix)
    if len(files) == 1:
        return first
    pulled = Pulled(batches=iter(()), schema=first.schema, missing=first.missing, extra=first.extra)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from _drained(first, pulled)
        for file in files[1:]:
            following = _open(file, contract, kind or file.suffix)
            if _known(following.schema, contract) != _known(pulled.schema, contract):
                raise file.invalid(
                    f"It has other columns of the contract than {files[0].name}.",
                    "Give all files of the pattern one layout.",
                )
            for batch in _drained(following, pulled):
                yield _like(file, batch, pulled.schema)

    pulled.batches = batches()
    return pulled


def _drained(part: Pulled, whole: Pulled) -> Iterator[pa.RecordBatch]:
    """Yields a file's batches, then adds up what columns it had: a column is missing when no file has it."""
    yield from part.batches
    whole.missing = (
        tuple(name for name in whole.missing if name in part.missing) if part is not whole else whole.missing
    )
    whole.extra = tuple(dict.fromkeys((*whole.extra, *part.extra)))


def _known(schema: pa.Schema, contract: Contract) -> list[str]:
    ours = {column.name for column in contract.columns}
    return [name for name in schema.names if name in ours]


def _like(file: DataFile, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Returns a batch with the columns of the first file; one that only the source knows may be in some files only."""
    if batch.schema.equals(schema):
        return batch
    columns = [
        batch.column(field.name) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    try:
        return pa.RecordBatch.from_arrays([c.cast(f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
    except pa.ArrowException:
        raise file.invalid(
            "Its columns have other types than those of the first file of the pattern.",
            "Write all files with one schema.",
        ) from None


def _place(connection: Connection) -> tuple[pafs.FileSystem, str]:
    base = str(connection.extra.get("path") or connection.host or connection.schema)
    if not base:
        raise SourceInvalid(
            "The connection names no folder.", where=f"connection {connection.id}", fix='Set "path" in its extra.'
        )
    if connection.type in ("fs", "file"):
        return pafs.LocalFileSystem(), str(Path(base).resolve())
    if connection.type in ("aws", "s3", "minio"):
        return _bucket(connection), str(connection.extra.get("path") or connection.schema).strip("/")
    raise SourceInvalid(
        f"Files can't be read over a connection of type '{connection.type}' yet.",
        where=f"connection {connection.id}",
        fix="Use type fs (a folder) or aws (a bucket).",
    )


def _bucket(connection: Connection) -> pafs.S3FileSystem:
    endpoint = str(connection.extra.get("endpoint_url") or "")
    scheme, _, host = endpoint.rpartition("://")
    return pafs.S3FileSystem(
        access_key=connection.login,
        secret_key=connection.password,
        endpoint_override=host or None,
        scheme=scheme or "https",
        region=str(connection.extra.get("region_name") or "us-east-1"),
        connect_timeout=10,
        request_timeout=60,
    )


def misplaced(options: Mapping[str, object]) -> tuple[str, str, str] | None:
    """Returns name, what and fix when the path of a source leads out of the connection's folder."""
    path = str(options.get("path") or "")
    if path.startswith("/") or "\\" in path or "\0" in path or ".." in PurePosixPath(path).parts:
        return "path", "The path leaves the connection's folder.", "Write a path below it."
    return None


def _safe(path: str, connection: Connection) -> str:
    if misplaced({"path": path}):
        raise SourceInvalid(
            "The path leaves the connection's folder.", where=f"{connection.id}:{path}", fix="Write a path below it."
        )
    return str(PurePosixPath(path))


def _find(filesystem: pafs.FileSystem, base: str, path: str, connection: Connection) -> list[str]:
    """Returns the files that a path or pattern names, in name order."""
    where = f"{connection.id}:{path}"
    plain = path.split("/")[: next((i for i, part in enumerate(path.split("/")) if _WILD.search(part)), None)]
    top = "/".join([base, *plain])
    try:
        if len(plain) == len(path.split("/")):
            listed = [filesystem.get_file_info(top)]
            matching = [info.path for info in listed if info.type == pafs.FileType.File]
        else:
            listed = filesystem.get_file_info(pafs.FileSelector(top, recursive=True, allow_not_found=True))
            wanted = _pattern(path)
            matching = [
                i.path for i in listed if i.type == pafs.FileType.File and wanted.match(i.path[len(base) + 1 :])
            ]
    except OSError as error:
        raise SourceUnavailable(
            f"The place can't be listed now ({type(error).__name__}).",
            where=where,
            fix="Check our rights and the way to it.",
        ) from None
    if isinstance(filesystem, pafs.LocalFileSystem) and not all(
        Path(p).resolve().is_relative_to(base) for p in matching
    ):
        raise SourceInvalid(
            "A link leads out of the connection's folder.", where=where, fix="Put the file itself there."
        )
    if not matching:
        raise SourceInvalid(
            "There is no such file.",
            where=where,
            fix="Check the path, and whether the department has dropped its file.",
        )
    return sorted(matching)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    """Translates a glob: `*` and `?` stay within a folder, `**` spans folders, hidden files do not match."""
    pieces = []
    for part in path.split("/"):
        if part == "**":
            pieces.append(r"(?:[^/.][^/]*/)*")
            continue
        inner = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        pieces.append(("" if part.startswith(".") else r"(?!\.)") + inner + "/")
    return re.compile("".join(pieces).removesuffix("/") + r"\Z")
