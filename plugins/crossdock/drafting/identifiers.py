"""Identifiers that are known by their look: what each value must be, and how a contract promises it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crossdock.contracts.options import TEXT_FORMATS
from crossdock.drafting.digits import MOBILE

_RESIDENT_ID = r"^[1-8]\d{16}[\dX]$"
_REGION = r"^(1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[12])\d{4}$"  # province, prefecture, county


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """A kind of identifier.

    `checks` are rule kinds with their args, all of which every value keeps; `options` and `expectation` say the same in
    a contract. `named`: only columns of such a name, because other numbers look alike.
    """

    words: str
    checks: tuple[tuple[str, Mapping[str, object]], ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    expectation: str = ""
    named: re.Pattern[str] | None = None
    personal: bool = False


def _pattern(regex: str) -> tuple[tuple[str, Mapping[str, object]], ...]:
    return (("pattern", {"regex": regex}),)


IDENTIFIERS: Mapping[str, Identifier] = {
    "resident_id": Identifier(
        words="resident identity numbers (GB 11643)",
        checks=(*_pattern(_RESIDENT_ID), ("checksum", {"scheme": "gb11643"})),
        options={"pattern": _RESIDENT_ID},
        expectation="expect_column_values_to_have_gb11643_check_digit",
        personal=True,
    ),
    "credit_code": Identifier(
        words="unified social credit codes (GB 32100)",
        checks=(("checksum", {"scheme": "gb32100"}),),
        options={"minLength": 18, "maxLength": 18},
        expectation="expect_column_values_to_have_gb32100_check_digit",
    ),
    "mobile": Identifier(
        words="mobile phone numbers", checks=_pattern(MOBILE), options={"pattern": MOBILE}, personal=True
    ),
    "email": Identifier(
        words="e-mail addresses", checks=_pattern(TEXT_FORMATS["email"]), options={"format": "email"}, personal=True
    ),
    "uuid": Identifier(words="UUIDs", checks=_pattern(TEXT_FORMATS["uuid"]), options={"format": "uuid"}),
    "region_code": Identifier(
        words="codes of administrative divisions (GB/T 2260)",
        checks=_pattern(_REGION),
        options={"pattern": _REGION},
        named=re.compile("region|division|county|district|area|xzqh|qhdm|区划|行政|地区", re.IGNORECASE),
    ),
}
