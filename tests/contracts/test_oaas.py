from datetime import UTC, datetime

import pytest

from crossdock.contracts.agreement import Protection
from crossdock.contracts.oaas import CHANNELS, read_agreement
from crossdock.contracts.odcs import read_contract
from crossdock.errors import ContractInvalid
from drafts import REGISTER, agreement, contract, tree, write


@pytest.fixture
def people(tmp_path):
    return read_contract(tree(tmp_path) / "police/people/contract.odcs.yaml")


def read(people, data, consumer="tax"):
    return read_agreement(write(people.path.parent / "agreements" / f"{consumer}.oaas.yaml", data), people)


def problems(people, data, consumer="tax"):
    with pytest.raises(ContractInvalid) as caught:
        read(people, data, consumer)
    return [f"{p.path}: {p.what} {p.fix}".strip() for p in caught.value.problems]


def test_channels_are_the_modules_that_deliver():
    assert {"database", "folder", "bucket"} <= CHANNELS
    assert not CHANNELS & {"channel", "__init__", "open"}


def test_an_agreement_is_read_as_written(people):
    protect = {
        "name": {"mask": {"keepFirst": 1, "keepLast": 2}},
        "id": "pseudonymise",
        "born": {"generalise": "year"},
        "income": {"generalise": 1000},
        "region": "drop",
    }
    delivery = {"channel": "folder", "connection": "c", "mode": "changes", "path": "p", "format": "csv"}
    found = read(
        people,
        agreement(columns=list(protect), protect=protect, rows="region under '52'", delivery=delivery, frequency="@daily", dataLife="P1Y"),
    )  # fmt: skip
    assert (found.id, found.dataset, found.provider, found.consumer) == (
        "police/people/tax",
        "police/people",
        "police",
        "tax",
    )
    assert (found.status, found.purpose, found.legal_basis, found.data_life) == (
        "approved",
        "To tax them.",
        "Article 15",
        "P1Y",
    )
    assert found.start == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert found.protect == {
        "name": Protection(kind="mask", keep_first=1, keep_last=2),
        "id": Protection(kind="pseudonymise"),
        "born": Protection(kind="generalise", to="year"),
        "income": Protection(kind="generalise", to="1000"),
        "region": Protection(kind="drop"),
    }
    assert (found.columns, found.rows, found.frequency) == (tuple(protect), "region under '52'", "@daily")
    assert (found.delivery.channel, found.delivery.mode) == ("folder", "changes")
    assert found.delivery.options == {"path": "p", "format": "csv"}
    assert not found.is_publication


def test_a_publication_goes_to_the_open_area_under_a_licence(people):
    found = read(people, agreement(consumer="public"), "public")
    assert (found.is_publication, found.delivery.channel, found.licence) == (True, "open", "CC-BY-4.0")


def test_any_change_makes_another_digest(people):
    digests = [
        read(people, agreement(**terms)).digest for terms in ({}, {"rows": "id = '1'"}, {"frequency": "@daily"}, {})
    ]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]


