import pytest

from crossdock.contracts.services import is_schedule
from drafts import REGISTER, contract, problems, read


def level(tmp_path, *levels, **header):
    data = contract(crossdock=REGISTER, slaProperties=list(levels), **header)
    return {r.id: (r.columns, r.args["max_age_seconds"]) for r in read(tmp_path, data).rules if r.kind == "freshness"}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"value": 30, "unit": "d"}, 30 * 86_400),
        ({"value": 24, "unit": "hours"}, 86_400),
        ({"value": 1.5, "unit": "h"}, 5400),
        ({"value": "15", "unit": "min"}, 900),
        ({"value": "P1DT12H"}, 129_600),
        ({"value": "PT90M"}, 5400),
        ({"value": "P2W"}, 1_209_600),
        ({"value": "P1M"}, 31 * 86_400),
        ({"value": "P1YT1S"}, 366 * 86_400 + 1),
    ],
)
def test_freshness_is_an_age_of_the_newest_value(tmp_path, given, seconds):
    found = level(tmp_path, {"property": "freshness", "element": "people.born", **given})
    assert found == {"freshness": (("born",), seconds)}


def test_a_column_may_be_named_as_at_the_source_or_by_default(tmp_path):
    columns = [{"name": "id", "logicalType": "string"}, {"name": "born", "physicalName": "csrq", "logicalType": "date"}]
    data = contract(
        columns, slaProperties=[{"property": "latency", "value": 4, "unit": "d"}], slaDefaultElement="tab1.csrq"
    )
    (rule,) = (r for r in read(tmp_path, data).rules if r.kind == "freshness")
    assert (rule.id, rule.columns, rule.reason) == ("latency", ("born",), "The newest born is older than 4 days.")


def test_service_levels_of_other_tables_or_of_no_rows_are_left_alone(tmp_path):
    tables = [
        {"name": "people", "properties": [{"name": "born", "logicalType": "date"}]},
        {"name": "orders", "properties": [{"name": "at", "logicalType": "date"}]},
    ]
    levels = [
        {"property": "freshness", "value": 1, "unit": "d", "element": "orders.at"},
        {"property": "latency", "value": 4, "unit": "d", "element": "orders.at"},
        {"property": "availability", "value": 99.9, "unit": "percent"},
        {"property": "timeToRepair", "value": 4, "unit": "h"},
        {"property": "retention", "value": 3, "unit": "y", "element": "people.born"},
        {"property": "timeOfAvailability", "value": "09:00-08:00"},
    ]
    made = read(tmp_path, contract() | {"schema": tables, "slaProperties": levels}, schema="people")
    assert [r.id for r in made.rules] == ["born.type"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"value": 30, "unit": "d"}, "names no column"),
        ({"value": 30, "unit": "parsecs", "element": "people.born"}, "needs a number above 0 and a unit"),
        ({"value": -1, "unit": "d", "element": "people.born"}, "needs a number above 0 and a unit"),
        ({"value": "soon", "unit": "d", "element": "people.born"}, "needs a number above 0 and a unit"),
        ({"value": 1e300, "unit": "d", "element": "people.born"}, "needs a number above 0 and a unit"),
        ({"value": "P", "element": "people.born"}, "needs a number above 0 and a unit"),
        ({"value": 1, "unit": "d", "element": "people.bron"}, "Did you mean 'born'?"),
        ({"value": 1, "unit": "d", "element": "people.name"}, "Freshness needs a date or timestamp"),
    ],
)
def test_a_freshness_that_cannot_be_judged_is_a_problem(tmp_path, given, said):
    (found,) = problems(tmp_path, contract(slaProperties=[{"property": "freshness", **given}]))
    assert found.startswith("slaProperties[0]")
    assert said in found


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("latency", "The latency names no column."),
        ("freshnes", "There is no service level 'freshnes'. Did you mean 'freshness'?"),
        ("frequencey", "Did you mean 'frequency'?"),
        ("completeness", "can't judge the service level 'completeness'"),
        ("er", "can't judge the service level 'er'"),
        ("Ly", "names no column"),
        ("errorRate", "can't judge the service level 'errorRate'"),
        ("row_count", "can't judge the service level 'row_count'"),
    ],
)
def test_a_service_level_about_rows_is_judged_or_refused(tmp_path, word, said):
    (found,) = problems(tmp_path, contract(slaProperties=[{"property": word, "value": 1, "unit": "d"}]))
    assert said in found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"value": 3, "unit": "y"}, "P3Y"),
        ({"value": "18", "unit": "months"}, "P18M"),
        ({"value": "P10Y6M"}, "P10Y6M"),
        ({"value": 90, "unit": "days", "element": "people.born"}, "P90D"),
        ({"value": 3, "unit": "y", "element": "orders.at"}, ""),
    ],
)
def test_a_retention_is_kept_as_a_duration(tmp_path, given, expected):
    tables = [contract()["schema"][0], {"name": "orders", "properties": [{"name": "at", "logicalType": "date"}]}]
    data = contract(slaProperties=[{"property": "retention", **given}]) | {"schema": tables}
    assert read(tmp_path, data, schema="people").retention == expected


