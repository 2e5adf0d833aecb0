"""A department's web service, started when a test asks for one."""

from contextlib import ExitStack

import pytest

from delivery.samples import KEYS
from receiving import receiving


@pytest.fixture
def receiver():
    """Starts services that keep what they take in a folder; they end with the test."""
    with ExitStack() as stack:
        yield lambda folder, **how: stack.enter_context(receiving(folder, KEYS.public(), **how))
