import pyarrow as pa
import pytest

from crossdock.contracts.model import Column
from crossdock.contracts.odcs import read_contract
from crossdock.drafting.types import FORMATS, TypeGuess
from crossdock.sources.databases.declared import Declared
from drafts import contract, write


def guessed(*values, name="x", declared=None):
    """The type of a text column: one batch per value, so that every value counts."""
    guess = TypeGuess(name="x", source_name=name, declared=declared)
    for value in values:
        guess.add(pa.array([value], pa.string()))
    return guess.column()


def kind(column: Column):
    return column.type, column.precision, column.scale


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-20", "0"], "integer"), (["007", "123"], "string"), (["-01"], "string"), (["+8613800138000"], "string"),
        (["123456789012345"], "integer"), (["1234567890123456"], "string"), (["99999999999999999999"], "string"),
        (["13800138000", "18612345678"], "string"), (["12E3", "1"], "string"), (["true", "False"], "boolean"),
        (["1", "0"], "integer"), (["t", "f"], "string"), (["yes"], "string"), (["08:30", "23:59:59"], "time"),
        (["2026-01-31", "2026-12-01"], "date"), (["2026-02-30"], "string"), (["20260131", "19991231"], "date"),
        (["20260131", "18991231"], "integer"), (["2026-01-31", "1"], "string"), ([None, ""], "string"), ([], "string"),
        (["1", None, ""], "integer"), (["2026-01-31", "2026-01-31 08:00"], "timestamp"), (["20260131080000"], "timestamp"),
        (["31/01/2026", "01/01/2026"], "date"), (["01/02/2026"], "string"),
        (["2026-01-31T08:00:00Z", "2026-01-31T08:00:00"], "string"), ([" 1"], "string"), (["0x1F"], "string"),
        (["1,000"], "string"),
    ],
)  # fmt: skip
def test_types_of_text(values, expected):
    assert guessed(*values).type == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1.50", "20"], (18, 2)), (["0.5"], (18, 1)), (["1.5e3"], (None, None)), (["0.1234567"], (None, None)),
        (["123456789012345.1234"], (38, 4)), ([".5", "5."], (18, 1)), (["1.000"], (18, 3)),
    ],
)  # fmt: skip
def test_exact_and_inexact_numbers(values, expected):
    assert kind(guessed(*values)) == ("number", *expected)


@pytest.mark.parametrize(
    ("values", "timezone"),
    [(["2026-01-31T08:00:00Z", "2026-01-31 08:00+0800"], True), (["2026-01-31 08:00:00"], False)],
)
def test_time_zones(values, timezone):
    assert guessed(*values).timezone is timezone


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("postcode", ["550001", "550002"], "string"), ("邮政编码", ["550001"], "string"), ("code", ["1", "20"], "integer"),
        ("xzqh", ["520102"], "string"), ("population", ["550001", "550002"], "integer"),
    ],
)  # fmt: skip
def test_digits_that_name_something_are_no_numbers(name, values, expected):
    assert guessed(*values, name=name).type == expected


@pytest.mark.parametrize(
    ("declared", "values", "expected"),
    [
        (Declared(name="x", text=True), ["1", "2"], ("string", None, None)),
        (Declared(name="x", text=True), ["2026-01-31"], ("date", None, None)),
        (Declared(name="x", number=True), ["1234567890123456"], ("integer", None, None)),
        (Declared(name="x", number=True, precision=30, scale=4), ["1.50"], ("number", 30, 4)),
        (Declared(name="x", number=True, precision=3, scale=1), ["123.45"], ("number", 18, 2)),
    ],
)
def test_what_the_owner_declares_goes_first(declared, values, expected):
    assert kind(guessed(*values, declared=declared)) == expected


@pytest.mark.parametrize("form", FORMATS)
def test_date_patterns_mean_the_same_in_a_contract(tmp_path, form):
    logical, pattern, _ = FORMATS[form]
    file = write(
        tmp_path / "c.yaml", contract([{"name": "x", "logicalType": logical, "logicalTypeOptions": {"format": form}}])
    )
    assert read_contract(file).columns[0].formats == (pattern,)


def test_a_few_values_stand_against_a_type():
    guess = TypeGuess(name="x", source_name="x")
    guess.add(pa.array([*map(str, range(1000)), "n. a.", "?"]))
    near, wrong = guess.nearly
    assert (guess.column().type, near.type, wrong) == ("string", "integer", 2)
    guess.add(pa.array(["no"] * 20))
    assert guess.nearly is None
