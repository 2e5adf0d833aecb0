"""What is no error of ours is told by kind and place: what a library says may quote a row."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from crossdock.contracts.bounds import bind_value
from crossdock.discretion import Discretion, told_plainly
from crossdock.errors import CrossdockError, Defect, Transient, WrongUse

SECRET = "52010119900101001X"


def raised(act, *known):
    """What leaves a discreet block."""
    with pytest.raises(Exception) as caught, Discretion(*known):  # noqa: PT011 - which one is what is tested
        act()
    return caught.value


@pytest.mark.parametrize(
    "act",
    [
        lambda: pa.array([SECRET]).cast(pa.int64()),
        lambda: duckdb.sql(f"SELECT '{SECRET}'::INTEGER").fetchall(),
        lambda: {}[SECRET],
        lambda: int(SECRET),
        lambda: open(f"{SECRET}\0"),  # noqa: PTH123, SIM115
    ],
)
def test_its_own_words_are_not_told(act):
    error = raised(act)
    assert isinstance(error, CrossdockError)
    assert SECRET not in f"{error} {error!r}"
    assert error.__suppress_context__
    assert error.__cause__ is None


def test_what_the_system_says_is_told(tmp_path):
    error = raised(tmp_path.read_bytes)
    assert type(error) is Transient
    assert f"{tmp_path}: The system said: Is a directory." in str(error)


def test_a_defect_is_told_by_its_place():
    error = raised(lambda: bind_value("1", None, where=""))
    assert isinstance(error, Defect)
    assert "AttributeError in crossdock/contracts/bounds.py, line " in error.what
    assert "unknown code" in told_plainly(ValueError(SECRET)).what


def test_errors_of_ours_and_known_ones_pass():
    ours = WrongUse("So.")
    known = BrokenPipeError()

    def act(error):
        raise error

    assert raised(lambda: act(ours)) is ours
    assert raised(lambda: act(known), BrokenPipeError) is known
    assert raised(lambda: act(ours), BrokenPipeError) is ours
    with pytest.raises(KeyboardInterrupt), Discretion():
        raise KeyboardInterrupt
