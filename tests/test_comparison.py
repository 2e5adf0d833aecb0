"""Comparing contracts and trees: which agreements a change would break, and how a change can be made properly."""

import pytest

from crossdock.comparison import compare
from crossdock.errors import ContractInvalid, WrongUse
from drafts import PEOPLE, REGISTER, agreement, contract, tree, write

CONTRACT = "police/people/contract.odcs.yaml"
TAX = "police/people/agreements/tax.oaas.yaml"
PUBLIC = "police/people/agreements/public.oaas.yaml"


def people(**columns):
    """The usual columns; each named one is changed, or (None) taken away."""
    changed = [
        {**given, **columns.get(given["name"], {})} for given in PEOPLE if columns.get(given["name"], {}) is not None
    ]
    return [given for given in changed if given]


def new_contract(version="2.0.0", properties=None, **more):
    return contract(properties, crossdock=REGISTER | more.pop("crossdock", {}), version=version, **more)


@pytest.fixture
def compared(tmp_path):
    """Compares the usual tree with one in which `files` are others; `before` are others in the old one."""

    def work(files, before=None):
        old, new = tree(tmp_path / "old", before), tree(tmp_path / "new", (before or {}) | files)
        found = compare(old, new)
        return found, {b.consumer: " ".join(b.reasons) for each in found.datasets for b in each.broken}

    return work


def test_what_did_not_change_is_not_told(compared):
    found, broken = compared({})
    assert (found.datasets, found.findings, broken) == ((), (), {})


def test_a_listed_column_that_goes_breaks_those_who_list_it(compared):
    found, broken = compared({CONTRACT: new_contract(properties=people(name=None))})
    assert set(broken) == {"tax"}
    assert "The contract has no column 'name'" in broken["tax"]
    (finding,) = found.findings
    assert finding.file.name == "tax.oaas.yaml"
    assert "Consumer 'tax' would break" in finding.what


def test_a_column_in_no_agreement_breaks_nobody_but_needs_its_version(compared):
    found, broken = compared({CONTRACT: new_contract("1.1.0", people(born=None))})
    assert broken == {}
    (finding,) = found.findings
    assert (finding.path, finding.line) == ("version", 4)
    assert "2.0.0" in finding.fix
    assert compared({CONTRACT: new_contract(properties=people(born=None))})[0].findings == ()


