"""A run as it is now: at work, stopped, finished, and what is wrong told in its place."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import fake_run
import pytest
import torch

from metai2i import UserError
from metai2i.pipeline.stage_store import Stage, StageStore
from metai2i.report import build_report
from metai2i.report.live import Watch, iterations_done, log_lines
from metai2i.report.watching import looked_at
from metai2i.run_folder.at_work import WantedStage, record_file, tell_at_work
from metai2i.training.on_the_way import ON_THE_WAY, save_strip

STAGES = [Stage("pretrain", {}), Stage("metatrain", {}), Stage("tune", {}), Stage("evaluate", {})]
TOTALS = [100, 50, 6, 4]


def image(folder: Path, name: str) -> None:
    (folder / ON_THE_WAY).mkdir(exist_ok=True)
    save_strip(folder / ON_THE_WAY / name, [torch.zeros(3, 4, 4, dtype=torch.uint8)])


def line(step: int, rate: float = 2.0) -> str:
    return json.dumps({"step": step, "losses": {"generator/l1": 1 / (step + 1)}, "rate": rate}) + "\n"


@pytest.fixture
def store(tmp_path) -> StageStore:
    """A store in which the first stage is done and the second has come to step 20."""
    store = StageStore(tmp_path / "stages")
    for stage, steps in zip(STAGES, (range(10, 101, 10), (10, 20)), strict=False):
        folder = store.begin(stage, resume=False)
        (folder / "log.jsonl").write_text("".join(map(line, steps)))
        for name in ("inputs.png", "00000000.png", "00000020.png", "truth.png"):
            image(folder, name)
    store.finish(STAGES[0], {"iterations": 100, "seconds": 61.0, "peak_memory_mib": None})
    return store


@pytest.fixture
def run(tmp_path, store) -> Path:
    wanted = [
        WantedStage(key=stage.key, name=stage.name, rows=("A", "B"), total=total)
        for stage, total in zip(STAGES, TOTALS, strict=True)
    ]
    tell_at_work(tmp_path / "run", "tiny", store.root, tuple(wanted))
    return tmp_path / "run"


def change(run: Path, **values: object) -> None:
    record = json.loads(record_file(run).read_text())
    record_file(run).write_text(json.dumps({**record, **values}))


def test_a_run_at_work_shows_what_is_done_what_goes_on_and_what_waits(run):
    live = Watch(run).look()
    assert (live.title, live.state, live.report) == ("tiny", "at work", False)
    assert [(stage.state, stage.step, stage.total) for stage in live.stages] == [
        ("done", 100, 100), ("at work", 20, 50), ("waiting", 0, 6), ("waiting", 0, 4),
    ]  # fmt: skip
    assert [stage.says for stage in live.stages] == ["took 1 min 1 s", "about 15.0 s left", "", ""]
    assert live.share == pytest.approx((1 + 0.4) / 4)
    assert [panel["title"] for panel in live.stages[1].panels] == ["generator/l1"]
    assert [strip.says for strip in live.stages[1].strips] == ["input", "step 0", "step 20", "truth"]


def test_a_run_that_was_killed_is_stopped_where_it_was(run):
    change(run, born="1")
    live = Watch(run).look()
    assert live.state == "stopped"
    assert live.says == "Stopped before it was done: the same command goes on, without --afresh."
    assert [stage.state for stage in live.stages] == ["done", "stopped", "waiting", "waiting"]


def test_a_run_on_another_machine_is_shown_and_said_to_be_unknown(run):
    change(run, host="node-7")
    live = Watch(run).look()
    assert live.state == "elsewhere"
    assert "on node-7; whether it is still at work cannot be seen from here" in live.says


def test_curves_are_drawn_anew_only_where_a_log_has_grown(run, store):
    watch = Watch(run)
    first, second = watch.look().stages[:2]
    with (store.folder(STAGES[1]) / "log.jsonl").open("a") as log:
        log.write(line(30) + '{"step": 4')  # the next line is being written
    again = watch.look().stages
    assert again[0].panels is first.panels
    assert again[1].panels is not second.panels
    assert again[1].step == 30


def test_scored_scenes_count_in_tuning_and_evaluation(tmp_path):
    for name in ("tasks/0.json", "tasks/1.json", "tried/0/tasks/0.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert iterations_done(tmp_path, [])[0] == 3
    assert iterations_done(tmp_path, [{"step": 7, "rate": 0}]) == (7, None)


def test_lines_that_are_none_are_left_out(tmp_path):
    (tmp_path / "log").write_bytes(b'\xff\n[1]\n{"step": 1}\n' + b"[" * 100_000 + b"\n{")
    assert log_lines(tmp_path / "log") == [{"step": 1}]
    assert log_lines(tmp_path / "none") == []


def test_images_are_given_by_their_names_and_nothing_else_is(run, store):
    watch, key = Watch(run), STAGES[0].key
    folder = store.folder(STAGES[0])
    assert watch.image(key, "00000020.png") == (folder / ON_THE_WAY / "00000020.png").read_bytes()
    (folder / ON_THE_WAY / "00000030.png").symlink_to(folder / "stage.json")
    for of, name in [(key, "00000030.png"), (key, "../stage.json"), (key, "stage.json"), ("..", "inputs.png"),
                     (key, "00000040.png"), (f"{key}/..", "inputs.png"), (STAGES[3].key, "inputs.png")]:  # fmt: skip
        assert watch.image(of, name) is None


def test_a_finished_run_is_shown_from_its_folder_alone(tmp_path):
    run = fake_run.make_run(tmp_path / "finished", tasks=6)
    build_report(run)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    live = Watch(run).look()
    assert (live.state, live.share, live.report) == ("finished", 1.0, True)
    assert live.stages
    assert {stage.state for stage in live.stages} == {"done"}
    assert any(stage.panels for stage in live.stages)
    assert Watch(run).report() == (run / "report.html").read_bytes()
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_run_that_goes_on_in_a_folder_with_a_report_says_whose_that_is(tmp_path, store):
    run = fake_run.make_run(tmp_path / "run", tasks=6)
    build_report(run)
    tell_at_work(run, "tiny", store.root, ())
    live = Watch(run).look()
    assert live.state == "at work"
    assert live.notes == ["The report in this folder is that of an earlier run."]


@pytest.mark.parametrize("there", [False, True])
def test_where_no_run_is_one_message_says_so(tmp_path, there):
    if there:
        (tmp_path / "run").mkdir()
    with pytest.raises(UserError) as refused:
        Watch(tmp_path / "run").look()
    assert str(tmp_path / "run") in str(refused.value)
    assert looked_at(Watch(tmp_path / "run")).state == "gone"  # on the page it may come back


def test_nothing_in_a_shown_run_can_be_changed_by_chance(run):
    live = Watch(run).look()
    with pytest.raises(dataclasses.FrozenInstanceError):
        live.title = "another"
