"""The report of a run: one file, no network, nothing hidden, and no failure where parts are missing."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import math
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from fake_run import BASELINE, ROWS, make_run, scene, slug
from odd_images import GREY, png
from PIL import Image
from rich.console import Console

from metai2i.errors import UserError
from metai2i.report import build_report, compare_runs, load_run, print_table, summarise_run, write_comparison
from metai2i.report.curves import stage_panels, thinned, training_stages
from metai2i.report.gallery import LOSSLESS, SIDE, data_uri
from metai2i.report.wording import best_rows, duration, headline, number, p_value, reading
from metai2i.run_folder.results import Record, read_results, write_results
from metai2i.statistics import summarise

PAIR = {"Pix2pix": ("none", 1.0, 0.0), "BiL": ("bil", 0.85, 0.03)}


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and the text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def section(self, name):
        match = re.search(rf'<section id="{name}">.*?</section>', self.source, flags=re.DOTALL)
        return match[0] if match else ""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = make_run(tmp_path_factory.mktemp("runs") / "street-5shot", queries=5)
    build_report(path)
    return path


@pytest.fixture(scope="module")
def page(run):
    return Page(run / "report.html")


def small(path: Path, **options) -> Path:
    return make_run(path / "run", **{"rows": PAIR, "tasks": 6, "queries": 1, "images": False} | options)


# One file, no network


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#")), (tag, name, address)
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#|\s*['\"]?data:)", page.source)


def test_the_page_forbids_the_browser_to_load_anything(page):
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_the_page_is_small_enough_to_send(run):
    assert (run / "report.html").stat().st_size < 2_000_000


def test_names_are_escaped(tmp_path):
    evil = '<script>alert(1)</script> & "co"'
    path = small(tmp_path, rows={evil: ("none", 1.0, 0.0), "<b>BiL</b>": ("bil", 0.8, 0.05)}, images=True)
    page = Page(build_report(path))
    assert len(page.all("script")) == 1
    assert not page.all("b")
    assert evil in page.text


def test_plots_are_well_formed_and_share_no_id(page):
    plots = re.findall(r"<svg.*?</svg>", page.source, flags=re.DOTALL)
    assert len(plots) >= 10
    ids = [element.get("id") for plot in plots for element in ET.fromstring(plot).iter() if element.get("id")]
    clips = [
        name
        for name in ids
        if not re.fullmatch(r"(figure|axes|patch|line2d|text|matplotlib|xtick|ytick|legend|m).*", name)
    ]
    assert len(clips) == len(set(clips))
    assert all(plot.count('role="img"') == 1 and "aria-label" in plot for plot in plots)


def test_plots_take_their_colours_from_the_style_sheet(page):
    for plot in re.findall(r"<svg.*?</svg>", page.source, flags=re.DOTALL):
        assert "var(--" in plot
        assert not re.findall(r"(?:fill|stroke): #(?!000000)[0-9a-f]{6}", plot)


def test_every_image_has_words_for_those_who_do_not_see_it(page):
    images = page.all("img")
    assert len(images) > 100
    assert all(image.get("alt") for image in images[:-2])  # the last two are the enlarged ones, still empty
    assert all(
        image.get("width") and image.get("height") for image in images[:-2]
    )  # so that nothing moves as they load
    assert all(th.get("scope") in ("row", "col", "colgroup") for th in page.all("th"))


# What it says


def test_the_first_sentence_says_what_came_out(page, run):
    summary = json.loads((run / "summary.json").read_text())
    sentence = headline(summary)
    assert sentence in page.text
    pattern = (
        r"BiL-Pix2pix \(5-shot\) lowers LPIPS by 1\d % against Pix2pix \(5-shot\) "
        r"\(95 % interval \d+ to \d+ %, p = 0\.\d+\) over 12 test tasks and is better on (all|\d+) of them\."
    )
    assert re.fullmatch(pattern, sentence)


def test_the_sentence_agrees_with_the_numbers(run):
    summary = json.loads((run / "summary.json").read_text())
    got = summary["pairs"]["BiL-Pix2pix (5-shot)"]["lpips"]
    change, low, high = map(int, re.findall(r"(\d+) %.*?(\d+) to (\d+) %", headline(summary))[0])
    assert change == round(100 * (1 - got["ratio"]))
    assert (low, high) == (round(100 * (1 - got["ratio_high"])), round(100 * (1 - got["ratio_low"])))


def test_the_best_mean_is_bold_and_the_baseline_marked(page):
    row = re.search(r"BiL-Pix2pix \(5-shot\)</th>(.*?)</tr>", page.source, flags=re.DOTALL)
    assert row is not None
    assert row[1].count("<strong>") == 4
    assert re.search(r"Pix2pix \(5-shot\) <span class=\"tag\">baseline", page.source)


def test_summary_json_holds_what_the_page_shows(run, page):
    summary = json.loads((run / "summary.json").read_text(), parse_constant=pytest.fail)
    assert list(summary["rows"]) == list(ROWS)
    assert summary["baseline"] == BASELINE
    for entry in summary["rows"].values():
        assert f"{entry['lpips']['mean']:.3f}" in page.text


def test_a_second_report_of_the_same_files_is_the_same(run):
    before = (run / "report.html").read_bytes(), (run / "summary.json").read_bytes()
    build_report(run)
    assert before == ((run / "report.html").read_bytes(), (run / "summary.json").read_bytes())


def test_a_stale_summary_is_not_believed(tmp_path):
    path = small(tmp_path)
    (path / "summary.json").write_text('{"rows": {}}')
    build_report(path)
    assert list(json.loads((path / "summary.json").read_text())["rows"]) == list(PAIR)


def test_losing_to_copying_a_support_image_is_told(tmp_path):
    path = small(tmp_path, rows={"Copy": ("copy", 0.7, 0.0), **PAIR})
    notes = summarise_run(load_run(path))["notes"]
    assert "Worse in LPIPS than Copy, which hands back a support image unchanged: Pix2pix, BiL." in notes
    assert "Worse in LPIPS than Copy" in Page(build_report(path)).text


def test_the_headline_is_about_what_adapts_even_where_copying_is_best(tmp_path):
    path = small(tmp_path, rows={**PAIR, "Copy": ("copy", 0.7, 0.0)})
    assert "between BiL and Pix2pix" in headline(summarise_run(load_run(path)))


def test_the_headline_does_not_deny_that_copying_is_better(tmp_path):
    rows = {"Pix2pix": ("none", 1.0, 0.0), "BiL": ("bil", 1.2, 0.03), "Copy": ("copy", 0.7, 0.0)}
    text = headline(summarise_run(load_run(small(tmp_path, rows=rows))))
    assert text == "Apart from Copy, no row has a better mean LPIPS than the baseline, Pix2pix."


def test_few_tasks_and_no_baseline_and_one_row_are_said_in_words(tmp_path):
    few = summarise_run(load_run(small(tmp_path / "a", tasks=3)))
    assert re.fullmatch(
        r"LPIPS of BiL is \d+ % lower than that of Pix2pix over 3 test tasks; too few for a verdict \(6 are needed\)\.",
        headline(few),
    )
    records = read_results(small(tmp_path / "b") / "results.csv")
    assert headline(summarise(records, list(PAIR), None, None)).endswith(
        "No baseline is named, so nothing is compared."
    )
    path = small(tmp_path / "c", rows={"Pix2pix": ("none", 1.0, 0.0)})
    assert "There is no row beside the baseline, so nothing is compared." in Page(build_report(path)).text


def test_a_baseline_that_is_best_is_told(tmp_path):
    summary = summarise_run(load_run(small(tmp_path, rows={"Pix2pix": ("none", 1.0, 0.0), "BiL": ("bil", 1.2, 0.0)})))
    assert headline(summary) == "No row has a better mean LPIPS than the baseline, Pix2pix."


def test_where_values_are_missing_from_every_row_no_baseline_is_called_the_best():
    rows = {"base": 20.0, "a": 25.0, "b": 24.0}
    records = [Record(row, f"t{n}", "0", "psnr", v + n / 10) for row, v in rows.items() for n in range(8)]
    records += [Record(row, "t8", "0", "psnr", math.inf if row != "base" else 20.0) for row in rows]
    text = headline(summarise(records, list(rows), "base", "psnr"))
    assert text.startswith("PSNR of a is 5.00 dB higher than that of base")
    assert "PSNR of b is 4.00 dB higher" in text


def test_decibels_are_compared_by_difference_and_not_by_ratio(run):
    summary = json.loads((run / "summary.json").read_text())
    sentence = reading(summary, "BiL-Pix2pix (5-shot)", "psnr")
    assert re.search(r"raises PSNR by 0\.\d\d dB against .* \(95 % interval 0\.\d\d to [01]\.\d\d dB, p", sentence)


def test_no_difference_is_said_with_the_signs_of_the_interval():
    base = np.linspace(0.3, 0.4, 9)
    rows = {"base": base, "row": base + 0.001 * np.array([1, -2, 3, -4, 5, -6, 7, -8, 9])}
    records = [Record(row, f"t{n}", "0", "lpips", v) for row, values in rows.items() for n, v in enumerate(values)]
    sentence = reading(summarise(records, list(rows), "base", None), "row", "lpips")
    assert sentence.startswith("No difference in LPIPS is shown between row and base over 9 test tasks: ")
    assert re.search(r"95 % interval −\d\.\d to \+\d\.\d %", sentence)


def test_an_incomplete_row_is_not_called_the_best():
    records = [Record("a", f"t{n}", "0", "lpips", 0.5) for n in range(6)]
    records += [Record("b", f"t{n}", "0", "lpips", 0.6) for n in range(6)] + [Record("c", "t0", "0", "lpips", 0.1)]
    assert best_rows(summarise(records, list("abc"), "a", None), "lpips") == {"a"}


def test_numbers_in_words():
    assert [number(0.12345, 3), number(-0.5, 1), number(-0.0001, 2, sign=True), number(None, 3)] == [
        "0.123",
        "−0.5",
        "0.00",
        "–",
    ]
    assert [p_value(0.00004), p_value(0.03125), p_value(0.5), p_value(None)] == ["< 0.0001", "0.031", "0.50", "–"]
    assert [duration(2.44), duration(59.97), duration(200), duration(3900), duration(None)] == [
        "2.4 s",
        "1 min 0 s",
        "3 min 20 s",
        "1 h 5 min",
        "–",
    ]


# Parts that are missing or damaged


def test_a_run_of_results_alone_has_a_report(tmp_path):
    path = small(tmp_path)
    for name in ("recipe.yaml", "provenance.json", "log.jsonl"):
        (path / name).unlink()
    text = Page(build_report(path)).text
    for missing in ("recipe.yaml", "provenance.json", "log.jsonl", "images/index.json"):
        assert f"There is no {missing} in the folder of the run." in text
    for words in ("The run has no images.", "The run has no log of losses", "No baseline is named"):
        assert words in text


def test_damaged_parts_are_told_and_the_rest_is_shown(tmp_path):
    path = small(tmp_path, images=True)
    (path / "recipe.yaml").write_text("name: [")
    (path / "provenance.json").write_text("{")
    log = (path / "log.jsonl").read_text().splitlines()
    (path / "log.jsonl").write_text("\n".join([log[0], "{{", log[1], '{"step": 3, "los']))  # stopped while writing
    min((path / "images").glob("*/truth/0.png")).write_bytes(b"no image")  # of the first scene, which is shown
    text = Page(build_report(path)).text
    assert "recipe.yaml cannot be read" in text
    assert "provenance.json cannot be read" in text
    assert "Lines of log.jsonl that cannot be read and are left out: 1." in text
    assert "no image" in text
    assert "generator/l1" in text


@pytest.mark.parametrize("content", ["[]", '{"tasks": 3}', '{"tasks": [3, {"id": "a"}]}', '{"tasks": [{"rows": []}]}'])
def test_an_odd_image_index_is_no_reason_to_fail(tmp_path, content):
    path = small(tmp_path)
    (path / "images").mkdir()
    (path / "images" / "index.json").write_text(content)
    assert build_report(path).is_file()


def test_a_main_metric_and_a_baseline_that_are_not_there_are_told(tmp_path):
    path = small(tmp_path)
    write_results(path / "results.csv", [r for r in read_results(path / "results.csv") if r.metric == "ssim"])
    recipe = (path / "recipe.yaml").read_text().replace("baseline: Pix2pix", "baseline: Pix3pix")
    (path / "recipe.yaml").write_text(recipe)
    summary = summarise_run(load_run(path))
    assert summary["metric"] == "ssim"
    assert summary["baseline"] is None
    assert any("'lpips'" in note for note in summary["notes"])
    assert any("'Pix3pix'" in note for note in summary["notes"])


def test_infinite_psnr_has_a_footnote(tmp_path):
    path = small(tmp_path)
    records = read_results(path / "results.csv")
    first = next(n for n, r in enumerate(records) if r.metric == "psnr")
    records[first] = records[first]._replace(value=math.inf)
    write_results(path / "results.csv", records)
    page = Page(build_report(path))
    assert "1 of 6 values is infinite, because images are identical" in page.text
    assert "nan" not in page.text.lower().split()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        build_report(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no results\.csv"):
        build_report(tmp_path)
    (tmp_path / "results.csv").write_text("row,task,query,metric,value\n")
    with pytest.raises(UserError, match="there is no number in it"):
        build_report(tmp_path)


# Images


def test_grids_show_the_first_tasks_and_say_what_is_left_out(page):
    assert page.section("images").count("<span>Input</span>") == 9
    assert "Tasks that are not shown here" not in page.text
    assert page.text.count("images/ of the run: 1.") == 8
    outputs = re.findall(r'alt="([^"]*: BiL-Pix2pix \(5-shot\))"', page.section("images"))
    assert len(outputs) == 8 * 4 + 4  # four queries of eight tasks, and the first of the four others
    assert outputs[0] == "street/test-000, query 0: BiL-Pix2pix (5-shot)"
    assert "BiL-Pix2pix (5-shot): street/test-000 (0.71), street/test-011 (0.66)" in page.text


def test_the_number_under_an_image_is_the_one_of_results_csv(page, run):
    wanted = next(r for r in read_results(run / "results.csv") if r[:4] == ("Pix2pix", "street/test-002", "1", "lpips"))
    assert f'title="street/test-002, query 1: Pix2pix (LPIPS {wanted.value:.3f})"' in page.source


def test_small_images_are_inlined_pixel_by_pixel(page, run):
    image = next(i for i in page.all("img") if i["alt"] == "street/test-000, query 0: truth")
    assert image["class"] == "pixels"
    head, content = image["src"].split(",")
    assert head == "data:image/png;base64"
    inlined = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert (inlined == np.asarray(Image.open(run / "images" / slug("street/test-000") / "truth" / "0.png"))).all()


def test_a_row_without_images_of_a_task_leaves_a_gap(tmp_path):
    path = small(tmp_path, images=True)
    index = json.loads((path / "images" / "index.json").read_text())
    del index["tasks"][0]["rows"]["BiL"]
    (path / "images" / "index.json").write_text(json.dumps(index))
    page = Page(build_report(path))
    assert page.section("images").count("no image") == 1
    columns = re.findall(r'<th scope="col"><span>Input</span></th>(.*?)</tr>', page.section("images"))
    assert len(set(columns)) == 1


def without_maps(path: Path, *, sources: bool) -> Path:
    """A run of data without label maps: with its sources, if they are kept."""
    index = json.loads((path / "images" / "index.json").read_text())
    for task in index["tasks"]:
        place = path / "images" / task["dir"]
        if sources:
            shutil.copytree(place / "truth", place / "shown" / "source" / "bil")
            task["shown"] = {"source": {"BiL": "shown/source/bil"}}
        for kind in ("structure", "support-structure"):
            shutil.rmtree(place / kind)
    (path / "images" / "index.json").write_text(json.dumps(index))
    return path


def test_data_without_label_maps_shows_its_sources(tmp_path):
    page = Page(build_report(without_maps(small(tmp_path, images=True), sources=True)))
    images = page.section("images")
    assert "no image" not in images
    assert ">Structure<" not in images
    assert images.count('<th scope="col"><span>Input</span></th>') == images.count('<table class="grid"') > 0
    assert re.search(r'alt="street/test-000, query 0: input"', images)


def test_data_whose_inputs_are_not_kept_has_no_column_of_them(tmp_path):
    images = Page(build_report(without_maps(small(tmp_path, images=True), sources=False))).section("images")
    assert "no image" not in images
    assert images.count('<th scope="col"><span>Query</span></th>') == images.count('<table class="grid"') > 0


def test_large_photographs_are_recompressed_and_label_maps_are_not(tmp_path):
    labels, photo = scene(600, "big")
    Image.fromarray(photo).save(tmp_path / "photo.png")
    uri, size, lossy = data_uri(tmp_path / "photo.png")
    assert uri.startswith("data:image/jpeg;")
    assert (size, lossy) == ((SIDE, SIDE), True)
    assert len(uri) < (tmp_path / "photo.png").stat().st_size / 2
    Image.fromarray(labels.astype(np.uint8) * 40).resize((200, 200), Image.Resampling.NEAREST).save(
        tmp_path / "map.png"
    )
    uri, size, lossy = data_uri(tmp_path / "map.png", drawn=True)
    assert uri.startswith("data:image/png;")
    assert (size, lossy) == ((200, 200), False)
    assert len(uri) < LOSSLESS


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\nrest", "damaged or cut short"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "this is PostScript"),
        (png([b"\0"], 400_000_000, 8, GREY), "too large: 400000000x1 pixels"),
    ],
)
def test_an_image_that_cannot_be_shown_is_left_out_and_told(tmp_path, caplog, content, what):
    (tmp_path / "broken.png").write_bytes(content)
    assert data_uri(tmp_path / "broken.png") is None
    assert f"left out of the report: {tmp_path / 'broken.png'}: " in caplog.text
    assert what in caplog.text


def test_a_missing_image_is_none(tmp_path, caplog):
    assert data_uri(tmp_path / "missing.png") is None
    assert not caplog.records


# Losses


def test_a_step_that_was_logged_twice_counts_once_as_logged_last():
    line = {"stage": "pretrain", "key": "k", "rows": ["a"]}
    log = [line | {"step": step, "losses": {"l1": value}} for step, value in ((1, 0.5), (2, 0.4), (2, 0.3), (3, 0.2))]
    (stage,) = training_stages(log)
    assert stage["curves"]["l1"] == ([1, 2, 3], [0.5, 0.3, 0.2])


def test_stages_with_other_keys_are_told_apart_and_evaluation_has_no_curves():
    log = [{"stage": "pretrain", "key": key, "rows": [key], "step": 1, "losses": {"l1": 1.0}} for key in "ab"]
    log.append({"stage": "evaluate", "task": "t", "seconds": 1.0})
    assert [stage["rows"] for stage in training_stages(log)] == [["a"], ["b"]]


def test_the_two_probe_curves_share_a_panel_and_values_that_are_not_finite_are_counted():
    losses = {"query/l1": float("nan"), "probe/unadapted_lpips": 0.4, "probe/adapted_lpips": 0.3}
    (stage,) = training_stages([{"stage": "metatrain", "key": "k", "step": n, "losses": losses} for n in range(3)])
    panels = {panel["title"]: panel for panel in stage_panels(stage)}
    assert list(panels) == ["query/l1", "probe: unadapted LPIPS, adapted LPIPS"]
    assert panels["query/l1"]["not_finite"] == 3
    assert "unadapted LPIPS" in panels["probe: unadapted LPIPS, adapted LPIPS"]["svg"]


def test_long_curves_are_averaged_over_equal_stretches():
    steps, values = thinned(([0, 1, 2, 3, 4], [1.0, 3.0, 5.0, 7.0, 9.0]), points=3)
    assert (steps, values) == ([0.5, 2.5, 4], [2.0, 6.0, 9.0])
    assert thinned(([0], [1.0])) == ([0], [1.0])


# The table in the terminal


def printed(summary, *, width=80, terminal=False, encoding="utf-8"):
    class Stream(io.StringIO):
        @property
        def encoding(self):
            return encoding

    stream = Stream()
    print_table(summary, Console(file=stream, width=width, force_terminal=terminal, color_system=None))
    return stream.getvalue()


def test_a_pipe_gets_whole_lines_in_ascii(run):
    text = printed(run)
    assert text.isascii()
    line, rank = [line for line in text.splitlines() if line.startswith("BiL-Pix2pix w/o Aux (5-shot)")]
    assert re.search(r"\| +\d\.\d\d$", rank)
    assert re.search(r"0\.\d{3} \+/- 0\.\d{3} .* 0\.\d{3} \(0\.\d{3} to \d\.\d{3}\) .* \d+/12 ", line)
    assert "…" not in text
    assert headline(json.loads((run / "summary.json").read_text())) in text


def test_a_narrow_terminal_gets_three_tables_and_loses_no_word(run):
    text = printed(run, width=80, terminal=True)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("w/o Aux") == 3
    assert "…" not in text
    assert text.count("baseline") >= 1


def test_a_wide_terminal_gets_one_table_beside_that_of_the_ranks(run):
    assert printed(run, width=200, terminal=True).count("w/o Aux") == 2


def test_names_are_not_read_as_markup_and_odd_letters_do_not_break_an_ascii_stream(tmp_path):
    path = small(tmp_path, rows={"[red]Pix": ("none", 1.0, 0.0), "Größe": ("bil", 0.9, 0.0)})
    build_report(path)
    assert "[red]Pix" in printed(path)
    assert "Gr??e" in printed(path, encoding="ascii")


# Several runs


def test_a_comparison_has_a_page_and_a_table(tmp_path):
    first, second = (make_run(tmp_path / name, rows=PAIR, queries=1, images=False) for name in ("one", "two"))
    comparison = compare_runs([first, second], baseline="one/BiL")
    write_comparison(comparison, tmp_path / "c.html")
    write_comparison(comparison, tmp_path / "c.csv")
    text = Page(tmp_path / "c.html").text
    assert "one against two" in text
    assert "two: BiL" in text
    assert "The run has no images." not in text
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert len(lines) == 1 + 4 * 4
    assert lines[0].startswith("row,metric,mean,low,high,n,sd,left_out,baseline,difference,")
    assert {len(line.split(",")) for line in lines} == {20}
