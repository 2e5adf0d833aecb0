import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.model import Tolerance
from crossdock.errors import LedgerBroken, WrongUse
from crossdock.identity import RowsDigest
from crossdock.validation import scan, whole
from crossdock.validation.judge import Context, judge, weigh
from extracts import NOW, accepted, column, contract, failures, judged, rule

PEOPLE = contract(
    [column("id", required=True, key_position=1), column("age", "integer"), column("born", "date")],
    [rule("id.unique", "unique", "id"), rule("age.between", "between", "age", min=0, max=150)],
)
ROWS = {
    "id": ["a", "b", "b", None, "c"],
    "age": ["1", "200", "3", "4", "many"],
    "born": ["2020-01-31", "2020-02-30", "2020-03-01", None, "2020-03-02"],
}


def rules_of(judgement):
    return {finding.rule: finding.rows for finding in judgement.findings}


def test_rows_are_accepted_typed_or_quarantined_as_they_arrived_with_every_reason(tmp_path):
    result = judged(tmp_path, PEOPLE, ROWS)
    assert (result.outcome, result.rows, result.accepted, result.quarantined) == ("partial", 5, 1, 4)
    assert accepted(result) == [{"id": "a", "age": 1, "born": datetime(2020, 1, 31).date()}]  # noqa: DTZ001
    assert pq.read_schema(result.accepted_file) == arrow_schema(PEOPLE)
    kept = pq.read_table(result.quarantine_file).to_pylist()
    assert [row["_arrival"] for row in kept] == [1, 2, 3, 4]
    assert kept[0]["born"] == "2020-02-30"
    assert kept[3]["age"] == "many"
    assert {row["_contract_version"] for row in kept} == {"1.2.3"}
    assert failures(result) == {
        "id.unique": [1, 2],
        "age.between": [1],
        "born.type": [1],
        "id.not_null": [3],
        "age.type": [4],
    }
    assert kept[0]["_failures"][0]["columns"] == ["id"]
    assert all(failure["reason"] for row in kept for failure in row["_failures"])


def test_digests_add_up_and_name_the_same_rows_whatever_the_batches(tmp_path, monkeypatch):
    whole = judged(tmp_path / "whole", PEOPLE, ROWS)
    assert whole.raw_digest == whole.accepted_digest + whole.quarantined_digest
    assert (whole.snapshot_digest.rows, whole.raw_digest.rows) == (1, 5)
    monkeypatch.setattr(scan, "BATCH_ROWS", 2)
    parted = judged(tmp_path / "parted", PEOPLE, ROWS)
    assert parted.raw_digest == whole.raw_digest
    assert parted.accepted_digest == whole.accepted_digest
    assert parted.snapshot_digest == whole.snapshot_digest
    assert failures(parted) == failures(whole)


def test_typed_rows_that_arrived_typed_are_hashed_once_and_quarantined_in_their_own_types(tmp_path):
    table = pa.table(
        {"id": ["a", None], "age": pa.array([1, 2], pa.int16()), "born": pa.array([None, None], pa.date32())}
    )
    result = judged(tmp_path, PEOPLE, table)
    assert result.snapshot_digest == result.accepted_digest
    assert pq.read_schema(result.quarantine_file).field("age").type == pa.int16()
    as_text = {"id": ["a", None], "age": ["1", "2"], "born": pa.array([None, None], pa.string())}
    assert judged(tmp_path / "text", PEOPLE, pa.table(as_text)).snapshot_digest == result.snapshot_digest


def test_the_same_extract_gives_the_same_bytes(tmp_path):
    one, two = (judged(tmp_path / name, PEOPLE, ROWS) for name in ("one", "two"))
    assert one.accepted_file.read_bytes() == two.accepted_file.read_bytes()
    assert one.quarantine_file.read_bytes() == two.quarantine_file.read_bytes()
    assert one.result == two.result


def test_a_snapshot_s_columns_of_few_values_get_a_dictionary(tmp_path):
    many = 5_000
    rows = {"id": [f"p{n:05}" for n in range(many)], "age": [str(n % 90) for n in range(many)], "born": [None] * many}
    group = pq.read_metadata(judged(tmp_path, PEOPLE, rows).accepted_file).row_group(0)
    assert [group.column(place).has_dictionary_page for place in (0, 1)] == [False, True]


