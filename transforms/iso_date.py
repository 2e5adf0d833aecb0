"""Dates written in the usual Chinese ways become ISO 8601; the transform to copy for those who think in pandas."""

from collections.abc import Sequence

import pandas as pd

_WRITTEN = r"^\s*(?P<year>\d{4})[-/.年]\s*(?P<month>\d{1,2})[-/.月]\s*(?P<day>\d{1,2})\s*日?\s*$"
_COMPACT = r"^\s*(\d{4})(\d{2})(\d{2})\s*$"


def iso_date(frame: pd.DataFrame, *, columns: Sequence[str]) -> pd.DataFrame:
    """Reads 2024年1月5日, 2024/1/5, 2024.1.5 and 20240105; what is no such date stays as it is.

    Whether the day exists in the calendar is for the contract's type to say.

    >>> frame = pd.DataFrame({"day": ["2024年1月5日", "2024/1/5", "20240105", "不详", None]}, dtype="string[pyarrow]")
    >>> iso_date(frame, columns=["day"])["day"].to_list()
    ['2024-01-05', '2024-01-05', '2024-01-05', '不详', <NA>]
    """
    for name in columns:
        text = frame[name].str.replace(_COMPACT, r"\1-\2-\3", regex=True)
        parts = text.str.extract(_WRITTEN)
        iso = parts["year"] + "-" + parts["month"].str.zfill(2) + "-" + parts["day"].str.zfill(2)
        frame[name] = iso.where(iso.notna(), frame[name])
    return frame
