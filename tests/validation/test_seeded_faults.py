"""The demo's registers come with a list of their faults: the judge finds those rows, by those rules, and no others."""

import sqlite3
from datetime import UTC, datetime, time
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from crossdock.contracts.odcs import read_contract
from crossdock.demo.provision import provision
from crossdock.sources.files import read_file
from crossdock.validation.judge import Context, judge
from crossdock.validation.transforms import TransformChain

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def province(tmp_path_factory):
    return provision(tmp_path_factory.mktemp("home"), people=4000, enterprises=4000)


def promised(dataset):
    return read_contract(ROOT / "contracts" / dataset / "contract.odcs.yaml", root=ROOT / "contracts")


def judged(contract, rows, province, scratch, **references):
    scratch.mkdir()
    pq.write_table(rows, scratch / "extract.parquet")
    at = {name.replace("__", "/"): data for name, data in references.items()}
    chain = TransformChain(contract.transforms, ROOT / "transforms", at, contract=contract)
    now = datetime.combine(province.as_of, time(12), UTC)
    context = Context(scratch=scratch, references=at, transforms=chain.apply, now=now)
    return judge(contract, pads.dataset(scratch / "extract.parquet", format="parquet"), context=context)


@pytest.fixture(scope="module")
def divisions(province, tmp_path_factory):
    contract = promised("civil_affairs/divisions")
    pulled = read_file(province.folder / "departments/civil_affairs/divisions.csv", contract)
    rows = pa.Table.from_batches(pulled.batches, pulled.schema)
    result = judged(contract, rows, province, tmp_path_factory.mktemp("divisions") / "scratch")
    return pads.dataset(result.accepted_file, format="parquet")


def population(contract, province):
    table = contract.source.options["table"]
    with sqlite3.connect(province.folder / "departments/public_security/registers.db") as database:
        columns = [f'CAST("{column.source_name}" AS TEXT)' for column in contract.columns]
        rows = database.execute(f'SELECT {", ".join(columns)} FROM "{table}" ORDER BY rowid').fetchall()
    database.close()
    values = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.table(values, names=[column.name for column in contract.columns])


def enterprises(contract, province):
    pulled = read_file(province.folder / "departments/market_regulation/enterprises.parquet", contract)
    return pa.Table.from_batches(pulled.batches, pulled.schema)


@pytest.mark.parametrize(
    ("dataset", "rows_of"),
    [("public_security/population", population), ("market_regulation/enterprises", enterprises)],
)
def test_exactly_the_seeded_faults_are_caught(dataset, rows_of, province, divisions, tmp_path):
    contract = promised(dataset)
    rows = rows_of(contract, province)
    result = judged(contract, rows, province, tmp_path / "scratch", civil_affairs__divisions=divisions)
    seeded = {r["arrival"]: sorted(r["rules"]) for r in pq.read_table(province.faults[dataset]).to_pylist()}
    caught = {
        row["_arrival"]: sorted(failure["rule"] for failure in row["_failures"])
        for row in pq.read_table(result.quarantine_file).to_pylist()
    }
    assert caught == seeded
    assert result.accepted == rows.num_rows - len(seeded)
