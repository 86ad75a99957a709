"""The page of a run that is at work, in a real browser: it follows the run, and says when nobody answers."""

from __future__ import annotations

import pytest
from answering import answering
from browser import chromium

from metai2i.report.live import Watch
from metai2i.report.watching import handler_of
from metai2i.run_folder.at_work import WantedStage, end_work, tell_at_work

pytestmark = pytest.mark.browser


def test_the_page_follows_the_run_and_says_when_nobody_answers(tmp_path):
    stage = WantedStage(key="0123456789abcdef", name="pretrain", rows=("A",), total=10)
    tell_at_work(tmp_path / "run", "tiny", tmp_path / "stages", (stage,))
    errors: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        with answering(handler_of(Watch(tmp_path / "run"))) as port:
            page.goto(f"http://127.0.0.1:{port}/")
            page.get_by_text("At work since").wait_for()
            end_work(tmp_path / "run")
            page.get_by_text("At work since").wait_for(state="detached")
            assert page.locator("#lost").is_hidden()
        page.locator("#lost").wait_for(state="visible")
    assert errors == []
