"""`metai2i compare`."""

from __future__ import annotations

import json

import pytest
from fake_run import make_run

from metai2i.cli import invoke

ROWS = {"Pix2pix": ("none", 1.0, 0.0), "BiL": ("bil", 0.85, 0.03)}
OTHER = {"GP-UNIT": ("bil", 0.9, 0.05)}


@pytest.fixture
def runs(tmp_path):
    make_run(tmp_path / "one", rows=ROWS, tasks=7, queries=1, images=False)
    make_run(tmp_path / "two", rows=OTHER, tasks=7, queries=1, images=False)
    return [str(tmp_path / "one"), str(tmp_path / "two")]


def lines(out):
    """The lines of the first table, by their first cell."""
    table = out.partition("\n\n")[0]
    return {line.split("|")[0].strip(): line for line in table.splitlines() if "|" in line}


def test_rows_of_both_runs_stand_in_one_table_against_the_first_runs_baseline(runs, capsys):
    assert invoke(["compare", *runs]) == 0
    table = lines(capsys.readouterr().out)
    assert [name for name in table if ":" in name] == ["one: Pix2pix", "one: BiL", "two: GP-UNIT"]
    assert table["one: Pix2pix"].strip().endswith("baseline")
    assert "/7 " in table["two: GP-UNIT"]


@pytest.mark.parametrize("name", ["two/GP-UNIT", "two: GP-UNIT", "GP-UNIT"])
def test_a_baseline_is_named_by_run_and_row_or_by_a_row_of_one_run(runs, capsys, name):
    assert invoke(["compare", *runs, "--baseline", name]) == 0
    assert lines(capsys.readouterr().out)["two: GP-UNIT"].strip().endswith("baseline")


def test_a_row_that_several_runs_have_must_be_named_with_its_run(tmp_path, runs, capsys):
    make_run(tmp_path / "three", rows=ROWS, tasks=7, queries=1, images=False)
    assert invoke(["compare", *runs, str(tmp_path / "three"), "--baseline", "BiL"]) == 2
    assert "several runs have a row 'BiL' (name one: 'one/BiL', 'three/BiL')" in capsys.readouterr().err


def test_an_unknown_baseline_and_metric_are_told_with_the_nearest(runs, capsys):
    assert invoke(["compare", *runs, "--baseline", "GP-UNTI"]) == 2
    assert "did you mean 'GP-UNIT'?" in capsys.readouterr().err
    assert invoke(["compare", *runs, "--metric", "lpisp"]) == 2
    assert "did you mean 'lpips'?" in capsys.readouterr().err


