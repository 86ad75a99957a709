"""What a file holds is known by its bytes, whatever its times say, and whatever became of the cache."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from pathlib import Path

import pytest
from changed_file import change_in_place

from metai2i import UserError
from metai2i.data import digests
from metai2i.data.digests import content_digest, content_digests


def sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache folder, in which what was written is taken for settled at once."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("METAI2I_CACHE", str(folder))
    monkeypatch.setattr(digests, "SETTLED", -1)
    monkeypatch.setattr(digests, "_known", {})
    return folder


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"one image")
    return path


def reads(monkeypatch) -> list[Path]:
    """The files that are read from now on, in a process that remembers nothing."""
    seen: list[Path] = []
    read = digests._read
    monkeypatch.setattr(digests, "_known", {})
    monkeypatch.setattr(digests, "_read", lambda path: (seen.append(path), read(path))[1])
    return seen


def test_it_is_the_sha256_of_the_bytes(file):
    assert content_digest(file) == sha256(b"one image")


def test_several_come_in_their_order(tmp_path, cache):
    paths = [tmp_path / f"{n}" for n in range(30)]
    for path in paths:
        path.write_bytes(path.name.encode() * 9)
    wanted = [sha256(path.name.encode() * 9) for path in [*paths, paths[3]]]
    assert content_digests([*paths, paths[3]]) == wanted
    digests._known.clear()
    assert content_digests([*paths, paths[3]]) == wanted  # now from the cache


def test_a_file_is_read_once_and_not_in_the_next_process(file, cache, monkeypatch):
    content_digest(file)
    seen = reads(monkeypatch)
    assert content_digest(file) == sha256(b"one image")
    assert seen == []


def test_a_change_in_place_is_seen_though_size_and_time_are_the_same(file, cache):
    assert content_digest(file) == sha256(b"one image")
    change_in_place(file, b"two image")
    assert content_digest(file) == sha256(b"two image")


def test_two_files_that_are_exchanged_are_told_apart(tmp_path, cache):
    first, two = tmp_path / "one", tmp_path / "two"
    first.write_bytes(b"a" * 9)
    two.write_bytes(b"b" * 9)
    os.utime(two, ns=(first.stat().st_atime_ns, first.stat().st_mtime_ns))
    before = content_digests([first, two])
    first.rename(tmp_path / "x")
    two.rename(first)
    (tmp_path / "x").rename(two)
    assert content_digests([first, two]) == before[::-1]


def test_what_has_just_changed_is_not_kept_for_it_may_change_again_within_a_tick(file, cache, monkeypatch):
    monkeypatch.setattr(digests, "SETTLED", 10**15)
    content_digest(file)
    assert not digests._known
    seen = reads(monkeypatch)
    content_digest(file)
    assert seen == [file]


def test_what_lies_in_the_future_is_read_each_time(file, cache, monkeypatch):
    monkeypatch.setattr(digests, "SETTLED", 0)
    later = time.time_ns() + 10**12
    os.utime(file, ns=(later, later))
    content_digest(file)
    assert not digests._known


def damage(database: Path, how: str) -> None:
    if how == "folder":
        database.unlink()
        database.mkdir()
    elif how == "other table":
        import sqlite3

        database.unlink()
        with sqlite3.connect(database) as connection:
            connection.execute("CREATE TABLE digests (a TEXT)")
        connection.close()
    elif how == "forged":
        import sqlite3

        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE digests SET digest = ?", (sha256(b"another"),))
        connection.close()
    else:
        whole = database.read_bytes()
        database.write_bytes({"empty": b"", "text": b"x" * 5000, "cut": whole[: len(whole) // 2]}[how])


@pytest.mark.parametrize("how", ["empty", "text", "cut", "folder", "other table", "forged"])
def test_a_damaged_cache_is_passed_over_and_made_anew(file, cache, how, monkeypatch):
    content_digest(file)
    (database,) = cache.iterdir()
    damage(database, how)
    for _ in range(2):
        digests._known.clear()
        assert content_digest(file) == sha256(b"one image")
    seen = reads(monkeypatch)
    content_digest(file)
    assert seen == ([file] if how == "folder" else [])


@pytest.mark.parametrize("place", ["", "FILE", "FILE/below", "/proc/nowhere"])
def test_without_a_place_for_a_cache_files_are_read_each_time(file, tmp_path, monkeypatch, place):
    (tmp_path / "taken").touch()
    monkeypatch.setattr(digests, "SETTLED", -1)
    monkeypatch.setenv("METAI2I_CACHE", place.replace("FILE", str(tmp_path / "taken")))
    assert content_digest(file) == sha256(b"one image")


def test_without_a_home_too(file, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(digests, "cache_folder", nowhere)
    assert content_digest(file) == sha256(b"one image")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot read: No such file") as caught:
        content_digests([tmp_path / "gone.png"])
    assert caught.value.where == tmp_path / "gone.png"


def work(paths: list[Path], wanted: list[str]) -> None:
    for _ in range(5):
        digests._known.clear()
        assert content_digests(paths) == wanted


def test_processes_may_keep_digests_at_the_same_time(tmp_path, cache):
    paths = [tmp_path / f"{n}" for n in range(50)]
    for path in paths:
        path.write_bytes(path.name.encode())
    wanted = [sha256(path.name.encode()) for path in paths]
    here = multiprocessing.get_context("fork")
    processes = [here.Process(target=work, args=(paths, wanted)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
