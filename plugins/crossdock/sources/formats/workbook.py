"""Spreadsheets: cells as text, numbers without the ".0" that a sheet gives whole ones, dates in ISO 8601."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import islice
from typing import Any

import pyarrow as pa
import python_calamine as calamine

from crossdock.contracts.model import Contract
from crossdock.errors import did_you_mean
from crossdock.sources.formats.file import DataFile, text_schema
from crossdock.sources.source import BATCH_ROWS, Match, Pulled, match_columns, option

_LARGEST = 2 << 30  # bytes of a workbook unpacked
_WHOLE = 1 << 53  # numbers below are whole numbers exactly; a sheet rounds longer ones


def read(file: DataFile, contract: Contract) -> Pulled:
    """Opens a sheet (the contract's `sheet`, else the first visible one) whose first row holds the column names.

    An empty cell is null, and so is a cell with an error; rows without any value are passed over.

    Raises:
        SourceInvalid: it is no workbook, is protected by a password, or has no such sheet.
    """
    with file.guarded(), file.open_bytes() as stream:
        content = io.BytesIO(stream.read())
    _refuse_bomb(file, content)
    try:
        book = calamine.load_workbook(content)
        sheet = book.get_sheet_by_name(_sheet_name(file, book, option(contract, "sheet")))
        rows = sheet.iter_rows()
        header = next((row for row in rows if any(cell != "" for cell in row)), [])
    except calamine.PasswordError:
        raise file.invalid("The workbook has a password.", "Ask the department for one without.") from None
    except calamine.CalamineError:
        raise file.invalid("It is no workbook that can be read.", "Save it as .xlsx.") from None
    match = match_columns(contract, [_text(cell) or "" for cell in header], where=file.name)
    return Pulled(
        batches=_batches(rows, match), schema=text_schema(match.names), missing=match.missing, extra=match.extra
    )


def _refuse_bomb(file: DataFile, content: io.BytesIO) -> None:
    if zipfile.is_zipfile(content):
        try:
            with file.guarded(), zipfile.ZipFile(content) as archive:
                size = sum(member.file_size for member in archive.infolist())
        except (NotImplementedError, UnicodeDecodeError):
            raise file.invalid("It is no workbook that can be read.", "Save it as .xlsx.") from None
        if size > _LARGEST:
            raise file.invalid(f"The workbook unpacks to more than {_LARGEST:,} bytes.", "Send it as CSV or parquet.")
    content.seek(0)


def _sheet_name(file: DataFile, book: calamine.CalamineWorkbook, wanted: str) -> str:
    if wanted and wanted not in book.sheet_names:
        raise file.invalid(f"It has no sheet '{wanted}'.", did_you_mean(wanted, book.sheet_names))
    visible = [s.name for s in book.sheets_metadata if s.visible == calamine.SheetVisibleEnum.Visible]
    names = [wanted] if wanted else visible or book.sheet_names
    if not names:
        raise file.invalid("It has no sheet.", "Send a workbook with one.")
    return names[0]


def _batches(rows: Iterator[list[Any]], match: Match) -> Iterator[pa.RecordBatch]:
    schema = text_schema(match.names)
    while piece := list(islice(rows, BATCH_ROWS)):
        full = [row for row in piece if any(cell != "" for cell in row)]
        columns = [pa.array([_text(row[position]) for row in full], pa.string()) for position in match.positions]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _text(cell: Any) -> str | None:
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < _WHOLE else repr(cell)
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date | datetime | time) else str(cell)  # the rest are durations
