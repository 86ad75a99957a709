"""The charts of gains in the studies: which rows they join, at which numbers, and what they refuse."""

from __future__ import annotations

import runpy
from pathlib import Path

import fake_run
import numpy as np
import pytest
from PIL import Image

from metai2i.report.run_summary import summarise_run
from metai2i.run_folder.reader import load_run

MODULE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "images" / "make_gain.py"))
main, gains_of, place_of, joined, Gain = (MODULE[n] for n in ("main", "gains_of", "place_of", "joined", "Gain"))
ROWS = {
    "Fine-tuned": ("finetune", 1.0, 0.0),
    "Reptile": ("reptile", 0.86, 0.05),
    "Reptile after 5 steps": ("reptile", 0.97, 0.05),
}
BY = ["--by", " after {} steps", "--otherwise", "20"]


@pytest.fixture
def run(tmp_path, monkeypatch) -> str:
    """A run with two rows that are compared, in the current folder."""
    fake_run.make_run(tmp_path / "street", tasks=8, rows=ROWS)
    monkeypatch.chdir(tmp_path)
    return "street"


@pytest.mark.parametrize(
    ("row", "by", "place"),
    [
        ("Reptile after 5 steps", " after {} steps", ("Reptile", 5)),
        ("Bootstrap, predicted start, after 5 steps", " after {} steps", ("Bootstrap, predicted start", 5)),
        ("Reptile, 0.5 times as long", ", {} times as long", ("Reptile", 0.5)),
        ("Reptile (5-shot), 2 times as long", ", {} times as long", ("Reptile (5-shot)", 2)),
        ("Reptile (5-shot)", "({}-shot)", ("Reptile", 5)),
        ("Reptile", " after {} steps", ("Reptile", 20)),
    ],
)
def test_the_number_in_a_name_is_the_place_and_the_rest_is_the_series(row, by, place):
    assert place_of(row, by, 20) == place


def test_a_row_without_a_number_has_no_place_unless_one_is_given():
    assert place_of("Reptile", " after {} steps", None) is None


def test_rows_of_one_series_are_joined_from_the_lowest_number_to_the_highest():
    gains = [Gain(name, 0.9, 0.8, 1.0) for name in ("A", "A after 5 steps", "B after 1 steps", "A after 10 steps")]
    series = joined(gains, " after {} steps", 20)
    assert {name: [number for number, _ in points] for name, points in series.items()} == {"A": [5, 10, 20]}


def test_gains_are_the_ratios_of_the_report(run):
    metric, gains = gains_of([Path(run)])
    pairs = summarise_run(load_run(Path(run)))["pairs"]
    assert metric == "LPIPS"
    assert [gain.row for gain in gains] == ["Reptile", "Reptile after 5 steps"]
    for gain in gains:
        pair = pairs[gain.row]["lpips"]
        assert (gain.ratio, gain.low, gain.high) == (pair["ratio"], pair["ratio_low"], pair["ratio_high"])
        assert gain.low < gain.ratio < gain.high


@pytest.mark.parametrize("options", [BY, []])
def test_a_chart_has_its_ink_on_clear_ground(run, options):
    assert main(["gain.png", "--panel", "street", run, *options]) == 0
    opaque = np.asarray(Image.open("gain.png").convert("RGBA"))[..., 3] > 0
    assert 0.005 < opaque.mean() < 0.2


def test_rows_stand_in_the_order_of_the_run_or_from_the_least_gain_to_the_most(run, monkeypatch):
    drawn = []
    monkeypatch.setitem(main.__globals__, "draw_bars", lambda axes, gains: drawn.append([g.ratio for g in gains]))
    for options in ([], ["--sort"]):
        assert main(["gain.png", "--panel", "street", run, *options]) == 0
    assert drawn == [sorted(drawn[0]), sorted(drawn[0], reverse=True)]


def test_long_names_stand_below_each_other_so_that_none_is_cut_off():
    rows = [f"{name} with a rather long name that goes on" for name in ("Reptile", "Bootstrap")]
    gains = [Gain(f"{row}{behind}", 0.9, 0.8, 1.0) for row in rows for behind in ("", " after 5 steps")]
    figure = MODULE["chart"]([("street", "LPIPS", gains)], " after {} steps", 20, "steps")
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert figure.bbox.x0 <= legend.get_window_extent().x0
    assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_a_second_panel_stands_beside_the_first(run):
    for name, panels in {"one.png": 1, "two.png": 2}.items():
        assert main([name, *["--panel", "street", run] * panels, *BY]) == 0
    (width, height), pair = (Image.open(name).size for name in ("one.png", "two.png"))
    assert pair == (2 * width, height)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--panel", "street", "nowhere"], "nowhere"),
        (["--panel", "street"], "--panel 'street': no run is given"),
        (["--panel", "street", "street", "--rows", "SPADE"], "--rows 'SPADE': no row is called so"),
        (["--panel", "street", "street", "--rows", "("], "missing )"),
        (["--panel", "street", "street", "--by", "steps"], "--by: got 'steps', expected {} in it once"),
        (["--panel", "street", "street", "--by", " with {} shots"], "no two rows differ by the number"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_no_file_is_written(run, options, message, capsys):
    assert main(["gain.png", *options]) == 2
    assert message in capsys.readouterr().err
    assert not Path("gain.png").exists()
