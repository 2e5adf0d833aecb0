"""What a person does with a draft: confirm it; and what then becomes of the data it was drafted from."""

import csv
import json
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from stdnum.cn import ric

from crossdock.contracts.odcs import read_contract
from crossdock.drafting.draft import Names, draft_file
from crossdock.trial import Surroundings, validate_file


def draft_of(path: Path, folder: Path, **names):
    """Drafts from a file."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return draft_file(path, Names(**names), scratch=scratch)


def confirmed(draft, folder: Path, but: str = "") -> Path:
    """Writes a draft as a person leaves it, who confirms everything (`but` the column read from there)."""
    document = yaml.safe_load(draft.text)
    for given in document["schema"][0]["properties"]:
        if given["name"] != but:
            del given["customProperties"]
    del document["customProperties"][0]["value"]["confirm"]
    file = folder / "confirmed.yaml"
    text = yaml.safe_dump(document | {"status": "active"}, sort_keys=False, allow_unicode=True)
    file.write_text(text, "utf-8")
    return file


def judged(contract: Path, data: Path):
    """Judges data by a contract, as `crossdock validate` does."""
    surroundings = Surroundings(references={}, transforms=contract.parent / "transforms")
    return validate_file(read_contract(contract), data, surroundings)


def write(path: Path, columns: dict[str, list], encoding="utf-8", delimiter=",") -> Path:
    """Writes columns as a file of the kind that its name says."""
    names, rows = list(columns), list(zip(*columns.values(), strict=True))
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding=encoding, newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows([names, *rows])
    elif path.suffix == ".jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]
        path.write_text("".join(f"{line}\n" for line in lines), encoding)
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in [names, *rows]:
            book.active.append(row)
        book.save(path)
    else:
        pq.write_table(pa.table(columns), path)
    return path


def resident_id(number: int) -> str:
    """Returns a resident identity number with the right check digit; no two numbers have the same."""
    body = f"110105{1950 + number % 50}0102{number // 50:03}"
    return body + ric.calc_check_digit(f"{body}0")