@pytest.mark.parametrize("given", [{"value": 6, "unit": "m"}, {"value": 1.5, "unit": "y"}, {"value": "for ever"}])
def test_a_retention_that_is_not_clear_is_a_problem(tmp_path, given):
    (found,) = problems(tmp_path, contract(slaProperties=[{"property": "retention", **given}]))
    assert "The retention needs a number above 0 and a unit." in found


def test_there_is_one_retention(tmp_path):
    levels = [{"property": "retention", "value": value, "unit": "y"} for value in (3, 3, 4)]
    (found,) = problems(tmp_path, contract(slaProperties=levels))
    assert found == "slaProperties[2]: Another retention has been stated before. Keep one of them."


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"value": 1, "unit": "d"}, "@daily"),
        ({"value": "P1D"}, "@daily"),
        ({"value": "PT15M"}, "*/15 * * * *"),
        ({"value": "P7D"}, "@weekly"),
        ({"value": 1, "unit": "month"}, "@monthly"),
        ({"value": "weekly"}, "@weekly"),
        ({"value": 15, "unit": "min"}, "*/15 * * * *"),
        ({"value": 1, "unit": "min"}, "*/1 * * * *"),
        ({"value": 6, "unit": "h"}, "0 */6 * * *"),
        ({"value": 3, "unit": "d"}, "0 0 */3 * *"),
        ({"value": 1, "schedule": "30 6 * * 1-5", "scheduler": "cron"}, "30 6 * * 1-5"),
    ],
)
def test_a_frequency_is_a_schedule(tmp_path, given, expected):
    data = contract(crossdock=REGISTER, slaProperties=[{"property": "frequency", **given}])
    found = read(tmp_path, data).schedule
    assert found == expected
    assert is_schedule(found)


@pytest.mark.parametrize(
    "given",
    [
        {"value": 7, "unit": "h"},
        {"value": 0, "unit": "d"},
        {"value": 2, "unit": "y"},
        {"value": "often"},
        {"value": "PT7H"},
        {"value": "PT1S"},
        {"value": 1, "schedule": "every day"},
        {"value": 1, "schedule": "61 * * * *"},
    ],
)
def test_a_frequency_that_cannot_be_scheduled_is_a_problem_where_we_schedule(tmp_path, given):
    levels = [{"property": "frequency", **given}]
    (found,) = problems(tmp_path, contract(crossdock=REGISTER, slaProperties=levels))
    assert found.startswith("slaProperties[0]: This frequency can't be scheduled.")
    assert read(tmp_path, contract(slaProperties=levels)).schedule is None  # nothing is pulled, so nothing is due


@pytest.mark.parametrize(
    ("text", "expected"),
    [("@daily", True), ("0 6 * * *", True), ("@daly", False), ("* * * *", False), ("* * * * * *", False), ("", False)],
)
def test_schedules_are_cron_of_five_fields_or_presets(text, expected):
    assert is_schedule(text) is expected
