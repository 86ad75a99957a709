"""The page of `metai2i paint` in a real Chromium: what a hand paints, what stands beside it, what leaves the tab."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hand import adapt_on_page, choose, downloaded, hand_over, ids_of, ids_of_canvas, place, square, stroke
from page_server import served
from PIL import Image
from small_run import PLUGINS

from metai2i.cli import invoke

pytestmark = pytest.mark.browser


def test_a_stroke_gives_exactly_its_class_without_blends(tab, tmp_path):
    choose(tab, "Brush", 2, size=3)
    stroke(tab, (4, 10), (20, 10))
    assert np.array_equal(ids_of(tab, tmp_path), square(9, 11, 3, 21))


def test_a_single_pixel_is_a_single_pixel(tab, tmp_path):
    choose(tab, "Brush", 1, size=1)
    stroke(tab, (7, 5))
    ids = ids_of(tab, tmp_path)
    assert np.argwhere(ids).tolist() == [[5, 7]]
    assert ids[5, 7] == 1


def test_a_stroke_that_leaves_the_map_ends_at_its_edge(tab, tmp_path):
    choose(tab, "Brush", 2, size=1)
    stroke(tab, (28, 30), (40, 30))
    assert np.array_equal(ids_of(tab, tmp_path), square(30, 30, 28, 31))


def test_a_line_is_drawn_from_where_it_begins_to_where_it_ends_alone(tab, tmp_path):
    choose(tab, "Line", 2, size=1)
    stroke(tab, (2, 2), (20, 30), (2, 12))
    assert np.array_equal(ids_of(tab, tmp_path), square(2, 12, 2, 2))


def test_a_box_is_filled(tab, tmp_path):
    choose(tab, "Box", 2)
    stroke(tab, (20, 9), (5, 3))
    assert np.array_equal(ids_of(tab, tmp_path), square(3, 9, 5, 20))


def test_filling_stays_within_a_region_also_at_its_corners(tab, tmp_path):
    choose(tab, "Box", 2)
    stroke(tab, (0, 0), (3, 3))
    stroke(tab, (4, 4), (7, 7))  # touches the other at a corner alone
    choose(tab, "Fill", 1)
    stroke(tab, (1, 1))
    ids = ids_of(tab, tmp_path)
    assert (ids[:4, :4] == 1).all()
    assert (ids[4:8, 4:8] == 2).all()
    assert (ids == 1).sum() == 16


def test_undo_restores_every_byte_and_redo_brings_them_back(tab, tmp_path):
    maps = [ids_of(tab, tmp_path)]
    for tool, points in (("Brush", ((3, 3), (25, 17))), ("Box", ((8, 8), (12, 20))), ("Fill", ((30, 1),))):
        choose(tab, tool, 1 + len(maps) % 2, size=4)
        stroke(tab, *points)
        maps.append(ids_of(tab, tmp_path))
    assert all(not np.array_equal(before, after) for before, after in pairwise(maps))
    for before in maps[-2::-1]:
        tab.get_by_role("button", name="Undo").click()
        assert np.array_equal(ids_of(tab, tmp_path), before)
    assert tab.get_by_role("button", name="Undo").is_disabled()
    for after in maps[1:]:
        tab.get_by_role("button", name="Redo").click()
        assert np.array_equal(ids_of(tab, tmp_path), after)
    tab.keyboard.press("Control+z")
    assert np.array_equal(ids_of(tab, tmp_path), maps[-2])


def test_escape_leaves_a_stroke_off(tab, tmp_path):
    choose(tab, "Box", 2)
    tab.mouse.move(*place(tab, 2, 2))
    tab.mouse.down()
    tab.mouse.move(*place(tab, 20, 20))
    tab.keyboard.press("Escape")
    tab.mouse.up()
    assert ids_of(tab, tmp_path).max() == 0
    assert tab.get_by_role("button", name="Undo").is_disabled()


def test_pixels_are_hit_when_the_map_is_enlarged_and_scrolled(tab, tmp_path):
    for _ in range(4):
        tab.get_by_role("button", name="Zoom in").click()
    tab.locator("#scroller").evaluate("element => element.scrollTo(950, 850)")
    choose(tab, "Brush", 2, size=1)
    stroke(tab, (20, 18))
    assert np.argwhere(ids_of(tab, tmp_path)).tolist() == [[18, 20]]


def test_the_keyboard_alone_paints_chooses_and_undoes(shared_page, open_tab, tmp_path):
    tab = open_tab(shared_page.url)
    tab.wait_for_selector("#cards img:not([hidden])")
    for _ in range(30):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.id") == "canvas":
            break
    assert tab.locator("#where").inner_text() == "row 16, column 16: class 0"
    for key in ("[",) * 40 + ("3",) + ("Shift+ArrowLeft", "ArrowLeft", "ArrowUp"):
        tab.keyboard.press(key)
    tab.keyboard.down(" ")
    for _ in range(5):
        tab.keyboard.press("ArrowRight")
    tab.keyboard.up(" ")
    tab.keyboard.press("ArrowDown")
    assert tab.locator("#status").inner_text() == "row 16, column 12: class 0"
    tab.keyboard.press("ArrowUp")
    assert tab.locator("#status").inner_text() == "row 15, column 12: class 2"
    painted = square(15, 15, 7, 12)
    assert np.array_equal(ids_of_canvas(tab), painted)
    for key in ("2", "Enter"):
        tab.keyboard.press(key)
    assert tab.get_by_role("radio", name="class 2").get_attribute("aria-checked") == "true"
    tab.keyboard.press("Control+z")
    assert ids_of_canvas(tab).max() == 0
    tab.keyboard.press("Control+Shift+z")
    assert np.array_equal(ids_of_canvas(tab), painted)


def test_adapting_from_the_page_shows_each_step_and_keeps_a_model_that_translate_paints_with(
    small, open_tab, tmp_path, capsys
):
    with served([small / "runs" / "small"], tmp_path, [PLUGINS]) as page:
        tab = open_tab(page.url)
        adapt_on_page(tab, small, "0, 1, 4")
        lines = tab.locator(".round tbody th").all_inner_texts()
        assert [line.split("\n")[0] for line in lines] == ["photographs", "0 steps", "1 step", "4 steps"]
        choose(tab, "Brush", 2, size=7)
        stroke(tab, (4, 10), (20, 25))
        tab.get_by_role("button", name="Keep the model Reptile (2-shot), 4 steps on 0, 1, 2").click()
        tab.locator("#keep-name").fill("mine")
        tab.get_by_role("button", name="Keep", exact=True).click()
        tab.get_by_text("Kept in").wait_for()
        image = downloaded(tab, "Save the image by Reptile (2-shot), 4 steps on 0, 1, 2", tmp_path / "page.png")
        ids_of(tab, tmp_path)
        model, label_map = tmp_path / "kept" / "mine.safetensors", tmp_path / "map.png"
        words = [str(model), str(label_map), str(tmp_path / "out"), "--plugins-dir", str(PLUGINS)]
        assert invoke(["translate", *words]) == 0
        assert image == (tmp_path / "out" / "map.png").read_bytes()


def test_a_photograph_without_its_map_is_told_beside_the_place_for_it(tab, small):
    hand_over(tab, "Choose files …", small / "pairs" / "0.png")
    tab.get_by_text("no pairs of a photograph and its map are here").wait_for()
    assert tab.get_by_role("button", name="Adapt", exact=True).is_disabled()


def test_a_map_is_opened_as_translate_reads_it_and_what_is_none_is_told(tab, small, tmp_path):
    hand_over(tab, "Open a map …", small / "maps" / "1.png")
    tab.get_by_text("opened 1.png").wait_for()
    assert np.array_equal(ids_of(tab, tmp_path), np.asarray(Image.open(small / "maps" / "1.png")))
    Image.new("L", (32, 32), 9).save(tmp_path / "nine.png")
    hand_over(tab, "Open a map …", tmp_path / "nine.png")
    tab.get_by_text("nine.png: 1,024 pixels (100 %) have class ids that the data has not").wait_for()


def test_two_tabs_have_two_maps_and_a_map_stays_when_its_tab_is_loaded_again(shared_page, open_tab, tmp_path):
    first = open_tab(shared_page.url)
    first.wait_for_selector("#cards img:not([hidden])")
    second = open_tab.again(first.context, shared_page.url)
    second.wait_for_selector("#cards img:not([hidden])")
    for tab, number in ((first, 1), (second, 2)):
        choose(tab, "Box", number)
        stroke(tab, (0, 0), (31, 31))
    assert np.unique(ids_of(first, tmp_path)).tolist() == [1]
    first.reload()
    first.wait_for_selector("#cards img:not([hidden])")
    assert np.unique(ids_of(first, tmp_path)).tolist() == [1]
    assert np.unique(ids_of(second, tmp_path)).tolist() == [2]


def test_nothing_leaves_this_machine(shared_page, open_tab, small):
    tab = open_tab("about:blank")
    asked = []
    tab.context.on("request", lambda request: asked.append(request.url))
    tab.goto(shared_page.url)
    tab.wait_for_selector("#cards img:not([hidden])")
    stroke(tab, (3, 3), (9, 9))
    adapt_on_page(tab, small, "0")
    assert len(asked) > 8
    assert [url for url in asked if not url.startswith((shared_page.url, f"blob:{shared_page.url}", "data:"))] == []


def test_the_page_of_another_origin_can_neither_read_nor_write(shared_page, open_tab, tmp_path):
    (tmp_path / "evil.html").write_text("<title>evil</title>")
    tab = open_tab((tmp_path / "evil.html").as_uri(), tolerate="CORS policy|ERR_FAILED")
    for method, address in (("GET", "/state"), ("POST", "/keep"), ("POST", "/jobs")):
        outcome = tab.evaluate(
            """async ([url, method]) => {
              const body = method === "POST" ? "{}" : null;
              try { return (await fetch(url, {method, body})).status } catch { return "refused" }
            }""",
            [shared_page.url + address, method],
        )
        assert outcome == "refused"


def test_everything_that_can_be_used_has_a_name(tab, small):
    adapt_on_page(tab, small, "0")
    nameless = tab.locator(
        "button:visible, input:visible, select:visible, canvas[tabindex], img:visible, progress:visible"
    ).evaluate_all(
        """all => all.filter(each => {
          const labels = [...(each.labels ?? [])].map(label => label.textContent).join("");
          const text = each.getAttribute("aria-label") || each.alt || labels || each.textContent;
          return !text.trim() && !(each.tagName === "IMG" && each.closest("button[aria-label]"));
        }).map(each => each.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    snapshot = tab.locator("body").aria_snapshot()
    for line in ('application "Label map, 32 by 32 pixels"', 'radio "Brush" [checked]', 'radio "class 0" [checked]',
                 'button "Undo"', 'heading "Adapt to a scene"', 'button "Save the map"'):  # fmt: skip
        assert line in snapshot, line


def test_a_browser_without_canvas_is_told_what_to_do(shared_page, open_tab):
    tab = open_tab(shared_page.url, "HTMLCanvasElement.prototype.getContext = () => null")
    tab.get_by_text("This browser has no canvas to paint on").wait_for()
    assert tab.locator("#main").is_hidden()


def test_a_server_that_has_ended_is_told(small, open_tab, tmp_path):
    with served([small / "runs" / "small"], tmp_path, [PLUGINS]) as page:
        tab = open_tab(page.url, tolerate="ERR_INTERNET_DISCONNECTED")
        tab.wait_for_selector("#cards img:not([hidden])")
        tab.context.set_offline(True)
        stroke(tab, (3, 3), (9, 9))
        tab.get_by_text("the server does not answer; is `metai2i paint` still running?").wait_for()
        tab.context.set_offline(False)
        stroke(tab, (9, 3), (9, 9))
        tab.get_by_text("the server does not answer").wait_for(state="hidden")


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_is_wider_than_the_window(shared_page, open_tab, width):
    tab = open_tab(shared_page.url)
    tab.set_viewport_size({"width": width, "height": 800})
    tab.wait_for_selector("#cards img:not([hidden])")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_ways_are_offered_and_another_sample_is_another_image(looks_page, open_tab, tmp_path):
    Image.new("RGB", (16, 16), (90, 120, 60)).save(tmp_path / "grey.png")
    tab = open_tab(looks_page.url)
    tab.get_by_text("this model reads an image (source)").wait_for()
    assert tab.locator("#painter").is_hidden()
    tab.get_by_label("source").set_input_files(tmp_path / "grey.png")
    tab.wait_for_selector("#cards img:not([hidden])")
    tab.get_by_label("Way").select_option("latent")
    tab.get_by_label("Domain").select_option("summer")
    first = downloaded(tab, "Save the image by looks, latent, 0 steps", tmp_path / "a.png")
    with tab.expect_response("**/image?*sample=1*"):
        tab.get_by_role("button", name="Draw another").click()
    assert downloaded(tab, "Save the image by looks, latent, 0 steps", tmp_path / "b.png") != first
