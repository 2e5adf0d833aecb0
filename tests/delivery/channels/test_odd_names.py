"""Names and texts that mean something in SQL are names and texts, in every database."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from crossdock.delivery.channels.channel import deliver
from crossdock.errors import ConsumerRefused
from delivery.consumers import consumer
from delivery.samples import CONTRACT, held, shipment

NAMES = [
    'a"b', "a'b", "a\\b", "a,b", "列", "`x`", '"; DROP TABLE population; --', "%s", "%(x)s", ":v0", "?", "$1", "{x}",
    "a]b", "crossdock_row", "record", "-- x", "/* x", "=cmd()", "order", "select", "é", "e\u0301", "Ａ", "a.b", "#x",
    "x" * 60,
]  # fmt: skip
TEXTS = [
    "'; DROP TABLE population; --", "\\", "\\'", "%s", "?", ":v0", "\x1a", "\\N", "\n", "\t", "\u2028", "😀", "NULL", "$$",
    "a\\", "=1+1",
]  # fmt: skip


def contract_of(names):
    columns = [
        replace(CONTRACT.columns[0], name=name, source_name=name, key_position=(None, 1)[n == 0], required=n == 0)
        for n, name in enumerate(names)
    ]
    return replace(CONTRACT, columns=tuple(columns), subject=None)


def rows_of(names, keyed):
    schema = pa.schema([(name, pa.string()) for name in names])
    return pa.Table.from_pylist([dict.fromkeys(names, text) | {names[0]: key} for key, text in keyed.items()], schema)


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mariadb", "mysql", "dialect"])
def test_names_and_texts_are_nothing_else(kind, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    agreed = system.agreed("changes", columns=tuple(NAMES))
    before = {f"k{n}": text for n, text in enumerate(TEXTS)} | dict.fromkeys(TEXTS, "x")
    after = {key: text for key, text in before.items() if key not in ("k1", "?")} | {"k2": "new", "%s": "new"}
    first = shipment(tmp_path / "1", agreed, rows_of(NAMES, before), contract=contract_of(NAMES))
    deliver(first, system.connection)
    last = held(first.prepared, "d1")
    second = shipment(
        tmp_path / "2", agreed, rows_of(NAMES, after), sequence=2, previous=last, contract=contract_of(NAMES)
    )
    deliver(second, system.connection)
    wanted = sorted((key, *[text] * (len(NAMES) - 1)) for key, text in after.items())
    assert sorted(system.query("SELECT * FROM population")) == wanted


def test_a_name_that_mariadb_can_not_have_is_not_tried_again(tmp_path, request):
    system = consumer("mariadb", tmp_path, request)
    names = ["id", "👍"]
    made = shipment(
        tmp_path, system.agreed(columns=tuple(names)), rows_of(names, {"a": "b"}), contract=contract_of(names)
    )
    with pytest.raises(ConsumerRefused, match="error 1300"):
        deliver(made, system.connection)