def test_an_extract_without_faults_is_accepted_and_has_no_quarantine(tmp_path):
    result = judged(tmp_path, PEOPLE, {"id": ["a"], "age": [None], "born": [None]})
    assert (result.outcome, result.quarantine_file, result.findings) == ("accepted", None, ())
    assert result.quarantined_digest == RowsDigest()


def test_an_empty_extract_is_accepted_unless_rows_are_promised(tmp_path):
    nothing = {"id": [], "age": [], "born": []}
    result = judged(tmp_path, PEOPLE, nothing)
    assert (result.outcome, result.rows, accepted(result)) == ("accepted", 0, [])
    assert pq.read_schema(result.accepted_file) == arrow_schema(PEOPLE)
    promised = contract(PEOPLE.columns, [rule("row_count", "row_count", min=1)])
    result = judged(tmp_path, promised, nothing)
    assert (result.outcome, result.accepted_file, rules_of(result)) == ("rejected", None, {"row_count": 0})


def test_nothing_is_accepted_when_no_row_keeps_the_contract(tmp_path):
    result = judged(tmp_path, PEOPLE, {"id": [None, None], "age": ["1", "2"], "born": [None, None]})
    assert (result.outcome, result.accepted, result.quarantined, result.accepted_file) == ("rejected", 0, 2, None)
    assert rules_of(result) == {"no_row_accepted": 2, "id.not_null": 2}
    assert result.raw_digest == result.quarantined_digest


@pytest.mark.parametrize(
    ("tolerance", "outcome"),
    [
        (Tolerance(rows=2), "partial"),
        (Tolerance(rows=1), "rejected"),
        (Tolerance(percent=20), "partial"),
        (Tolerance(percent=19.9), "rejected"),
        (Tolerance(), "partial"),
    ],
)
@pytest.mark.parametrize("of_dataset", [True, False])
def test_more_failing_rows_than_tolerated_reject_the_whole_extract(tmp_path, tolerance, outcome, of_dataset):
    known = rule("x.in", "in_set", "x", values=("ok",), **({} if of_dataset else {"tolerance": tolerance}))
    promised = contract([column("x")], [known], **({"tolerance": tolerance} if of_dataset else {}))
    result = judged(tmp_path, promised, {"x": ["ok"] * 8 + ["bad"] * 2})
    assert result.outcome == outcome
    if outcome == "rejected":
        name = "tolerance" if of_dataset else "x.in.tolerance"
        assert failures(result) == {name: list(range(8)), "x.in": [8, 9]}
        assert rules_of(result) == {name: 10, "x.in": 2}


def test_a_warning_is_reported_and_keeps_no_row_out(tmp_path):
    promised = contract(
        [column("x")],
        [
            rule("x.in", "in_set", "x", values=("ok",), severity="warning", tolerance=Tolerance(rows=0)),
            rule("many", "row_count", min=9, severity="warning"),
        ],
    )
    result = judged(tmp_path, promised, {"x": ["ok", "bad"]})
    assert (result.outcome, result.accepted) == ("accepted", 2)
    assert {(f.rule, f.rows, f.severity) for f in result.findings} == {("x.in", 1, "warning"), ("many", 2, "warning")}


def test_a_misfit_is_quarantined_even_if_the_type_rule_only_warns(tmp_path):
    promised = contract([column("n", "integer")], [rule("n.type", "type", "n", severity="warning")])
    result = judged(tmp_path, promised, {"n": ["1", "x"]})
    assert accepted(result) == [{"n": 1}]
    assert failures(result) == {"n.type_implied": [1]}


def test_a_missing_column_rejects_and_says_only_that(tmp_path):
    result = judged(tmp_path, PEOPLE, {"age": ["1", "999"], "born": [None, None]})
    assert result.outcome == "rejected"
    assert rules_of(result) == {"schema.missing_column": 2, "age.between": 1}
    assert failures(result) == {"schema.missing_column": [0], "age.between": [1]}
    assert pq.read_schema(result.quarantine_file).names == ["_arrival", "age", "born", "_failures", "_contract_version"]


