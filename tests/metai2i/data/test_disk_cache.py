"""Decoded images on the disk: decoded once, never half there, made anew when they are broken."""

from __future__ import annotations

import logging
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from changed_file import change_in_place

from metai2i.data import disk_cache as image_files
from metai2i.data.disk_cache import cached, file_identity, read, write

LARGE, SMALL = (200, 300, 3), (20, 30)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("METAI2I_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(image_files, "RESERVE", 0.0)
    monkeypatch.setattr(image_files, "SETTLED", 0)  # what a test has just written is kept as well
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"image")
    return path


def image(shape: tuple[int, ...] = SMALL, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def never() -> np.ndarray:
    raise AssertionError("decoded again")


def files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


@pytest.mark.parametrize("shape", [LARGE, SMALL, (64, 64, 1)])
def test_an_image_is_decoded_once_and_comes_back_as_it_was_and_read_only(cache, source, shape):
    cached(source, "one", lambda: image(shape))
    again = cached(source, "one", never)
    assert np.array_equal(again, image(shape))
    assert again.shape == shape
    assert not again.flags.writeable


def test_another_way_of_reading_and_a_changed_file_are_other_images(cache, source):
    cached(source, ("size", 1), image)
    assert np.array_equal(cached(source, ("size", 2), lambda: image(seed=1)), image(seed=1))
    state = source.stat()
    source.write_bytes(b"IMAGE")
    os.utime(source, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert np.array_equal(cached(source, ("size", 1), lambda: image(seed=2)), image(seed=2))


@pytest.mark.parametrize("shape", [LARGE, SMALL])
@pytest.mark.parametrize("how", ["cut short", "empty", "one bit", "too long"])
def test_a_broken_file_is_told_of_and_made_anew(cache, source, shape, how, caplog):
    cached(source, "one", lambda: image(shape))
    (file,) = files(cache)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    whole = file.read_bytes()
    broken = {"cut short": whole[:-7], "empty": b"", "one bit": bytes(data), "too long": whole + b"x"}[how]
    file.write_bytes(broken)
    with caplog.at_level(logging.WARNING, logger="metai2i"):
        assert np.array_equal(cached(source, "one", lambda: image(shape)), image(shape))
    assert str(file) in caplog.text
    assert np.array_equal(cached(source, "one", never), image(shape))


def test_what_a_killed_process_was_writing_is_never_read(cache, source):
    cached(source, "one", image)
    (file,) = files(cache)
    whole = file.read_bytes()
    file.rename(file.with_name(f".{file.name}.1.part"))
    file.with_name(f".{file.name}.1.part").write_bytes(whole[:50])
    assert np.array_equal(cached(source, "one", lambda: image(seed=3)), image(seed=3))


def test_a_folder_that_cannot_be_written_and_a_full_disk_mean_decoding_each_time(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("METAI2I_CACHE", str(tmp_path / "file"))
    assert np.array_equal(cached(source, "one", image), image())
    monkeypatch.setenv("METAI2I_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(image_files, "RESERVE", 1.1)
    assert np.array_equal(cached(source, "one", image), image())
    assert files(tmp_path / "cache") == []


def test_an_empty_variable_keeps_nothing(source, monkeypatch):
    monkeypatch.setenv("METAI2I_CACHE", "")
    assert np.array_equal(cached(source, "one", image), image())
    assert np.array_equal(cached(source, "one", lambda: image(seed=1)), image(seed=1))


def test_a_change_in_place_is_seen_though_size_and_time_are_put_back(cache, source):
    cached(source, "one", image)
    before = file_identity(source)
    change_in_place(source, b"IMAGE")
    assert file_identity(source) != before
    assert np.array_equal(cached(source, "one", lambda: image(seed=2)), image(seed=2))


def test_another_file_put_in_its_place_with_the_same_size_and_time_is_another_image(cache, source):
    cached(source, "one", image)
    state, other = source.stat(), source.with_name("b.png")
    other.write_bytes(b"IMAGE")
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(source)
    assert np.array_equal(cached(source, "one", lambda: image(seed=2)), image(seed=2))


def test_a_file_that_has_just_been_written_is_not_kept_for_it_may_change_within_the_same_tick(
    cache, source, monkeypatch
):
    monkeypatch.setattr(image_files, "SETTLED", 60)
    cached(source, "one", image)
    assert files(cache) == []


def test_a_file_that_changes_while_it_is_decoded_is_not_kept(cache, source):
    def decode() -> np.ndarray:
        source.write_bytes(b"another image")
        return image()

    assert np.array_equal(cached(source, "one", decode), image())
    assert files(cache) == []


def test_two_kept_files_that_are_exchanged_are_made_anew(cache, source):
    cached(source, "one", image)
    cached(source, "two", lambda: image(seed=1))
    first, second = files(cache)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert np.array_equal(cached(source, "one", image), image())
    assert np.array_equal(cached(source, "two", lambda: image(seed=1)), image(seed=1))
    assert np.array_equal(cached(source, "one", never), image())


def test_an_image_in_use_holds_no_file_open_and_is_not_harmed_when_its_file_is_cut(cache, source):
    cached(source, "one", lambda: image(LARGE))
    (file,) = files(cache)
    before = len(list(Path("/proc/self/fd").iterdir()))
    in_use = [cached(source, "one", never) for _ in range(20)]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    os.truncate(file, 50)
    assert all(np.array_equal(each, image(LARGE)) for each in in_use)


def test_a_missing_source_is_left_to_the_reader_to_tell(cache, tmp_path):
    def decode() -> np.ndarray:
        raise FileNotFoundError("no such image")

    with pytest.raises(FileNotFoundError, match="no such image"):
        cached(tmp_path / "missing.png", "one", decode)


def rewrite(path: Path, times: int) -> None:
    for _ in range(times):
        write(path, image(LARGE))


def test_a_reader_beside_writers_sees_whole_images_only(tmp_path, cache, caplog):
    path = tmp_path / "shared"
    write(path, image(LARGE))
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=rewrite, args=(path, 20)) for _ in range(2)]
    for writer in writers:
        writer.start()
    seen = [read(path) for _ in range(50)]
    for writer in writers:
        writer.join()
    assert all(array is not None and np.array_equal(array, image(LARGE)) for array in seen)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert caplog.text == ""
