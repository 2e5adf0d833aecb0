"""A made-up enterprise register: one row per enterprise of the home province, as its regulator would export it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.demo.faults import Columns, Copying, FaultPlan, Spoiling, put
from crossdock.demo.identities import Pools, Settings
from crossdock.demo.names import FIRM_NAMES, GIVEN, INDUSTRIES, SURNAMES, TRADES
from crossdock.demo.text import (
    Numbers,
    credit_codes,
    digits,
    iso_days,
    joined,
    mobiles,
    picked,
    resident_ids,
    sometimes,
    strings,
    widened,
)

CHUNK = 100_000
SCHEMA = pa.schema(
    {
        "统一社会信用代码": pa.string(),
        "企业名称": pa.string(),
        "企业类型": pa.string(),
        "住所区划": pa.string(),
        "行业代码": pa.string(),
        "成立日期": pa.string(),
        "注销日期": pa.string(),
        "注册资本": pa.decimal128(16, 4),
        "从业人数": pa.int64(),
        "法定代表人": pa.string(),
        "法定代表人证件号码": pa.string(),
        "联系电话": pa.string(),
        "登记状态": pa.string(),
    }
)

_KINDS = ("有限责任公司", "股份有限公司", "个人独资企业", "合伙企业", "国有企业")
_FIRST_DAY = int(np.datetime64("1985-01-01").astype(np.int64))
_REPRESENTATIVES = 1_000_000_000  # their identities come after those of the population


def _last_changed(text: str) -> str:
    return text[:-1] + ("1" if text[-1] != "1" else "2")


def _letter_inside(text: str) -> str:
    return text[:10] + "I" + text[11:]


FAULTS = (
    Spoiling(rules=("credit_code.not_null",), column="统一社会信用代码", values=[None]),
    Spoiling(rules=("credit_code_check_character",), column="统一社会信用代码", change=_last_changed),
    Spoiling(
        rules=("credit_code.pattern", "credit_code_check_character"), column="统一社会信用代码", change=_letter_inside
    ),
    Copying(rules=("credit_code.unique",), columns=("统一社会信用代码",)),
    Spoiling(rules=("name.not_null",), column="企业名称", values=[None]),
    Spoiling(rules=("name.length",), column="企业名称", values=["黔丰", "贵" * 61]),
    Spoiling(rules=("kind.in_set",), column="企业类型", values=["有限公司", "其他"]),
    Spoiling(rules=("region_code.reference",), column="住所区划", values=["贵州省贵阳市未来区", "999999"]),
    Spoiling(rules=("region_code.not_null",), column="住所区划", values=[None]),
    Spoiling(rules=("industry.pattern",), column="行业代码", values=["Z99", "F5", "51"]),
    Spoiling(rules=("established_on.type",), column="成立日期", values=["不详", "2023年2月30日"]),
    Spoiling(rules=("established_on.between",), column="成立日期", values=["1949-09-30", "1900年1月1日"]),
    Spoiling(rules=("deregistered_on.type",), column="注销日期", values=["尚未", "20231301"]),
    Spoiling(rules=("closed_after_established",), column="注销日期", values=["1950-01-01", "1950年1月1日"]),
    Spoiling(rules=("registered_capital.between",), column="注册资本", values=[Decimal("-0.0001"), Decimal(-500)]),
    Spoiling(rules=("employees.between",), column="从业人数", values=[-1, 1_000_000]),
    Spoiling(rules=("representative.not_null",), column="法定代表人", values=[None]),
    Spoiling(rules=("representative.length",), column="法定代表人", values=["王"]),
    Spoiling(
        rules=("representative_id_check_digit",),
        column="法定代表人证件号码",
        values=["护照E12345678", "52010219780809510X"],
    ),
    Spoiling(rules=("phone.pattern",), column="联系电话", values=["0851-85123456", "12012345678"]),
    Spoiling(rules=("status.in_set",), column="登记状态", values=["开业", "迁出"]),
    Spoiling(rules=("status.not_null",), column="登记状态", values=[None]),
)


def employer_codes(people: Numbers, settings: Settings) -> pa.Array:
    """Returns each person's employer by its credit code; null when there are no enterprises."""
    if not settings.employers:
        return pa.nulls(len(people), pa.string())
    return strings(_codes(people * 48_611 % settings.employers, settings, Pools.of(settings)))