TERMS = {
    "retyped": (people(name={"logicalType": "integer"}), {}, "of type string and is now of type integer"),
    "renamed": (
        [{**c, "name": "full_name", "physicalName": "name"} if c["name"] == "name" else c for c in PEOPLE], {},
        "now called 'full_name'",
    ),
    "no longer required": (people(), {}, "no longer required"),
    "key in mode changes": (
        people(id={"primaryKey": False, "required": True}, name={"primaryKey": True}),
        {"delivery": {"channel": "database", "connection": "c", "mode": "changes", "table": "people"}},
        "The primary key was id and is now name",
    ),
    "filter": (people(region={"logicalType": "integer"}), {"rows": "region under '52'"}, "`under` looks at the beginning"),
    "filter of a column that goes": (people(born=None), {"rows": "born is not null"}, "no column 'born'"),
    "protection": (
        people(name={"logicalType": "date"}), {"protect": {"name": {"mask": {"keepFirst": 1}}}}, "only text can be masked",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("properties", "terms", "said"), TERMS.values(), ids=TERMS)
def test_what_an_agreement_relies_on(compared, properties, terms, said):
    before = {TAX: agreement(**terms)}
    if said == "no longer required":
        before[CONTRACT] = contract(people(name={"required": True}), crossdock=REGISTER)
    _, broken = compared({CONTRACT: new_contract(properties=properties)}, before)
    assert said in broken["tax"]
    assert "public" not in broken or "region" in said or "under" in said


def unique(*names):
    return {
        "quality": [
            {"type": "library", "metric": "duplicateValues", "arguments": {"properties": list(names)}, "mustBe": 0}
        ]
    }


@pytest.mark.parametrize(("columns", "sees"), [(["id", "name"], False), (["id", "name", "born"], True)])
def test_a_promise_about_several_columns_is_seen_by_those_who_have_them_all(compared, columns, sees):
    before = {TAX: agreement(columns=columns), CONTRACT: contract(crossdock=REGISTER, table=unique("name", "born"))}
    _, broken = compared({CONTRACT: new_contract()}, before)
    assert ("tax" in broken) == sees


UNSEEN = {
    "key in mode full": (
        people(id={"primaryKey": False, "required": True}, name={"primaryKey": True, "enum": [{"value": "A"}]}), {},
    ),
    "dropped": (people(name={"enum": [{"value": "A"}, {"value": "B"}]}), {"protect": {"name": "drop"}}),
    "banded": (
        people(income={"physicalType": "decimal(14,2)"}),
        {"columns": ["id", "income"], "protect": {"income": {"generalise": 1000}}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("properties", "terms"), UNSEEN.values(), ids=UNSEEN)
def test_what_a_consumer_does_not_see_breaks_nothing(compared, properties, terms):
    before = {TAX: agreement(**terms), CONTRACT: contract(people(name={"enum": [{"value": "A"}]}), crossdock=REGISTER)}
    found, broken = compared({CONTRACT: new_contract(properties=properties)}, before)
    assert any(change.breaking for change in found.datasets[0].evolution.changes)
    assert broken == {}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({CONTRACT: new_contract(status="retired")}, "nothing is delivered any more"),
        (
            {CONTRACT: new_contract(crossdock={"sharing": {"class": "none", "basis": "A law"}})},
            "sharing class is 'none'",
        ),
    ],
)
def test_what_ends_the_dataset_breaks_everybody(compared, files, said):
    _, broken = compared(files)
    assert set(broken) == {"public", "tax"}
    assert all(said in reasons for reasons in broken.values())


def test_a_publication_breaks_when_a_column_is_no_longer_public(compared):
    _, broken = compared({CONTRACT: new_contract(properties=people(region={"classification": "internal"}))})
    assert set(broken) == {"public"}


def test_an_agreement_that_is_renewed_agrees_to_the_change(compared):
    files = {CONTRACT: new_contract(properties=people(name={"logicalType": "integer"}))}
    assert set(compared(files)[1]) == {"tax"}
    renewed = files | {TAX: agreement(header={"version": "1.1.0"})}
    found, broken = compared(renewed)
    assert (broken, found.findings) == ({}, ())


def test_a_renewed_agreement_must_still_be_deliverable(compared):
    files = {CONTRACT: new_contract(properties=people(name=None)), TAX: agreement(header={"version": "1.1.0"})}
    assert "no column 'name'" in compared(files)[1]["tax"]


def test_an_agreement_can_not_be_adapted_without_renewing_it(compared):
    files = {CONTRACT: new_contract(properties=people(name=None)), TAX: agreement(columns=["id"])}
    assert "'name' is removed" in compared(files)[1]["tax"]
    assert compared(files | {TAX: agreement(columns=["id"], header={"version": "2.0.0"})})[1] == {}


@pytest.mark.parametrize(
    "header", [{"status": "draft"}, {"status": "suspended"}, {"endTimestamp": "2026-02-01T00:00:00+08:00"}]
)
def test_an_agreement_that_is_not_in_force_holds_nothing_up(compared, header):
    files = {CONTRACT: new_contract(properties=people(name=None))}
    assert compared(files, {TAX: agreement(header=header)})[1] == {}


def test_a_new_agreement_is_made_for_the_new_contract(compared):
    files = {CONTRACT: new_contract(properties=people(name=None)), TAX: agreement()}
    assert compared(files, {TAX: None})[1] == {}


def test_what_was_wrong_before_is_no_consequence(compared):
    wrong = agreement(columns=["id", "nowhere"])
    assert compared({CONTRACT: new_contract(properties=people(born=None))}, {TAX: wrong})[1] == {}


def test_a_contract_that_goes_leaves_its_consumers(compared, tmp_path):
    found, broken = compared({CONTRACT: None, TAX: None, PUBLIC: None})
    assert (found.datasets[0].fate, set(broken)) == ("removed", {"tax", "public"})
    assert {finding.file for finding in found.findings} == {tmp_path / "new" / TAX, tmp_path / "new" / PUBLIC}


@pytest.mark.parametrize(
    "before", [{CONTRACT: contract(status="retired")}, {TAX: agreement(header={"status": "retired"}), PUBLIC: None}]
)
def test_a_contract_that_was_ended_before_may_go(compared, before):
    found, broken = compared({CONTRACT: None, TAX: None, PUBLIC: None}, before)
    assert (found.datasets[0].fate, broken, found.findings) == ("removed", {}, ())


def test_a_contract_that_comes_breaks_nobody(compared):
    found, _ = compared({"police/cars/contract.odcs.yaml": contract()})
    assert [(each.dataset, each.fate) for each in found.datasets] == [("police/cars", "added")]
    assert found.findings == ()


def test_two_files_are_compared_with_the_agreements_beside_the_new_one(tmp_path):
    root = tree(tmp_path / "contracts", {CONTRACT: new_contract(properties=people(name=None))})
    old = write(tmp_path / "before.yaml", contract(crossdock=REGISTER))
    (found,) = compare(old, root / CONTRACT).datasets
    assert found.dataset == "police/people"
    assert [broken.agreement for broken in found.broken] == ["police/people/tax"]


def test_a_wrong_contract_is_no_comparison(tmp_path):
    old, new = tree(tmp_path / "old"), tree(tmp_path / "new", {CONTRACT: contract(kind="Other")})
    for pair in ((old, new), (new, old), (old / CONTRACT, new / CONTRACT)):
        with pytest.raises(ContractInvalid):
            compare(*pair)
    with pytest.raises(WrongUse, match="file can't be compared with a folder"):
        compare(old, new / CONTRACT)
