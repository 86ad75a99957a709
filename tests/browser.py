"""The system's own Chromium, for tests that look at a page in it (`pytest -m browser`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Of its program, in the distributions that have it."""


PATIENCE = 180_000
"""Milliseconds to wait for what a page is to show: a machine may be at work on something else."""


class Browser:
    """Chromium, whose pages are waited for with patience.

    Args:
        program: Playwright's.
    """

    def __init__(self, program: Any) -> None:
        self._program = program

    def new_context(self, **options: Any) -> Any:
        """Return a visitor who was never there."""
        context = self._program.new_context(**options)
        context.set_default_timeout(PATIENCE)
        return context

    def new_page(self) -> Any:
        """Return a page of such a visitor."""
        return self.new_context().new_page()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts it; skips the test where it, or Playwright, is not installed."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright (uv run --with playwright)")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        # Where tests run as root, as in a container, Chromium's own sandbox cannot be had.
        words = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=program, args=words, timeout=PATIENCE)
        try:
            yield Browser(browser)
        finally:
            browser.close()
