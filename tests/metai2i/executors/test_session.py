"""Several runs of one command: each in a folder of its own, and none lost for another one's failure."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_run import RECIPE

from metai2i.cli import invoke as metai2i
from metai2i.errors import UserError, UserErrors
from metai2i.executors.session import run_together, with_seeds
from metai2i.pipeline.request import RunRequest

ROWS = ("Line",)
UNTRAINED = ("pretrain.iterations=1",)


def request(folder: Path) -> RunRequest:
    (folder / "small.yaml").write_text(RECIPE)
    return RunRequest(
        command=("metai2i", "run"), recipe=folder / "small.yaml", overrides=UNTRAINED, rows=ROWS, resume=False,
        out=folder / "runs", stages=folder / "stages", device="cpu", plugins_dirs=(), weights=None,
    )  # fmt: skip


def test_each_seed_has_a_folder_of_its_own_with_the_results_of_that_seed(tmp_path):
    folders = run_together(with_seeds([request(tmp_path)], [3, 4]), by_seed=True)
    assert [folder.relative_to(tmp_path).as_posix() for folder in folders] == ["runs/small-seed3", "runs/small-seed4"]
    arguments = ["run", str(tmp_path / "small.yaml"), *UNTRAINED, "--rows", *ROWS, "seed=4"]
    places = ["--out", str(tmp_path / "single"), "--stages", str(tmp_path / "other-stages")]
    assert metai2i([*arguments, *places]) == 0
    results = [(folder / "results.csv").read_bytes() for folder in (*folders, tmp_path / "single")]
    assert results[1] == results[2] != results[0]


def test_two_recipes_stand_beside_each_other(tmp_path, capsys):
    request(tmp_path)
    (tmp_path / "other.yaml").write_text(RECIPE.replace("name: small", "name: other"))
    recipes = [str(tmp_path / name) for name in ("small.yaml", "other.yaml")]
    places = ["--out", str(tmp_path / "runs"), "--stages", str(tmp_path / "stages")]
    assert metai2i(["run", recipes[0], *UNTRAINED, recipes[1], "--rows", *ROWS, *places]) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["other", "small"]
    printed = capsys.readouterr().err
    assert printed.count("pretrain.iterations=1 changes") == 1
    assert printed.count("report: ") == 2


def test_recipes_of_one_name_are_refused(tmp_path, capsys):
    request(tmp_path)
    recipe = str(tmp_path / "small.yaml")
    assert metai2i(["run", recipe, recipe, "--out", str(tmp_path / "runs"), "--stages", str(tmp_path / "s")]) == 2
    assert "two of these runs are called 'small'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_run_whose_stage_has_failed_is_told_once_and_the_others_are_written(tmp_path):
    rain = UserError("it rains", hint="come in")

    class Fails:
        def work(self, runners, requests):
            return {stage.key: rain for stage in runners[0].stages}

    with pytest.raises(UserErrors) as refusal:
        run_together(with_seeds([request(tmp_path)], [3, 4]), Fails(), by_seed=True)
    assert refusal.value.errors == (rain,)
    folders = [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()]
    assert folders == ["small-seed4"]


def test_a_fault_of_the_program_is_raised_as_it_is(tmp_path):
    class Fails:
        def work(self, runners, requests):
            return {runners[0].stages[0].key: RuntimeError("on node7: Traceback")}

    with pytest.raises(RuntimeError, match="on node7: Traceback"):
        run_together([request(tmp_path)], Fails())
    assert not (tmp_path / "runs").exists()


def test_a_run_that_cannot_be_written_leaves_the_others_their_results(tmp_path):
    class Writes:
        """Works on nothing beforehand, and puts a file in the place of the first run's folder."""

        def work(self, runners, requests):
            runners[0].out.parent.mkdir(parents=True, exist_ok=True)
            runners[0].work_on_all = lambda: (_ for _ in ()).throw(UserError("it rains"))
            return {}

    with pytest.raises(UserErrors, match="it rains"):
        run_together(with_seeds([request(tmp_path)], [3, 4]), Writes(), by_seed=True)
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()] == ["small-seed4"]
