"""A real browser: Debian's chromium, driven by playwright."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from packages import demand


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium; see `packages.demand`."""
    unseen = "THE DASHBOARD WAS NOT LOOKED AT IN A BROWSER"
    path = demand("chromium", ("chromium", "fonts-noto-cjk"), tmp_path_factory, unseen)
    # As root chromium starts without its sandbox only; it opens nothing but our own pages.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()
