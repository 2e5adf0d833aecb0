"""A made-up population register: one row per resident of a province, as a police database would hold them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.demo.enterprises import employer_codes
from crossdock.demo.faults import Columns, Copying, FaultPlan, Spoiling, put
from crossdock.demo.identities import Pools, Settings
from crossdock.demo.names import GIVEN, STREETS, SURNAMES
from crossdock.demo.text import (
    Numbers,
    digits,
    iso_days,
    joined,
    mobiles,
    picked,
    prefixed,
    resident_ids,
    sometimes,
    strings,
    widened,
)

CHUNK = 100_000


def _last_changed(text: str) -> str:
    return text[:-1] + ("1" if text[-1] != "1" else "2")


def _letter_inside(text: str) -> str:
    return text[:5] + "Z" + text[6:]


FAULTS = (
    Spoiling(rules=("resident_id.not_null",), column="sfzh", values=[None]),
    Spoiling(rules=("resident_id_check_digit",), column="sfzh", change=_last_changed),
    Spoiling(rules=("resident_id.pattern", "resident_id_check_digit"), column="sfzh", change=_letter_inside),
    Copying(rules=("resident_id.unique",), columns=("sfzh",)),
    Spoiling(rules=("name.not_null",), column="xm", values=[None, "NULL"]),
    Spoiling(rules=("name.length",), column="xm", values=["王", "阿" * 41]),
    Spoiling(rules=("name_is_no_test_entry",), column="xm", values=["测试用户", "测试"]),
    Spoiling(rules=("gender.in_set",), column="xb", values=["0", "男"]),
    Spoiling(rules=("birth_date.between",), column="csrq", values=["1899-12-31", "2030-01-01", "2090-05-05"]),
    Spoiling(rules=("ethnicity.pattern",), column="mz", values=["57", "00", "汉"]),
    Spoiling(rules=("phone.pattern",), column="lxdh", values=["12012345678", "1381234567", "0851-85123456"]),
    Spoiling(rules=("phone_is_no_placeholder",), column="lxdh", values=["13800138000", "13888888888"]),
    Spoiling(rules=("email.pattern",), column="dzyx", values=["not-an-email", "a@b"]),
    Spoiling(rules=("email.length",), column="dzyx", values=[f"{'a' * 60}@example.cn"]),
    Spoiling(rules=("household_no.pattern",), column="hh", change=lambda text: "X" + text[1:]),
    Copying(rules=("household_no+member_no.unique",), columns=("hh", "hnxh")),
    Spoiling(rules=("member_no.between",), column="hnxh", change=lambda text: "2" + text),
    Spoiling(rules=("member_no.between",), column="hnxh", change=lambda text: "-" + text),
    Spoiling(rules=("region_code.reference",), column="xzqh", values=["999999", "529999"]),
    Spoiling(rules=("region_code.not_null",), column="xzqh", values=[None]),
    Spoiling(rules=("address.length",), column="zz", values=["长" * 101]),
    Spoiling(rules=("registered_on.not_null",), column="djrq", values=[None]),
    Spoiling(rules=("card_valid_after_registration",), column="yxqz", values=["1930-01-01"]),
    Spoiling(rules=("valid_until.type",), column="yxqz", values=["2026-02-30", "长期"]),
    Spoiling(rules=("employer_code_check_digit",), column="dwdm", values=["91520102630698618X", "无单位"]),
    Spoiling(rules=("insured_months.type",), column="cbys", values=["十二", "12.5"]),
    Spoiling(rules=("insured_months.between",), column="cbys", values=["-1", "721"]),
    Spoiling(rules=("monthly_income.type",), column="ysr", values=["8000.125", "八千"]),
    Spoiling(rules=("monthly_income.between",), column="ysr", values=["-0.01", "-5000"]),
    Spoiling(rules=("status.in_set",), column="zt", values=["UNKNOWN", "active"]),
    Spoiling(rules=("updated_at.not_null",), column="gxsj", values=[None]),
)


def population(settings: Settings) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yields the register in chunks, each with its spoiled rows (`arrival`, `rules`); all values are text."""
    pools = Pools.of(settings)
    for start in range(0, settings.rows, CHUNK):
        random = np.random.default_rng((settings.seed, 1, start))
        people = np.arange(start, min(start + CHUNK, settings.rows), dtype=np.int64)
        columns = _sound(settings, pools, people, random)
        plan = FaultPlan(random, rows=len(people), kinds=len(FAULTS))
        plan.apply(FAULTS, columns)
        _vary(columns, plan.sound(len(people)), random)
        yield pa.record_batch(columns), plan.table(start)


