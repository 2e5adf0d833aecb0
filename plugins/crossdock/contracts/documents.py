"""Files as people write them: read with the line of every part, checked against a model, every problem noted."""

from __future__ import annotations

import contextlib
import copy
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from crossdock.contracts.yaml_tree import Steps, YamlInvalid, read_tree
from crossdock.errors import ContractInvalid, Problem, did_you_mean

MAX_BYTES = 5_000_000
_ATTEMPTS = 5  # what was left out may have hidden more
_UNKNOWN = "unknown key"
Model = TypeVar("Model", bound=pydantic.BaseModel)


def spelled(steps: Steps) -> str:
    """Returns a path as people read it: schema[0].properties[3].name."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def steps_of(path: str) -> Steps:
    """Reads a spelled path back: schema[0].properties[3] or schema.0.properties.3."""
    words = re.findall(r"[^.\[\]]+", path)
    return tuple(int(word) if word.isdigit() else word for word in words)


@dataclass(slots=True)
class Document:
    """One YAML file: its data, and what is wrong with it so far."""

    path: Path
    data: dict[str, Any]
    lines: Mapping[Steps, int]
    problems: list[Problem] = field(default_factory=list)
    misfits: set[Steps] = field(default_factory=set)  # places that were left out because their values do not fit

    def report(self, steps: Steps, what: str, fix: str = "") -> None:
        """Notes a problem at a place in the file; a place that does not exist takes the line of the part around it.

        Of a part that was left out for its misfits only the misfits are noted: the rest would follow from them.
        """
        if any(steps == place[: len(steps)] for place in self.misfits):
            return
        line = next((self.lines[steps[:end]] for end in range(len(steps), -1, -1) if steps[:end] in self.lines), None)
        problem = Problem(file=self.path, path=spelled(steps), what=what, fix=fix, line=line)
        if problem not in self.problems:
            self.problems.append(problem)

    def invalid(self) -> ContractInvalid:
        """Returns everything noted as one error, in the order of the file."""
        return ContractInvalid(sorted(self.problems, key=lambda p: (p.line or 0, p.path)))

    def raise_problems(self) -> None:
        """Raises ContractInvalid with everything noted, if anything was."""
        if self.problems:
            raise self.invalid()


def read_document(path: Path) -> Document:
    """Reads a YAML file whose top is a mapping.

    Raises:
        ContractInvalid: the file is missing, too large, not UTF-8, not YAML, or nested too deep.
    """
    try:
        tree = read_tree(_text(path))
    except YamlInvalid as error:
        raise _invalid(path, error.what, error.line) from None
    if not isinstance(tree.data, dict):
        raise _invalid(path, "The file must hold a YAML mapping at its top.", 1)
    document = Document(path, tree.data, tree.lines)
    for steps, line in tree.repeated:
        document.problems.append(
            Problem(file=path, path=spelled(steps), what="This key stands twice.", fix="Keep one of them.", line=line)
        )
    return document


def located(problem: Problem) -> Problem:
    """Returns a problem with the line of its place, which whoever found it did not know."""
    document = read_document(problem.file)
    document.problems.clear()
    document.report(steps_of(problem.path), problem.what, problem.fix)
    return document.problems[0]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        fix = "Make it, or check the path." if isinstance(error, FileNotFoundError) else "Check its rights."
        raise _invalid(path, f"The file can't be read ({error.strerror}).", fix=fix) from None
    if len(content) > MAX_BYTES:
        raise _invalid(path, f"The file is larger than {MAX_BYTES:,} bytes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _invalid(path, f"The file is not UTF-8 (byte {error.start}).", line) from None


def _invalid(path: Path, what: str, line: int | None = None, *, fix: str = "") -> ContractInvalid:
    return ContractInvalid([Problem(file=path, path="", what=what, fix=fix, line=line)])


def parsed(document: Document, model: type[Model], data: object, at: Steps = ()) -> Model | None:
    """Returns data as a pydantic model, after noting every unknown key and every value that does not fit.

    What does not fit is left out then, so that the rest can be looked through too; None when that is impossible.
    """
    for steps, known in unknown_keys(model, data, at):
        document.report(steps, f"There is no key '{steps[-1]}' here.", did_you_mean(str(steps[-1]), known))
    for _ in range(_ATTEMPTS):
        try:
            return model.model_validate(data)
        except pydantic.ValidationError as error:
            misfits = _misfits(error, data)
        for steps, what in misfits.items():
            text = " or ".join(dict.fromkeys(what))
            fix = "Put it in quotes." if text.endswith("a valid string") else ""
            if text != _UNKNOWN:  # these have been noted, with the nearest right name
                document.report((*at, *steps), f"{text}.", fix)
        document.misfits |= {(*at, *steps) for steps in misfits}
        data = copy.deepcopy(data)
        if not all(_cut(data, steps) for steps in misfits):
            break
    return None


def demanded(document: Document, model: type[Model], data: object, at: Steps = ()) -> Model:
    """Returns data as a pydantic model, as `parsed` does.

    Raises:
        ContractInvalid: nothing of it fits; everything noted so far is in it.
    """
    value = parsed(document, model, data, at)
    if value is None:
        raise document.invalid()
    return value


def _cut(data: Any, steps: Steps) -> bool:
    """Takes a part out of a tree of data, or what is around it: a part may be missing, and lists keep their places."""
    for end in range(len(steps), 0, -1):
        part = data
        with contextlib.suppress(LookupError, TypeError):
            for step in steps[: end - 1]:
                part = part[step]
            if isinstance(part, dict):
                del part[steps[end - 1]]
                return True
    return False


def _misfits(error: pydantic.ValidationError, data: object) -> dict[Steps, list[str]]:
    """Returns what pydantic says of each place.

    Where a value may be of several kinds and something within it is wrong, it was meant as the kind that has that part.
    """
    found: dict[Steps, list[str]] = {}
    for each in error.errors(include_url=False, include_input=False):
        place = _place(each["loc"], data, missing=each["type"] == "missing")
        said = _UNKNOWN if each["type"] == "extra_forbidden" else _plain(each["msg"])
        found.setdefault(place, []).append(said)
    around = {place[:end] for place in found for end in range(len(place))}
    return {place: said for place, said in found.items() if place not in around}


def _plain(message: str) -> str:
    """Returns pydantic's message in the words of a file, not of Python."""
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message)
    return message


