"""What all kinds of source share: dispatch, and matching columns by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.connections import Connection
from crossdock.errors import SourceInvalid, WrongUse
from crossdock.sources.source import match_columns, option, read, wrong_options
from sources.made import column, contract, folder, rows


def test_a_contract_names_the_module_that_reads_it(tmp_path):
    (tmp_path / "x.csv").write_text("a\n1\n")
    asked: list[str] = []

    def lookup(connection_id: str) -> Connection:
        asked.append(connection_id)
        return folder(tmp_path)

    assert rows(read(contract("a", path="x.csv", connection="dept_x"), lookup, since=None)) == [{"a": "1"}]
    assert asked == ["dept_x"]


def test_a_contract_without_a_source_can_not_be_pulled():
    with pytest.raises(WrongUse, match="names no source"):
        read(replace(contract("a"), source=None), lambda _: folder(None), since=None)


def test_options_are_those_of_the_kind():
    made = contract("a", kind="files", pth="x", encoding="utf-8")
    unknown, missing = wrong_options(made)
    assert (unknown.path, unknown.fix) == ("source.pth", "Did you mean 'path'?")
    assert (missing.path, missing.file) == ("source.path", made.path)
    with pytest.raises(WrongUse, match="no option 'pth'"):
        read(made, lambda _: folder(None), since=None)
    assert wrong_options(contract("a", kind="http", path="/x", page={"param": "p"})) == []
    assert wrong_options(contract("a", kind="database", table="t")) == []
    assert wrong_options(replace(made, source=None)) == []


def test_options_are_text_with_a_default():
    assert option(contract("a", size=5), "size") == "5"
    assert option(contract("a"), "size", "7") == "7"
    assert option(replace(contract("a"), source=None), "size") == ""


_names = st.lists(st.sampled_from(["a", "b", "c", "d", "x", "y"]), unique=True)


@given(_names, st.lists(st.sampled_from("abcdxy"), min_size=1, max_size=4, unique=True), st.data())
def test_every_contract_column_is_matched_once_or_missing(found, wanted, data):
    made = contract(*(column(name, source_name=data.draw(st.sampled_from(["a", "x", name]))) for name in wanted))
    try:
        match = match_columns(made, found, where="x")
    except SourceInvalid:
        assert all(c.source_name not in found and c.name not in found for c in made.columns)
        return
    assert sorted([*match.names, *match.missing]) == sorted(wanted)
    assert list(match.names) == [name for name in wanted if name in match.names]
    for position, name in zip(match.positions, match.names, strict=True):
        assert found[position] in (made.column(name).source_name, name)
    assert set(match.extra) == set(found) - {found[position] for position in match.positions}


def test_names_that_stand_twice_matter_only_where_the_contract_wants_one():
    assert match_columns(contract("a"), ["a", "z", "z"], where="x").extra == ("z", "z")
    with pytest.raises(SourceInvalid, match="'a' stands twice"):
        match_columns(contract("a"), ["a", " a "], where="x")
