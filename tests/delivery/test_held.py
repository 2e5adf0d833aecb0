"""Whether one more delivery fits after what a consumer holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossdock.delivery.held import Held, admit
from crossdock.errors import ConsumerRefused
from delivery.samples import agreement, held, person, shipment

AGREED = agreement("resident_id", "name", mode="changes")
PEOPLE = [person(n) for n in range(4)]


@pytest.fixture
def second(tmp_path):
    """The changes d2, worked out against d1."""
    first = shipment(tmp_path / "1", AGREED, PEOPLE)
    changed = [*PEOPLE[1:], person(9)]
    return shipment(tmp_path / "2", AGREED, changed, sequence=2, previous=held(first.prepared, "d1"))


def holding(shipped, delivery, base=None, sequence=1):
    return Held(delivery=delivery, order=(sequence, shipped.consignment.intended_at), base=base)


def test_changes_fit_after_what_they_build_on(second):
    admit(second, [holding(second, "d1")], "there")
    admit(second, [], "there")  # it was taken in


def test_what_another_process_delivered_meanwhile_is_no_rival_of_itself(second):
    mine = holding(second, second.delivery_id, base="d1", sequence=2)
    admit(second, [holding(second, "d1"), mine], "there")


@pytest.mark.parametrize("rival", [{"base": "d1"}, {"base": None}])
def test_changes_do_not_fit_after_a_rival(second, rival):
    with pytest.raises(ConsumerRefused, match="build on delivery d1"):
        admit(second, [holding(second, "d1"), holding(second, "other", sequence=1, **rival)], "there")


def test_what_is_older_is_refused(second):
    older = replace(second, consignment=replace(second.consignment, sequence=0))
    with pytest.raises(ConsumerRefused, match="newer delivery"):
        admit(older, [holding(second, "d1")], "there")
