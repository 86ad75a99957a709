"""The system's own Chromium, for tests that look at a page in it (`pytest -m browser`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Of its program, in the distributions that have it."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Starts it; skips the test where it, or Playwright, is not installed."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright (uv run --with playwright)")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        # Where tests run as root, as in a container, Chromium's own sandbox cannot be had.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
