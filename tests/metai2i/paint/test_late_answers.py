"""The page of `metai2i paint` where answers are late, come in another order than asked, or do not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from browser import PATIENCE
from hand import adapt_on_page, choose, hand_over, ids_of, stroke
from page_server import served
from PIL import Image
from small_run import PLUGINS

pytestmark = pytest.mark.browser


def hold_first(tab: Any, pattern: str) -> tuple[list[str], Callable[[], None]]:
    """Holds the first request to an address; returns all that come from now on, and what lets the first one go on."""
    requests: list[str] = []
    held: list[Any] = []

    def handle(route: Any) -> None:
        requests.append(route.request.url)
        if len(requests) == 1:
            held.append(route)
        else:
            route.continue_()

    def let_go() -> None:
        with tab.expect_response(pattern):
            held[0].continue_()

    tab.route(pattern, handle)
    return requests, let_go


def asked_for(tab: Any, requests: list[str]) -> None:
    """Waits until something has been asked for."""
    until = time.monotonic() + PATIENCE / 1000
    while not requests:
        assert time.monotonic() < until
        tab.wait_for_timeout(50)


def refuse(tab: Any, pattern: str, why: str) -> None:
    """Has all requests to an address refused."""
    tab.route(pattern, lambda route: route.fulfill(status=422, json={"error": why}))


def test_adapting_is_told_to_be_done_once_its_last_step_is_shown(tab, small):
    requests, let_go = hold_first(tab, "**/state")
    hand_over(tab, "Choose files …", *sorted((small / "pairs").iterdir()))
    tab.locator("#support img").first.wait_for()
    tab.locator("#steps").fill("0, 1")
    tab.get_by_role("button", name="Adapt", exact=True).click()
    asked_for(tab, requests)
    tab.wait_for_timeout(1000)  # the job is done by now
    assert "done" not in tab.locator("#progress-text").inner_text()
    let_go()
    tab.get_by_text("done, ").wait_for()
    lines = tab.locator(".round tbody th").all_inner_texts()
    assert [line.split("\n")[0] for line in lines] == ["photographs", "0 steps", "1 step"]


def test_a_job_is_followed_on_when_nobody_has_answered_for_a_while(shared_page, open_tab, small):
    tab = open_tab(shared_page.url, tolerate="ERR_FAILED")
    polls: list[str] = []

    def handle(route: Any) -> None:
        polls.append(route.request.url)
        if len(polls) in (1, 2):
            route.abort()
        else:
            route.continue_()

    tab.route("**/jobs/*", handle)
    adapt_on_page(tab, small, "0, 1, 2")
    assert len(polls) > 2
    assert tab.locator(".round tbody tr").count() == 4
    assert tab.locator("#alert").is_hidden()


def test_a_job_that_is_gone_is_left(shared_page, open_tab, small):
    tab = open_tab(shared_page.url)
    refuse(tab, "**/jobs/*", "there is no such job")
    hand_over(tab, "Choose files …", *sorted((small / "pairs").iterdir()))
    tab.locator("#support img").first.wait_for()
    tab.get_by_role("button", name="Adapt", exact=True).click()
    tab.get_by_text("there is no such job").wait_for()
    tab.get_by_role("button", name="Adapt again").wait_for()


def test_a_second_click_asks_for_nothing(small, open_tab, tmp_path):
    with served([small / "runs" / "small"], tmp_path, [PLUGINS]) as page:
        tab = open_tab(page.url)
        requests, let_go = hold_first(tab, "**/jobs")
        hand_over(tab, "Choose files …", *sorted((small / "pairs").iterdir()))
        tab.locator("#support img").first.wait_for()
        tab.locator("#steps").fill("0")
        tab.locator("#start").dblclick()
        assert tab.locator("#start").is_disabled()
        let_go()
        tab.get_by_text("done, ").wait_for()
        assert len(requests) == 1
        assert tab.locator("#alert").is_hidden()


def test_the_model_that_was_asked_for_is_kept_though_another_is_wanted_meanwhile(small, open_tab, tmp_path):
    with served([small / "runs" / "small"], tmp_path, [PLUGINS]) as page:
        tab = open_tab(page.url)
        adapt_on_page(tab, small, "1, 2")
        _, let_go = hold_first(tab, "**/keep")
        for steps, name in (("1 step", "one"), ("2 steps", "two")):
            tab.get_by_role("button", name=f"Keep the model Reptile (2-shot) after {steps}").click()
            tab.locator("#keep-name").fill(name)
            if name == "one":
                tab.locator("#keep-do").click()
                tab.locator("#keep-cancel").click()
        let_go()
        tab.get_by_text("one.safetensors").first.wait_for()
        assert tab.locator("#keep-dialog").is_visible()
        tab.locator("#keep-do").click()
        tab.get_by_text("two.safetensors").first.wait_for()
        assert sorted(file.name for file in (tmp_path / "kept").glob("*.safetensors")) == [
            "one.safetensors",
            "two.safetensors",
        ]


def test_of_two_maps_the_one_that_was_opened_last_stays(shared_page, open_tab, small, tmp_path):
    tab = open_tab(shared_page.url)
    tab.wait_for_selector("#cards img:not([hidden])")
    requests, let_go = hold_first(tab, "**/maps")
    for name in ("0.png", "1.png"):
        hand_over(tab, "Open a map …", small / "maps" / name)
    tab.get_by_text("opened 1.png").wait_for()
    let_go()
    assert len(requests) == 2
    assert np.array_equal(ids_of(tab, tmp_path), np.asarray(Image.open(small / "maps" / "1.png")))


def test_an_image_that_is_not_that_of_the_map_cannot_be_saved(page, open_tab):
    tab = open_tab(page.url)
    tab.wait_for_selector("#cards img:not([hidden])")
    save = tab.get_by_role("button", name="Save the image by")
    assert save.is_enabled()
    refuse(tab, "**/image?*", "not this map")
    choose(tab, "Box", 2)
    stroke(tab, (3, 3), (9, 9))
    tab.get_by_text("not this map").first.wait_for()
    assert save.is_disabled()
    tab.unroute("**/image?*")
    stroke(tab, (3, 12), (9, 20))
    tab.get_by_text("not this map").first.wait_for(state="hidden")
    assert save.is_enabled()


def test_the_image_of_another_way_does_not_come_back(looks_page, open_tab, tmp_path):
    Image.new("RGB", (16, 16), (90, 120, 60)).save(tmp_path / "grey.png")
    tab = open_tab(looks_page.url)
    tab.get_by_label("source").set_input_files(tmp_path / "grey.png")
    image = tab.locator("#cards img").first
    tab.wait_for_selector("#cards img:not([hidden])")
    requests, let_go = hold_first(tab, "**/image?*domain=summer*")
    refuse(tab, "**/image?*way=exemplar*", "not this way")
    tab.get_by_label("Domain").select_option("summer")
    asked_for(tab, requests)
    tab.get_by_label("Way").select_option("exemplar")
    let_go()
    tab.get_by_text("not this way").wait_for()
    assert image.is_hidden()
    assert tab.get_by_role("button", name="Save the image by looks").is_disabled()