DELIVERY = {"channel": "database", "connection": "c", "mode": "full", "table": "people"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (agreement(columns=["id", "nme"]), "value.columns[1]: The contract has no column 'nme'. Did you mean 'name'?"),
        (agreement(columns=["id", "id"]), "value.columns[1]: Column 'id' is listed twice."),
        (agreement(columns=[]), "value.columns: "),
        (agreement(columns=None), "value.columns: Field required."),
        (agreement(legalBasis=None), "value.legalBasis: Field required."),
        (agreement(legalbasis="x"), "legalbasis: There is no key 'legalbasis' here. Did you mean 'legalBasis'?"),
        (agreement(protect={"nam": "drop"}), "value.protect.nam: Column 'nam' is not among the agreed columns. Did you mean 'name'?"),
        (agreement(protect={"name": "hide"}), "value.protect.name"),
        (agreement(protect={"name": {"mask": {"keepfirst": 1}}}), "Did you mean 'keepFirst'?"),
        (agreement(protect={"name": {"mask": {}, "generalise": "year"}}), "name exactly one of mask and generalise"),
        (agreement(protect={"name": {"mask": {"keepFirst": -1}}}), "keepFirst"),
        (agreement(rows="regin = '5'"), "value.rows: "),
        (agreement(rows="region ="), "value.rows: "),
        (agreement(delivery=DELIVERY | {"channel": "databse"}), "delivery.channel: There is no channel 'databse'. Did you mean 'database'?"),
        (agreement(delivery=DELIVERY | {"channel": "open"}), "no delivery"),
        (agreement(delivery=DELIVERY | {"connection": ""}), "names no connection"),
        (agreement(delivery=DELIVERY | {"mode": "delta"}), "delivery.mode"),
        (agreement(delivery=None), "The agreement has no delivery."),
        (agreement(delivery=DELIVERY | {"mode": "changes"}, columns=["name"]), "key column 'id'"),
        (agreement(delivery=DELIVERY | {"mode": "changes"}, protect={"id": {"mask": {}}}), "key column 'id'"),
        (agreement(delivery=DELIVERY | {"mode": "changes"}, protect={"id": "drop"}), "key column 'id'"),
        (agreement(licence="CC0"), "Only a publication has a licence."),
        (agreement(frequency="dayly"), "value.frequency: 'dayly' can't be scheduled."),
        (agreement(dataLife="one year"), "ISO 8601 duration"),
        (agreement(dataLife="P0D"), "ISO 8601 duration"),
        (agreement(dataLife="P9999Y"), "ISO 8601 duration"),
        (agreement(frequency="0 0 30 2 *"), "can't be scheduled"),
        *((agreement(header={"status": "requested"}, requestedOn=day), "No clock runs") for day in ("0001-01-01", "9999-12-31")),
        (agreement(header={"status": "aproved"}), "status: There is no status 'aproved'. Did you mean 'approved'?"),
        (agreement(header={"apiVersion": "v1.0.0"}), "apiVersion: crossdock reads OAAS v0.9"),
        (agreement(header={"kind": "Agreement"}), "kind: Input should be 'AccessAgreement'."),
        (agreement(header={"startTimestamp": "2026-01-01T00:00:00"}), "needs its time zone"),
        (agreement(header={"startTimestamp": "soon"}), "startTimestamp: "),
        (agreement(header={"endTimestamp": "2020-01-01T00:00:00Z"}), "ends before it starts"),
        (agreement(header={"description": {}}), "description.purpose: Field required."),
        (agreement(provider="tax"), "not the department whose folder this is. Write police."),
        (agreement(consumer="health"), "Name the file health.oaas.yaml"),
        (agreement(header={"customProperties": []}), "has 0 `crossdock` properties"),
        (agreement(header={"purpose": "x"}), "purpose: There is no key 'purpose' here."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_place(people, data, said):
    (found,) = problems(people, data)
    assert said in found


@pytest.mark.parametrize(
    ("terms", "said"),
    [({"licence": None}, "needs a licence"), ({"delivery": DELIVERY}, "A publication has no delivery")],
)
def test_a_publication_has_a_licence_and_no_delivery(people, terms, said):
    (found,) = problems(people, agreement(consumer="public", **terms), "public")
    assert said in found


def test_changes_may_go_by_pseudonyms(people):
    assert read(people, agreement(delivery=DELIVERY | {"mode": "changes"}, protect={"id": "pseudonymise"}))


def test_changes_need_a_key(tmp_path):
    keyless = contract(
        [{"name": "id", "logicalType": "string"}, {"name": "name", "logicalType": "string"}], crossdock=REGISTER
    )
    root = tree(tmp_path, {"police/people/contract.odcs.yaml": keyless})
    people = read_contract(root / "police/people/contract.odcs.yaml")
    (found,) = problems(people, agreement(delivery=DELIVERY | {"mode": "changes"}))
    assert "Changes need a primary key" in found


SENSITIVE = [
    {"name": "id", "logicalType": "string", "primaryKey": True, "classification": "restricted"},
    {"name": "name", "logicalType": "string", "classification": "Internal"},
    {"name": "born", "logicalType": "date", "classification": "top secret"},
    {"name": "home", "logicalType": "object", "properties": [
        {"name": "street", "logicalType": "string", "classification": "restricted"}
    ]},
]  # fmt: skip


@pytest.fixture
def watched(tmp_path):
    path = tree(tmp_path) / "police/people/contract.odcs.yaml"
    return read_contract(write(path, contract(SENSITIVE, crossdock=REGISTER)))


def test_a_sensitive_column_leaves_protected_or_on_a_legal_basis_of_its_own(watched):
    every = ["id", "name", "born", "home"]
    assert [p.partition(" Protect")[0] for p in problems(watched, agreement(columns=every))] == [
        f"customProperties[0].value.columns[{index}]: Column '{name}' is classified as sensitive, and would leave unprotected."
        for index, name in ((0, "id"), (2, "born"), (3, "home"))
    ]
    protect, unprotected = {"id": "pseudonymise", "home": "drop"}, {"born": "Article 9"}
    found = read(watched, agreement(columns=every, protect=protect, unprotected=unprotected))
    assert found.unprotected == unprotected


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"unprotected": {"id": ""}}, "unprotected.id"),
        ({"unprotected": {"nme": "Article 9"}}, "unprotected.nme: Column 'nme' is not among the agreed columns. Did you mean 'name'?"),
        ({"unprotected": {"id": "Article 9"}, "protect": {"id": "drop"}}, "unprotected.id: Column 'id' is protected"),
    ],
)  # fmt: skip
def test_a_legal_basis_is_for_a_column_that_leaves_as_it_is(watched, terms, said):
    assert said in "\n".join(problems(watched, agreement(**terms)))


def test_no_article_makes_a_sensitive_column_public(watched):
    data = agreement(consumer="public", columns=["born"], unprotected={"born": "Article 9"})
    assert any("No article makes a sensitive column public." in p for p in problems(watched, data, "public"))
