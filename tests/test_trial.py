"""One file against one contract: where it finds what the contract refers to, and what it keeps."""

from __future__ import annotations

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
