"""YAML files as people write them: read safely, with the line of every part, and checked against a model."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from crossdock.errors import ContractInvalid, Problem, did_you_mean

MAX_BYTES = 5_000_000
MAX_NODES = 500_000
MAX_DEPTH = 60
Step = str | int
Steps = tuple[Step, ...]
Model = TypeVar("Model", bound=pydantic.BaseModel)


class _Loader(yaml.CSafeLoader):
    """Reads scalars as YAML 1.2 does: only true and false are booleans, and dates stay the text they are."""


_BOOLEAN = ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"))
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if not pair[0].endswith((":timestamp", ":bool"))] + [_BOOLEAN] * (first in "tTfF")
    for first, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def spelled(steps: Steps) -> str:
    """Returns a path as people read it: schema[0].properties[3].name."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


@dataclass(slots=True)
class Document:
    """One YAML file: its data, and what is wrong with it so far."""

    path: Path
    data: dict[str, Any]
    lines: Mapping[Steps, int]
    problems: list[Problem] = field(default_factory=list)

    def report(self, steps: Steps, what: str, fix: str = "") -> None:
        """Notes a problem at a place in the file; a place that does not exist takes the line of the part around it."""
        line = next((self.lines[steps[:end]] for end in range(len(steps), -1, -1) if steps[:end] in self.lines), None)
        problem = Problem(file=self.path, path=spelled(steps), what=what, fix=fix, line=line)
        if problem not in self.problems:
            self.problems.append(problem)

    def raise_problems(self) -> None:
        """Raises ContractInvalid with everything noted, if anything was."""
        if self.problems:
            raise ContractInvalid(sorted(self.problems, key=lambda p: (p.line or 0, p.path)))


def read_document(path: Path) -> Document:
    """Reads a YAML file whose top is a mapping.

    Raises:
        ContractInvalid: the file is missing, too large, not UTF-8, not YAML, nested too deep, or repeats a key.
    """
    text = _text(path)
    lines: dict[Steps, int] = {}
    repeated: list[tuple[Steps, int]] = []
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        data = _built(loader, node, _Walk(lines, repeated)) if node else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "it can't be parsed"
        raise _invalid(path, f"This is no valid YAML: {what}.", line=mark.line + 1 if mark else None) from None
    except _TooLarge as error:
        raise _invalid(path, str(error)) from None
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise _invalid(path, "The file must hold a YAML mapping at its top.", line=1)
    document = Document(path, data, lines)
    for steps, line in repeated:
        document.problems.append(
            Problem(file=path, path=spelled(steps), what="This key stands twice.", fix="Keep one of them.", line=line)
        )
    return document


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _invalid(path, f"The file is larger than {MAX_BYTES:,} bytes.")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _invalid(path, f"The file can't be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise _invalid(path, f"The file is not UTF-8 (byte {error.start}).") from None


def _invalid(path: Path, what: str, line: int | None = None) -> ContractInvalid:
    return ContractInvalid([Problem(file=path, path="", what=what, line=line)])


class _TooLarge(Exception):
    """The document grows beyond what a person would write (nested aliases)."""


@dataclass(slots=True)
class _Walk:
    lines: dict[Steps, int]
    repeated: list[tuple[Steps, int]]
    nodes: int = 0


def _built(loader: _Loader, node: yaml.Node, walk: _Walk, steps: Steps = ()) -> Any:
    """Builds data from nodes, noting lines; counts nodes as they are used, so that aliases can't blow it up."""
    walk.nodes += 1
    if walk.nodes > MAX_NODES or len(steps) > MAX_DEPTH:
        raise _TooLarge(f"The file nests deeper than {MAX_DEPTH} levels or holds more than {MAX_NODES:,} parts.")
    walk.lines.setdefault(steps, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_built(loader, item, walk, (*steps, index)) for index, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    built: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a plain word", key_node.start_mark)
        place = (*steps, str(key))
        if key in built:
            walk.repeated.append((place, key_node.start_mark.line + 1))
        walk.lines[place] = key_node.start_mark.line + 1
        built[key] = _built(loader, value_node, walk, place)
    return built


def parsed(document: Document, model: type[Model], data: object, at: Steps = ()) -> Model | None:
    """Returns data as a pydantic model, or None after noting every unknown key and every value that does not fit."""
    for steps, known in unknown_keys(model, data, at):
        document.report(steps, f"There is no key '{steps[-1]}' here.", did_you_mean(str(steps[-1]), known))
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            if each["type"] != "extra_forbidden":
                document.report((*at, *_real(each["loc"])), f"{each['msg']}.")
        return None


def _real(steps: tuple[Step, ...]) -> Steps:
    """Returns the steps without the names of union members that pydantic puts between them."""
    return tuple(step for step in steps if isinstance(step, int) or re.fullmatch(r"[a-z][A-Za-z0-9_]*", step))


_FREE = {"customProperties", "servers", "arguments", "implementation", "logicalTypeOptions", "context", "value"}


def unknown_keys(model: type[pydantic.BaseModel], data: object, at: Steps) -> Iterator[tuple[Steps, frozenset[str]]]:
    """Yields the place of every key that a model does not have, with the keys it has; free-form parts are left alone."""
    if not isinstance(data, dict):
        return
    fields = _fields(model)
    for key, value in data.items():
        if key not in fields:
            if model.model_config.get("extra") != "allow":
                yield (*at, str(key)), frozenset(fields)
            continue
        if key not in _FREE:
            for inner, part, steps in _parts(fields[key], value, (*at, str(key))):
                yield from unknown_keys(inner, part, steps)


@dataclass(frozen=True, slots=True)
class _Inner:
    """The models that a key's value may hold: as itself, as items of a list, as values under free names."""

    itself: type[pydantic.BaseModel] | None = None
    items: type[pydantic.BaseModel] | None = None
    named: type[pydantic.BaseModel] | None = None


def _parts(inner: _Inner, value: object, at: Steps) -> Iterator[tuple[type[pydantic.BaseModel], object, Steps]]:
    if isinstance(value, list) and inner.items:
        for index, item in enumerate(value):
            yield inner.items, item, (*at, index)
    elif isinstance(value, dict) and inner.itself:
        yield inner.itself, value, at
    elif isinstance(value, dict) and inner.named:
        for name, item in value.items():
            yield inner.named, item, (*at, str(name))


@cache
def _fields(model: type[pydantic.BaseModel]) -> dict[str, _Inner]:
    """Returns a model's keys as the file spells them, each with the models of its values."""
    return {info.alias or name: _inner(info.annotation) for name, info in model.model_fields.items()}


def _inner(annotation: Any) -> _Inner:
    """Reads an annotation such as `Team | list[TeamMember] | None`."""
    found = _Inner()
    union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    for form in typing.get_args(annotation) if union else (annotation,):
        origin = typing.get_origin(form)
        inside = next(_models(form), None)
        if isinstance(form, type) and origin is None and issubclass(form, pydantic.BaseModel):
            found = replace(found, itself=form)
        elif origin in (list, tuple) and inside:
            found = replace(found, items=inside)
        elif origin is dict and inside:
            found = replace(found, named=inside)
    return found


def _models(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)
