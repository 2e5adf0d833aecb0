"""A draft waits for confirmation, tells no personal value, and once confirmed accepts the very data it came from."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from confirming import confirmed, draft_of, judged, resident_id, write
from crossdock.contracts.odcs import read_contract
from crossdock.errors import ContractInvalid, SourceInvalid

PEOPLE = {
    "姓名": ["王小明", "李芳", "欧阳建国", "张伟"],
    "公民身份号码": ["11010519491231002X", "440524188001010014", "110105194912310118", "11010519491231055X"],
    "手机号": ["13800138000", "13912345678", "18612345678", "17712345678"],
    "电子邮箱": ["a.wang@example.org", "li@example.org", "ouyang@example.org", "z@example.org"],
    "住址": ["贵阳市中山路1号", "遵义市人民路2号", "毕节市北京路3号", "安顺市南京路4号"],
    "月收入": ["8123.45", "9000.00", "12345.67", "7000.01"],
    "出生日期": ["1949-12-31", "1880-01-01", "1999-05-06", "2001-07-08"],
    "状态": ["在册", "在册", "迁出", "在册"],
}


def property_of(draft, name):
    return next(p for p in draft.document["schema"][0]["properties"] if p["name"] == name)


# nobody has confirmed it


def test_a_draft_is_refused_and_names_every_column_that_waits(tmp_path):
    draft = draft_of(write(tmp_path / "people.csv", PEOPLE), tmp_path)
    file = tmp_path / "draft.yaml"
    file.write_text(draft.text, "utf-8")
    with pytest.raises(ContractInvalid) as caught:
        read_contract(file)
    said = [problem.what for problem in caught.value.problems]
    assert [s.partition(":")[0] for s in said] == [f"Column '{c.column.name}'" for c in draft.columns] + [
        "The dataset"
    ] * len(draft.questions)
    assert all("a person must confirm" in s for s in said)
    assert all(problem.line and problem.path.endswith(("confirm", "]")) for problem in caught.value.problems)


def test_one_unconfirmed_guess_is_enough(tmp_path):
    draft = draft_of(write(tmp_path / "people.csv", PEOPLE), tmp_path)
    file = confirmed(draft, tmp_path, but="mobile")
    with pytest.raises(ContractInvalid) as caught:
        read_contract(file)
    assert [p.what[:14] for p in caught.value.problems] == ["Column 'mobile"]


def test_a_confirmed_draft_shares_nothing_before_a_person_says_so(tmp_path):
    contract = read_contract(confirmed(draft_of(write(tmp_path / "people.csv", PEOPLE), tmp_path), tmp_path))
    assert (contract.sharing, contract.version) == ("none", "0.1.0")


# what it says


def test_columns_keep_their_names_and_get_safe_ones(tmp_path):
    draft = draft_of(write(tmp_path / "people.csv", PEOPLE), tmp_path)
    assert [c.column.name for c in draft.columns] == [
        "name", "resident_id", "mobile", "email", "address", "month_income", "birth_date", "status",
    ]  # fmt: skip
    phone = property_of(draft, "mobile")
    assert (phone["businessName"], phone["physicalName"]) == ("手机号", "手机号")


def test_no_personal_value_is_in_a_draft(tmp_path):
    text = draft_of(write(tmp_path / "people.csv", {k: v * 40 for k, v in PEOPLE.items()}), tmp_path).text
    personal = [value for name in list(PEOPLE)[:-1] for value in PEOPLE[name]]
    assert not [value for value in personal if value in text]
    assert "在册" in text  # a few words about nobody


values = st.text(
    st.characters(min_codepoint=0x391, categories=("L",)), min_size=4, max_size=12
)  # no words of a draft itself


@settings(max_examples=40)
@given(
    st.lists(values, min_size=1, max_size=5, unique=True), st.sampled_from(["姓名", "phone", "holder", "xm", "remark"])
)
def test_what_a_sensitive_column_holds_stays_out(texts, header):
    with tempfile.TemporaryDirectory() as folder:
        draft = draft_of(write(Path(folder) / "d.csv", {header: texts * 5, "n": range(5 * len(texts))}), Path(folder))
    properties = yaml.safe_dump(draft.document["schema"], allow_unicode=True)
    assert not [text for text in texts if text in properties.replace(header, "")]


def test_identifiers_are_promised_by_their_standards(tmp_path):
    columns = {
        "sfzh": [resident_id(n) for n in range(30)],
        "统一社会信用代码": ["91110000600037341L"] * 30,
        "mail": ["a@example.org"] * 30,
        "uuid": ["3f2504e0-4f89-11d3-9a0c-0305e82c3301"] * 30,
        "region_code": ["520102"] * 30,
    }
    data = write(tmp_path / "d.csv", columns)
    draft = draft_of(data, tmp_path)
    assert [each.identifier for each in draft.columns] == ["resident_id", "credit_code", "email", "uuid", "region_code"]
    given_ = property_of(draft, "sfzh")
    assert given_["quality"][0]["implementation"] == {"type": "expect_column_values_to_have_gb11643_check_digit"}
    assert property_of(draft, "mail")["logicalTypeOptions"] == {"format": "email"}
    assert draft.document["customProperties"][0]["value"]["subject"] == {"kind": "person", "column": "sfzh"}
    assert (given_["primaryKey"], given_["classification"]) == (True, "restricted")
    contract = confirmed(draft, tmp_path)
    assert judged(contract, data).outcome == "accepted"
    columns["sfzh"][3] = columns["sfzh"][3][:-1] + ("1" if columns["sfzh"][3][-1] != "1" else "2")
    assert judged(contract, write(tmp_path / "e.csv", columns)).quarantined == 1


def test_nearly_all_is_said_and_not_promised(tmp_path):
    columns = {
        "sfzh": [*(resident_id(n) for n in range(199)), "unknown"],
        "amount": [*map(str, range(199)), "a lot"],
        "day": [*["2026-01-01"] * 199, "2026-02-30"],
    }
    draft = draft_of(write(tmp_path / "d.csv", columns), tmp_path)
    ids, amount, day = draft.columns
    assert {each.column.type for each in draft.columns} == {"string"}
    assert "all but 1 values are resident identity numbers" in ids.question
    assert "but for 1 values it would be of type integer" in amount.question
    assert "but for 1 values it would be of type date" in day.question
    assert judged(confirmed(draft, tmp_path), tmp_path / "d.csv").outcome == "accepted"


def test_few_values_are_listed_only_when_they_are_common_and_about_nobody(tmp_path):
    columns = {
        "state": ["open", "shut"] * 6,
        "kind": ["a", *["b"] * 11],  # one row alone has an a
        "who": ["王小明", "李芳"] * 6,
        "clerk": ["John Smith", "Jane Doe"] * 6,
        "gender": ["m", "f"] * 6,
        "ref": ["A1234567", "A7654321"] * 6,
    }
    draft = draft_of(write(tmp_path / "d.csv", columns), tmp_path)
    assert {each.column.name: each.values for each in draft.columns if each.values} == {"state": ("open", "shut")}
    assert property_of(draft, "state")["enum"] == [{"value": "open"}, {"value": "shut"}]


def test_bounds_are_rounded_outward_and_none_is_given_of_people(tmp_path):
    columns = {
        "year": ["2013", "2019"], "delay": ["-43", "1272"], "born": ["1999-05-06", "2001-07-08"],
        "day": ["1999-05-06", "2026-07-08"], "income": ["100", "200"], "code": ["AB", "CD"], "word": ["a", "abcdefg"],
    }  # fmt: skip
    draft = draft_of(write(tmp_path / "d.csv", columns), tmp_path)
    options = {
        each.column.name: property_of(draft, each.column.name).get("logicalTypeOptions") for each in draft.columns
    }
    assert options == {
        "year": {"minimum": 2000, "maximum": 5000}, "delay": {"minimum": -50, "maximum": 2000}, "born": None,
        "day": {"minimum": "1990-01-01", "maximum": "2039-12-31"}, "income": None,
        "code": {"minLength": 2, "maxLength": 2}, "word": {"maxLength": 10},
    }  # fmt: skip


def test_a_pair_of_columns_may_be_the_key(tmp_path):
    columns = {"at": [f"{n // 10:03}" for n in range(100)], "no": [n % 10 for n in range(100)], "x": [1] * 100}
    draft = draft_of(write(tmp_path / "d.csv", columns), tmp_path)
    contract = read_contract(confirmed(draft, tmp_path))
    assert contract.primary_key == ("at", "no")


def test_no_key_is_said(tmp_path):
    draft = draft_of(write(tmp_path / "d.csv", {"a": ["x", "x"], "b": ["1", "1"]}), tmp_path)
    assert any("no primary key" in question for question in draft.questions)


def test_texts_for_a_missing_value_are_found_where_they_stand_in_the_way(tmp_path):
    columns = {"n": ["1", "NA", "3"], "country": ["NA", "CN", "DE"], "word": ["-", "a", "b"]}
    data = write(tmp_path / "d.csv", columns)
    draft = draft_of(data, tmp_path)
    assert draft.document["customProperties"][0]["value"]["nullTokens"] == ["NA"]
    assert any("NA" in question for question in draft.questions)
    assert [each.facts.missing for each in draft.columns] == [1, 1, 0]
    assert judged(confirmed(draft, tmp_path), data).outcome == "accepted"


# what it is drafted from

FORMS = ["csv", "tsv", "jsonl", "xlsx", "parquet"]


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_file(tmp_path, form):
    data = write(tmp_path / f"人口.{form}", PEOPLE, delimiter="\t" if form == "tsv" else ",")
    draft = draft_of(data, tmp_path, department="police", dataset="people")
    assert (draft.document["tenant"], draft.document["name"], draft.rows) == ("police", "people", 4)
    assert [c.column.source_name for c in draft.columns] == list(PEOPLE)
    assert judged(confirmed(draft, tmp_path), data).outcome == "accepted"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_encoding_is_found(tmp_path, form, encoding):
    data = write(tmp_path / f"d.{form}", PEOPLE, encoding)
    draft = draft_of(data, tmp_path)
    expected = "utf-8" if encoding == "utf-8-sig" else encoding
    assert draft.document["customProperties"][0]["value"]["source"]["encoding"] == expected
    assert judged(confirmed(draft, tmp_path), data).outcome == "accepted"


def test_an_encoding_that_shows_late_is_found(tmp_path):
    columns = {"a": [*["plain"] * 200_000, "贵阳"]}
    assert draft_of(write(tmp_path / "d.csv", columns, "gb18030"), tmp_path).rows == 200_001


@pytest.mark.parametrize("delimiter", [";", "|", "\t", ","])
def test_the_delimiter_is_found(tmp_path, delimiter):
    data = write(tmp_path / "d.csv", {"a": ["1,5", "2"], "b": ["x", "y"]}, delimiter=delimiter)
    draft = draft_of(data, tmp_path)
    assert [c.column.name for c in draft.columns] == ["a", "b"]
    assert judged(confirmed(draft, tmp_path), data).outcome == "accepted"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n\n", b"13800138000,x\n13800138001,y\n", b"1,2,3\n4,5,6\n", b"a,b\n1\n", b"a,a\n1,2\n", b"a\n\xff\xfe\xff\n",
        b"a@example.org,x\n",
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_without_its_values(tmp_path, content):
    (tmp_path / "d.csv").write_bytes(content)
    with pytest.raises(SourceInvalid) as caught:
        draft_of(tmp_path / "d.csv", tmp_path)
    assert "13800138000" not in str(caught.value)
    assert "example.org" not in str(caught.value)


def test_what_no_contract_describes_is_left_out_and_said(tmp_path):
    pq.write_table(pa.table({"a": [1, 2], "tags": [["x"], []], "blob": [b"\xff", b"x"]}), tmp_path / "d.parquet")
    draft = draft_of(tmp_path / "d.parquet", tmp_path)
    assert [each.column.name for each in draft.columns] == ["a"]
    assert any("left out" in question and "tags, blob" in question for question in draft.questions)
    assert judged(confirmed(draft, tmp_path), tmp_path / "d.parquet").outcome == "accepted"
    pq.write_table(pa.table({"tags": [["x"]]}), tmp_path / "e.parquet")
    with pytest.raises(SourceInvalid, match="plain values"):
        draft_of(tmp_path / "e.parquet", tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_no_rows_promise_nothing(tmp_path, form):
    data = write(tmp_path / f"d.{form}", {"a": [], "b": []})
    if form == "jsonl":
        with pytest.raises(SourceInvalid, match="no column"):
            draft_of(data, tmp_path)
        return
    draft = draft_of(data, tmp_path)
    assert [(c.column.type, c.column.required, c.column.key_position) for c in draft.columns] == [
        ("string", False, None)
    ] * 2
    assert judged(confirmed(draft, tmp_path), data).outcome == "accepted"


# whatever it is drafted from

texts = st.one_of(
    st.sampled_from(["", "NA", "NULL", "-", "无", "true", "FALSE", "0", "007", "+5", "1e5", "12E3", "-0.50", ".5", "5.", "NaN"]),
    st.sampled_from(["2026-01-31", "2026/1/31", "31/01/2026", "01/31/2026", "20260131", "2026年1月31日", "2026-02-30", "08:30"]),
    st.sampled_from(["2026-01-31T08:00:00Z", "2026-01-31 08:00", "2026-01-31T08:00:00+0800", "2026/01/31 08:00:59"]),
    st.sampled_from(["520102", "13800138000", "a@b.cn", "11010519491231002X", "在册", "王小明", " x ", '"', "a,b", "a\nb", "1e999"]),
    st.integers(-(10**20), 10**20).map(str), st.integers(0, 99).map(str), st.decimals(-999, 999, places=2).map(str),
    st.floats(allow_nan=False).map(repr), st.dates().map(str), st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=6),
)  # fmt: skip
# Most columns hold one kind of value.
kinds = st.sampled_from(
    [
        texts, st.integers(-5000, 5000).map(str), st.decimals(0, 10**6, places=3).map(str), st.dates().map(str),
        st.datetimes().map(lambda d: d.isoformat()), st.datetimes().map(lambda d: d.isoformat() + "Z"),
        st.dates().map(lambda d: d.strftime("%Y").zfill(4) + d.strftime("/%m/%d")), st.times().map(str),
        st.dates().map(lambda d: d.strftime("%d/%m/") + d.strftime("%Y").zfill(4)), st.booleans().map(str),
        st.sampled_from(["open", "shut"]), st.integers(0, 10**6).map(lambda n: f"{n:07}"), st.floats(-1e300, 1e300).map(repr),
        st.integers(0, 2000).map(resident_id),
    ]
)  # fmt: skip
headers = st.lists(
    st.one_of(
        st.sampled_from(["姓名", "编号", "a b", "A", "a", "_arrival", "no.", "Ünï", "日期", "code", "企业名称", "名称2", "x" * 200]),
        st.text(st.characters(categories=("L", "N", "P"), exclude_characters=";"), min_size=1, max_size=5),
    ),
    min_size=1, max_size=4, unique_by=str.lower,
).filter(lambda names: not all(name.isdecimal() for name in names))  # fmt: skip


@st.composite
def tables(draw):
    names = draw(headers)
    rows = draw(st.sampled_from([1, 2, 5, 40]))
    columns = {}
    for name in names:
        value = (
            st.one_of(draw(kinds), st.sampled_from(draw(st.sampled_from([["NA"], [""], [None]]))))
            if draw(st.booleans())
            else draw(kinds)
        )
        columns[name] = draw(st.lists(value, min_size=rows, max_size=rows))
    return columns


@settings(max_examples=40)
@given(
    columns=tables(), form=st.sampled_from(["csv", "jsonl", "parquet"]), encoding=st.sampled_from(["utf-8", "gb18030"])
)
def test_a_confirmed_draft_accepts_the_very_data_it_came_from(columns, form, encoding):
    rows = len(next(iter(columns.values())))
    with tempfile.TemporaryDirectory() as folder:
        typed = (
            {name: pa.array(column, pa.string()) for name, column in columns.items()} if form == "parquet" else columns
        )
        data = write(Path(folder) / f"d.{form}", typed, "utf-8" if form == "parquet" else encoding)
        draft = draft_of(data, Path(folder))
        found = judged(confirmed(draft, Path(folder)), data)
    assert (found.outcome, found.accepted, found.findings) == ("accepted", rows, ())


YEARS = datetime.fromisoformat("0002-01-01"), datetime.fromisoformat("9998-01-01")
zones = st.sampled_from([UTC, timezone(timedelta(hours=8))])
arrow = {
    "int64": (st.integers(-(2**63), 2**63 - 1), pa.int64()), "uint64": (st.integers(0, 2**64 - 1), pa.uint64()),
    "int8": (st.integers(-128, 127), pa.int8()), "float": (st.floats(), pa.float64()), "float32": (st.floats(width=32), pa.float32()),
    "decimal": (st.decimals(-(10**9), 10**9, places=4), pa.decimal128(38, 4)), "bool": (st.booleans(), pa.bool_()),
    "decimal256": (st.decimals(-(10**9), 10**9, places=4), pa.decimal256(60, 4)), "date": (st.dates(), pa.date32()),
    "moment": (st.datetimes(), pa.timestamp("us")), "seconds": (st.datetimes().map(lambda d: d.replace(microsecond=0)), pa.timestamp("s")),
    "instant": (st.datetimes(YEARS[0], YEARS[1], timezones=zones), pa.timestamp("us", "Asia/Shanghai")),
    "time": (st.times(), pa.time64("us")), "null": (st.none(), pa.null()),
    "dictionary": (st.sampled_from(["a", "b"]), pa.dictionary(pa.int8(), pa.string())),
    "nanoseconds": (st.integers(0, 2**62), pa.timestamp("ns")), "large": (st.text(max_size=3), pa.large_string()),
}  # fmt: skip


@settings(max_examples=30)
@given(
    st.data(),
    st.lists(st.sampled_from(sorted(arrow)), min_size=1, max_size=4, unique=True),
    st.sampled_from([1, 3, 30]),
)
def test_so_does_one_from_typed_columns(data, names, rows):
    columns = {
        name: pa.array(data.draw(st.lists(st.none() | arrow[name][0], min_size=rows, max_size=rows)), arrow[name][1])
        for name in names
    }
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder) / "d.parquet", columns)
        found = judged(confirmed(draft_of(file, Path(folder)), Path(folder)), file)
    assert (found.outcome, found.accepted, found.findings) == ("accepted", rows, ())
