"""A lock file is held by one process at a time, and by none that has ended."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from metai2i.errors import UserError
from metai2i.guards.mounts import Mount
from metai2i.locks import check_held, locked
from metai2i.training.stage_records import DoneRecord


class Busy(Exception):
    pass


def refuse(who: str) -> None:
    raise Busy(who)


def holder(path: Path) -> int:
    """A process that holds the lock until it is killed; it has it when this returns."""
    ready, write = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            with locked(path, refuse, hint=""):
                os.write(write, b"x")
                time.sleep(600)
        finally:
            os._exit(1)
    os.close(write)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    return process


def test_a_second_process_is_told_who_holds_it_and_a_dead_one_holds_nothing(tmp_path):
    process = holder(tmp_path / "lock")
    try:
        with (
            pytest.raises(Busy, match=f"process {process} on .*, since 20"),
            locked(tmp_path / "lock", refuse, hint=""),
        ):
            pass
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    with locked(tmp_path / "lock", refuse, hint=""):
        pass


def test_one_that_waits_is_asked_once_and_goes_on_when_the_lock_is_let_go(tmp_path):
    asked: list[str] = []
    order: list[str] = []
    waiting = threading.Event()

    def wait() -> None:
        with locked(tmp_path / "lock", lambda who: (asked.append(who), waiting.set()), hint="", removed=True):
            order.append("second")

    with locked(tmp_path / "lock", refuse, hint="", removed=True):
        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert (order, len(asked)) == (["first", "second"], 1)
    assert not (tmp_path / "lock").exists()


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match=r"cannot write: No such file or directory \(name another\)"), \
         locked(tmp_path / "none" / "lock", refuse, hint="name another"):  # fmt: skip
        pass


def test_the_file_stays_unless_it_is_to_be_removed(tmp_path):
    with locked(tmp_path / "lock", refuse, hint=""):
        pass
    assert (tmp_path / "lock").exists()


def test_a_lock_that_is_a_link_to_somebody_s_file_leaves_that_file_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("dear diary")
    (tmp_path / "lock").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(UserError, match="cannot write"), locked(tmp_path / "lock", refuse, hint="name another"):
        pass
    assert (tmp_path / "mine.txt").read_text() == "dear diary"


def test_one_that_waits_goes_on_when_the_folder_of_the_lock_has_been_taken_away(tmp_path):
    folder, waiting, entered = tmp_path / "store", threading.Event(), threading.Event()
    folder.mkdir()

    def wait() -> None:
        with locked(folder / "lock", lambda who: waiting.set(), hint=""):
            entered.set()

    with locked(folder / "lock", refuse, hint=""):
        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(10)
        shutil.rmtree(folder)
    thread.join(10)
    assert entered.is_set()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_on_a_file_system_without_locks_the_file_itself_is_the_lock(number, tmp_path, monkeypatch):
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refused)
    with locked(tmp_path / "lock", refuse, hint=""):
        assert (tmp_path / "lock.lease").exists()
        with pytest.raises(Busy, match=f"process {os.getpid()} on "), locked(tmp_path / "lock", refuse, hint=""):
            pass


@pytest.fixture
def sshfs(monkeypatch) -> None:
    """A disk that keeps `flock` to each machine."""
    mount = Mount("/", "fuse.sshfs", frozenset({"rw"}))
    monkeypatch.setattr("metai2i.locks.mount_of", lambda path: mount)


def test_where_locks_do_not_reach_others_the_file_itself_is_the_lock(tmp_path, sshfs):
    process = holder(tmp_path / "lock")
    try:
        assert (tmp_path / "lock.lease").exists()
        with pytest.raises(Busy, match=rf"process {process} on \S+"), locked(tmp_path / "lock", refuse, hint=""):
            pass
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    with locked(tmp_path / "lock", refuse, hint=""):  # nobody holds it whose process has died on this machine
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_another_machine_that_nobody_writes_to_is_taken_over(tmp_path, sshfs, monkeypatch):
    monkeypatch.setattr("metai2i.locks.LEASE", 0.6)
    marker = tmp_path / "lock.lease"
    with locked(marker.with_name("other"), refuse, hint=""):  # what this version of filelock writes
        theirs = (tmp_path / "other.lease").read_text()
    marker.write_text(re.sub(r"(?m)^host=.*$", "host=far", theirs))
    began = time.monotonic()
    with locked(tmp_path / "lock", refuse, hint=""):
        assert 0.5 < time.monotonic() - began < 60


def test_a_lock_of_another_machine_that_somebody_writes_to_is_not(tmp_path, sshfs, monkeypatch):
    monkeypatch.setattr("metai2i.locks.LEASE", 3.0)
    with locked(tmp_path / "other", refuse, hint=""):
        theirs = re.sub(r"(?m)^host=.*$", "host=far", (tmp_path / "other.lease").read_text())
    marker, stop = tmp_path / "lock.lease", threading.Event()
    marker.write_text(theirs)

    def live() -> None:
        while not stop.wait(0.1):
            os.utime(marker)

    living = threading.Thread(target=live)
    living.start()
    try:
        with pytest.raises(Busy, match=r"process \d+ on far"), locked(tmp_path / "lock", refuse, hint=""):
            pass
    finally:
        stop.set()
        living.join()


def await_loss(lock: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            check_held(lock)
        except UserError:
            return
        time.sleep(0.05)


def test_nothing_is_written_under_a_lock_that_another_machine_has_taken_over(tmp_path, sshfs, monkeypatch):
    from metai2i.pipeline.stage_store import Stage, StageStore

    monkeypatch.setattr("metai2i.locks.LEASE", 0.3)
    store, stage = StageStore(tmp_path / "stages"), Stage("pretrain", {"seed": 0})
    with store.lock(stage):
        folder = store.begin(stage, resume=False)
        check_held(folder / "lock")
        marker = folder / "lock.lease"
        marker.unlink()
        marker.write_text("another machine's")
        await_loss(folder / "lock")
        with pytest.raises(UserError, match="another machine works here now"):
            store.finish(stage, DoneRecord(iterations=1, seconds=1.0, peak_memory_mib=None))
    assert not (folder / "done.json").exists()


def test_a_lease_that_is_held_for_longer_than_it_lasts_stays_with_its_process(tmp_path, sshfs, monkeypatch):
    monkeypatch.setattr("metai2i.locks.LEASE", 0.3)
    with locked(tmp_path / "lock", refuse, hint=""):
        time.sleep(0.8)
        with pytest.raises(Busy), locked(tmp_path / "lock", refuse, hint=""):
            pass


def test_a_stage_is_begun_and_removed_under_either_lock(tmp_path, sshfs):
    from metai2i.pipeline.kept_stages import kept_stages, removed
    from metai2i.pipeline.stage_store import Stage, StageStore

    store, stage = StageStore(tmp_path / "stages"), Stage("pretrain", {"seed": 0})
    with store.lock(stage):
        store.begin(stage, resume=False)
        assert (store.folder(stage) / "lock.lease").exists()
        assert [gone for _, gone in removed(store.root, kept_stages(store.root))] == [False]
    assert [gone for _, gone in removed(store.root, kept_stages(store.root))] == [True]
    assert not store.folder(stage).exists()
