"""The order of a pass, and what it makes of errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock import sweep
from crossdock.contracts.model import Contract, Label, Rule
from crossdock.errors import WrongUse
from hamlet import REFUSED, found

NAMES = [f"d/{letter}" for letter in "abcdef"]
BARE = Contract(
    id="", department="d", dataset="", version="1", status="active", title=Label(zh="", en=""), description="", theme="",
    sharing="none", sharing_basis="", subject=None, source=None, columns=(), rules=(), transforms=(), path=Path(),
)  # fmt: skip


def contracts(references):
    """Contracts by name, each with references to others."""
    rules = {
        name: tuple(Rule(id=to, kind="reference", columns=("c",), args={"dataset": to}) for to in others)
        for name, others in references.items()
    }
    return [replace(BARE, id=name, rules=rules[name]) for name in references]


def reaches(references, start, goal):
    """Whether one refers to the other, over however many steps."""
    seen, ahead = set(), list(references[start])
    while ahead:
        name = ahead.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            ahead += references.get(name, [])
    return False


@given(
    references=st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), unique=True, max_size=4)),
    data=st.data(),
)
def test_what_is_referred_to_comes_first(references, data):
    given_order = data.draw(st.permutations(contracts(references)))
    order = [c.id for c in sweep.in_order(given_order)]
    assert sorted(order) == sorted(references)
    assert order == [c.id for c in sweep.in_order(reversed(given_order))]
    for name, others in references.items():
        for other in others:
            if other in references and other != name and not reaches(references, other, name):
                assert order.index(other) < order.index(name)


@pytest.fixture(scope="module")
def hamlet(tmp_path_factory):
    return found(tmp_path_factory.mktemp("sweep"))


def test_steps_in_the_order_in_which_records_travel(hamlet):
    seen = []
    done = sweep.run(hamlet.open(), on_step=lambda step: seen.append((step.verb, step.subject)))
    assert seen == [(s.verb, s.subject) for s in done.steps]
    assert len(seen) == sweep.steps_ahead(hamlet.open()) == 12
    verbs = [verb for verb, _ in seen]
    assert verbs[:6] == ["pull", "validate"] * 3
    assert sorted(verbs[6:]) == ["publish"] + ["push"] * 5
    assert seen.index(("validate", "town_hall/streets")) < seen.index(("pull", "town_hall/residents"))
    assert (len(done.verdicts), len(done.outcomes), done.failures) == (3, 6, [])
    assert {o.status for o in done.outcomes if o.agreement == REFUSED} == {"refused"}


def test_a_part(hamlet):
    done = sweep.run(hamlet.open(), "town_hall/streets")
    assert [(s.verb, s.subject) for s in done.steps] == [
        ("pull", "town_hall/streets"), ("validate", "town_hall/streets"), ("publish", "town_hall/streets/public"),
    ]  # fmt: skip
    assert sweep.steps_ahead(hamlet.open(), "town_hall/streets") == 3


def test_an_unknown_part_is_refused_before_anything_is_done(hamlet):
    with pytest.raises(WrongUse, match="Did you mean 'town_hall'"):
        sweep.run(hamlet.open(), "town_hal")


def test_what_the_system_refuses_is_told_in_its_words(tmp_path):
    hamlet = found(tmp_path)
    exchange = hamlet.open()
    (tmp_path / "var" / "scratch").write_text("no folder")
    done = sweep.run(exchange, "town_hall/permits")
    assert "File exists" in str(next(iter(done.failures)).error)


def test_what_is_no_error_of_ours_is_not_hidden(hamlet, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(sweep.pipeline, "pull", broken)
    with pytest.raises(ZeroDivisionError):
        sweep.run(hamlet.open())


def test_consumers_are_served_at_once_but_of_a_dataset_one_first(hamlet, monkeypatch):
    """Two deliveries wait for each other, which would be for ever if one came after the other."""
    exchange, began, push = hamlet.open(), [], sweep.pipeline.push
    datasets = [a.dataset for a in exchange.catalogue.agreements.values() if not a.is_publication]
    shared = next(name for name in datasets if datasets.count(name) > 1)
    meeting = dict.fromkeys((shared, next(name for name in datasets if name != shared)), Barrier(2, timeout=30))

    def meet(exchange, agreement):
        dataset = exchange.agreement(agreement).dataset
        began.append(dataset)
        if dataset in meeting and began.count(dataset) == 1:
            meeting[dataset].wait()
            assert began.count(dataset) == 1
        return push(exchange, agreement)

    monkeypatch.setattr(sweep.pipeline, "push", meet)
    assert sweep.run(exchange).failures == []
    assert sorted(began) == sorted(datasets)
