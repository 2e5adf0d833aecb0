"""What each change of a contract is to consumers and source, and which version has to say so."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.contracts.evolution import evolve, read_edition, required_version
from drafts import PEOPLE, REGISTER, contract, write

ENUM = [{"value": "A"}, {"value": "B"}]


def people(**columns):
    """The columns of the usual contract; each named one is changed, added, or (None) taken away."""
    known = {given["name"]: given for given in deepcopy(PEOPLE)}
    for name, changed in columns.items():
        known[name] = (
            None if changed is None else {"name": name, "logicalType": "string"} | known.get(name, {}) | changed
        )
    return [given for given in known.values() if given]


def evolved(tmp_path, old, new):
    return evolve(
        read_edition(write(tmp_path / "old.yaml", old)),
        read_edition(write(tmp_path / "new.yaml", new)),
    )


def told(tmp_path, old, new):
    """(level, does it burden the source, sentence) of each change."""
    return [(c.level, c.burdens, c.what) for c in evolved(tmp_path, old, new).changes]


def holding(*parts):
    """A column `address` that is an object with these properties."""
    properties = [{"name": "city", "logicalType": "string"} | part for part in parts]
    return {"address": {"logicalType": "object", "properties": properties}}


COLUMNS = {
    "removed inside": (holding({}, {"name": "zip"}), holding({}), ("major", False, "'address.zip' is removed")),
    "added inside": (holding({}), holding({}, {"name": "zip"}), ("minor", True, "'address.zip' is added")),
    "retyped inside": (
        holding({}), holding({"logicalType": "integer"}), ("major", True, "'address.city' was of type string"),
    ),
    "no form any more": (
        holding({}), {"address": {"logicalType": "object"}}, ("major", False, "is now of type object of any form"),
    ),
    "removed": ({}, {"name": None}, ("major", False, "'name' is removed")),
    "renamed": (
        {"name": {"physicalName": "xm"}},
        {"name": None, "full_name": {"physicalName": "xm"}},
        ("major", False, "'name' is now called 'full_name'"),
    ),
    "added": ({}, {"more": {}}, ("minor", True, "'more' is added")),
    "retyped": ({"name": {"logicalType": "integer"}}, {}, ("major", False, "was of type integer and is now of type string")),
    "retyped to less": ({}, {"name": {"logicalType": "integer"}}, ("major", True, "is now of type integer")),
    "wider decimal": (
        {}, {"income": {"physicalType": "decimal(14,2)"}},
        ("major", False, "was of type decimal(12,2) and is now of type decimal(14,2)"),
    ),
    "fewer digits": ({}, {"income": {"physicalType": "decimal(12,4)"}}, ("major", True, "decimal(12,4)")),
    "exact to float": ({}, {"income": {"physicalType": "double"}}, ("major", False, "is now of type number")),
    "zone": (
        {"born": {"logicalType": "timestamp"}},
        {"born": {"logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}}},
        ("major", True, "with time zone"),
    ),
    "no longer required": ({"name": {"required": True}}, {}, ("major", False, "no longer required")),
    "required": ({}, {"name": {"required": True}}, ("minor", True, "is now required")),
    "no longer public": ({}, {"region": {"classification": "internal"}}, ("major", False, "no longer as public")),
    "public": ({}, {"name": {"classification": "public"}}, ("minor", False, "classified as public")),
    "another class": (
        {"name": {"classification": "internal"}}, {"name": {"classification": "restricted"}},
        ("minor", False, "classified as restricted"),
    ),
    "another key": (
        {}, {"id": {"primaryKey": False, "required": True}, "name": {"primaryKey": True}},
        ("major", True, "The primary key was id and is now name"),
    ),
    "no key": ({}, {"id": {"primaryKey": False, "required": True}}, ("major", False, "is now none")),
    "a first key": ({"id": {"primaryKey": False, "required": True}}, {}, ("minor", True, "there was none")),
    "label": ({}, {"name": {"businessName": "姓名"}}, ("patch", False, "its label changed")),
    "description": ({}, {"name": {"description": "As registered."}}, ("patch", False, "its description changed")),
    "name at the source": ({}, {"name": {"physicalName": "xm"}}, ("patch", False, "read from 'xm'")),
    "pattern of dates": (
        {}, {"born": {"logicalTypeOptions": {"format": "yyyy/MM/dd"}}}, ("patch", False, "by another pattern"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), COLUMNS.values(), ids=COLUMNS)
def test_columns(tmp_path, before, after, expected):
    found = told(tmp_path, contract(people(**before)), contract(people(**after)))
    assert [(level, burdens) for level, burdens, what in found if expected[2] in what] == [expected[:2]], found
    assert found[0][0] == expected[0]  # nothing heavier is said beside it


def options(**more):
    return {"logicalTypeOptions": more}


def expectation(kind, **kwargs):
    implementation = {"type": f"expect_column_values_to_{kind}", "kwargs": kwargs}
    return {"quality": [{"id": "r", "type": "custom", "engine": "gx", "implementation": implementation}]}


NUMBER = {"logicalType": "integer"}
RULES = {
    "enum gains": ({"enum": ENUM[:1]}, {"enum": ENUM}, ("major", False, "allows more values (B)")),
    "enum loses": ({"enum": ENUM}, {"enum": ENUM[:1]}, ("minor", True, "allows 1 values less")),
    "enum changes": ({"enum": ENUM[:1]}, {"enum": ENUM[1:]}, ("major", True, "more values (B) and allows 1 values less")),
    "forbidden no more": (
        expectation("not_be_in_set", value_set=["A", "B"]), expectation("not_be_in_set", value_set=["A"]),
        ("major", False, "allows more values (B)"),
    ),
    "longer": (options(maxLength=5), options(maxLength=6), ("major", False, "reaches further")),
    "shorter": (options(maxLength=5), options(maxLength=4), ("minor", True, "reaches less far")),
    "unbounded": (options(minLength=1, maxLength=5), options(minLength=1), ("major", False, "reaches further")),
    "pattern": (options(pattern="^a"), options(pattern="^b"), ("major", True, "promises something else")),
    "no pattern": (options(pattern="^a"), {}, ("major", False, "no longer promised")),
    "a first pattern": ({}, options(pattern="^a"), ("minor", True, "is now promised")),
    "format": (options(format="email"), options(format="uuid"), ("major", True, "promises something else")),
    "range": (NUMBER | options(minimum=1, maximum=9), NUMBER | options(minimum=0, maximum=8), ("major", True, "further and")),
    "strict": (NUMBER | options(exclusiveMinimum=1), NUMBER | options(minimum=2), None),  # the same whole numbers
    "unique": ({"unique": True}, {}, ("major", False, "no longer promised")),
    "only a warning": (
        {"quality": [{"type": "library", "metric": "duplicateValues", "mustBe": 0}]},
        {"quality": [{"type": "library", "metric": "duplicateValues", "mustBe": 0, "severity": "warning"}]},
        ("major", False, "only warns now"),
    ),
    "warnings bind nobody": (
        {"quality": [{"type": "library", "metric": "duplicateValues", "mustBe": 0, "severity": "warning"}]}, {},
        ("patch", False, "no longer promised"),
    ),
    "another tolerance": (
        {"quality": [{"type": "library", "metric": "nullValues", "mustBeLessOrEqualTo": 5}]},
        {"quality": [{"type": "library", "metric": "nullValues", "mustBeLessOrEqualTo": 3}]},
        ("minor", True, "tolerates fewer rows"),
    ),
    "fewer inside": (
        {"logicalType": "array", "items": {"logicalType": "string"}} | options(maxItems=3),
        {"logicalType": "array", "items": {"logicalType": "string"}} | options(maxItems=2),
        ("minor", True, "reaches less far"),
    ),
    "another name": (
        expectation("match_regex", regex="^a"),
        {"quality": [expectation("match_regex", regex="^a")["quality"][0] | {"id": "s"}]},
        ("patch", False, "worded otherwise"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), RULES.values(), ids=RULES)
def test_rules(tmp_path, before, after, expected):
    found = told(tmp_path, contract(people(x=before)), contract(people(x=after)))
    if expected is None:
        assert {level for level, *_ in found} <= {"patch"}
        return
    assert [(level, burdens) for level, burdens, what in found if expected[2] in what] == [expected[:2]], found
    assert found[0][0] == expected[0]


def extension(**more):
    return contract(crossdock=REGISTER | more)


def level(name, **more):
    return {"property": name, **more}


def served(*levels):
    return contract(crossdock=REGISTER, slaProperties=list(levels))


DAILY, WEEKLY = level("frequency", value=1, unit="d"), level("frequency", value=1, unit="week")
FRESH = level("freshness", value=1, unit="d", element="people.born")
STALE = FRESH | {"value": 2}
DATASET = {
    "shared less": (
        extension(sharing={"class": "unconditional"}), extension(), ("major", False, "was unconditional and is now conditional")
    ),
    "shared more": (extension(sharing={"class": "none", "basis": "Article 34"}), extension(), ("minor", False, "is now conditional")),
    "basis": (extension(), extension(sharing={"class": "conditional", "basis": "Article 35"}), ("minor", False, "legal basis")),
    "subject": (extension(), extension(subject={"kind": "person", "column": "id"}), ("minor", False, "about changed")),
    "tolerance": (extension(), extension(tolerance={"percent": 5}), ("minor", True, "fewer failing rows")),
    "source": (extension(), extension(source=REGISTER["source"] | {"path": "b.csv"}), ("patch", False, "pulled from elsewhere")),
    "title": (extension(), extension(title={"zh": "册", "en": "Book"}), ("patch", False, "title")),
    "null tokens": (extension(), extension(nullTokens=["无"]), ("patch", False, "missing value")),
    "drift borne": (extension(drift={"rows": {"error": 5}}), extension(drift={"rows": {"error": 9}}), ("patch", False, "reaches further")),
    "less drift": (extension(), extension(drift={"rows": {"error": 9}}), ("patch", True, "is now promised")),
    "frozen": (extension(), extension(drift={"columns": "freeze"}), ("patch", False, "only the source has")),
    "retired": (contract(), contract(status="retired"), ("major", False, "nothing is delivered any more")),
    "deprecated": (contract(), contract(status="deprecated"), ("minor", False, "is now deprecated")),
    "rarer": (served(DAILY), served(WEEKLY), ("major", False, "pulled less often")),
    "when asked": (served(DAILY), served(), ("major", False, "pulled less often")),
    "oftener": (served(WEEKLY), served(DAILY), ("minor", True, "pulled more often")),
    "older data": (served(FRESH), served(STALE), ("major", False, "allows older data")),
    "newer data": (served(STALE), served(FRESH), ("minor", True, "demands newer data")),
    "retention": (served(level("retention", value=1, unit="y")), served(level("retention", value=2, unit="y")), ("major", True, "'retention' changed")),
    "more service": (served(), served(level("retention", value=1, unit="y")), ("minor", True, "'retention' is now promised")),
    "less service": (served(level("retention", value=1, unit="y")), served(), ("major", False, "'retention' is no longer promised")),
    "words": (contract(), contract(tags=["new"]), ("patch", False, "Words changed")),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), DATASET.values(), ids=DATASET)
def test_datasets(tmp_path, old, new, expected):
    ((level_, burdens, what),) = told(tmp_path, old, new)
    assert (level_, burdens) == expected[:2]
    assert expected[2] in what


def test_where_the_crossdock_property_stands_is_no_change(tmp_path):
    moved = contract(crossdock=REGISTER)
    moved["customProperties"].insert(0, {"property": "other", "value": 1})
    assert told(tmp_path, contract(crossdock=REGISTER), moved) == [
        ("patch", False, "Words changed that promise nothing.")
    ]


@pytest.mark.parametrize(
    ("version", "needed", "required"),
    [
        ("1.2.3", "major", "2.0.0"), ("1.2.3", "minor", "1.3.0"), ("1.2.3", "patch", "1.2.4"), ("1.2.3", None, "1.2.3"),
        ("v1.2", "patch", "1.2.1"), ("1", "major", "2.0.0"), ("1.0.0-rc.1", "minor", "1.1.0"), ("latest", "major", ""),
    ],
)  # fmt: skip
def test_the_version_that_tells_of_it(version, needed, required):
    assert required_version(version, needed) == required


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.0.0", "says too little"), ("1.9.0", "says too little"), ("2.0.0", ""), ("2.1.0", ""), ("10.0.0", ""),
        ("newest", "no semantic version"),
    ],
)  # fmt: skip
def test_a_breaking_change_needs_a_major_version(tmp_path, version, said):
    found = evolved(tmp_path, contract(), contract(people(name=None), version=version))
    assert found.required == "2.0.0"
    assert said in found.objection
    assert bool(said) == bool(found.objection)


def test_a_version_does_not_go_back(tmp_path):
    assert "goes back" in evolved(tmp_path, contract(version="1.1.0"), contract()).objection
    assert evolved(tmp_path, contract(), contract(version="3.0.0")).objection == ""


@pytest.mark.parametrize("status", ["draft", "proposed"])
def test_what_was_not_in_force_bound_nobody(tmp_path, status):
    found = evolved(tmp_path, contract(status=status), contract(people(name=None)))
    assert found.changes
    assert (found.required, found.objection) == ("1.0.0", "")


ends = st.one_of(st.none(), st.integers(-3, 3))
bounds = st.tuples(ends, ends, st.booleans(), st.booleans()).filter(
    lambda b: (b[0], b[1]) != (None, None) and (None in b[:2] or b[0] + 2 <= b[1])
)


def range_options(low, high, strict_low, strict_high):
    names = ("exclusiveMinimum" if strict_low else "minimum", "exclusiveMaximum" if strict_high else "maximum")
    return {name: end for name, end in zip(names, (low, high), strict=True) if end is not None}


def holds(bound, value):
    low, high, strict_low, strict_high = bound
    above = low is None or value > low or (value == low and not strict_low)
    return above and (high is None or value < high or (value == high and not strict_high))


@given(old=bounds, new=bounds, kind=st.sampled_from(["integer", "number"]))
def test_a_range_breaks_consumers_if_and_only_if_a_new_value_may_come(tmp_path_factory, old, new, kind):
    folder = tmp_path_factory.mktemp("range")
    before, after = ({"logicalType": kind, "logicalTypeOptions": range_options(*b)} for b in (old, new))
    found = [
        c for c in evolved(folder, contract(people(x=before)), contract(people(x=after))).changes if c.columns == ("x",)
    ]
    steps = [n if kind == "integer" else n / 2 for n in range(-10, 11)]
    more, less = ([v for v in steps if holds(a, v) and not holds(b, v)] for a, b in ((new, old), (old, new)))
    assert any(c.breaking for c in found) == bool(more)
    assert any(c.burdens for c in found) == bool(less)
