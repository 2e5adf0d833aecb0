"""Drafts of the demonstration's own data: real registers, and made-up ones with faults."""

from __future__ import annotations

import pyarrow.dataset as pads
import pytest

from confirming import confirmed, draft_of, judged
from crossdock.connections import local_lookup
from crossdock.contracts.odcs import read_contract
from crossdock.demo.provision import provision
from crossdock.drafting.draft import Names, draft_table
from crossdock.sources.landing import land
from crossdock.sources.source import read
from crossdock.validation.judge import Context, judge

FILES = {
    "transport/flights.csv.zip": {"dep_time": "integer", "carrier": "string", "time_hour": "timestamp"},
    "transport/airlines.csv": {"carrier": "string"},
    "transport/airports.jsonl": {"lat": "number", "alt": "integer"},
    "transport/planes.xlsx": {"year": "integer", "seats": "integer"},
    "civil_affairs/divisions.csv": {"region_code": "string", "parent_code": "string"},
    "meteorology/weather.jsonl": {"temp": "number", "time_hour": "timestamp"},
}


@pytest.fixture(scope="module")
def province(tmp_path_factory):
    home = tmp_path_factory.mktemp("province")
    provision(home, people=3_000, enterprises=2_000)
    return home


@pytest.mark.parametrize("name", FILES)
def test_a_confirmed_draft_of_a_demonstration_file_accepts_it(province, tmp_path, name):
    data = province / "var" / "demo" / "departments" / name
    draft = draft_of(data, tmp_path)
    types = {each.column.name: each.column.type for each in draft.columns}
    assert FILES[name].items() <= types.items()
    found = judged(confirmed(draft, tmp_path), data)
    assert (found.outcome, found.accepted, found.findings) == ("accepted", draft.rows, ())


def test_a_draft_says_what_a_few_faults_hide(province, tmp_path):
    data = province / "var" / "demo" / "departments" / "market_regulation" / "enterprises.parquet"
    draft = draft_of(data, tmp_path)
    assert judged(confirmed(draft, tmp_path), data).outcome == "accepted"
    assert any("values are unified social credit codes" in each.question for each in draft.columns)


def test_a_draft_of_the_population_register_tells_nobodys_secrets(province, tmp_path):
    connection = local_lookup(province / "var" / "connections.json")("dept_public_security")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    draft = draft_table(connection, "t_population", Names(department="public_security"), scratch=scratch)
    restricted = {each.column.name for each in draft.columns if each.sensitivity.classification == "restricted"}
    assert restricted >= {"sfzh", "xm", "xb", "csrq", "mz", "lxdh", "dzyx", "zz", "ysr"}
    contract = read_contract(confirmed(draft, tmp_path))
    landed = land(read(contract, lambda _: connection, since=None), tmp_path / "extract.parquet")
    rows = pads.dataset(landed.path, format="parquet")
    assert judge(contract, rows, context=Context(scratch=tmp_path)).outcome == "accepted"
    text = draft.text
    for name in ("sfzh", "xm", "lxdh", "dzyx", "zz", "dwdm", "hh"):
        held = {value for value in rows.to_table(columns=[name])[name].to_pylist() if value and len(value) > 1}
        assert not [value for value in held if value in text], name
