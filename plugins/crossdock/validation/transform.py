"""One function of the transforms folder: found by its file's name, loaded by path, its signature checked."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from crossdock.errors import TransformInvalid, did_you_mean

_SIGNATURE = "def {name}(batch: pa.RecordBatch, *, columns: Sequence[str]) -> pa.RecordBatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """One function of the transforms folder."""

    name: str
    path: Path
    function: Callable[..., object]
    takes: type  # pa.RecordBatch, pa.Table or pandas.DataFrame
    keywords: Mapping[str, bool]  # name -> must be given; `columns` is not among them
    any_keyword: bool  # True: the function takes **options


def load_transform(folder: Path, name: str) -> Transform:
    """Loads `transforms/<name>.py` and checks the function of that name.

    Raises:
        TransformInvalid: there is no such file, it cannot be imported, or the function is not of the form
            `def name(batch: pa.RecordBatch | pa.Table | pd.DataFrame, *, columns, [reference], [options])`.
    """
    path = folder / f"{name}.py"
    known = [file.stem for file in folder.glob("*.py") if file.stem.isidentifier()]
    if name not in known:
        raise TransformInvalid(
            f"There is no transform '{name}'.",
            where=str(path),
            fix=did_you_mean(name, known),
        )
    function = getattr(_module(path), name, None)
    if not inspect.isfunction(function):
        raise TransformInvalid(
            f"It has no function '{name}'.", where=str(path), fix=f"Write: {_SIGNATURE.format(name=name)}"
        )
    return _checked(name, path, function)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"crossdock_transform_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise TransformInvalid("It is no Python file.", where=str(path))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - an author's module may raise anything when it is imported
        line = getattr(error, "lineno", None)
        raise TransformInvalid(
            f"It cannot be imported: {type(error).__name__}" + (f" in line {line}." if line else "."),
            where=str(path),
            fix=f"Run it by itself: python -m doctest {path.name}",
        ) from None
    return module


def _checked(name: str, path: Path, function: Callable[..., object]) -> Transform:
    try:
        parameters = list(inspect.signature(function, eval_str=True).parameters.values())
    except NameError as error:
        raise TransformInvalid(
            f"The annotation of '{name}' uses a name that is not imported: {error.name}.",
            where=str(path),
            fix="Import it at the top of the file, not under TYPE_CHECKING.",
        ) from None
    first = parameters[0] if parameters else None
    takes = first.annotation if first else None
    if takes not in _forms():
        raise TransformInvalid(
            f"The first parameter of '{name}' has no annotation that says what it takes.",
            where=str(path),
            fix=f"Annotate it as pa.RecordBatch, pa.Table or pd.DataFrame: {_SIGNATURE.format(name=name)}",
        )
    others = parameters[1:]
    named = {p.name: p.default is p.empty for p in others if p.kind is p.KEYWORD_ONLY}
    stray = [p.name for p in others if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    if "columns" not in named or stray:
        raise TransformInvalid(
            f"'{name}' must take `columns` and every option by keyword only.",
            where=str(path),
            fix=f"Write: {_SIGNATURE.format(name=name)}",
        )
    del named["columns"]
    any_keyword = any(p.kind is p.VAR_KEYWORD for p in others)
    return Transform(name=name, path=path, function=function, takes=takes, keywords=named, any_keyword=any_keyword)


def _forms() -> tuple[type, ...]:
    import pandas as pd

    return pa.RecordBatch, pa.Table, pd.DataFrame
