"""Decisions: every way in which a delivery may not leave, and the id that names one that may."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from crossdock.contracts.agreement import DeliverySpec, Protection
from crossdock.contracts.model import Column, Rule
from crossdock.delivery.decide import decide, delivery_id
from delivery.samples import AGREEMENT, CONTRACT, KEYS, NOW, agreement

PUBLIC = replace(
    AGREEMENT,
    id="public_security/population/public",
    consumer="public",
    columns=("region_code",),
    delivery=DeliverySpec(channel="open"),
)

CHECKED = Rule(id="c", kind="checksum", columns=("resident_id",), args={"scheme": "gb11643"})
IDENTIFIED = replace(CONTRACT, rules=(CHECKED,))


@pytest.mark.parametrize(
    "given", [Protection(kind="mask", keep_first=10, keep_last=6), Protection(kind="pseudonymise")]
)
def test_an_identifier_that_is_hidden_may_leave(given):
    agreed = agreement("resident_id", protect={"resident_id": given})
    assert decide(agreed, IDENTIFIED, now=NOW).allowed


def test_an_approved_agreement_in_force_is_allowed():
    decision = decide(AGREEMENT, CONTRACT, now=NOW)
    assert decision.allowed
    assert "2027-01-01" in decision.reason


@pytest.mark.parametrize("moment", [AGREEMENT.start, AGREEMENT.end])
def test_both_ends_belong_to_the_term(moment):
    assert decide(AGREEMENT, CONTRACT, now=moment).allowed


@pytest.mark.parametrize(
    ("agreed", "contract", "words"),
    [
        *((replace(AGREEMENT, status=s), CONTRACT, "not approved") for s in ("draft", "requested", "rejected", "suspended", "retired", "")),
        (replace(AGREEMENT, start=NOW + timedelta(seconds=1)), CONTRACT, "not valid before"),
        (replace(AGREEMENT, end=NOW - timedelta(seconds=1)), CONTRACT, "expired"),
        *((AGREEMENT, replace(CONTRACT, status=s), "not in force") for s in ("draft", "proposed", "retired")),
        (AGREEMENT, replace(CONTRACT, sharing="none"), "not shared"),
        (replace(AGREEMENT, dataset="public_security/other"), CONTRACT, "is about dataset"),
        (replace(AGREEMENT, provider="health"), CONTRACT, "provider"),
        (replace(AGREEMENT, columns=("nme",)), CONTRACT, "Did you mean 'name'?"),
        (replace(AGREEMENT, columns=()), CONTRACT, "list its columns"),
        (replace(AGREEMENT, columns=("name", "name")), CONTRACT, "list its columns"),
        (replace(AGREEMENT, protect={"phone": Protection(kind="drop")}), CONTRACT, "not among the agreed"),
        (replace(AGREEMENT, protect={"fone": Protection(kind="drop")}), CONTRACT, "no column 'fone'"),
        (agreement("income", protect={"income": Protection(kind="mask")}), CONTRACT, "only text"),
        *(
            (agreement("resident_id", protect={"resident_id": given}), IDENTIFIED, "has check digits")
            for given in (Protection(kind="mask", keep_first=10, keep_last=7), Protection(kind="generalise", to="prefix:17"))
        ),
        *(
            (agreement(name, options={"format": "csv"}), replace(CONTRACT, columns=(*CONTRACT.columns, Column(name=name, source_name="x", type="string"))), "run as a formula")
            for name in ("=cmd()", "@x", "－1")
        ),
        (replace(AGREEMENT, rows="salary > 1"), CONTRACT, "no column 'salary'"),
        (agreement("name", mode="changes"), CONTRACT, "needs key column 'resident_id'"),
        (agreement(mode="changes", protect={"resident_id": Protection(kind="mask")}), CONTRACT, "clear or pseudonymised"),
        (agreement("name", options={"format": "xls"}), CONTRACT, "no delivery format 'xls'"),
        (replace(AGREEMENT, delivery=DeliverySpec(channel="open")), CONTRACT, "publication"),
        (replace(PUBLIC, delivery=AGREEMENT.delivery), CONTRACT, "publication"),
        (PUBLIC, CONTRACT, "Not classified as public, so not published: region_code"),
    ],
)  # fmt: skip
def test_refusals_say_why(agreed, contract, words):
    decision = decide(agreed, contract, now=NOW)
    assert not decision.allowed
    assert words in decision.reason


def test_changes_need_a_primary_key():
    keyless = replace(CONTRACT, columns=tuple(replace(c, key_position=None) for c in CONTRACT.columns))
    assert "needs a primary key" in decide(agreement(mode="changes"), keyless, now=NOW).reason


def test_changes_with_a_pseudonymous_key_are_allowed():
    assert decide(
        agreement(mode="changes", protect={"resident_id": Protection(kind="pseudonymise")}), CONTRACT, now=NOW
    ).allowed


@pytest.mark.parametrize(
    ("classification", "sharing", "protect", "allowed"),
    [
        ("public", "conditional", {}, True),
        ("internal", "unconditional", {}, False),
        ("restricted", "unconditional", {}, False),
        ("restricted", "unconditional", {"x": Protection(kind="drop")}, True),
        ("restricted", "unconditional", {"x": Protection(kind="mask")}, False),
        (None, "unconditional", {}, True),
        (None, "conditional", {}, False),
    ],
)
def test_only_public_columns_are_published(classification, sharing, protect, allowed):
    column = Column(name="x", source_name="x", type="string", classification=classification)
    contract = replace(CONTRACT, columns=(column,), sharing=sharing)
    assert decide(replace(PUBLIC, columns=("x",), protect=protect), contract, now=NOW).allowed is allowed


def test_a_delivery_is_named_by_agreement_snapshot_and_protection():
    base = delivery_id(AGREEMENT, snapshot="s", sequence=1, keys=KEYS)
    assert base == delivery_id(AGREEMENT, snapshot="s", sequence=1, keys=KEYS)
    rotated = replace(KEYS, protection=b"q" * 32)
    hidden = replace(AGREEMENT, protect={"name": Protection(kind="pseudonymise")})
    assert base == delivery_id(AGREEMENT, snapshot="s", sequence=1, keys=rotated)
    ids = {
        base,
        delivery_id(AGREEMENT, snapshot="t", sequence=1, keys=KEYS),
        delivery_id(AGREEMENT, snapshot="s", sequence=2, keys=KEYS),
        delivery_id(replace(AGREEMENT, version="2.0.0"), snapshot="s", sequence=1, keys=KEYS),
        delivery_id(replace(AGREEMENT, digest="a2"), snapshot="s", sequence=1, keys=KEYS),
        delivery_id(hidden, snapshot="s", sequence=1, keys=KEYS),
        delivery_id(hidden, snapshot="s", sequence=1, keys=rotated),
    }
    assert len(ids) == 7
