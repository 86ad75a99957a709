"""The page of a run that is at work, in a real browser: it follows the run, and says when nobody answers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import chromium

from metai2i.run_folder.at_work import WantedStage, end_work, tell_at_work

pytestmark = pytest.mark.browser


@contextmanager
def watched(run: Path) -> Iterator[str]:
    """The address of `metai2i watch`, which is gone with its connections behind it."""
    command = [sys.executable, "-m", "metai2i", "watch", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield next(match[0] for line in process.stdout if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
        finally:
            process.kill()


def test_the_page_follows_the_run_and_says_when_nobody_answers(tmp_path):
    stage = WantedStage(key="0123456789abcdef", name="pretrain", rows=("A",), total=10)
    tell_at_work(tmp_path / "run", "tiny", tmp_path / "stages", (stage,))
    errors: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        with watched(tmp_path / "run") as address:
            page.goto(address)
            page.get_by_text("At work since").wait_for()
            end_work(tmp_path / "run")
            page.get_by_text("At work since").wait_for(state="detached")
            assert page.locator("#lost").is_hidden()
        page.locator("#lost").wait_for(state="visible")
    assert errors == []
