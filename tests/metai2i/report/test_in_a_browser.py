"""The page in a real browser: what is clicked, sorted, laid over another, printed; and what it asks of the network."""

from __future__ import annotations

import html
from importlib.resources import files
from pathlib import Path

import pytest
from browser import chromium
from fake_run import ROWS, make_run

from metai2i.report import build_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    run = make_run(tmp_path_factory.mktemp("runs") / "street", tasks=10, queries=2)
    return Path(build_report(run)).as_uri()


@pytest.fixture(scope="module")
def browser():
    with chromium() as program:
        yield program


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.asked, page.wrong = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(address)
    yield page
    assert page.wrong == []
    context.close()


def column(table, number: int) -> list[str]:
    return [cell.strip() for cell in table.locator(f"tbody tr > *:nth-child({number})").all_inner_texts()]


def test_nothing_is_asked_of_the_network(page, address):
    page.locator(".zoom").last.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    assert [url for url in page.asked if not url.startswith("data:")] == [address]


def test_a_heading_sorts_up_and_down_and_back(page):
    table = page.locator("#results table").first
    heading = table.locator("thead th").nth(1)
    before = column(table, 1)
    heading.locator("button").click()
    values = [float(text.split()[0]) for text in column(table, 2)]
    assert values == sorted(values)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").press("Enter")
    assert [float(text.split()[0]) for text in column(table, 2)] == sorted(values, reverse=True)
    heading.locator("button").click()
    assert column(table, 1) == before
    assert heading.get_attribute("aria-sort") is None


def test_negative_numbers_and_durations_sort_by_size(page):
    table = page.locator("#results table").nth(1)
    table.locator("thead th button").nth(1).click()
    differences = [float(text.split()[0].replace("−", "-")) for text in column(table, 2)]
    assert differences == sorted(differences)
    assert differences[0] < 0 < differences[-1]


@pytest.mark.parametrize(
    "ordered",
    [
        ["75 ms", "0.17 s + 36 ms", "2.4 s", "1 min 16 s", "1 h 5 min", "–"],
        ["0 B", "270.8 kB", "7.4 MB", "1.1 GB"],
        ["< 0.0001", "0.0024", "0.11", "1.00", "–"],
        ["9/12", "10/12", "11.5/12"],
        ["−0.066", "+0.010", "+0.189"],
        ["67,688", "1,844,252"],
        ["scene 2", "scene 10", "Scene 11"],
    ],
)
def test_what_stands_in_a_column_sorts_by_what_it_means(browser, ordered):
    page = browser.new_page()
    script = files("metai2i.report").joinpath("templates/script/sort.js").read_text(encoding="utf-8")
    mixed = [*ordered[1::2], *ordered[::2]]
    rows = "".join(f"<tr><td>{html.escape(text)}<br><small>0 to 9</small></td></tr>" for text in mixed)
    head = "<thead><tr><th scope='col'>value</th></tr></thead>"
    page.set_content(f"<table class='sortable'>{head}<tbody>{rows}</tbody></table><script>{script}</script>")
    page.locator("th button").click()
    assert page.locator("td").evaluate_all("cells => cells.map(cell => cell.firstChild.data)") == ordered
    page.close()


def test_an_image_is_enlarged_and_closed_with_the_keyboard_alone(page):
    button = page.locator(".grid .zoom").nth(2)
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog").evaluate("dialog => dialog.open")
    assert page.locator("dialog .under").get_attribute("src") == button.locator("img").get_attribute("src")
    page.keyboard.press("Escape")
    assert not page.locator("dialog").evaluate("dialog => dialog.open")
    assert button.evaluate("button => button === document.activeElement")


