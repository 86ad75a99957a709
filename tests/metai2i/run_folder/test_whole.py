"""`results.csv` is held against what the run says of itself, so that no report is made of a part of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_run import counted, make_run

from metai2i.errors import UserError
from metai2i.report import compare_runs, load_run

ROWS = {"Pix2pix": ("none", 1.0, 0.0), "BiL": ("bil", 0.85, 0.03)}


@pytest.fixture(params=["counted", "older"])
def run(tmp_path, request) -> Path:
    """A run of 2 rows, 3 tasks, 2 queries and 4 metrics; an older version has not counted its numbers."""
    path = make_run(tmp_path / "run", tasks=3, rows=ROWS, images=False)
    if request.param == "counted":
        counted(path)
    return path


def lines(run: Path) -> list[str]:
    return (run / "results.csv").read_text().splitlines(keepends=True)


def refused(run: Path, kept: list[str]) -> str:
    (run / "results.csv").write_text("".join(kept))
    with pytest.raises(UserError) as caught:
        load_run(run)
    assert str(caught.value.where).startswith(str(run / "results.csv"))
    assert "these are not the numbers of the run: " in caught.value.what
    return caught.value.what


def test_all_that_was_measured_is_read(run):
    assert len(load_run(run).records) == 2 * 3 * 2 * 4


def test_a_file_that_was_cut_at_the_end_of_a_row_is_refused(run):
    assert "no number of row 'BiL'" in refused(run, lines(run)[:25])


def test_a_file_that_was_cut_at_the_end_of_a_task_is_refused(run):
    assert "row 'BiL' has 2 of 3 test tasks" in refused(run, lines(run)[:-8])


def test_a_file_that_was_cut_at_the_end_of_a_query_is_refused(run):
    error = refused(run, lines(run)[:-4])
    assert "task 'street/test-002' of row 'BiL' has 1 of 2 queries" in error or "row 'BiL' has 5 of 6 queries" in error


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_file_that_was_cut_within_a_query_is_refused(run, count):
    error = refused(run, lines(run)[:-count])
    lacking = ["psnr", "mse", "ssim"][:count]
    older = f"query 1 of task 'street/test-002' of row 'BiL' lacks {', '.join(sorted(lacking))}"
    assert older in error or all(f"row 'BiL' has 5 of 6 numbers of {metric}" in error for metric in lacking)


def test_a_row_that_was_taken_out_is_refused(run):
    assert "no number of row 'Pix2pix'" in refused(run, [line for line in lines(run) if not line.startswith("Pix2pix")])


def test_a_task_that_was_taken_out_of_all_rows_is_refused(run):
    error = refused(run, [line for line in lines(run) if "test-001" not in line])
    assert "row 'Pix2pix' has 2 of 3 test tasks" in error
    assert "row 'BiL' has 2 of 3 test tasks" in error


def test_numbers_that_the_run_has_not_measured_are_refused(run):
    added = [*lines(run), "Other,street/test-000,0,lpips,0.1\n"]
    assert "a row 'Other', which the run does not have" in refused(run, added)
    added = [*lines(run), "BiL,street/test-003,0,lpips,0.1\n"]
    assert "row 'BiL' has 4 test tasks, not 3" in refused(run, added)


def test_a_metric_that_was_taken_out_of_a_row_is_counted(tmp_path):
    run = counted(make_run(tmp_path / "run", tasks=3, rows=ROWS, images=False))
    kept = [line for line in lines(run) if not (line.startswith("BiL") and ",ssim," in line)]
    assert "row 'BiL' has 0 of 6 numbers of ssim" in refused(run, kept)


def test_a_comparison_refuses_it_too(run, tmp_path):
    other = make_run(tmp_path / "other", tasks=3, rows=ROWS, images=False)
    assert compare_runs([run, other]).summary["metric"] == "lpips"
    (run / "results.csv").write_text("".join(lines(run)[:-8]))
    with pytest.raises(UserError, match="not the numbers of the run"):
        compare_runs([other, run])


def test_a_value_that_was_changed_is_noticed_where_the_run_lists_digests(tmp_path):
    run = counted(make_run(tmp_path / "run", tasks=3, rows=ROWS, images=False), digests=True)
    (run / "results.csv").write_text("".join(lines(run)).replace("0.", "1.", 1))
    with pytest.raises(UserError, match=r"results\.csv is not the file that this run wrote"):
        load_run(run)


def test_the_last_query_of_an_older_run_may_lack_what_others_lack_too(tmp_path):
    """A metric may have nothing to say of a query."""
    run = make_run(tmp_path / "run", tasks=3, rows=ROWS, images=False)
    kept = [line for line in lines(run) if "test-002,1,ssim," not in line and "test-000,0,ssim," not in line]
    (run / "results.csv").write_text("".join(kept))
    assert len(load_run(run).records) == 44


def test_queries_of_an_older_run_are_those_that_its_recipe_asks_for(tmp_path):
    import yaml

    run = make_run(tmp_path / "run", tasks=3, rows={"Pix2pix": ROWS["Pix2pix"]}, images=False)
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["rows"]["Pix2pix"] |= {"episodes": {"shots": 5, "queries": 1, "draws": 3}}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(UserError, match=r"task 'street/test-000' of row 'Pix2pix' has 2 of 3 queries"):
        load_run(run)


@pytest.mark.parametrize("value", ["nan", "1e308", "-1e101"])
def test_numbers_that_no_statistics_can_be_made_of_are_refused(run, value):
    some = lines(run)
    some[3] = some[3].rpartition(",")[0] + f",{value}\n"
    (run / "results.csv").write_text("".join(some))
    with pytest.raises(UserError, match=rf"results\.csv:4: the value is {value}, expected infinity or no more than"):
        load_run(run)
