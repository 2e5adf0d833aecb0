"""One file against one contract: where it finds what the contract refers to, and what it keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossdock.contracts.odcs import read_contract
from crossdock.errors import WrongUse
from crossdock.trial import Surroundings, find_surroundings, reference_data, validate_file
from hamlet import found


@pytest.fixture
def hamlet(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSDOCK_HOME", str(tmp_path))
    return found(tmp_path)


@pytest.fixture
def residents(hamlet):
    file = hamlet.contract("residents")
    return read_contract(file, root=hamlet.home / "contracts")


def test_a_reference_is_found_in_the_exchange(hamlet, residents):
    assert find_surroundings(residents, []).references == {}
    hamlet.sweep()
    found_there = find_surroundings(residents, []).references
    assert {name: data.count_rows() for name, data in found_there.items()} == {"town_hall/streets": 9}


def test_a_named_file_goes_before_the_exchange(hamlet, residents):
    hamlet.sweep()
    streets = hamlet.home / "mine.csv"
    streets.write_text("code,name\nS1,One\n")
    references = find_surroundings(residents, [f"town_hall/streets={streets}"]).references
    assert references["town_hall/streets"].to_table().to_pylist() == [{"code": "S1", "name": "One"}]


@pytest.mark.parametrize("named", ["streets.csv", "town_hall/roads=x.csv", "=x.csv", "town_hall/streets="])
def test_a_name_of_another_form_is_refused(residents, named):
    with pytest.raises(WrongUse, match="--reference"):
        find_surroundings(residents, [named])


def test_reference_data_is_typed_and_not_judged(hamlet):
    streets = read_contract(hamlet.contract("streets"), root=hamlet.home / "contracts")
    file = hamlet.home / "streets.csv"
    file.write_text("code,name\n007,\n007,Two\n")
    assert reference_data(streets, file).to_table()["code"].to_pylist() == ["007", "007"]


def test_a_missing_reference_is_named(hamlet, residents):
    data = hamlet.home / "data.csv"
    data.write_text("resident_no\nR0001\n")
    with pytest.raises(WrongUse, match="--reference town_hall/streets=FILE"):
        validate_file(residents, data, Surroundings(references={}, transforms=hamlet.home / "transforms"))


def test_an_old_file_of_failures_is_replaced_when_nothing_failed(hamlet):
    streets = read_contract(hamlet.contract("streets"), root=hamlet.home / "contracts")
    data, kept = hamlet.home / "streets.csv", hamlet.home / "kept.csv"
    surroundings = Surroundings(references={}, transforms=hamlet.home / "transforms")
    data.write_text("code,name\nS1,\n")
    assert validate_file(streets, data, surroundings, quarantine=kept).quarantined == 1
    assert "S1" in kept.read_text()
    data.write_text("code,name\nS1,One\n")
    assert validate_file(streets, data, surroundings, quarantine=kept).quarantined == 0
    assert "S1" not in kept.read_text()
    assert kept.read_text().startswith('"code","name"')


def test_the_data_itself_is_never_written_over(hamlet):
    streets = read_contract(hamlet.contract("streets"), root=hamlet.home / "contracts")
    data, link = hamlet.home / "streets.csv", hamlet.home / "link.csv"
    data.write_text("code,name\nS1,\nS2,Two\n")
    link.symlink_to(data)
    surroundings = Surroundings(references={}, transforms=hamlet.home / "transforms")
    for target in (data, link):
        with pytest.raises(WrongUse, match="That is the data itself"):
            validate_file(streets, data, surroundings, quarantine=target)
    assert data.read_text() == "code,name\nS1,\nS2,Two\n"


@pytest.mark.parametrize("values", [[b"\xff"], [["a", "b"]], [{"a": 1}]])
def test_csv_is_not_chosen_for_failing_rows_that_it_can_not_keep(hamlet, values):
    streets = read_contract(hamlet.contract("streets"), root=hamlet.home / "contracts")
    data, kept = hamlet.home / "streets.parquet", hamlet.home / "kept.parquet"
    pq.write_table(pa.table({"code": ["S1", "S2"], "name": pa.array([*values, None])}), data)
    surroundings = Surroundings(references={}, transforms=hamlet.home / "transforms")
    with pytest.raises(WrongUse, match=r"'name' holds .*\.parquet file"):
        validate_file(streets, data, surroundings, quarantine=kept.with_suffix(".csv"))
    assert validate_file(streets, data, surroundings, quarantine=kept).quarantined == 2
    assert pq.read_table(kept)["name"].to_pylist() == [*values, None]


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_every_kind_of_text_is_kept_as_csv(hamlet, kind):
    streets = read_contract(hamlet.contract("streets"), root=hamlet.home / "contracts")
    data, kept = hamlet.home / "streets.parquet", hamlet.home / "kept.csv"
    pq.write_table(pa.table({"code": ["S1", "S1"], "name": pa.array(["一", None]).cast(kind)}), data)
    surroundings = Surroundings(references={}, transforms=hamlet.home / "transforms")
    assert validate_file(streets, data, surroundings, quarantine=kept).quarantined == 2
    assert '0,"S1","一",' in kept.read_text("utf-8")


def test_a_reference_without_rows_holds_nothing(hamlet):
    streets = read_contract(hamlet.contract("streets"), root=hamlet.home / "contracts")
    file = hamlet.home / "streets.jsonl"
    file.write_text("")
    referred = reference_data(streets, file)
    assert (referred.count_rows(), referred.schema.names) == (0, ["code", "name"])


def test_a_contract_at_the_top_of_the_disk_has_no_neighbours(residents):
    with pytest.raises(WrongUse, match="--reference"):
        find_surroundings(replace(residents, path=Path("/contract.yaml")), ["town_hall/streets=x.csv"])