def test_another_output_of_the_same_image_is_laid_over_it(page):
    first = page.locator(".grid tbody tr").first
    first.locator(".zoom").nth(1).click()
    choices = page.locator("#other option").all_inner_texts()
    assert choices == ["nothing", "Input", *list(ROWS)[1:], "Truth"]
    page.select_option("#other", label="Truth")
    assert page.locator("dialog .over").get_attribute("src") == first.locator("img").last.get_attribute("src")
    page.locator("#border").fill("20")
    assert (
        page.locator("dialog .over").evaluate("image => getComputedStyle(image).clipPath") == "inset(0px 0px 0px 20%)"
    )
    page.locator("#flicker").click()
    assert page.locator("#flicker").get_attribute("aria-pressed") == "true"
    for visibility in ("hidden", "visible", "hidden"):
        page.wait_for_function(
            "wanted => getComputedStyle(document.querySelector('dialog .over')).visibility === wanted", arg=visibility
        )
    page.locator("#flicker").click()
    page.keyboard.press("ArrowDown")  # the same two of the next query
    second = page.locator(".grid tbody tr").nth(1)
    assert page.locator("dialog .under").get_attribute("src") == second.locator("img").nth(1).get_attribute("src")
    assert page.locator("dialog .over").get_attribute("src") == second.locator("img").last.get_attribute("src")


def test_a_number_leads_to_the_images_that_it_was_measured_on_and_back(page):
    page.locator("#tasks summary").click()
    link = page.locator("#tasks td a").nth(len(ROWS) + 2)  # the second task, the third row
    link.click()
    target = page.locator(":target")
    assert target.locator("img").get_attribute("alt") == f"street/test-001, query 0: {list(ROWS)[2]}"
    assert target.bounding_box()["y"] < 900
    page.locator("#tasks details").evaluate("part => { part.open = false; }")
    page.locator(".task h3 a").nth(1).click()
    page.locator("#tasks details[open]").wait_for()
    assert page.locator("tr:target th").inner_text() == "street/test-001"


def test_every_number_of_a_task_whose_images_the_run_has_is_a_link(page):
    assert page.locator("#tasks td a").count() == 10 * len(ROWS)
    targets = page.locator("#tasks td a").evaluate_all(
        "links => links.map(link => !!document.getElementById(link.hash.slice(1)))"
    )
    assert all(targets)


def test_the_page_is_dark_where_the_system_or_the_reader_wants_it(browser, address):
    for scheme, other in (("light", "dark"), ("dark", "light")):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(address)
        level = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
        assert (page.evaluate(level) > 128) == (scheme == "light")
        page.locator("#theme").click()
        assert (page.evaluate(level) > 128) == (other == "light")
        page.emulate_media(media="print")
        assert page.evaluate(level) > 128  # on paper always light
        context.close()


@pytest.mark.parametrize("width", [360, 420, 1280, 1920, 2560])
def test_no_width_makes_the_page_scroll_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_wide_screen_is_used(page):
    page.set_viewport_size({"width": 1920, "height": 900})
    assert page.locator("main").bounding_box()["width"] > 1500
    means, pairs = (page.locator("#results .part").nth(n).bounding_box() for n in (0, 1))
    assert means["y"] == pairs["y"]  # beside each other
    assert page.locator("nav").bounding_box()["x"] < means["x"]


@pytest.mark.parametrize("width", [1280, 1500, 1700, 1920, 2560])
def test_no_table_beside_another_is_cut(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    for part in page.locator(".beside > .part").all():
        assert part.evaluate("part => [...part.querySelectorAll('.scroll')].every(e => e.scrollWidth <= e.clientWidth)")


def test_without_scripts_all_numbers_and_images_are_there_and_no_dead_control(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#results table").first.locator("tbody tr").count() == len(ROWS)
    assert page.locator(".grid img").first.is_visible()
    assert not page.locator("#theme").is_visible()
    assert not page.locator("dialog").is_visible()
    context.close()


def test_it_prints_on_few_pages_without_controls(page):
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator(".grid").first.evaluate("table => table.scrollWidth <= 700")
    assert page.pdf(format="A4")[:5] == b"%PDF-"
