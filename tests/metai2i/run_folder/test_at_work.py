"""What a run says of itself while it is at work."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from metai2i import UserError
from metai2i.guards.system import birth_of_process
from metai2i.run_folder.at_work import WantedStage, at_work_in, end_work, record_file, tell_at_work
from metai2i.run_folder.reader import load_run

STAGES = (WantedStage(key="0123456789abcdef", name="pretrain", rows=("A", "B"), total=7),)


def test_a_run_that_begins_is_at_work_until_its_folder_is_written(tmp_path):
    run = tmp_path / "run"
    assert at_work_in(run) is None
    tell_at_work(run, "tiny", tmp_path / "stages", STAGES)
    record = at_work_in(run)
    assert record is not None
    assert (record.recipe, record.process, record.state(), record.stages) == ("tiny", os.getpid(), "at work", STAGES)
    assert not run.exists()
    end_work(run)
    assert at_work_in(run) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "at work"),
        ({"process": 2**22 + 5}, "stopped"),  # no system has so many
        ({"born": "1"}, "stopped"),  # another process has its number by now
        ({"host": "elsewhere.example"}, "elsewhere"),
    ],
)
def test_a_run_that_is_gone_counts_as_stopped(tmp_path, change, state):
    tell_at_work(tmp_path / "run", "tiny", tmp_path, STAGES)
    file = record_file(tmp_path / "run")
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    record = at_work_in(tmp_path / "run")
    assert record is not None
    assert record.state() == state


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "this run of 'tiny' is at work, and its folder is written at the end (`metai2i watch` shows it)"),
        (
            {"born": "1"},
            "this run of 'tiny' was stopped before it was done, and its folder is written at the end (the same command "
            "goes on, without --afresh)",
        ),
        (
            {"host": "old-container"},
            "this run of 'tiny' was begun on 'old-container' and cannot be seen from here (its folder is written at "
            "the end; if it has been stopped, the same command goes on, without --afresh)",
        ),
    ],
)
def test_a_run_that_has_no_folder_yet_is_told_with_how_it_goes_on(tmp_path, change, words):
    run = tmp_path / "run"
    tell_at_work(run, "tiny", tmp_path, STAGES)
    record_file(run).write_text(json.dumps({**json.loads(record_file(run).read_text()), **change}))
    with pytest.raises(UserError) as caught:
        load_run(run)
    assert str(caught.value) == f"{run}: {words}"
    with pytest.raises(UserError, match="there is no such folder"):
        load_run(tmp_path / "other")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"stages": [{"key": "../../etc"}]}'])
def test_a_record_that_is_none_is_told_with_its_place(tmp_path, text):
    record_file(tmp_path / "run").write_text(text)
    with pytest.raises(UserError, match=r"\.run\.at-work\.json"):
        at_work_in(tmp_path / "run")


def test_a_process_that_has_ended_has_no_birth():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert birth_of_process(process.pid) is not None
    process.kill()
    process.wait()
    assert birth_of_process(process.pid) is None
