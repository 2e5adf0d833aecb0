"""The demo's population register as files for every engine: as text, typed, and a few rows of each; made once."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.model import Contract
from crossdock.contracts.odcs import read_contract
from crossdock.demo import real
from crossdock.demo.identities import Settings
from crossdock.demo.population import population
from crossdock.validation.plan import plan
from crossdock.validation.suite import expectation_of
from crossdock.validation.typing import cast_batch

CONTRACT = Path(__file__).with_name("population") / "contract.odcs.yaml"
SOURCE = Path(__file__).parents[2] / "contracts" / "public_security" / "population" / "contract.odcs.yaml"
DIVISIONS = "civil_affairs/divisions"
FEW = 1_000
_BY_GX = {"not_null", "unique", "in_set", "not_in_set", "pattern", "length", "between", "ordered"}


def write_register(folder: Path, rows: int, fewer: int) -> None:
    """Writes <rows>.{raw,typed}.parquet, the same with few rows, `fewer` rows of both as CSV, and the divisions."""
    contract = read_contract(CONTRACT)
    counties = sorted(real.counties())
    pq.write_table(pa.table({"code": counties}), folder / "divisions.parquet")
    (folder / "codes.txt").write_text("\n".join(counties), "utf-8")
    settings = Settings(rows=rows, seed=52, as_of=date(2026, 11, 20), counties=counties, employers=50_000)
    names = {column.source_name: column.name for column in read_contract(SOURCE).columns}
    texts = pa.schema([(column.name, pa.string()) for column in contract.columns])
    typed = pa.schema([field.with_nullable(True) for field in arrow_schema(contract)])
    with (
        pq.ParquetWriter(folder / "raw.parquet", texts, compression="zstd") as raw_file,
        pq.ParquetWriter(folder / "typed.parquet", typed, compression="zstd") as typed_file,
    ):
        for batch, _ in population(settings):
            raw = batch.rename_columns([names[name] for name in batch.schema.names]).select(texts.names)
            raw_file.write_batch(raw)
            typed_file.write_batch(cast_batch(raw, contract)[0])
    for name in ("raw", "typed"):
        head = next(pq.ParquetFile(folder / f"{name}.parquet").iter_batches(max(FEW, min(fewer, 100_000))))
        pq.write_table(pa.table(head.slice(0, FEW)), folder / f"{name}_few.parquet")
        if name == "typed":
            pacsv.write_csv(head.slice(0, fewer), folder / "typed.csv")
            pacsv.write_csv(head.slice(0, FEW), folder / "typed_few.csv")


def rules(contract: Contract) -> list[dict]:
    """Returns the contract's own rules (not those that go without saying) as every engine's process reads them."""
    found = []
    for check in plan(contract):
        rule = check.rule
        if rule.kind == "type":
            continue
        said = expectation_of(check).configuration if rule.kind in _BY_GX else None
        found.append(
            {
                "id": rule.id,
                "kind": rule.kind,
                "columns": rule.columns,
                "args": dict(rule.args),
                "expectation": said and (said.type, said.kwargs),
            }
        )
    return json.loads(json.dumps(found, default=str))
