"""A lock file is held by one process at a time, and by none that has ended."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from metai2i.errors import UserError
from metai2i.locks import locked


class Busy(Exception):
    pass


def refuse(who: str) -> None:
    raise Busy(who)


def holder(path: Path) -> int:
    """A process that holds the lock until it is killed; it has it when this returns."""
    ready, write = os.pipe()
    process = os.fork()
    if process == 0:
        with locked(path, refuse, hint=""):
            os.write(write, b"x")
            time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
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
def test_a_file_system_without_locks_is_warned_about(number, tmp_path, monkeypatch, caplog):
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refused)
    with locked(tmp_path / "lock", refuse, hint=""):
        pass
    assert f"lock cannot be locked ({os.strerror(number)}): nothing else may work there meanwhile" in caplog.text
