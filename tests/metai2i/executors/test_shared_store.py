"""Machines that see another stage store, or whose locks do not meet, are told apart."""

from __future__ import annotations

import multiprocessing
import re
from pathlib import Path

import pytest

from metai2i.errors import UserError
from metai2i.executors.shared_store import check_store, held_probe, identity_of, lock_is_seen


def test_a_store_keeps_its_identity_and_another_one_is_refused(tmp_path):
    first, second = (identity_of(tmp_path / name) for name in "ab")
    assert identity_of(tmp_path / "a") == first
    assert first != second
    check_store(tmp_path / "a", first)
    with pytest.raises(UserError, match="another stage store than that of the run"):
        check_store(tmp_path / "b", first)


def test_a_store_that_is_not_there_is_told_and_is_not_made(tmp_path):
    with pytest.raises(UserError, match=r"the stage store is not there.*every machine needs to see one stage store"):
        check_store(tmp_path / "none", "x")
    assert not (tmp_path / "none").exists()


def test_a_look_leaves_nothing_behind(tmp_path):
    check_store(tmp_path, identity_of(tmp_path))
    with held_probe(tmp_path) as name:
        assert (tmp_path / name).exists()
    assert [path.name for path in tmp_path.iterdir()] == [".identity"]


def test_a_lock_is_seen_by_another_process(tmp_path):
    with held_probe(tmp_path) as name, multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(lock_is_seen, (tmp_path / name,))


def test_a_lock_that_another_machine_does_not_see_is_noticed(tmp_path, monkeypatch):
    """As on a disk that keeps `flock` to each machine: whoever asks gets the lock."""

    with held_probe(tmp_path) as name:
        monkeypatch.setattr("fcntl.flock", lambda *_: None)
        assert not lock_is_seen(tmp_path / name)


def test_a_store_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "file"))):
        identity_of(Path(tmp_path / "file" / "stages"))
