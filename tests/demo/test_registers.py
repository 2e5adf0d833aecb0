import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from crossdock.contracts.catalogue import load_catalogue
from crossdock.demo import enterprises, population, real
from crossdock.demo.identities import Settings
from crossdock.demo.registers import write_enterprises, write_population
from crossdock.validation.judge import Context, judge
from crossdock.validation.transforms import TransformChain

REPOSITORY = Path(__file__).parents[2]
AS_OF = date(2026, 6, 30)
COUNTIES = real.counties()
NOT_OF_ROWS = {"row_count", "freshness", "count", "query", "drift"}  # rule kinds that judge an extract as a whole


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue(REPOSITORY / "contracts", transforms=REPOSITORY / "transforms")


def settings(rows, seed=7):
    return Settings(rows=rows, seed=seed, as_of=AS_OF, counties=list(COUNTIES), employers=1_000)


def people(database):
    """Reads the table as a full pull does: in rowid order, every value as text."""
    with closing(sqlite3.connect(database)) as connection:
        names = [column[1] for column in connection.execute("PRAGMA table_info(t_population)")]
        query = f"SELECT {', '.join(f'CAST({name} AS TEXT)' for name in names)} FROM t_population ORDER BY rowid"
        rows = connection.execute(query).fetchall()
    return pa.table({name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(names)})


def divisions():
    rows = [row for row in real.divisions() if row["行政区划代码"].isdigit()]
    names = {"code": "行政区划代码", "name": "名称", "full_name": "全称"}
    return pads.dataset(pa.table({ours: [row[theirs] for row in rows] for ours, theirs in names.items()}))


def judged(contract, raw, folder):
    """Returns what the contract makes of raw rows: which rules each quarantined row broke, by arrival number."""
    ours = {column.source_name: column.name for column in contract.columns}
    pq.write_table(raw.rename_columns([ours[name] for name in raw.column_names]), folder / "landed.parquet")
    references = {"civil_affairs/divisions": divisions()}
    chain = TransformChain(contract.transforms, REPOSITORY / "transforms", references, contract=contract)
    context = Context(
        references=references,
        transforms=chain.apply,
        now=datetime.combine(AS_OF, time(12), UTC) + timedelta(days=1),
        scratch=folder,
        drift={"missing": [], "extra": []},
    )
    judgement = judge(contract, pads.dataset(folder / "landed.parquet"), context=context)
    kept = pq.read_table(judgement.quarantine_file, columns=["_arrival", "_failures"]).to_pylist()
    return judgement, {row["_arrival"]: sorted(f["rule"] for f in row["_failures"]) for row in kept}


def listed(path):
    return {row["arrival"]: sorted(row["rules"]) for row in pq.read_table(path).to_pylist()}


@pytest.mark.parametrize("seed", [7, 8])
def test_precisely_the_listed_people_break_precisely_the_listed_rules(tmp_path, catalogue, seed):
    write_population(tmp_path / "p.db", tmp_path / "faults.parquet", settings(3_000, seed))
    contract = catalogue.contracts["public_security/population"]
    judgement, broken = judged(contract, people(tmp_path / "p.db"), tmp_path)
    assert judgement.outcome == "partial"
    assert broken == listed(tmp_path / "faults.parquet")


@pytest.mark.parametrize("seed", [7, 8])
def test_precisely_the_listed_enterprises_break_precisely_the_listed_rules(tmp_path, catalogue, seed):
    write_enterprises(tmp_path / "e.parquet", tmp_path / "faults.parquet", settings(3_000, seed), COUNTIES)
    contract = catalogue.contracts["market_regulation/enterprises"]
    judgement, broken = judged(contract, pq.read_table(tmp_path / "e.parquet"), tmp_path)
    assert judgement.outcome == "partial"
    assert broken == listed(tmp_path / "faults.parquet")


@pytest.mark.parametrize(
    ("dataset", "faults"),
    [("public_security/population", population.FAULTS), ("market_regulation/enterprises", enterprises.FAULTS)],
)
def test_every_kind_of_rule_on_rows_has_its_faults(catalogue, dataset, faults):
    rules = {rule.id: rule.kind for rule in catalogue.contracts[dataset].rules}
    spoiled = {rule for fault in faults for rule in fault.rules}
    assert spoiled <= rules.keys()
    assert {rules[rule] for rule in spoiled} == set(rules.values()) - NOT_OF_ROWS


