"""Rules of type sql: what they say of an extract, and what nobody is told."""

import pytest

from crossdock.contracts.limits import Limits
from crossdock.contracts.sandbox import QueryFailed
from extracts import column, contract, judged, rule

COLUMNS = [column("id"), column("age", "integer"), column("income", "number", precision=9, scale=2)]
ROWS = {"id": ["a", "b", "c", "d"], "age": ["30", "40", "x", None], "income": ["10.50", "20.25", None, "1.00"]}


def of_query(sql, limits, **more):
    return contract(COLUMNS, [rule("r", "query", sql=sql, tables=("people", "dept.t_people"), **limits.args(), **more)])


def rules_of(judgement):
    return {finding.rule: finding.severity for finding in judgement.findings if finding.rule != "age.type"}


@pytest.mark.parametrize(
    ("sql", "limits"),
    [
        ("select count(*) from people", Limits(low=4, high=4)),
        ("select count(*) from dept.t_people where age is null", Limits(high=2)),  # 'x' is no integer
        ("select sum(income) from people", Limits(low=31.75, high=31.75)),
        ("select 100 * count(*) / (select count(*) from people) from people where age > 30", Limits(high=25)),
        ("select min(age) - 40 from people", Limits(low=-10)),
    ],
)
def test_a_result_within_the_limits_keeps_the_promise(tmp_path, sql, limits):
    found = judged(tmp_path, of_query(sql, limits), ROWS)
    assert (found.outcome, found.accepted, rules_of(found)) == ("partial", 3, {})


@pytest.mark.parametrize(
    ("sql", "limits"),
    [
        ("select count(*) from people", Limits(gaps=((4, 4),))),
        ("select avg(age) from people", Limits(low=35, strict_low=True)),
        ("select max(age) from people where id = 'z'", Limits(low=0)),  # no number keeps no promise
        ("select age from people where id = 'z'", Limits(low=0)),
    ],
)
def test_a_result_beyond_them_rejects_the_whole_extract(tmp_path, sql, limits):
    found = judged(tmp_path, of_query(sql, limits), ROWS)
    assert (found.outcome, found.accepted, found.quarantined, rules_of(found)) == ("rejected", 0, 4, {"r": "error"})


def test_a_warning_only_reports(tmp_path):
    promised = of_query("select count(*) from people", Limits(high=0), severity="warning")
    found = judged(tmp_path, promised, ROWS)
    assert (found.outcome, rules_of(found)) == ("partial", {"r": "warning"})


def test_no_result_is_told_for_it_may_be_a_value(tmp_path):
    found = judged(tmp_path, of_query("select max(income) from people", Limits(high=1)), ROWS)
    assert found.outcome == "rejected"
    assert b"20.25" not in found.result
    assert "20.25" not in str(found.findings)


def test_a_query_that_fails_on_the_data_stops_the_verdict_and_quotes_nothing(tmp_path):
    with pytest.raises(QueryFailed) as error:
        judged(
            tmp_path, of_query("select sum(id::integer) from people", Limits(high=1)), {**ROWS, "id": ["secret"] * 4}
        )
    assert "dept/data, rule r" in str(error.value)
    assert "secret" not in str(error.value)


def test_an_extract_without_rows_is_asked_too(tmp_path):
    found = judged(tmp_path, of_query("select count(*) from people", Limits(high=0)), {name: [] for name in ROWS})
    assert (found.outcome, rules_of(found)) == ("accepted", {})
