"""One file against one contract, with no exchange around it: what `crossdock validate` does."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.model import Contract
from crossdock.contracts.odcs import read_contract
from crossdock.errors import WrongUse, did_you_mean
from crossdock.exchange import find_home, open_exchange
from crossdock.identity import now
from crossdock.sources.files import read_file
from crossdock.sources.landing import land
from crossdock.storage.records import latest_snapshot
from crossdock.validation.judge import Context, Opinion, judge, weigh
from crossdock.validation.transforms import TransformChain
from crossdock.validation.typing import cast_batch

# The types whose values CSV spells as they are; bytes need not be text, and lists are none.
_FLAT = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_null),
    *(pa.types.is_primitive, pa.types.is_decimal),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a contract may look things up in: data of the datasets it refers to, and the folder of transforms."""

    references: Mapping[str, pads.Dataset]
    transforms: Path


def validate_file(
    contract: Contract, data: Path, surroundings: Surroundings, *, quarantine: Path | None = None
) -> Opinion:
    """Judges a data file by a contract and, if asked, keeps the failing rows in `quarantine` (.parquet or .csv).

    Raises:
        SourceInvalid: the file can't be read as the contract says.
        WrongUse: the contract refers to a dataset whose data is not at hand.
    """
    for name in sorted(contract.refers_to - surroundings.references.keys()):
        raise WrongUse(
            f"The contract refers to '{name}', whose data is not at hand.",
            where=str(contract.path),
            fix=f"Name a file of it: --reference {name}=FILE. {did_you_mean(name, surroundings.references)}",
        )
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        pulled = read_file(data, contract)
        _check_kept(pulled.schema, data, quarantine)
        landed = land(pulled, scratch / "extract.parquet")
        context = Context(
            references=surroundings.references,
            transforms=TransformChain(
                contract.transforms, surroundings.transforms, surroundings.references, contract=contract
            ).apply,
            now=now(),
            scratch=scratch,
            drift={"missing": list(pulled.missing), "extra": list(pulled.extra)},
        )
        extract = pads.dataset(landed.path, format="parquet")
        if not quarantine:
            return weigh(contract, extract, context=context)
        judgement = judge(contract, extract, context=context)
        _keep(judgement.quarantine_file, landed.path, quarantine)
        return judgement


def find_surroundings(contract: Contract, named: Sequence[str]) -> Surroundings:
    """Finds what a contract refers to: files named as "DEPARTMENT/DATASET=FILE" first, then this exchange's snapshots.

    Raises:
        WrongUse: a name is not of that form, or that dataset has no contract.
    """
    home, places = find_home(), contract.path.absolute().parents
    references: dict[str, pads.Dataset] = {}
    for word in named:
        dataset, _, file = word.partition("=")
        path = places[2] / dataset / "contract.odcs.yaml" if file and len(places) > 2 else Path()
        if not path.is_file():
            raise WrongUse(
                f"'{word}' names no dataset and file.",
                where="--reference",
                fix="Write DEPARTMENT/DATASET=FILE; its contract stands in the same contracts folder.",
            )
        references[dataset] = reference_data(read_contract(path, root=path.parents[2]), Path(file))
    wanted = contract.refers_to - references.keys()
    if wanted and (home / "var" / "state.db").exists():
        exchange = open_exchange(home)
        snapshots = {name: latest_snapshot(exchange.state, name) for name in wanted}
        references |= {name: exchange.dataset(s.key) for name, s in snapshots.items() if s}
    return Surroundings(references=references, transforms=home / "transforms")


def reference_data(contract: Contract, path: Path) -> pads.Dataset:
    """Reads a data file as the contract types it, for other contracts to refer to (whatever its rules say of it)."""
    pulled = read_file(path, contract)
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema(contract)])
    return pads.dataset(pa.Table.from_batches((cast_batch(batch, contract)[0] for batch in pulled.batches), schema))


def _check_kept(schema: pa.Schema, data: Path, target: Path | None) -> None:
    """Refuses, before the work, to write failing rows over the data itself or where they can't be kept as they are."""
    if target and target.exists() and target.samefile(data):
        raise WrongUse("That is the data itself.", where="--quarantine", fix="Name another file for the failing rows.")
    for field in schema if target and target.suffix == ".csv" else ():
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not any(fits(kind) for fits in _FLAT):
            raise WrongUse(
                f"Column '{field.name}' holds {kind}, which CSV can't keep as it is.",
                where="--quarantine",
                fix="Name a .parquet file for the failing rows.",
            )


def _keep(rows: Path | None, landed: Path, target: Path) -> None:
    """Writes the failing rows (none: the columns alone) to a file that only its owner can read."""
    table = pq.read_table(rows) if rows else pq.read_schema(landed).empty_table()
    target.touch(mode=0o600)
    if target.suffix != ".csv":
        pq.write_table(table, target, compression="zstd")
        return
    failures = table["_failures"].to_pylist() if rows else []
    flat = [field.name for field in table.schema if field.name != "_failures"]
    reasons = pa.array([", ".join(f["rule"] for f in each) for each in failures], pa.string())
    pacsv.write_csv(table.select(flat).append_column("_failures", reasons), target)