def test_both_contracts_together_hold_every_kind_of_rule(catalogue):
    from typing import get_args

    from crossdock.contracts.model import RuleKind

    of_nested_columns = {"items", "unique_items", "properties"}  # a register is a flat table
    used = {r.kind for c in catalogue.contracts.values() for r in c.rules}
    assert used == set(get_args(RuleKind)) - of_nested_columns


def test_text_survives_in_columns_of_numbers_and_dates(tmp_path):
    write_population(tmp_path / "p.db", tmp_path / "faults.parquet", settings(3_000))
    with closing(sqlite3.connect(tmp_path / "p.db")) as connection:
        kinds = dict(connection.execute("SELECT typeof(cbys), count(*) FROM t_population GROUP BY 1"))
    assert kinds["integer"] > 2_500
    assert kinds.keys() >= {"integer", "null"}
    assert any(rules == ["insured_months.type"] for rules in listed(tmp_path / "faults.parquet").values())


def test_the_same_settings_make_the_same_registers_and_another_seed_others(tmp_path):
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        write_population(tmp_path / f"{name}.db", tmp_path / f"{name}.faults", settings(1_000, seed))
        write_enterprises(tmp_path / f"{name}.parquet", tmp_path / f"{name}.more", settings(1_000, seed), COUNTIES)
    assert people(tmp_path / "one.db").equals(people(tmp_path / "two.db"))
    for suffix in ("faults", "more", "parquet"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
        assert (tmp_path / f"one.{suffix}").read_bytes() != (tmp_path / f"three.{suffix}").read_bytes()
    assert not people(tmp_path / "one.db").equals(people(tmp_path / "three.db"))


def test_chunks_continue_each_other(tmp_path, monkeypatch):
    """Arrival numbers go on, and no identity comes again: what holds for two chunks holds for a hundred."""
    monkeypatch.setattr(population, "CHUNK", 1_000)
    told = []
    write_population(tmp_path / "p.db", tmp_path / "faults.parquet", settings(2_500), told=told.append)
    assert told == [1_000, 2_000, 2_500]
    arrivals = list(listed(tmp_path / "faults.parquet"))
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] > 2_000
    numbers = people(tmp_path / "p.db")["sfzh"].drop_null()
    sound = numbers.filter(pc.equal(pc.utf8_length(numbers), 18))
    copied = sum(rules == ["resident_id.unique"] for rules in listed(tmp_path / "faults.parquet").values()) / 2
    assert len(sound) - len(sound.unique()) == copied


def test_the_newest_row_is_sound_so_that_an_increment_after_it_is_empty(tmp_path):
    write_population(tmp_path / "p.db", tmp_path / "faults.parquet", settings(2_000))
    updated = people(tmp_path / "p.db")["gxsj"].to_pylist()
    newest = max(text for text in updated if text)
    assert newest == "2026-06-29T23:59:59"
    assert {i for i, text in enumerate(updated) if text == newest} - listed(tmp_path / "faults.parquet").keys()


def test_most_people_work_for_an_enterprise_of_the_register(tmp_path):
    write_population(tmp_path / "p.db", tmp_path / "faults.parquet", settings(2_000))
    write_enterprises(tmp_path / "e.parquet", tmp_path / "more.parquet", settings(1_000), COUNTIES)
    employers = people(tmp_path / "p.db")["dwdm"].drop_null()
    registered = pq.read_table(tmp_path / "e.parquet")["统一社会信用代码"].combine_chunks()
    assert 1_300 < len(employers) < 1_500
    assert pc.mean(pc.is_in(employers, value_set=registered)).as_py() > 0.95


def test_clerks_write_some_sound_values_their_own_way(tmp_path):
    """Without them the transforms would have nothing to do."""
    write_population(tmp_path / "p.db", tmp_path / "faults.parquet", settings(3_000))
    write_enterprises(tmp_path / "e.parquet", tmp_path / "more.parquet", settings(3_000), COUNTIES)
    rows, firms = people(tmp_path / "p.db"), pq.read_table(tmp_path / "e.parquet")
    for values, pattern in (
        (rows["sfzh"], r"^\d{15}$"),
        (rows["sfzh"], "x$"),
        (rows["lxdh"], r"^\+86 1\d\d-\d{4}-\d{4}$"),
        (rows["lxdh"], "^无$"),
        (rows["zz"], r"[\x{FF10}-\x{FF19}]"),
        (firms["成立日期"], "年"),
        (firms["成立日期"], "/"),
        (firms["成立日期"], r"^\d{8}$"),
        (firms["统一社会信用代码"], r"[\x{FF10}-\x{FF19}]"),
    ):
        assert pc.sum(pc.match_substring_regex(values, pattern)).as_py() > 5, pattern
