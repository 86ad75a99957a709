"""A recipe is planned, and its stages are worked on one by one, as on several machines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from metai2i.cli import invoke as metai2i
from metai2i.pipeline.stage_store import StageStore
from metai2i.training.checkpoint import save

STRIPES = Path(__file__).parents[2] / "downstream" / "stripes.yaml"


@pytest.fixture
def stages(tmp_path) -> Path:
    return tmp_path / "stages"


@pytest.fixture
def call(tmp_path, capsys, stages):
    """Runs a command on the recipe; gives the exit code, stdout and stderr."""

    def call(command: str, *args: str) -> tuple[int, str, str]:
        code = metai2i([command, str(STRIPES), "--stages", str(stages), *args])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def planned(call):
    """What `plan --json` says."""

    def planned(*args: str) -> dict:
        code, out, _ = call("plan", "--json", *args)
        assert code == 0
        return json.loads(out)

    return planned


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with a finished run and its stage store."""
    folder = tmp_path_factory.mktemp("finished")
    assert metai2i(["run", str(STRIPES), "--out", str(folder / "run"), "--stages", str(folder / "stages")]) == 0
    return folder


def test_a_plan_has_every_stage_once_behind_those_that_it_needs(planned):
    listed = planned()["stages"]
    keys = [stage["key"] for stage in listed]
    assert len(set(keys)) == len(keys) == 10
    assert all(keys.index(needed) < n for n, stage in enumerate(listed) for needed in stage["needs"])
    assert {stage["state"] for stage in listed} == {"to do"}


def test_planning_writes_nothing(planned, tmp_path):
    planned()
    assert list(tmp_path.iterdir()) == []


def test_iterations_and_samples_are_those_of_the_recipe(planned):
    listed = {f"{stage['name']} {stage['rows'][-1]}": stage for stage in planned()["stages"]}
    pretrain, continued = listed["pretrain Reptile-Line (2-shot)"], listed["continued Line (2-shot)"]
    assert (pretrain["iterations"], pretrain["samples"]) == (30, 30 * 4)
    matched = listed["metatrain BiL-Line (2-shot)"]
    assert matched["iterations"] == 10
    assert 0 <= continued["samples"] - matched["samples"] < 4  # as many, in whole batches
    assert (listed["evaluate Copy"]["iterations"], listed["evaluate Copy"]["samples"]) == (8, None)


def test_stages_worked_on_one_by_one_give_the_bytes_of_one_run(call, planned, finished, tmp_path):
    for stage in planned()["stages"]:
        assert call("work", "--stage", stage["key"])[0] == 0
    assert {stage["state"] for stage in planned()["stages"]} == {"done"}
    assert call("run", "--out", str(tmp_path / "run"))[0] == 0
    records = json.loads((tmp_path / "run" / "provenance.json").read_text())["stages"]
    assert {record["cache"] for record in records} == {"hit"}
    assert (tmp_path / "run" / "results.csv").read_bytes() == (finished / "run" / "results.csv").read_bytes()


def test_a_stage_whose_needs_are_not_done_is_refused_or_brings_them(call, planned):
    evaluate = planned()["stages"][-1]
    code, _, error = call("work", "--stage", evaluate["key"])
    needed = planned()["stages"][0]["key"]
    assert code == 2
    assert f"error: evaluate ({evaluate['key']}) needs pretrain ({needed}), which is not done" in error
    assert "--with-needs" in error
    code, out, _ = call("work", "--stage", evaluate["key"][:8], "--with-needs")
    assert code == 0
    assert out.startswith(f"evaluate {evaluate['key']} ({', '.join(evaluate['rows'])}): done, ")
    states = {stage["key"]: stage["state"] for stage in planned()["stages"]}
    assert all(states[key] == "done" for key in [evaluate["key"], *evaluate["needs"]])
    assert "to do" in states.values()


def test_a_stage_that_is_needed_is_looked_up_once(call, planned, monkeypatch):
    listed = planned()["stages"]
    pretrain, metatrain = (next(each for each in listed if each["name"] == name) for name in ("pretrain", "metatrain"))
    assert metatrain["needs"] == [pretrain["key"]]
    assert call("work", "--stage", pretrain["key"])[0] == 0
    looked_up: list[str] = []
    done = StageStore.done
    monkeypatch.setattr(StageStore, "done", lambda store, stage: (looked_up.append(stage.key), done(store, stage))[1])
    assert call("work", "--stage", metatrain["key"])[0] == 0
    assert looked_up == [pretrain["key"], metatrain["key"]]


def test_the_keys_that_are_left_are_printed_one_a_line(call, planned):
    keys = [stage["key"] for stage in planned()["stages"]]
    assert call("plan", "--left")[1].split("\n") == [*keys, ""]
    assert call("work", "--stage", keys[0])[0] == 0
    assert call("plan", "--left")[1].split("\n") == [*keys[1:], ""]
    assert call("plan", "--left", "--json")[0] == 2


def test_a_key_that_no_stage_has_is_refused(call):
    code, out, error = call("work", "--stage", "zzzz")
    assert (code, out) == (2, "")
    assert "error: no stage of this recipe is called 'zzzz' (`metai2i plan` with the same recipe" in error


def test_what_has_changed_and_what_it_takes_is_told_from_stages_that_are_alike(planned, finished, stages):
    shutil.copytree(finished / "stages", stages)
    before = {stage["name"]: stage for stage in planned()["stages"]}
    changed = {stage["name"]: stage for stage in planned("pretrain.lr=0.5")["stages"]}
    assert before["pretrain"]["state"] == "done"
    assert changed["pretrain"]["state"] == "to do"
    assert "pretrain.lr" in changed["pretrain"]["why"]
    assert changed["pretrain"]["seconds"] == pytest.approx(before["pretrain"]["seconds"], abs=0.1)
    assert planned("pretrain.lr=0.5")["seconds_left"] is not None


def test_too_few_tasks_are_told_before_anything_is_trained(planned, call):
    says = "5 tasks and 5 comparisons can show nothing: 8 tasks could"
    assert planned("rows.*.evaluate.tasks=5")["comparison"]["says"] == says
    assert f"{says}.\n" in call("plan", "rows.*.evaluate.tasks=5")[1]


def test_a_stage_that_was_interrupted_says_how_far_it_is(planned, stages):
    key = planned()["stages"][0]["key"]
    (stages / key).mkdir(parents=True)
    save(stages / key / "progress.safetensors", {"a": torch.zeros(1)}, {"stage": key, "step": 12, "seconds": 1.0})
    (state,) = [(each["state"], each["step"]) for each in planned()["stages"] if each["key"] == key]
    assert state == ("begun", 12)


def test_what_another_stage_has_left_in_its_place_does_not_count(planned, stages):
    key = planned()["stages"][0]["key"]
    (stages / key).mkdir(parents=True)
    save(stages / key / "progress.safetensors", {"a": torch.zeros(1)}, {"stage": "other", "step": 12, "seconds": 1.0})
    assert {each["state"] for each in planned()["stages"]} == {"to do"}
