"""Access logs become downloads and visits, once, however often and in whatever pieces the logs are read.

What happened is named by who, what and when, so a line that is read again is known: a whole file that one user fetches
counts once a minute (an impatient second click is none), and once a day when it comes in ranges. Users are keyed hashes.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crossdock.errors import WrongUse
from crossdock.faults import reached
from crossdock.storage.state import State
from crossdock.storage.usage import Use, record_uses
from crossdock.usage.lines import Request, read_line
from crossdock.usage.robots import is_robot

DOWNLOAD, VISIT = "download", "visit"
_OPEN = re.compile(r"(?:^|/)open/(?P<dataset>[^/]{1,100}/[^/]{1,100})/(?P<rest>.{1,300})$")
_DATA = re.compile(r"versions/[0-9a-f]{32}/data\.parquet")
_BATCH = 1_000
_LINE = 256 * 1024  # bytes read at once; a longer line is cut, and can't be read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """Whose requests for what count."""

    key: bytes
    datasets: Collection[str]
    ours: Collection[str]


@dataclass(slots=True)
class Ingested:
    """What became of the lines: `new` uses are counted from now on; the others were known, robots', or of something else."""

    lines: int = 0
    new: int = 0
    known: int = 0
    robots: int = 0
    others: int = 0
    unreadable: int = 0

    def to_dict(self) -> dict[str, int]:
        """Returns the JSON form."""
        return {name: getattr(self, name) for name in self.__slots__}


def ingest(
    state: State,
    paths: Iterable[Path],
    *,
    key: bytes,
    datasets: Collection[str],
    ours: Collection[str] = (),
) -> Ingested:
    """Reads access logs (files, or all files below a folder; those of gzip too) and records what was used, streaming.

    Args:
        state: keeps the uses.
        paths: what to read.
        key: hashes users; without it nobody can be found.
        datasets: the ids that count; requests for others are none of ours.
        ours: who of those that say who they are is the exchange itself, which reads what it publishes.

    Raises:
        WrongUse: a path is not there, or no log that can be read.
    """
    told, waiting = Ingested(), dict[str, Use]()
    counted = _Counted(key=key, datasets=datasets, ours=ours)
    for line in _lines(paths):
        told.lines += 1
        use = _use(line, told, counted)
        if use is not None:
            waiting[use.id] = use
        if len(waiting) >= _BATCH:
            _record(state, waiting, told)
    _record(state, waiting, told)
    return told


def _record(state: State, waiting: dict[str, Use], told: Ingested) -> None:
    new = record_uses(state, list(waiting.values()))
    told.new += new
    told.known += len(waiting) - new
    waiting.clear()
    reached("usage.recorded")


def _lines(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        if not path.exists():
            raise WrongUse("There is no such log.", where=str(path), fix="Name a file or a folder.")
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        for file in files:
            try:
                with gzip.open(file, "rb") if _is_gzip(file) else file.open("rb") as log:
                    while line := log.readline(_LINE):
                        yield line.decode("utf-8", "replace").rstrip("\r\n")
            except (OSError, EOFError, zlib.error) as error:
                raise WrongUse(
                    f"The log can't be read to its end ({type(error).__name__}).",
                    where=str(file),
                    fix="Mend the file, and read it again: what was counted is not counted twice.",
                ) from None


def _is_gzip(file: Path) -> bool:
    """Returns whether a file is compressed, whatever it is called."""
    with file.open("rb") as log:
        return log.read(2) == b"\x1f\x8b"


def _use(line: str, told: Ingested, counted: _Counted) -> Use | None:
    request = read_line(line)
    if request is None:
        told.unreadable += 1
        return None
    found = _OPEN.search(request.path)
    read = request.method == "GET" and request.status in (200, 206) and request.user not in counted.ours
    if not read or not found or found["dataset"] not in counted.datasets:
        told.others += 1
        return None
    if is_robot(request.agent):
        told.robots += 1
        return None
    kind = DOWNLOAD if _DATA.fullmatch(found["rest"]) else VISIT
    user = hashlib.blake2b(
        request.asker.encode("utf-8", "replace"), key=counted.key, digest_size=16, person=b"user"
    ).hexdigest()
    named = "\n".join((user, kind, found["dataset"], found["rest"], _moment(request)))
    return Use(
        id=hashlib.blake2b(named.encode("utf-8", "replace"), digest_size=16).hexdigest(),
        day=f"{request.at:%Y-%m-%d}",
        department=found["dataset"].partition("/")[0],
        dataset=found["dataset"],
        kind=kind,
        user=user,
    )


def _moment(request: Request) -> str:
    return f"{request.at:%Y-%m-%d}" if request.status == 206 else f"{request.at:%Y-%m-%d %H:%M}"