def test_another_metric_becomes_the_main_one(runs, capsys):
    assert invoke(["compare", *runs, "--metric", "psnr"]) == 0
    assert "PSNR ratio" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tasks": 8}, "only two has street/test-007 query 0"),
        ({"tasks": 6}, "only one has street/test-006 query 0"),
        (
            {"queries": 2},
            "only two has street/test-000 query 1, street/test-001 query 1, street/test-002 query 1 and 4 more",
        ),
        ({"test_hash": "0bad"}, "test_hash is 5e1f and 0bad"),
    ],
)
def test_runs_on_other_tasks_are_refused_with_the_reason(tmp_path, runs, capsys, options, words):
    other = make_run(
        tmp_path / "elsewhere" / "two", **{"rows": OTHER, "tasks": 7, "queries": 1, "images": False} | options
    )
    assert invoke(["compare", runs[0], str(other)]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""


def test_a_run_that_does_not_say_what_it_was_measured_on_is_refused(tmp_path, runs, capsys):
    (tmp_path / "two" / "provenance.json").unlink()
    assert invoke(["compare", *runs]) == 2
    assert "provenance.json: two does not say which test images" in capsys.readouterr().err


def test_other_seeds_and_other_data_are_told(tmp_path, runs, capsys):
    other = make_run(tmp_path / "three", rows=OTHER, tasks=7, queries=1, images=False, seed=1)
    provenance = json.loads((other / "provenance.json").read_text())
    provenance["data"]["fingerprint"] = "another"
    (other / "provenance.json").write_text(json.dumps(provenance))
    assert invoke(["compare", runs[0], str(other)]) == 0
    out = capsys.readouterr().out
    assert "differ in the seed (one: 0, three: 1)" in out
    assert "differ in their data" in out


def test_so_are_those_whose_seeds_have_drawn_other_test_images(tmp_path, capsys):
    paths = [
        str(make_run(tmp_path / f"s{n}", rows=ROWS, tasks=7, queries=1, images=False, seed=n, test_hash=f"hash{n}"))
        for n in (0, 1)
    ]
    assert invoke(["compare", *paths]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "were measured on other test images under the same names: test_hash is hash0 and hash1" in error
    assert f"other seeds: metai2i compare --pool seeds {paths[0]} {paths[1]} makes one table of them" in error


def test_runs_that_differ_by_the_seed_alone_are_told_how_they_become_one_table(tmp_path, capsys):
    paths = [str(make_run(tmp_path / f"s {n}", rows=ROWS, tasks=7, queries=1, images=False, seed=n)) for n in (0, 1)]
    assert invoke(["compare", *paths]) == 0
    out = capsys.readouterr().out
    pooled = f"metai2i compare --pool seeds '{paths[0]}' '{paths[1]}' makes one table of them."
    assert f"They are of one recipe with other seeds: {pooled}" in out
    assert invoke(["compare", "--pool", "seeds", *paths]) == 0
    other = make_run(tmp_path / "other", rows=ROWS, tasks=7, queries=1, images=False, seed=2, pretrain={"lr": 1})
    assert invoke(["compare", paths[0], str(other)]) == 0
    assert "--pool" not in capsys.readouterr().out


def test_runs_whose_folders_have_the_same_name_are_told_apart_by_their_paths(tmp_path, runs, capsys):
    other = make_run(tmp_path / "b" / "one", rows=OTHER, tasks=7, queries=1, images=False)
    assert invoke(["compare", runs[0], str(other)]) == 0
    out = capsys.readouterr().out
    assert f"{runs[0]}: BiL" in out
    assert f"{other}: GP-UNIT" in out


def test_one_run_or_the_same_run_twice_is_no_comparison(runs, capsys):
    assert invoke(["compare", runs[0]]) == 2
    assert "1 run is given, expected two or more" in capsys.readouterr().err
    assert invoke(["compare", runs[0], runs[0]]) == 2
    assert "the same run is given twice" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["c.html", "c.csv"])
def test_the_comparison_is_written_where_it_is_asked_for(tmp_path, runs, capsys, name):
    assert invoke(["compare", *runs, "--out", str(tmp_path / name)]) == 0
    assert "two: GP-UNIT" in (tmp_path / name).read_text()
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / name)


def test_a_target_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path, runs, capsys):
    assert invoke(["compare", *runs, "--out", str(tmp_path / "c.pdf")]) == 2
    assert "a .html or a .csv file, got 'c.pdf'" in capsys.readouterr().err
    assert invoke(["compare", *runs, "--out", str(tmp_path / "no" / "c.csv")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_its_help_has_examples(capsys):
    assert invoke(["compare", "--help"]) == 0
    assert "metai2i compare runs/street-1shot runs/street-5shot" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["page.html", "table.csv"])
def test_a_file_that_is_there_is_written_anew_when_that_is_asked_for(runs, tmp_path, capsys, name):
    (tmp_path / name).write_text("mine")
    assert invoke(["compare", *runs, "--out", str(tmp_path / name)]) == 2
    printed = capsys.readouterr()
    assert (printed.out, "this is there already (--overwrite writes it anew" in printed.err) == ("", True)
    assert (tmp_path / name).read_text() == "mine"
    assert invoke(["compare", *runs, "--out", str(tmp_path / name), "--overwrite"]) == 0
    assert "GP-UNIT" in (tmp_path / name).read_text()
