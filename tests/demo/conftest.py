from datetime import date

import pytest

from crossdock.demo.provision import provision

AS_OF = date(2026, 6, 30)


@pytest.fixture(scope="session")
def province(tmp_path_factory):
    """3,000 people and 1,000 enterprises beside all the real data; only to be read."""
    return provision(tmp_path_factory.mktemp("province"), people=3_000, enterprises=1_000, seed=7, as_of=AS_OF)