def enterprises(settings: Settings, names: Mapping[str, str]) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yields the register in chunks, each with its spoiled rows (`arrival`, `rules`).

    Args:
        settings: how many rows, and from which counties.
        names: full name of each county by code; the register writes names, not codes.
    """
    pools = Pools.of(settings)
    for start in range(0, settings.rows, CHUNK):
        random = np.random.default_rng((settings.seed, 2, start))
        firms = np.arange(start, min(start + CHUNK, settings.rows), dtype=np.int64)
        columns = _sound(settings, pools, firms, random)
        regions = pool_names(pools, names)
        columns["住所区划"] = picked(regions, firms % len(regions))
        plan = FaultPlan(random, rows=len(firms), kinds=len(FAULTS))
        plan.apply(FAULTS, columns)
        _vary(columns, plan.sound(len(firms)), random)
        yield pa.record_batch([columns[name] for name in SCHEMA.names], schema=SCHEMA), plan.table(start)


def pool_names(pools: Pools, names: Mapping[str, str]) -> list[str]:
    """Returns the full names of the home province's counties."""
    return [names[str(code)] for code in pools.home]


def _codes(firms: Numbers, settings: Settings, pools: Pools) -> np.ndarray:
    """The one place that says which code the n-th enterprise has."""
    return credit_codes(pools.home[firms % len(pools.home)], (firms * 7_368_787 + settings.seed) % 100_000_000)


def _sound(settings: Settings, pools: Pools, firms: Numbers, random: np.random.Generator) -> Columns:
    """Makes a chunk without faults, under the names its source uses; the region is still to come."""
    rows = len(firms)
    today = int(np.datetime64(settings.as_of).astype(np.int64))
    opened = random.integers(_FIRST_DAY, today - 400, rows)
    closed = np.minimum(opened + random.integers(30, 12_000, rows), today - 1)
    state = random.choice(3, rows, p=[0.8, 0.05, 0.15])
    capital = (
        pa.array(random.integers(1, 5_000, rows) * 10).cast(pa.decimal128(23, 4)).cast(SCHEMA.field("注册资本").type)
    )
    people = resident_ids(*pools.identities(firms + _REPRESENTATIVES))
    return {
        "统一社会信用代码": strings(_codes(firms, settings, pools)),
        "企业名称": joined(
            "贵州",
            picked(FIRM_NAMES, random.integers(0, len(FIRM_NAMES), rows)),
            strings(digits(firms, 5 if settings.rows <= 100_000 else 8)),
            picked(TRADES, random.integers(0, len(TRADES), rows)),
            "有限公司",
        ),
        "企业类型": picked(_KINDS, random.choice(len(_KINDS), rows, p=[0.7, 0.08, 0.12, 0.07, 0.03])),
        "行业代码": sometimes(picked(INDUSTRIES, random.integers(0, len(INDUSTRIES), rows)), random, 0.03),
        "成立日期": _dates(opened, random),
        "注销日期": pc.if_else(pa.array(state == 2), _dates(closed, random), pa.scalar(None, pa.string())),
        "注册资本": sometimes(capital, random, 0.05),
        "从业人数": sometimes(pa.array(np.minimum(random.geometric(0.04, rows), 90_000)), random, 0.1),
        "法定代表人": joined(
            picked(SURNAMES, random.integers(0, len(SURNAMES), rows)),
            picked(GIVEN, random.integers(0, len(GIVEN), rows)),
        ),
        "法定代表人证件号码": sometimes(strings(people), random, 0.1),
        "联系电话": sometimes(strings(mobiles(random, rows)), random, 0.05),
        "登记状态": picked(("存续", "吊销", "注销"), state),
    }


def _dates(days: Numbers, random: np.random.Generator) -> pa.Array:
    """Writes dates in the four ways that such exports mix."""
    iso = iso_days(days)
    year, month, day = (pc.utf8_slice_codeunits(iso, *place) for place in ((0, 4), (5, 7), (8, 10)))
    bare_month, bare_day = (pc.utf8_ltrim(part, "0") for part in (month, day))
    chinese = joined(year, "年", bare_month, "月", bare_day, "日")
    way = pa.array(random.choice(4, len(days), p=[0.85, 0.05, 0.05, 0.05]))
    return pc.choose(way, iso, joined(year, "/", bare_month, "/", bare_day), joined(year, month, day), chinese)


def _vary(columns: Columns, sound: np.ndarray, random: np.random.Generator) -> None:
    """Writes some sound values the way clerks do; the contract's transforms bring them back into form."""
    for name, share in (("统一社会信用代码", 0.01), ("企业名称", 0.02)):
        wide = sound & (random.random(len(sound)) < share)
        put(columns, name, wide, widened(columns[name].filter(pa.array(wide))))