def test_a_column_that_a_transform_makes_is_not_missing(tmp_path):
    def number(batch):
        ids = pa.array([str(n) for n in range(batch.num_rows)])
        return pa.RecordBatch.from_arrays([ids, *batch.columns], names=["id", *batch.schema.names])

    result = judged(tmp_path, PEOPLE, {"age": ["1", "2"], "born": [None, None]}, transforms=number)
    assert (result.outcome, [row["id"] for row in accepted(result)]) == ("accepted", ["0", "1"])


def test_quarantine_keeps_the_row_from_before_the_transforms(tmp_path):
    def shout(batch):
        return batch.set_column(0, "id", pa.array([v and v.upper() for v in batch.column(0).to_pylist()]))

    result = judged(tmp_path, PEOPLE, {"id": ["a", "b"], "age": ["1", "x"], "born": [None, None]}, transforms=shout)
    assert [row["id"] for row in accepted(result)] == ["A"]
    assert [row["id"] for row in pq.read_table(result.quarantine_file).to_pylist()] == ["b"]


def test_an_unknown_column_is_a_warning(tmp_path):
    result = judged(
        tmp_path, PEOPLE, {"id": ["a"], "age": [None], "born": [None]}, drift={"missing": [], "extra": ["nick"]}
    )
    assert result.outcome == "accepted"
    assert [(f.rule, f.column, f.severity) for f in result.findings] == [("schema.extra_column", "nick", "warning")]


