"""YAML text as plain data with the line of every part, read so that hostile text costs nothing.

The parser's events are taken one by one: no tag makes an object, nesting and size are limited before memory or stack
are used. A scalar is more than text only where YAML 1.1 and 1.2 agree, so `no`, `010`, `1e5`, `12:30` and `2026-01-31`
stay as they are written, whichever tool wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import yaml

MAX_NODES = 500_000
MAX_DEPTH = 60
Step = str | int
Steps = tuple[Step, ...]

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,39})")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]{1,4})?")
_TAGS = {None, "!", *(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map"))}


class YamlInvalid(Exception):
    """The text is no YAML that crossdock reads; `line` is where, if known."""

    def __init__(self, what: str, line: int | None = None) -> None:
        self.what, self.line = what, line
        super().__init__(what, line)


@dataclass(slots=True)
class Tree:
    """What a YAML text holds: plain data, the line of each part (1-based), and the keys that stand twice."""

    data: Any = None
    lines: dict[Steps, int] = field(default_factory=dict)
    repeated: list[tuple[Steps, int]] = field(default_factory=list)


def read_tree(text: str) -> Tree:
    """Reads one YAML document; an empty text holds None.

    Raises:
        YamlInvalid: the text can't be parsed, holds several documents, or is larger or deeper than people write.
    """
    tree = Tree()
    builder = _Builder(tree, yaml.parse(text, Loader=yaml.CSafeLoader))
    try:
        builder.build()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be parsed"
        raise YamlInvalid(f"This is no valid YAML: {what}.", mark.line + 1 if mark else None) from None
    return tree


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


@dataclass(slots=True)
class _Builder:
    tree: Tree
    events: Iterator[Any]
    nodes: int = 0
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)  # data and how many nodes it holds

    def build(self) -> None:
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise YamlInvalid("The file holds several YAML documents, not one.", _line(event))
                self.tree.data = self._value(next(self.events), ())

    def _value(self, event: Any, steps: Steps) -> Any:
        line = _line(event)
        self._count(1, line)
        self.tree.lines.setdefault(steps, line)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line)
        if event.tag not in _TAGS:
            raise YamlInvalid(f"The tag {event.tag} means nothing here.", line)
        if len(steps) >= MAX_DEPTH:
            raise YamlInvalid(f"The file nests deeper than {MAX_DEPTH} levels.", line)
        before = self.nodes
        if isinstance(event, yaml.SequenceStartEvent):
            value: Any = self._sequence(steps)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(steps)
        else:
            value = scalar(event.value) if event.implicit[0] else _tagged(event)
        if event.anchor:
            self.anchors[event.anchor] = value, self.nodes - before + 1
        return value

    def _count(self, nodes: int, line: int) -> None:
        """Counts what an alias stands for as often as it stands there: whoever walks the data pays for it each time."""
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise YamlInvalid(f"The file holds more than {MAX_NODES:,} parts.", line)

    def _alias(self, event: Any, line: int) -> Any:
        if event.anchor not in self.anchors:
            raise YamlInvalid(f"There is no anchor '{event.anchor}' before this alias.", line)
        value, nodes = self.anchors[event.anchor]
        self._count(nodes, line)
        return value

    def _sequence(self, steps: Steps) -> list[Any]:
        values: list[Any] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            values.append(self._value(event, (*steps, len(values))))
        return values

    def _mapping(self, steps: Steps) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent) or event.tag not in _TAGS:
                raise YamlInvalid("A key must be a plain word.", line)
            place = (*steps, event.value)
            if event.value in values:
                self.tree.repeated.append((place, line))
            self.tree.lines[place] = line
            values[event.value] = self._value(next(self.events), place)
        return values


def scalar(text: str) -> str | int | float | bool | None:
    """Returns what an unquoted text means; digits with leading zeros are codes, and stay text."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if isfinite(number) else text
    return text


def _tagged(event: Any) -> str | int | float | bool | None:
    """Quoted text is text; an explicit tag can't make of a text what it is not."""
    name = str(event.tag or "!").rpartition(":")[2]
    value = scalar(event.value) if name in ("int", "float", "bool", "null") else event.value
    kinds = {"int": int, "float": float, "bool": bool, "null": type(None)}
    if name in kinds and type(value) is not kinds[name]:
        raise YamlInvalid(f"This is no {name}.", _line(event))
    return value
