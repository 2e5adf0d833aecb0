"""Thrift's compact protocol, in which parquet footers are written: structs as they come, whatever their fields mean.

A struct is a dict from field number to (kind, value); a list is a pair of its items' kind and the items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crossdock.errors import Permanent

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12
Struct = dict[int, tuple[int, Any]]
_DEEPEST = 32


def read_struct(data: bytes) -> Struct:
    """Reads a struct.

    Raises:
        Permanent: these are not the bytes of one.
    """
    reader = _Reader(data)
    try:
        return reader.struct()
    except (IndexError, KeyError) as error:
        raise Permanent("A parquet footer cannot be read.", fix="The file is damaged: make it anew.") from error


def write_struct(value: Struct) -> bytes:
    """Returns the bytes of a struct: those that it was read from, where nothing was changed."""
    out = bytearray()
    _write_struct(out, value)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._depth = data, 0, 0

    def struct(self) -> Struct:
        found: Struct = {}
        number = 0
        self._depth += 1
        if self._depth > _DEEPEST:
            raise IndexError
        while head := self.byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self.zigzag()
            found[number] = (kind, self.value(kind))
        self._depth -= 1
        return found

    def value(self, kind: int) -> Any:
        return _READ[kind](self)

    def items(self) -> tuple[int, list[Any]]:
        head = self.byte()
        size, kind = head >> 4, head & 15
        if size == 15:
            size = self.varint()
        if size > len(self._data):
            raise IndexError
        return kind, [self.byte() if kind in (TRUE, FALSE) else self.value(kind) for _ in range(size)]

    def binary(self) -> bytes:
        return self.take(self.varint())

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise IndexError
        self._at += size
        return self._data[self._at - size : self._at]

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def zigzag(self) -> int:
        value = self.varint()
        return value >> 1 ^ -(value & 1)


_READ: Mapping[int, Callable[[_Reader], Any]] = {
    TRUE: lambda _: True,
    FALSE: lambda _: False,
    BYTE: _Reader.byte,
    I16: _Reader.zigzag,
    I32: _Reader.zigzag,
    I64: _Reader.zigzag,
    DOUBLE: lambda reader: reader.take(8),
    BINARY: _Reader.binary,
    LIST: _Reader.items,
    STRUCT: _Reader.struct,
}


def _write_struct(out: bytearray, value: Struct) -> None:
    before = 0
    for number, (kind, content) in value.items():
        step = number - before
        if 0 < step < 16:
            out.append(step << 4 | kind)
        else:
            out.append(kind)
            _write_zigzag(out, number)
        before = number
        _write(out, kind, content)
    out.append(0)


def _write(out: bytearray, kind: int, value: Any) -> None:
    match kind:
        case 1 | 2:
            pass
        case 3:
            out.append(value)
        case 4 | 5 | 6:
            _write_zigzag(out, value)
        case 7:
            out += value
        case 8:
            _write_varint(out, len(value))
            out += value
        case 9:
            _write_items(out, *value)
        case _:
            _write_struct(out, value)


def _write_items(out: bytearray, kind: int, items: list[Any]) -> None:
    if len(items) < 15:
        out.append(len(items) << 4 | kind)
    else:
        out.append(15 << 4 | kind)
        _write_varint(out, len(items))
    for item in items:
        if kind in (TRUE, FALSE):
            out.append(item)
        else:
            _write(out, kind, item)


def _write_zigzag(out: bytearray, value: int) -> None:
    _write_varint(out, value << 1 if value >= 0 else (-value << 1) - 1)


def _write_varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
