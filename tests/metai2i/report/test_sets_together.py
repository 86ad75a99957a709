"""Metrics of sets over all scenes together: differences from the baseline, of one run and of the mean over seeds."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from fake_run import make_run
from record_types import misfits
from rich.console import Console
from scipy import stats

from metai2i.report import build_report
from metai2i.report.comparison import compare_runs
from metai2i.report.page import statistics_context
from metai2i.report.pooling import pool_seeds
from metai2i.report.run_summary import summarise_run
from metai2i.report.tables import set_words, sets_table
from metai2i.report.terminal import print_table
from metai2i.report.wording import best_rows, headline
from metai2i.run_folder.reader import load_run
from metai2i.run_folder.results import Record, read_results, write_results
from metai2i.statistics import SetLineRecord

ROWS = {"plain": ("none", 1.0, 0.05), "meta": ("bil", 0.7, 0.05)}
WITHOUT = {"plain": [0.5, 0.62, 0.68, 0.6], "meta": [0.2, 0.3, 0.4, 0.3]}
KID = {"plain": 0.6, "meta": 0.3}


def a_run(path, *, seed=0, shift=0.0, outputs=12, by_count=None):
    """Two rows, of which `meta` has so many outputs."""
    make_run(path, rows=ROWS, tasks=6, queries=2, images=False, name="pairs", seed=seed)
    numbers = read_results(path / "results.csv")
    scenes = sorted({r.task for r in numbers})
    further = [Record(row, scene, "*", "kid", KID[row] + shift) for row in ROWS for scene in scenes]
    write_results(path / "results.csv", [*numbers, *further])
    provenance = json.loads((path / "provenance.json").read_text())
    provenance["sets"] = {
        row: {"kid": {"value": KID[row] + shift * (row == "meta"), "low": 0.1, "high": 0.9,
                      "outputs": outputs if row == "meta" else 12, "real": 20,
                      "scenes": 6, "by_scene": [2, 2, 10, 10],
                      "without": [each + shift * (row == "meta") for each in WITHOUT[row]]}}
        for row in ROWS
    }  # fmt: skip
    measure = {"title": "KID", "higher_is_better": False, "unit": "", "digits": 4}
    provenance.setdefault("metrics", {})["kid"] = measure if by_count is None else measure | {"by_count": by_count}
    (path / "provenance.json").write_text(json.dumps(provenance))
    return path


def half(differences):
    """Half of the jackknife's t interval."""
    n = len(differences)
    return stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) * np.var(differences))


DIFFERENCES = np.subtract(WITHOUT["meta"], WITHOUT["plain"])


def test_a_row_has_its_difference_from_the_baselines_with_the_interval_of_the_jackknife_over_scenes(tmp_path):
    rows = summarise_run(load_run(a_run(tmp_path / "run")))["sets"]["rows"]
    meta, plain = rows["meta"]["kid"], rows["plain"]["kid"]
    assert [meta["value"], meta["low"], meta["difference"]] == pytest.approx([0.3, 0.1, -0.3])
    expected = [-0.3 - half(DIFFERENCES), -0.3 + half(DIFFERENCES)]
    assert [meta["difference_low"], meta["difference_high"]] == pytest.approx(expected)
    assert [plain[f"difference{end}"] for end in ("", "_low", "_high")] == [None] * 3
    assert misfits(meta, SetLineRecord) == []


@pytest.mark.parametrize(
    ("outputs", "by_count", "compared"), [(24, True, False), (12, True, True), (24, False, True), (24, None, True)]
)
def test_rows_of_other_numbers_of_images_are_not_compared_by_what_depends_on_these(
    tmp_path, outputs, by_count, compared
):
    """A run of before says nothing of it (None), and is read as it was then."""
    paths = [a_run(tmp_path / str(seed), seed=seed, outputs=outputs, by_count=by_count) for seed in (0, 1)]
    run = load_run(paths[0])
    main = {"compare": {"baseline": "plain", "metric": "kid"}}
    run = dataclasses.replace(run, recipe={**run.recipe, **main})
    summary, pooled = summarise_run(run), pool_seeds(paths, metric="kid").summary
    pair, line = summary["pairs"]["meta"]["kid"], summary["sets"]["rows"]["meta"]["kid"]
    if compared:
        assert [pair["difference"], line["difference"]] == pytest.approx([-0.3, -0.3])
        assert best_rows(summary, "kid") == {"meta"}
        assert pooled["seeds"]["rows"]["meta"]["kid"]["ratios"] == pytest.approx([0.5, 0.5])
    else:
        assert [pair["difference"], pair["ratio"], pair["p"], line["difference"]] == [None] * 4
        assert pair["n"] == 0
        assert pair["verdict"] == "no verdict (other numbers of images)"
        assert best_rows(summary, "kid") == set()
        assert headline(summary).endswith("does not compare meta with plain: they are of other numbers of images.")
        page = statistics_context("", run.records, summary)
        assert [page["differences"], page["slopes"]] == [None, []]
        assert summary["ranks"] == []
        assert pooled["seeds"]["rows"]["meta"]["kid"]["ratios"] == [None, None]
    notes = [note for note in summary["notes"] if "(plain: 12 and 20; meta: 24 and 20)" in note]
    assert len(notes) == (not compared)
    assert summary["pairs"]["meta"]["lpips"]["difference"] < 0  # metrics of single images are


