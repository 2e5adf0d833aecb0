import pytest

from drafts import contract, problems, read


def column(tmp_path, given):
    return read(tmp_path, contract([{"name": "x", **given}])).columns[0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"logicalType": "string", "physicalType": "int"}, "string"),
        ({"physicalType": "VARCHAR(18)"}, "string"),
        ({"physicalType": "character varying(30)"}, "string"),
        ({"physicalType": "jsonb"}, "string"),
        ({"physicalType": "BIGINT UNSIGNED"}, "integer"),
        ({"physicalType": "double precision"}, "number"),
        ({"physicalType": "bool"}, "boolean"),
        ({"physicalType": "DATE"}, "date"),
        ({"physicalType": "timestamp_ntz(9)"}, "timestamp"),
        ({"physicalType": "time(6)"}, "time"),
        # ODCS 3.0 had dates only, and tools still write them for what has a time of day
        ({"logicalType": "date", "physicalType": "TIMESTAMP"}, "timestamp"),
        ({"logicalType": "date", "logicalTypeOptions": {"format": "yyyy-MM-dd HH:mm:ss"}}, "timestamp"),
        ({"logicalType": "date", "logicalTypeOptions": {"format": "HH:mm:ss"}}, "time"),
        ({"logicalType": "date", "physicalType": "varchar"}, "date"),
    ],
)
def test_the_logical_type_counts_and_else_the_physical_one(tmp_path, given, expected):
    assert column(tmp_path, given).type == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"logicalType": "number", "physicalType": "decimal(12,2)"}, (12, 2)),
        ({"logicalType": "number", "physicalType": "NUMERIC( 38 , 10 )"}, (38, 10)),
        ({"physicalType": "NUMBER(10)"}, (10, 0)),
        ({"logicalType": "number", "physicalType": "double"}, (None, None)),
        ({"logicalType": "number"}, (None, None)),
        ({"logicalType": "integer", "physicalType": "NUMBER(10)"}, (None, None)),
    ],
)
def test_decimals_are_exact_where_their_digits_are_stated(tmp_path, given, expected):
    found = column(tmp_path, given)
    assert (found.precision, found.scale) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"logicalType": "timestamp"}, False),
        ({"logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}}, True),
        ({"physicalType": "timestamptz"}, True),
        ({"physicalType": "TIMESTAMP_TZ"}, True),
        ({"physicalType": "timestamp with time zone"}, True),
        ({"physicalType": "timestamp without time zone"}, False),
        ({"physicalType": "TIMESTAMP_NTZ"}, False),
        ({"physicalType": "timestamptz", "logicalTypeOptions": {"timezone": False}}, False),
    ],
)
def test_timestamps_have_a_zone_where_it_is_stated(tmp_path, given, expected):
    assert column(tmp_path, given).timezone is expected


@pytest.mark.parametrize(
    ("logical", "form", "expected"),
    [
        ("date", "yyyy-MM-dd", ()),
        ("date", "yyyyMMdd", ("%Y%m%d",)),
        ("date", "d/M/yyyy", ("%d/%m/%Y",)),
        ("date", "%Y.%m.%d", ("%Y.%m.%d",)),
        ("date", "yyyy'年'MM'月'dd'日'", ("%Y年%m月%d日",)),
        ("timestamp", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", ()),
        ("timestamp", "yyyy-MM-ddTHH:mm:ssZ", ()),
        ("timestamp", "yyyy/MM/dd HH:mm", ("%Y/%m/%d %H:%M",)),
        ("time", "HH:mm", ()),
        ("time", "HHmmss", ("%H%M%S",)),
    ],
)
def test_date_patterns_are_read_in_both_spellings(tmp_path, logical, form, expected):
    assert column(tmp_path, {"logicalType": logical, "logicalTypeOptions": {"format": form}}).formats == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"logicalType": "strng"}, "logicalType: There is no logical type 'strng'. Did you mean 'string'?"),
        ({}, "Column 'x' has no logicalType. Write `logicalType`, one of:"),
        ({"physicalType": "geometry"}, "does not know its physicalType 'geometry'"),
        ({"logicalType": "object", "properties": [{"name": "y"}]}, "Column 'x.y' has no logicalType"),
        ({"logicalType": "array", "items": {"logicalType": "strng"}}, "items.logicalType: There is no logical type"),
        ({"logicalType": "number", "physicalType": "decimal(39,2)"}, "at most 38 digits"),
        ({"logicalType": "number", "physicalType": f"decimal({'9' * 5000},2)"}, "at most 38 digits"),
        ({"logicalType": "number", "physicalType": "decimal(2,3)"}, "has no exact form"),
        ({"logicalType": "date", "logicalTypeOptions": {"format": "dd-MMM-yy"}}, "parts crossdock can't read"),
        ({"logicalType": "date", "logicalTypeOptions": {"format": "yyyy-MM"}}, "names no whole date"),
        ({"logicalType": "date", "logicalTypeOptions": {"format": "dd/dd/MM/yyyy"}}, "or a part twice"),
        ({"logicalType": "time", "logicalTypeOptions": {"format": "yyyyMMdd"}}, "names no whole time"),
        ({"logicalType": "timestamp", "logicalTypeOptions": {"timezone": "Asia/Shanghai"}}, "is true or false"),
    ],
)
def test_types_that_cannot_be_run_are_named(tmp_path, given, said):
    (found,) = problems(tmp_path, contract([{"name": "x", **given}]))
    assert said in found
    assert found.startswith("schema[0].properties[0]")