def test_hundreds_of_rules_work(tmp_path):
    many = [rule(f"n.not_{n}", "not_in_set", "n", values=(n,)) for n in range(200)]
    result = judged(tmp_path, contract([column("n", "integer")], many), {"n": [str(n) for n in range(0, 400, 3)]})
    assert failures(result) == {f"n.not_{n}": [n // 3] for n in range(0, 200, 3)}


def test_freshness_looks_at_the_newest_value(tmp_path):
    fresh = rule("fresh", "freshness", "at", max_age_seconds=3600)
    for type_, more, newest, outcome in (
        ("timestamp", {}, "2026-11-23T11:30:00", "accepted"),
        ("timestamp", {}, "2026-11-23T10:30:00", "rejected"),
        ("timestamp", {"timezone": True}, "2026-11-23T19:30:00+08:00", "accepted"),
        ("date", {}, "2026-11-23", "rejected"),
        ("date", {}, "2026-11-24", "accepted"),
    ):
        promised = contract([column("at", type_, **more)], [fresh])
        assert judged(tmp_path, promised, {"at": [newest, None]}).outcome == outcome, newest
    never = contract([column("at", "date")], [fresh])
    assert judged(tmp_path, never, {"at": [None]}).outcome == "rejected"


def test_an_incremental_extract_is_counted_and_dated_together_with_its_base(tmp_path):
    columns = [column("id", key_position=1, required=True), column("at", "timestamp")]
    rules = [rule("fresh", "freshness", "at", max_age_seconds=3600), rule("rows", "row_count", min=2, max=3)]
    base = pads.dataset(
        pa.table({"id": ["a", "b"], "at": pa.array([NOW.replace(tzinfo=None)] * 2, pa.timestamp("us"))})
    )
    promised = contract(columns, rules)
    assert judged(tmp_path, promised, {"id": [], "at": []}).outcome == "rejected"
    assert judged(tmp_path, promised, {"id": [], "at": []}, base=base).outcome == "accepted"
    old = "2020-01-01T00:00:00"
    assert judged(tmp_path, promised, {"id": ["b", "c"], "at": [old, old]}, base=base).outcome == "accepted"
    result = judged(tmp_path, promised, {"id": ["c", "d"], "at": [old, old]}, base=base)
    assert rules_of(result) == {"rows": 2}


def test_a_count_blames_no_row(tmp_path):
    def promised(**bounds):
        return contract([column("x")], [rule("c", "count", "x", of={"kind": "in_set", "values": ("a",)}, **bounds)])

    rows = {"x": ["a", "b", "c", None]}
    assert judged(tmp_path, promised(min=2), rows).outcome == "accepted"
    result = judged(tmp_path, promised(min=3), rows)
    assert (result.outcome, rules_of(result)) == ("rejected", {"c": 4})
    assert judged(tmp_path, promised(max=1), rows).outcome == "rejected"
    assert judged(tmp_path, promised(gaps=((2, 2),)), rows).outcome == "rejected"
    assert judged(tmp_path, promised(gaps=((3, 9),)), rows).outcome == "accepted"
    assert judged(tmp_path, promised(min=50, max=50, percent=True), rows).outcome == "accepted"
    assert judged(tmp_path, promised(min=50, strict_min=True, percent=True), rows).outcome == "rejected"


def test_references_may_span_columns_types_and_the_extract_itself(tmp_path):
    regions = pads.dataset(pa.table({"code": pa.array([1, 2], pa.int64()), "Code": ["x", None]}))
    promised = contract(
        [column("a"), column("b"), column("n", "integer")],
        [
            rule("as_text", "reference", "a", dataset="d/regions", columns=("code",)),
            rule("pair", "reference", "a", "b", dataset="d/regions", columns=("code", "Code")),
            rule("self", "reference", "a", dataset=None, columns=("n",)),
        ],
    )
    rows = {"a": ["1", "2", "01", None], "b": ["x", None, "x", "q"], "n": ["1", "3", "1", "2"]}
    result = judged(tmp_path, promised, rows, references={"d/regions": regions})
    assert failures(result) == {"as_text": [2], "pair": [2], "self": [2]}


@pytest.mark.parametrize("few", [0, 65_536])
def test_a_reference_finds_the_same_rows_among_few_values_and_among_many(few, tmp_path, monkeypatch):
    monkeypatch.setattr(whole, "_FEW", few)
    known = pa.table(
        {
            "code": ["a", "", None, "中", "a"],
            "n": [1, 2, None, 2, -(2**62)],
            "f": [0.0, 1.5, float("nan"), None, 2.0],
            "day": pa.array([0, 1, 1, None, 5], pa.date32()),
        }
    )
    columns = [column("code"), column("n", "integer"), column("f", "number"), column("day", "date")]
    rules = [rule(c.name, "reference", c.name, dataset="d/known", columns=(c.name,)) for c in columns]
    rows = {
        "code": ["a", "", "b", None, "中"],
        "n": ["2", "3", None, "-4611686018427387904", "1"],
        "f": ["-0.0", "1.5", "2.5", None, "2"],
        "day": ["1970-01-01", "1970-01-06", "1970-01-03", None, "1970-01-02"],
    }
    result = judged(tmp_path, contract(columns, rules), rows, references={"d/known": pads.dataset(known)})
    assert failures(result) == {"code": [2], "n": [1], "f": [2], "day": [2]}


@pytest.mark.parametrize(
    ("promised", "said"),
    [
        (rule("r", "reference", "x", dataset="d/regoins", columns=("code",)), "Did you mean 'd/regions'"),
        (rule("r", "reference", "x", dataset="d/regions", columns=("cod",)), "Did you mean 'code'"),
        (rule("r", "reference", "x", dataset="d/regions", columns=()), "as many columns"),
        (rule("r", "pattern", "x", regex="(?=a)"), "RE2"),
        (rule("r", "between", "x"), "minimum or a maximum"),
        (rule("r", "between", "n", min="soon"), "no value of column 'n'"),
        (rule("r", "in_set", "n", values=("many",)), "no value of column 'n'"),
        (rule("r", "length", "n", max=3), "is for text"),
        (rule("r", "ordered", "x", "n"), "can't be compared"),
        (rule("r", "pattern", "x", "n", regex="a"), "no kernel"),
        (rule("r", "checksum", "x", scheme="luhn"), "luhn"),
        (rule("r", "unique"), "can't have 0 column"),
        (rule("r", "unique", "y"), "no column 'y'"),
        (rule("r", "expectation", "x", type="expect_column_mean_to_be_between", kwargs={}), "no kernel"),
        (rule("x.type", "type", "n"), "can't happen"),
    ],
)
def test_a_rule_that_cannot_be_judged_is_an_error_before_any_row_is_read(tmp_path, promised, said):
    rules = [promised] if promised.id == "r" else [promised, promised]
    with pytest.raises(WrongUse, match=said if promised.id == "r" else "Two rules"):
        judged(
            tmp_path,
            contract([column("x"), column("n", "integer")], rules),
            {"x": [], "n": []},
            references={"d/regions": pads.dataset(pa.table({"code": ["1"]}))},
        )


def test_no_value_of_a_row_leaves_but_in_the_files_of_rows(tmp_path):
    secret = "61010119900101SECRET"
    promised = contract(
        [column("id", key_position=1, required=True), column("n", "integer"), column("at", "timestamp")],
        [
            rule("id.pattern", "pattern", "id", regex="^x"),
            rule("id.unique", "unique", "id"),
            rule("id.in", "in_set", "id", values=("x",)),
            rule("n.between", "between", "n", max=3),
            rule("fresh", "freshness", "at", max_age_seconds=1),
        ],
    )
    rows = {"id": [secret, secret, "x"], "n": ["7777777", "x7777777", "1"], "at": ["2001-02-03T04:05:06", None, None]}
    result = judged(tmp_path, promised, rows)
    said = result.result.decode() + repr(result.findings) + repr(result)
    said += str([row["_failures"] for row in pq.read_table(result.quarantine_file).to_pylist()])
    for value in (secret, "7777777", "2001-02-03"):
        assert value not in said


def test_the_result_is_great_expectations_own_and_names_every_rule(tmp_path):
    result = json.loads(judged(tmp_path, PEOPLE, ROWS).result)
    assert result["success"] is False
    by_rule = {each["expectation_config"]["meta"]["rule"]: each for each in result["results"]}
    assert by_rule.keys() == {"id.unique", "age.between", "id.type", "age.type", "born.type", "id.not_null"}
    assert by_rule["id.unique"]["expectation_config"]["type"] == "expect_column_values_to_be_unique"
    assert by_rule["id.unique"]["result"]["unexpected_count"] == 2
    assert by_rule["id.unique"]["result"]["missing_count"] == 1
    assert by_rule["age.type"]["result"]["unexpected_count"] == 1


def test_progress_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "BATCH_ROWS", 2)
    told = []
    judged(tmp_path, PEOPLE, ROWS, on_progress=told.append)
    assert told == [2, 4, 5]


def test_an_extract_that_changes_under_our_hands_is_noticed(tmp_path):
    rows = pa.table({"id": ["a", None], "age": ["x", "2"], "born": pa.array([None, None], pa.string())})

    class Shrinking:
        schema = rows.schema
        reads = iter((rows, rows.slice(0, 1)))

        def get_fragments(self):
            return pads.dataset(next(self.reads)).get_fragments()

    tmp_path.mkdir(exist_ok=True)
    with pytest.raises(LedgerBroken, match="second time"):
        judge(PEOPLE, Shrinking(), context=Context(scratch=tmp_path, now=datetime.now(UTC) + timedelta()))


@pytest.mark.parametrize("policy", ["discard", "freeze", "evolve"])
def test_thousands_of_columns_too_many_or_too_few_make_few_findings(tmp_path, policy):
    promised = contract([column("a"), *(column(f"m{n}") for n in range(100))], new_columns=policy)
    extra = [f"x{n}" for n in range(5_000)]
    judgement = judged(tmp_path, promised, {"a": ["1", "2"]}, drift={"missing": [], "extra": extra})
    told = [finding.reason for finding in judgement.findings]
    assert len(told) == 42
    assert (
        sum("4,980 more columns" in each for each in told)
        == sum("80 more columns, which" in each for each in told)
        == 1
    )
    assert len(judgement.findings[0].reason) < 200
    assert judgement.outcome == "rejected"


@pytest.mark.parametrize("tolerance", [Tolerance(), Tolerance(rows=2)])
def test_who_keeps_no_rows_hears_the_same(tmp_path, tolerance):
    promised = replace(PEOPLE, tolerance=tolerance)
    parted = judged(tmp_path, promised, ROWS)
    own = tmp_path / "own"
    own.mkdir()
    extract = pads.dataset(tmp_path / "extract.parquet", format="parquet")
    weighed = weigh(promised, extract, context=Context(scratch=own, now=NOW))
    told = [(o.outcome, o.rows, o.accepted, o.quarantined, o.findings) for o in (weighed, parted)]
    assert told[0] == told[1]
    places = np.nonzero(np.concatenate([weighed.failing.rows(n) for n in range(weighed.failing.marks.batches)]))[0]
    assert places.tolist() == pq.read_table(parted.quarantine_file)["_arrival"].to_pylist()
    assert [each.suffix for each in own.iterdir()] == [".keys"]  # no row
