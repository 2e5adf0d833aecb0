"""What a query of a contract may ask, and what is refused before any data is there."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from crossdock.contracts import sandbox
from crossdock.contracts.model import Column
from crossdock.contracts.queries import read_query
from crossdock.contracts.sandbox import QueryFailed, Sandbox, Table
from crossdock.errors import WrongUse
from drafts import contract, problems, read

NOW = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)  # half past seven the next morning in China
COLUMNS = (
    Column(name="id", source_name="sfzh", type="string"),
    Column(name="age", source_name="ID", type="integer"),
    Column(name="born", source_name="born", type="date"),
)
ROWS = pa.table({"c0": ["a", "b", None], "c1": [30, 40, 50], "c2": [None, None, date(2026, 11, 24)]})
NAMES = ("people", "prod.Public.T People", "prod.public.t_people", "PEOPLE")


def checked(text, column="age", names=NAMES):
    return read_query(text, names, COLUMNS, column)


def asked(text, column="age", names=NAMES):
    table = Table(rows=pads.dataset(ROWS), names=names, columns=COLUMNS)
    with Sandbox(table, now=NOW) as box:
        return box.number(checked(text, column, names).sql, where="rule r")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SELECT count(*) FROM ${object}", 3),
        ("SELECT COUNT(*) FROM {object} WHERE {property} > 35;", 2),
        ('select count(*) from "${table}" where "${column}" > 35', 2),
        ("select count(*) from prod.public.t_people", 3),
        ("select count(*) from PEOPLE p where p.Age = 30", 1),
        ("select count(sfzh) from people", 2),  # the name at the source serves where no column has it
        ("select count(id) from people", 2),
        ("with old as (select * from people where age > 35) select count(*) from old", 2),
        ("select count(*) from (from people union all from people)", 6),
        ("select avg(age) from people", 40.0),
        ("select bool_and(age > 0) from people", 1),
        ("select max(age) from people where age > 99", None),
        ("select age from people where age > 99", None),
        ("select count(*) from people where born = current_date and current_date = today()", 1),
        ("select count(*) from people where cast(now() as date) = current_date and hour(now()) = 7", 3),
        ("select count(*) from people where now() = timestamptz '2026-11-23 23:30:00+00'", 3),
        ("select count(*) from people where regexp_matches(id, '^[a]{1}')", 1),
        ("select count(*) from people, unnest([1, 2]) t(n)", 6),
        ("select year(max(age(current_date, born))) from people", 0),
    ],
)
def test_a_query_asks_the_rows_under_the_names_people_write(text, number):
    assert asked(text) == number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs a `query`"),
        ("select " + "1 + " * 9000 + "1", "at most 20,000 characters"),
        ("selct 1", "no SQL"),
        ("select " + "(" * 4000 + "1" + ")" * 4000, "no SQL"),
        ("select 1; select 2", "one SELECT and nothing else"),
        ("delete from people", "one SELECT and nothing else"),
        ("copy people to 'x.csv'", "one SELECT and nothing else"),
        ("attach 'x.db'", "one SELECT and nothing else"),
        ("set memory_limit = '9GB'", "one SELECT and nothing else"),
        ("pragma version", "one SELECT and nothing else"),
        ("install httpfs", "one SELECT and nothing else"),
        ("explain select 1", "one SELECT and nothing else"),
        ("pivot people on age using count(*)", "one SELECT and nothing else"),
        ("select count(*) from peple", "'peple', which is not this table. Did you mean 'people'?"),
        ("select count(*) from '/etc/passwd'", "which is not this table"),
        ("select count(*) from read_csv('/etc/passwd')", "the rows of this table only, not read_csv"),
        ("select count(*) from read_text('https://example.com')", "the rows of this table only, not read_text"),
        ("select count(*) from glob('*')", "the rows of this table only, not glob"),
        ("select count(*) from query('select 1')", "the rows of this table only, not query"),
        ("select count(*) from duckdb_settings()", "the rows of this table only, not duckdb_settings"),
        ("select count(*) from information_schema.tables", "which is not this table"),
        ("select count(*) from crossdock_rows", "which is not this table"),
        ("describe people", "the rows of this table only"),
        ("select count(*) from people using sample 10%", "may take no sample"),
        ("select count(*) from people tablesample 10%", "may take no sample"),
        ("select count(*) from people where random() > 0.5", "random, which has another answer"),
        ("select count(*) from people where id = current_user", "current_user, which has another answer"),
        ("select length(current_setting('temp_directory'))", "current_setting, which has another answer"),
        ("select year(max(age(born))) from people", "age to now, which has another answer"),
        ("select count(*) from people where born > ago(interval 1 day)", "ago, which has another answer"),
        ("select hour(localtimestamp)", "localtimestamp, which has another answer"),
        ("select count(agee) from people", "a column 'agee', which is not there. Did you mean 'age'?"),
        ("select count(*) from people p where p.agee > 1", "a column 'agee', which is not there. Did you mean 'age'?"),
        ("select nope(1)", "can't be asked of this table"),
        ("select age, count(*) from people", "can't be asked of this table"),
        ("select max(id) from people", "returns a varchar, not a number"),
        ("select null", "not a number"),
        ("select ${objekt}", "${objekt}, which stands for nothing. Did you mean 'object'?"),
    ],
)
def test_what_a_query_may_not_ask_is_refused_at_load(text, said):
    with pytest.raises(WrongUse) as error:
        checked(text)
    assert said in str(error.value)


def test_a_property_is_named_only_where_one_is():
    with pytest.raises(WrongUse, match="stands at no property"):
        checked("select count(${property}) from ${object}", column=None)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("from read_text('/etc/passwd')", "PermissionException"),
        ("copy people to 'x.csv'", "PermissionException"),
        ("attach 'x.db' as x", "PermissionException"),
        ("install httpfs", "PermissionException"),
        ("load httpfs", "PermissionException"),
        ("set memory_limit = '9GB'", "InvalidInputException"),
        ("set lock_configuration = false", "InvalidInputException"),
        ("select count(*) from ROWS", "CatalogException"),  # a variable of this module
    ],
)
def test_the_sandbox_holds_even_for_what_the_parser_would_let_through(sql, said):
    table = Table(rows=pads.dataset(ROWS), names=NAMES, columns=COLUMNS)
    with Sandbox(table, now=NOW) as box, pytest.raises(QueryFailed, match=said):
        box.number(sql, where="rule r")


def test_an_error_on_the_data_quotes_none_of_it():
    with pytest.raises(QueryFailed) as error:
        asked("select sum(cast(id as integer)) from people")
    assert str(error.value).startswith("rule r: The query fails on this extract (ConversionException).")
    assert error.value.__cause__ is None


def test_a_query_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 0.2)
    with pytest.raises(QueryFailed, match="took longer than"):
        asked("select count(*) from range(100000000) a, range(100000) b where hash(a.range, b.range) = 7")


def test_a_query_that_needs_too_much_is_ended():
    with pytest.raises(QueryFailed, match="more than 512MB of memory"):
        asked("select len(list(a.range || 'abcdefghijklmnopqrstuvwxyz')) from range(100000000) a")


def test_a_query_is_a_rule_about_the_extract(tmp_path):
    entry = {"id": "old", "type": "sql", "query": "select count(*) from ${table} where ${column} is null"}
    columns = [{"name": "x", "logicalType": "string", "quality": [entry | {"mustBeLessThan": 2.5}]}]
    made = read(tmp_path, contract(columns, table={"physicalName": "t_people"}))
    (rule,) = (rule for rule in made.rules if rule.kind == "query")
    assert (rule.id, rule.columns, rule.reason) == ("old", ("x",), "The result of its query is not less than 2.5.")
    assert dict(rule.args) == {
        "sql": 'select count(*) from "people" where "x" is null',
        "tables": ("people", "t_people"),
        "max": 2.5,
        "strict_max": True,
    }


def test_a_query_without_an_operator_counts_failing_rows(tmp_path):
    made = read(tmp_path, contract(table={"quality": [{"query": "select count(*) from people where born > now()"}]}))
    (rule,) = (rule for rule in made.rules if rule.kind == "query")
    assert (rule.id, rule.args["min"], rule.args["max"], rule.args["dated"]) == ("table.query", 0, 0, True)


def test_truths_are_compared_as_they_are(tmp_path):
    entry = {"query": "select bool_and(income > 0) from people", "mustBe": True}
    (rule,) = (r for r in read(tmp_path, contract(table={"quality": [entry]})).rules if r.kind == "query")
    assert (rule.args["min"], rule.args["max"]) == (1, 1)


def test_a_query_that_cannot_be_run_names_its_place(tmp_path):
    entry = {"name": "typo", "type": "sql", "query": "select count(agee) from people"}
    (found,) = problems(tmp_path, contract(table={"quality": [entry]}))
    assert found.startswith("schema[0].quality[0]: Rule 'typo': The query asks for a column 'agee'")
