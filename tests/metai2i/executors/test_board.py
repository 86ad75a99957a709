"""How far stages are is read off the store."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from metai2i.console.consoles import PlainConsole
from metai2i.executors.board import Board, progress_of
from metai2i.executors.graph import Job


def job(folder: Path, stage: str = "pretrain") -> Job:
    return Job(folder.name, stage, f"{stage} (2 rows)", (), 30, 0, folder)


def line(step: int) -> str:
    return (
        json.dumps({"step": step, "losses": {"generator/l1": 0.25, "generator/adversarial": 0.5}, "rate": 1.0}) + "\n"
    )


def test_training_is_as_far_as_the_last_whole_line_of_its_log(tmp_path):
    assert progress_of(job(tmp_path)) == (0, "")
    (tmp_path / "log.jsonl").write_text(line(3) + line(7) + line(9)[:20])
    assert progress_of(job(tmp_path)) == (7, "generator 0.750")


@pytest.mark.parametrize("text", ["", "\n", "no log\n", "[]\n", '{"step": 1}\n'])
def test_a_log_that_is_none_says_nothing(tmp_path, text):
    (tmp_path / "log.jsonl").write_text(text)
    assert progress_of(job(tmp_path)) == (0, "")


def test_scoring_and_tuning_are_as_far_as_scenes_are_scored(tmp_path):
    for place in (
        "tasks/a.json",
        "tasks/b.json",
        "tried/0/tasks/a.json",
        "tried/1/tasks/a.json",
        "tried/1/tasks/b.json",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("{}")
    assert progress_of(job(tmp_path, "evaluate"))[0] == 2
    assert progress_of(job(tmp_path, "tune"))[0] == 3


@pytest.fixture
def printed(monkeypatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr("metai2i.executors.board.console", lambda: PlainConsole(file=stream, width=200))
    return stream


def test_a_stage_is_shown_from_when_it_is_begun_to_when_it_is_done(tmp_path, printed):
    here = job(tmp_path / "a")
    here.folder.mkdir()
    with Board({"a": here, "b": job(tmp_path / "b")}) as board:
        board.update([here], set())
        assert "pretrain" not in printed.getvalue()
        (here.folder / "stage.json").write_text("{}")
        (here.folder / "log.jsonl").write_text(line(12))
        board.update([here], set())
        assert "pretrain (2 rows): 30 steps\n" in printed.getvalue()
        board.update([], {"a"})
    lines = printed.getvalue().splitlines()
    assert lines[0] == "all stages: 2 steps"
    assert [each.split("  ")[0] for each in lines if each.startswith("pretrain")][-1] == "pretrain (2 rows): 30/30"


def test_what_an_interrupted_run_has_left_is_not_taken_for_work(tmp_path, printed):
    here = job(tmp_path)
    (tmp_path / "stage.json").write_text("{}")
    (tmp_path / "log.jsonl").write_text(line(12))
    with Board({here.key: here}) as board:
        board.update([here], set())
        board.update([here], set())
    assert "pretrain" not in printed.getvalue()
