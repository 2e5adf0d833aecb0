"""The terminal: tables on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Table

from crossdock.errors import ContractInvalid, CrossdockError, Problem
from crossdock.language.speech import speech_of

# What would steer a terminal, or turn the direction of writing, stands for itself no more: texts are of files and rows.
_STEERING = dict.fromkeys(
    {*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)} - {ord("\n")}, "\ufffd"
)


class _Terminal(Console):
    """A console that shows texts, and does nothing that stands in them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yields what is shown."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=segment.text.translate(_STEERING))


_WIDTH = None if sys.stdout.isatty() else 150  # files and pipes have no width of their own
out = _Terminal(highlight=False, width=_WIDTH)
err = _Terminal(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _WIDTH)
COLOURS = {
    "accepted": "green",
    "partial": "yellow",
    "rejected": "red",
    "delivered": "green",
    "unchanged": "dim",
    "refused": "yellow",
    "waiting": "yellow",
    "recalled": "red",
    "superseded": "dim",
    "failing": "red",
    "astray": "red",
    "due": "yellow",
    "approved": "green",
    "overdue": "red",
}


Advance = Callable[[str], None]


def coloured(word: str, said: str = "") -> str:
    """Returns an outcome or status with its colour; `said` is what it is called, if otherwise."""
    return f"[{COLOURS.get(word, 'default')}]{said or word}[/]"


def moment(instant: str | None) -> str:
    """Returns an instant as people read it: to the second, in UTC."""
    return (instant or "")[:19].replace("T", " ")


def lasted(seconds: float | None) -> str:
    """Returns a length of time in its largest unit; "" for none."""
    if seconds is None:
        return ""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def worded(reason: str) -> str:
    """Returns a reason of crossdock's in the language that the locale of the terminal asks for; ready to print."""
    return escape(speech_of(None).sentence(reason))


def table(title: str, *columns: str) -> Table:
    """Returns an empty table; columns whose name starts with ">" are numbers, set to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    return made


@contextmanager
def progress(total: int) -> Iterator[Advance]:
    """Shows a progress bar on stderr (lines, where there is no terminal) and gives a function that says what was done."""
    if not err.is_terminal:
        yield lambda done: err.print(escape(done), style="dim")
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda done: bar.update(task, advance=1, description=escape(done))


def error(said: CrossdockError) -> None:
    """Prints what went wrong, where, and what to do, on stderr."""
    if isinstance(said, ContractInvalid):
        for each in said.problems:
            problem(each)
        return
    place = f"[bold]{escape(said.where)}[/]: " if said.where else ""
    err.print(f"[red]error[/] {place}{escape(said.what)}")
    if said.fix:
        err.print(f"      {escape(said.fix)}")


def problem(found: Problem) -> None:
    """Prints one problem of a contract or agreement, with file, line and path, on stderr."""
    place = str(found.file) + (f":{found.line}" if found.line else "")
    err.print(f"[red]error[/] [bold]{escape(place)}[/] {escape(found.path)}")
    err.print(f"      {escape(found.what)} {escape(found.fix)}".rstrip())


def sent_rows(counts: Mapping[str, int] | None) -> int:
    """Returns how many records a delivery brought; deletions are none."""
    return (counts or {}).get("inserted", 0) + (counts or {}).get("updated", 0)