def _sound(settings: Settings, pools: Pools, people: Numbers, random: np.random.Generator) -> Columns:
    """Makes a chunk without faults, under the names its source uses."""
    rows = len(people)
    regions, births, sequences = pools.identities(people)
    households = people // 3
    today = int(np.datetime64(settings.as_of).astype(np.int64))
    registered = np.minimum(births + random.integers(0, 9_000, rows), today - 1)
    until = np.maximum(registered, today) + random.integers(-300, 7_000, rows)
    income = random.integers(0, 3_000_000, rows)
    cents = joined(_numbers(income // 100), ".", strings(digits(income % 100, 2)))
    updated = today * 86_400 - 1 - random.integers(0, 20 * 86_400, rows)
    updated[-1] = today * 86_400 - 1  # the newest row is sound, so that a second pull finds nothing newer
    return {
        "sfzh": strings(resident_ids(regions, births, sequences)),
        "xm": joined(picked(SURNAMES, random.integers(0, len(SURNAMES), rows)), _given(random, rows)),
        "xb": strings(digits(2 - sequences % 2, 1)),
        "csrq": iso_days(births),
        "mz": sometimes(
            strings(digits(np.where(random.random(rows) < 0.7, 1, random.integers(1, 57, rows)), 2)), random, 0.02
        ),
        "lxdh": sometimes(strings(mobiles(random, rows)), random, 0.08),
        "dzyx": sometimes(joined("u", strings(digits(people, 8)), "@example.cn"), random, 0.4),
        "hh": strings(prefixed("H", digits(households * 7_919 % 1_000_000_000, 9))),
        "hnxh": strings(digits(people % 3 + 1, 1)),
        "xzqh": strings(digits(pools.home[households * 31 % len(pools.home)], 6)),
        "zz": joined(picked(STREETS, households % len(STREETS)), _numbers(households % 997 + 1), "号"),
        "djrq": iso_days(registered),
        "yxqz": sometimes(iso_days(np.maximum(until, registered)), random, 0.2),
        "dwdm": sometimes(employer_codes(people, settings), random, 0.3),
        "cbys": sometimes(_numbers(random.integers(0, 481, rows)), random, 0.1),
        "ysr": sometimes(cents, random, 0.15),
        "zt": picked(["ACTIVE", "MOVED", "SUSPENDED", "CANCELLED"], random.choice(4, rows, p=[0.85, 0.06, 0.05, 0.04])),
        "gxsj": pc.strftime(pa.array(updated.astype("datetime64[s]")), "%Y-%m-%dT%H:%M:%S"),
    }


def _vary(columns: Columns, sound: np.ndarray, random: np.random.Generator) -> None:
    """Writes some sound values the way clerks do; the contract's transforms bring them back into form."""
    rows = len(sound)
    ids, phones, addresses = columns["sfzh"], columns["lxdh"], columns["zz"]
    born = pc.fill_null(pc.equal(pc.utf8_slice_codeunits(ids, 6, 8), "19"), fill_value=False).to_numpy(
        zero_copy_only=False
    )
    old = sound & born & (random.random(rows) < 0.01)
    put(columns, "sfzh", old, joined(_part(ids, 0, 6, old), _part(ids, 8, 17, old)))
    small = sound & ~old & (random.random(rows) < 0.3)
    put(columns, "sfzh", small, pc.replace_substring(ids.filter(pa.array(small)), "X", "x"))
    spaced = sound & (random.random(rows) < 0.02)
    parts = (_part(phones, 0, 3, spaced), "-", _part(phones, 3, 7, spaced), "-", _part(phones, 7, 11, spaced))
    put(columns, "lxdh", spaced, joined("+86 ", *parts))
    none = sound & ~spaced & (random.random(rows) < 0.005)
    put(columns, "lxdh", none, pa.array(["无"] * int(none.sum()), pa.string()))
    wide = sound & (random.random(rows) < 0.02)
    put(columns, "zz", wide, widened(addresses.filter(pa.array(wide))))


def _numbers(values: Numbers) -> pa.Array:
    return pa.array(values).cast(pa.string())


def _given(random: np.random.Generator, rows: int) -> pa.Array:
    """Given names of one character or two."""
    first, second = (random.integers(0, len(GIVEN), rows) for _ in range(2))
    return joined(
        picked(GIVEN, first), picked((*GIVEN, *[""] * len(GIVEN)), second + len(GIVEN) * random.integers(0, 2, rows))
    )


def _part(texts: pa.Array, start: int, stop: int, rows: np.ndarray) -> pa.Array:
    return pc.utf8_slice_codeunits(texts.filter(pa.array(rows)), start, stop)
