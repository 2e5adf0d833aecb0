"""What is kept of an extract's looks, and how far one is from those before it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.validation.plan import plan
from crossdock.validation.profile import drifts
from extracts import column, contract, judged, rule

COLUMNS = [
    column("no", "integer", key_position=1),
    column("pay", "number", precision=12, scale=2),
    column("born", "date"),
    column("grade"),
    column("size", "number"),
]
RULES = [
    rule("grade.listed", "in_set", "grade", values=("A", "B"), severity="warning"),
    rule("rows", "drift", measure="rows", max=20, history=5),
    rule("rows.warning", "drift", measure="rows", max=10, history=5, severity="warning"),
    rule("grade.missing", "drift", "grade", measure="missing", max=5, history=5),
    rule("pay.values", "drift", "pay", measure="values", max=25, history=5),
    rule("born.values", "drift", "born", measure="values", max=25, history=5),
    rule("grade.shares", "drift", "grade", measure="shares", max=10, history=5),
]
# As contracts have them: each with a sentence of its own.
RULES = [replace(each, reason="It is unlike the others.") if each.kind == "drift" else each for each in RULES]
PROMISED = contract(COLUMNS, RULES)


def table(rows=1_000, *, pay=5_000, grades="AAAB", missing=0):
    dice = np.random.default_rng(rows)
    paid = [Decimal(int(cents)) / 100 for cents in dice.normal(pay * 100, 50_000, rows)]
    return pa.table(
        {
            "no": pa.array(range(rows), pa.int64()),
            "pay": pa.array(paid, pa.decimal128(12, 2)),
            "born": pa.array([date(1980, 1, 1) + timedelta(n % 3_000) for n in range(rows)]),
            "grade": [None if n < missing else grades[n % len(grades)] for n in range(rows)],
            "size": pa.array([float(n) for n in range(rows)]),
        }
    )


@pytest.fixture
def usual(tmp_path):
    """The profiles of four extracts of about a thousand rows."""
    return [judged(tmp_path / str(n), PROMISED, table(990 + n)).profile for n in range(4)]


def found(judgement):
    return {finding.rule: finding.severity for finding in judgement.findings}


def test_a_profile_holds_what_rules_ask_for(tmp_path):
    seen = judged(tmp_path, PROMISED, table(1_000, missing=100)).profile
    assert seen["rows"] == 1_000
    assert seen["missing"]["grade"] == 0.1
    pays = np.array([float(value.as_py()) for value in table(1_000)["pay"]])
    expected = [pays.mean(), *np.quantile(pays, [0.25, 0.5, 0.75, 0.05, 0.95])]
    assert seen["values"]["pay"] == pytest.approx(expected)
    assert seen["values"].keys() == {"pay", "born"}  # nobody asks for `size`
    assert seen["shares"] == {"grade": {"A": 0.75, "B": 0.25}}
    assert json.loads(json.dumps(seen)) == seen


def test_values_that_no_list_holds_are_told_as_others(tmp_path):
    seen = judged(tmp_path, PROMISED, table(1_000, grades=["A", "a person's name"])).profile
    assert seen["shares"] == {"grade": {"A": 0.5, "other values": 0.5}}
    assert "person" not in json.dumps(seen)


def test_few_values_tell_of_single_rows_and_are_not_kept(tmp_path):
    seen = judged(tmp_path, PROMISED, table(99)).profile
    assert (seen["rows"], seen["values"], seen["shares"]) == (99, {}, {})
    assert judged(tmp_path / "none", PROMISED, table(0)).profile == {
        "rows": 0, "missing": {}, "values": {}, "shares": {},
    }  # fmt: skip


def test_large_extracts_are_sampled(tmp_path, monkeypatch):
    import crossdock.validation.profile as module

    whole = judged(tmp_path / "a", PROMISED, table(20_000)).profile["values"]["pay"]
    monkeypatch.setattr(module, "_SAMPLE", 2_000)
    sampled = judged(tmp_path / "b", PROMISED, table(20_000)).profile["values"]["pay"]
    assert sampled[0] == pytest.approx(whole[0])  # the mean is of all rows
    spread = whole[5] - whole[4]
    assert np.abs(np.array(sampled[1:]) - whole[1:]).max() < 0.06 * spread
    assert sampled != whole


def test_an_extract_like_the_others_is_accepted(tmp_path, usual):
    like = judged(tmp_path, PROMISED, table(1_010), earlier=usual)
    assert (like.outcome, found(like)) == ("accepted", {})


@pytest.mark.parametrize(
    ("unlike", "rule_", "outcome"),
    [
        ({"rows": 700}, "rows", "rejected"),
        ({"rows": 1_300}, "rows", "rejected"),
        ({"rows": 850}, "rows.warning", "accepted"),
        ({"missing": 60}, "grade.missing", "rejected"),
        ({"pay": 5_600}, "pay.values", "rejected"),
        ({"grades": "AB"}, "grade.shares", "rejected"),
        ({"grades": ["A", "A", "A", "other"]}, "grade.shares", "rejected"),
    ],
)
def test_an_extract_unlike_the_others_is_told(tmp_path, usual, unlike, rule_, outcome):
    judgement = judged(tmp_path, PROMISED, table(**unlike), earlier=usual)
    assert judgement.outcome == outcome
    assert rule_ in found(judgement)
    assert found(judgement)[rule_] == ("warning" if outcome == "accepted" else "error")
    results = {r["expectation_config"]["meta"]["rule"]: r for r in json.loads(judgement.result)["results"]}
    assert not results[rule_]["success"]
    assert "%" in results[rule_]["result"]["observed_value"]


def test_too_little_history_judges_nothing_and_says_so(tmp_path, usual):
    judgement = judged(tmp_path, PROMISED, table(10), earlier=usual[:2])
    assert judgement.outcome == "accepted"
    results = {r["expectation_config"]["meta"]["rule"]: r for r in json.loads(judgement.result)["results"]}
    assert results["rows"]["result"]["observed_value"] == "too few earlier extracts"


def test_a_column_of_one_value_may_not_become_another(usual):
    still = [profile | {"values": {"pay": [5.0] * 6}} for profile in usual]
    checks = plan(PROMISED)
    same = drifts(checks, still[0], still)
    moved = drifts(checks, still[0] | {"values": {"pay": [5.5] * 6}}, still)
    assert (same["pay.values"], moved["pay.values"]) == (0, float("inf"))


def test_only_the_newest_are_asked(usual):
    checks = plan(contract(COLUMNS, [rule("rows", "drift", measure="rows", max=20, history=3)]))
    old = [{"rows": 5, "missing": {}, "values": {}, "shares": {}}] * 10
    assert drifts(checks, usual[0], [*usual[:3], *old])["rows"] < 1


shares = st.dictionaries(st.sampled_from("ABCD"), st.floats(0.01, 1), min_size=1).map(
    lambda parts: {name: part / sum(parts.values()) for name, part in parts.items()}
)


@settings(max_examples=60)
@given(st.lists(shares, min_size=3, max_size=6), shares)
def test_shares_move_from_nothing_to_all_of_it(past, now):
    checks = [check for check in plan(PROMISED) if check.rule.id == "grade.shares"]
    profiles = [{"rows": 1, "missing": {}, "values": {}, "shares": {"grade": each}} for each in (now, *past)]
    distance = drifts(checks, profiles[0], profiles[1:])["grade.shares"]
    assert 0 <= distance <= 100 + 1e-9
    assert drifts(checks, profiles[0], [profiles[0]] * 3)["grade.shares"] == pytest.approx(0)
