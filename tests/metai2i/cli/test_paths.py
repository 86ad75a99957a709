"""Paths at the command line: `~` is the home folder wherever it stands, and an empty path is a slip."""

from __future__ import annotations

import pytest
from small_run import RECIPE

from metai2i.cli import invoke


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a recipe; the home folder is in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "small.yaml").write_text(RECIPE)
    return tmp_path


def test_an_empty_folder_is_refused_and_not_taken_for_the_current_one(here, capsys):
    assert invoke(["run", "small.yaml", "--out", ""]) == 2
    assert "'--out': got an empty path (a shell variable that is not set?)" in capsys.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == ["small.yaml"]


@pytest.mark.parametrize("words", [["--out=~/run"], ["--out", "~/run"]])
def test_a_tilde_is_the_home_folder_also_behind_an_equals_sign(here, words, monkeypatch):
    monkeypatch.setenv("METAI2I_STAGES", "~/stages")
    assert invoke(["run", "small.yaml", "--rows", "Copy", *words]) == 0
    assert (here / "home/run/results.csv").is_file()
    assert (here / "home/stages").is_dir()
    assert not (here / "~").exists()
