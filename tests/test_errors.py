"""Errors say what, where and how to mend it; and they survive the way from one process to another."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock import errors
from crossdock.errors import ContractInvalid, CrossdockError, Permanent, Problem, Transient, did_you_mean

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CrossdockError)]
PLAIN = [kind for kind in KINDS if kind is not ContractInvalid]


@pytest.mark.parametrize("kind", PLAIN)
@given(what=st.text(), where=st.text(), fix=st.text())
def test_an_error_crosses_processes_whole(kind, what, where, fix):
    error = kind(what, where=where, fix=fix)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.what, copy.where, copy.fix, str(copy)) == (what, where, fix, str(error))


def test_problems_cross_processes_whole():
    problems = (Problem(file=Path("a.yaml"), path="schema[0]", what="Wrong.", fix="Mend it.", line=3),)
    error = ContractInvalid(problems)
    copy = pickle.loads(pickle.dumps(error))
    assert copy.problems == problems
    assert str(copy) == str(error) == "a.yaml:3: schema[0]: Wrong. Mend it."


def test_an_error_reads_as_a_sentence():
    error = CrossdockError("The file is missing.", where="a.csv", fix="Put it there.")
    assert str(error) == "a.csv: The file is missing. Put it there."
    assert str(CrossdockError("The file is missing.")) == "The file is missing."


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not CrossdockError])
def test_every_error_tells_whether_repeating_helps(kind):
    assert issubclass(kind, Permanent) != issubclass(kind, Transient)


def test_did_you_mean():
    assert did_you_mean("popluation", ["population", "weather"]) == "Did you mean 'population'?"
    assert did_you_mean("x", ["b", "a"]) == "Known here: a, b."
    assert did_you_mean("x", []) == "None is known here."
    assert did_you_mean("x", [f"name_{n:02}" for n in range(99)]).endswith("name_11 and 87 more.")


@given(word=st.text(), known=st.lists(st.text(), max_size=30))
def test_a_suggestion_is_always_something_known(word, known):
    said = did_you_mean(word, known)
    if said.startswith("Did you mean"):
        assert said.removeprefix("Did you mean '").removesuffix("'?") in known
