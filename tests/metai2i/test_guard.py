"""What a plugin raises while it works becomes one message with its place."""

from __future__ import annotations

import pytest

from metai2i.errors import UserError
from metai2i.guard import told_as


def fail(error: BaseException, folder, kept=None):
    with told_as("pretrain (2 rows), step 7", folder, kept):
        raise error


def test_a_fault_is_told_by_where_and_the_traceback_is_kept(tmp_path):
    with pytest.raises(UserError) as told:
        fail(KeyError("style"), tmp_path, "the checkpoint of step 5 is kept")
    assert told.value.what.startswith("pretrain (2 rows), step 7: KeyError in fail (")
    assert told.value.hint == f"the traceback is in {tmp_path / 'error.txt'}; the checkpoint of step 5 is kept"
    assert "KeyError: 'style'" in (tmp_path / "error.txt").read_text()


def test_an_error_for_the_user_keeps_its_words_and_its_hint(tmp_path):
    with pytest.raises(UserError) as told:
        fail(UserError("too few pairs", where="a.png", hint="add some"), tmp_path)
    assert str(told.value) == "a.png: pretrain (2 rows), step 7: too few pairs (add some)"
    assert not (tmp_path / "error.txt").exists()


def test_an_interruption_passes_through(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt(), tmp_path)
