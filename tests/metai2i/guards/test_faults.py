"""What a plugin raises while it works becomes one message with its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from metai2i import Batch
from metai2i.console.exits import Ended
from metai2i.distributed.processes import Elsewhere, Lost
from metai2i.errors import UserError
from metai2i.guards.faults import plugins_answer, user_errors_from
from metai2i.registry.discovery import plugins_in_folder


def fail(error: BaseException, folder, kept=None):
    with user_errors_from("pretrain (2 rows), step 7", folder, kept):
        raise error


def test_a_fault_is_told_by_where_and_the_traceback_is_kept(tmp_path):
    with pytest.raises(UserError) as caught:
        fail(KeyError("style"), tmp_path, "the checkpoint of step 5 is kept")
    assert caught.value.what.startswith("pretrain (2 rows), step 7: KeyError in fail (")
    assert caught.value.hint == f"the traceback is in {tmp_path / 'error.txt'}; the checkpoint of step 5 is kept"
    assert "KeyError: 'style'" in (tmp_path / "error.txt").read_text()


def test_a_fault_that_comes_up_in_the_core_is_told_by_the_line_of_the_plugin_that_asked_for_it(tmp_path):
    (tmp_path / "mine.py").write_text("def step(batch):\n    return batch['reference']\n")
    (plugin,) = plugins_in_folder(tmp_path)
    with pytest.raises(UserError) as caught, user_errors_from("pretrain, step 0", tmp_path):
        plugin.load().step(Batch(target=torch.zeros(1)))
    what = caught.value.what
    assert what.startswith(f"pretrain, step 0: KeyError in step ({tmp_path / 'mine.py'}:2) of {tmp_path / 'mine.py'}: ")
    assert "this batch has no 'reference'; it has target (`needs` says what is handed over)" in what


def test_an_error_for_the_user_keeps_its_words_and_its_hint(tmp_path):
    with pytest.raises(UserError) as caught:
        fail(UserError("too few pairs", where="a.png", hint="add some"), tmp_path)
    assert str(caught.value) == "a.png: pretrain (2 rows), step 7: too few pairs (add some)"
    assert not (tmp_path / "error.txt").exists()


def test_an_interruption_passes_through(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt(), tmp_path)


def test_a_users_error_file_is_kept(tmp_path):
    (tmp_path / "error.txt").write_text("mine")
    with pytest.raises(UserError, match=r"the traceback is in .*error-2\.txt"):
        fail(KeyError("style"), tmp_path)
    assert (tmp_path / "error.txt").read_text() == "mine"


@pytest.mark.parametrize("error", [SystemExit(), SystemExit(0), SystemExit("bye"), type("Odd", (BaseException,), {})()])
def test_a_plugin_that_ends_the_process_is_a_fault_like_any_other(error, tmp_path):
    with pytest.raises(UserError) as caught:
        fail(error, tmp_path)
    assert caught.value.what.startswith(f"pretrain (2 rows), step 7: {type(error).__name__} in fail (")
    assert (tmp_path / "error.txt").read_text().startswith("Traceback (most recent call last):")
    assert ("a plugin may not end the process" in str(caught.value)) == isinstance(error, SystemExit)


@pytest.mark.parametrize("error", [Elsewhere(2, ["x"], user=True), Lost()])
def test_what_other_processes_have_raised_passes_through(error, tmp_path):
    with pytest.raises(type(error)):
        fail(error, tmp_path)
    assert not (tmp_path / "error.txt").exists()


def test_an_error_that_cannot_be_put_into_words_is_told_by_its_type(tmp_path):
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    with pytest.raises(UserError, match=r"Mute in fail .*: it cannot be put into words"):
        fail(Mute(), tmp_path)


def test_the_traceback_goes_where_it_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught:
        fail(KeyError("x"), tmp_path / "file")
    (report,) = tmp_path.glob("metai2i-*-error.txt")
    assert caught.value.hint == f"the traceback is in {report}"
    assert "KeyError: 'x'" in report.read_text()


def test_what_a_step_has_changed_for_the_process_is_put_back_and_told(tmp_path, caplog):
    before = Path.cwd()
    with user_errors_from("pretrain, step 7", tmp_path):
        os.chdir(tmp_path)
        torch.set_default_dtype(torch.float64)
    assert (Path.cwd(), torch.get_default_dtype()) == (before, torch.float32)
    said = "pretrain, step 7: a plugin has changed the current folder, torch's default dtype for the whole process"
    assert said in caplog.text


def test_the_cores_own_errors_pass_where_plugins_answer(tmp_path):
    with pytest.raises(KeyError), plugins_answer("planning", tmp_path):
        raise KeyError("core")
    with pytest.raises(UserError, match="planning: SystemExit"), plugins_answer("planning", tmp_path):
        raise SystemExit(0)
    with pytest.raises(Ended), plugins_answer("planning", tmp_path):
        raise Ended(2)
