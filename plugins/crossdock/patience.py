"""Patience with a busy web service: it is asked again, later each time, or when it says; not for ever, and not for an hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ParamSpec, TypeVar

import httpx
import tenacity

_ATTEMPTS = 5
_LONGEST_WAIT = 60.0  # seconds; a service that asks for more is tried again by the next run
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class Busy(Exception):
    """The service may answer later; `wait` is how many seconds it asked for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def demand_idle(response: httpx.Response) -> None:
    """Raises Busy when the answer says that the service may answer otherwise later."""
    if response.status_code in _BUSY:
        raise Busy(f"it answers {response.status_code}", _seconds(response.headers.get("Retry-After", "").strip()))


def patiently(ask: Callable[_Asked, _Answer], *args: _Asked.args, **kwargs: _Asked.kwargs) -> _Answer:
    """Asks, as often as the service is worth waiting for, and returns its answer.

    Raises:
        Busy: it stays busy, or asks for a longer wait than a task should sleep.
    """
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=_wait,
        retry=tenacity.retry_if_exception(lambda e: isinstance(e, Busy) and (e.wait or 0) <= _LONGEST_WAIT),
        reraise=True,
    )
    return retrying(ask, *args, **kwargs)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, Busy) else None
    return tenacity.wait_random_exponential(0.5, _LONGEST_WAIT)(state) if asked is None else asked


def _seconds(asked: str) -> float | None:
    """Returns what a Retry-After asks for, given as seconds or as an instant; None when it says nothing readable."""
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