def test_with_fewer_scenes_than_a_verdict_needs_there_is_no_interval(tmp_path):
    path = a_run(tmp_path / "run")
    provenance = json.loads((path / "provenance.json").read_text())
    for row in ROWS:
        provenance["sets"][row]["kid"]["scenes"] = 5
    (path / "provenance.json").write_text(json.dumps(provenance))
    meta = summarise_run(load_run(path))["sets"]["rows"]["meta"]["kid"]
    assert [meta["value"], meta["difference"]] == pytest.approx([0.3, -0.3])
    assert [meta[end] for end in ("low", "high", "difference_low", "difference_high")] == [None] * 4


def test_seeds_are_compared_each_and_as_their_mean(tmp_path):
    runs = [a_run(tmp_path / f"{seed}", seed=seed, shift=0.1 * seed) for seed in range(3)]
    rows = pool_seeds(runs).summary["sets"]["rows"]
    assert list(rows)[4:] == ["meta, seed 0", "meta, seed 1", "meta, seed 2", "meta, mean of 3 seeds"]
    by_seed = [rows[f"meta, seed {seed}"]["kid"]["difference"] for seed in range(3)]
    assert by_seed == pytest.approx([-0.3, -0.2, -0.1])
    mean = rows["meta, mean of 3 seeds"]["kid"]
    assert [mean["value"], mean["difference"]] == pytest.approx([0.4, -0.2])
    assert mean["difference_high"] == pytest.approx(-0.2 + half(DIFFERENCES))
    spread = half(np.array(WITHOUT["meta"]))
    assert [mean["low"], mean["high"]] == pytest.approx([0.4 - spread, 0.4 + spread])
    assert rows["plain, mean of 3 seeds"]["kid"]["difference"] is None


def test_runs_are_compared_with_the_baseline_of_another(tmp_path):
    runs = [a_run(tmp_path / "a"), a_run(tmp_path / "b", shift=0.2)]
    rows = compare_runs(runs, baseline="a: plain").summary["sets"]["rows"]
    assert {name: of["kid"]["difference"] for name, of in rows.items()} == {
        "a: plain": None,
        "a: meta": pytest.approx(-0.3),
        "b: plain": pytest.approx(0.0),
        "b: meta": pytest.approx(-0.1),
    }


def test_a_run_that_has_not_kept_what_remains_without_scenes_has_a_difference_without_interval(tmp_path):
    path = a_run(tmp_path / "run")
    provenance = json.loads((path / "provenance.json").read_text())
    del provenance["sets"]["plain"]["kid"]["without"]
    (path / "provenance.json").write_text(json.dumps(provenance))
    meta = summarise_run(load_run(path))["sets"]["rows"]["meta"]["kid"]
    assert [meta["difference"], meta["difference_low"]] == [pytest.approx(-0.3), None]


def test_the_report_and_the_terminal_show_it_with_what_is_clear(tmp_path, capsys):
    run = a_run(tmp_path / "run")
    table = sets_table(summarise_run(load_run(run)))
    assert table is not None
    plain, meta = (line["cells"][0] for line in table["rows"])
    assert (plain["difference"], plain["excludes_zero"], meta["excludes_zero"]) == ("", False, True)
    low, high = -0.3 - half(DIFFERENCES), -0.3 + half(DIFFERENCES)
    words = f"0.3000 (0.1000 to 0.9000); -0.3000 ({low:.4f} to {high:.4f}) [n = 12, 20 real]"
    assert set_words(meta).replace("−", "-") == words
    build_report(run)
    page = (run / "report.html").read_text()
    assert "<strong>-0.3000</strong>" in page.replace("−", "-")
    print_table(run, Console(width=400, force_terminal=False))
    assert words in capsys.readouterr().out.replace("−", "-")
