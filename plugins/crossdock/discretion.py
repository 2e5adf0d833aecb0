"""Errors that are not ours, told by their kind and place: a library's own words may quote a row."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from types import TracebackType
from typing import Self

from crossdock.errors import CrossdockError, Defect, Transient

_LIBRARIES = {"pyarrow", "duckdb", "_duckdb", "sqlalchemy", "adbc_driver_manager", "minio", "urllib3"}
_PACKAGE = Path(__file__).parent


def told_plainly(error: Exception, *, where: str = "") -> CrossdockError:
    """Returns an error of ours for one that is not, without its text.

    What a library or the system says (a full disk, a damaged object) may pass; anything else is a defect of crossdock.
    """
    kind = type(error)
    if isinstance(error, OSError) and error.errno:
        said = f"The system said: {os.strerror(error.errno)}."
        return Transient(said, where=where or str(error.filename or ""), fix="Mend that and try again.")
    if isinstance(error, OSError) or kind.__module__.partition(".")[0] in _LIBRARIES:
        return Transient(f"It failed in {kind.__module__} ({kind.__name__}).", where=where, fix="Try again.")
    return Defect(
        f"crossdock failed where it should not: {kind.__name__} in {_place(error)}.",
        where=where,
        fix="Nothing was counted. Tell crossdock's maintainers this line.",
    )


def _place(error: Exception) -> str:
    """Returns the innermost line of crossdock that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)]
    if not ours:
        return "unknown code"
    return f"crossdock/{Path(ours[-1].filename).relative_to(_PACKAGE).as_posix()}, line {ours[-1].lineno}"


class Discretion:
    """A block at the border to people and logs: any error that leaves it is ours, or one that the border knows."""

    def __init__(self, *known: type[Exception]) -> None:
        self._known: tuple[type[Exception], ...] = (CrossdockError, *known)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, self._known):
            raise told_plainly(error) from None