_WORDS = (
    (r"dictionary( or instance of \w+)?", "mapping"),
    (r"^(Tuple|List) ", "The list "),
    (" after validation", ""),
    (r"^Value error, ", ""),
)


def _place(steps: tuple[str | int, ...], data: object, *, missing: bool) -> Steps:
    """Returns the steps that lead through the data: pydantic puts names of union members between them."""
    place: Steps = ()
    for index, step in enumerate(steps):
        index_of_list = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if index_of_list or (isinstance(data, dict) and step in data):
            place, data = (*place, step), data[step]  # type: ignore[index] # data has the step, as just seen
        elif missing and index == len(steps) - 1:
            place = (*place, step)
    return place


# The package's model of a server lists the keys of some kinds of servers only; a custom property may hold anything.
_FREE = {"customProperties", "servers"}


def unknown_keys(model: type[pydantic.BaseModel], data: object, at: Steps) -> Iterator[tuple[Steps, frozenset[str]]]:
    """Yields the place of every key that a model does not have, with the keys it has; free-form parts are left alone."""
    if not isinstance(data, dict):
        return
    fields = _fields(model)
    for key, value in data.items():
        if key in fields:
            for inner, part, steps in _parts(fields[key], value, (*at, key)) if key not in _FREE else ():
                yield from unknown_keys(inner, part, steps)
        elif model.model_config.get("extra") != "allow":
            yield (*at, key), frozenset(fields)


@dataclass(frozen=True, slots=True)
class _Inner:
    """Which models the values of a key are of: a value by itself, one in a list, one behind a free name."""

    alone: type[pydantic.BaseModel] | None = None
    listed: type[pydantic.BaseModel] | None = None
    named: type[pydantic.BaseModel] | None = None


def _parts(inner: _Inner, value: object, at: Steps) -> Iterator[tuple[type[pydantic.BaseModel], object, Steps]]:
    if isinstance(value, list) and inner.listed:
        for index, item in enumerate(value):
            yield inner.listed, item, (*at, index)
    elif isinstance(value, dict) and inner.named:
        for name, item in value.items():
            yield inner.named, item, (*at, name)
    elif inner.alone:
        yield inner.alone, value, at


@cache
def _fields(model: type[pydantic.BaseModel]) -> dict[str, _Inner]:
    """Returns a model's keys as the file spells them, each with the models of its values."""
    return {info.alias or name: _inner(info.annotation) for name, info in model.model_fields.items()}


def _inner(annotation: Any) -> _Inner:
    found: dict[str, type[pydantic.BaseModel]] = {}
    for choice in _choices(annotation):
        origin, arguments = typing.get_origin(choice), typing.get_args(choice)
        if _is_model(choice):
            found["alone"] = choice
        elif origin in (list, tuple) and _is_model(arguments[0]):
            found["listed"] = arguments[0]
        elif origin is dict:
            found.update(("named", each) for each in _choices(arguments[1]) if _is_model(each))
    return _Inner(**found)


def _choices(annotation: Any) -> tuple[Any, ...]:
    """Returns the members of a union, or the annotation itself."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(member for choice in typing.get_args(annotation) for member in _choices(choice))
    return (annotation,)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel)
