"""Files are there whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from metai2i import UserError
from metai2i.files import (
    CannotWrite,
    append_line,
    check_folder,
    copy_file,
    draft_name,
    new_folder,
    parse_json,
    read_json,
    reason,
    refusal,
    refuse_existing,
    write_atomically,
    write_fresh,
    write_json,
    write_text,
)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def write(draft: Path) -> None:
        draft.write_text("ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="the disk is full") as caught:
        write_atomically(path, write)
    assert caught.value.where == path
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_within_a_write_names_the_file_that_was_asked_for(tmp_path):
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CannotWrite) as error:
        write_atomically(tmp_path / "a", lambda draft: write_atomically(draft, full))
    assert str(error.value) == f"{tmp_path / 'a'}: cannot write: the disk is full (nothing was overwritten)"
    assert list(tmp_path.iterdir()) == []


def test_any_other_failure_leaves_the_old_file_too(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def write(draft: Path) -> None:
        draft.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    seen = []

    def write(draft: Path) -> None:
        draft.write_text("new")
        seen.append(path.read_text())

    write_atomically(path, write)
    assert (seen, path.read_text()) == (["old"], "new")


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path / "taken" / "below" / "file.txt", "text")


def test_missing_folders_are_made(tmp_path):
    write_json(tmp_path / "a" / "b" / "c.json", {"ä": [1, None]})
    assert read_json(tmp_path / "a" / "b" / "c.json") == {"ä": [1, None]}


def test_nan_is_not_json(tmp_path):
    path = tmp_path / "c.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"loss": float("nan")})
    assert read_json(path) == 1


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00"])
def test_what_is_not_json_is_named(tmp_path, content):
    path = tmp_path / "done.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot read JSON") as caught:
        read_json(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_in_every_encoding_that_tells_itself(tmp_path, encoding):
    path = tmp_path / "splits.json"
    path.write_bytes('{"train": ["é", "李娜"]}'.encode(encoding))
    assert read_json(path) == {"train": ["é", "李娜"]}


def test_another_encoding_is_told_with_the_place_of_its_first_letter(tmp_path):
    path = tmp_path / "splits.json"
    path.write_bytes('{\n "train": ["José"]}'.encode("latin-1"))
    with pytest.raises(UserError, match=r"splits\.json:2:16: cannot read JSON: byte 0xe9 is not UTF-8 .*Latin-1"):
        read_json(path)


def test_a_key_that_stands_twice_is_told_for_the_first_would_be_lost(tmp_path):
    (tmp_path / "splits.json").write_text('{"train": ["a"], "test": ["x"], "train": ["b"]}')
    with pytest.raises(UserError, match="the key 'train' stands twice"):
        read_json(tmp_path / "splits.json")


def test_json_that_is_nested_without_end_is_told(tmp_path):
    (tmp_path / "splits.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="nested more than 100 deep"):
        read_json(tmp_path / "splits.json")


def test_lines_are_added(tmp_path):
    for text in ("one", "two"):
        append_line(tmp_path / "log", text)
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
def test_a_line_that_does_not_fit_on_the_disk_is_told():
    with pytest.raises(UserError, match="the disk is full"):
        append_line(Path("/dev/full"), "text")


def test_a_file_in_a_folders_place_is_told_from_nothing_at_all(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")
    check_folder(tmp_path, "unused")
    for name, what in (("photo.jpg", "this is a file, expected a folder"), ("none", "there is no such folder")):
        with pytest.raises(UserError, match=what) as caught:
            check_folder(tmp_path / name, "expected pairs")
        assert "expected pairs" in str(caught.value)


def test_json_may_be_nested_a_hundred_deep():
    assert parse_json("[" * 100 + "]" * 100)[0]
    for depth in (101, 100_000):
        with pytest.raises(ValueError, match="it is nested more than 100 deep"):
            parse_json("[" * depth + "]" * depth)


def test_json_that_is_too_large_or_no_ordinary_file_is_not_read(tmp_path):
    (tmp_path / "a.json").write_text("[1, 2, 3]")
    assert read_json(tmp_path / "a.json", largest=9) == [1, 2, 3]
    with pytest.raises(UserError, match="the file has 9 bytes, more than 8"):
        read_json(tmp_path / "a.json", largest=8)
    with pytest.raises(UserError, match="this is no ordinary file"):
        read_json(tmp_path)
    with pytest.raises(UserError, match="cannot read JSON: No such file or directory"):
        read_json(tmp_path / "none.json")


def test_a_fresh_file_takes_the_place_of_none(tmp_path):
    (tmp_path / "error.txt").write_text("mine")
    for name in ("error-2.txt", "error-3.txt"):
        assert write_fresh(tmp_path / "error.txt", "text") == tmp_path / name
    assert write_fresh(tmp_path / "below" / "error.txt", "text").name == "error.txt"
    assert (tmp_path / "error.txt").read_text() == "mine"


def test_files_that_are_there_are_written_when_that_is_asked_for(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    refuse_existing(paths, overwrite=False)
    paths[1].write_text("mine")
    paths[2].symlink_to("nowhere")
    with pytest.raises(UserError) as caught:
        refuse_existing(paths, overwrite=False)
    assert str(caught.value) == (
        f"{paths[1]}: this is there already, as is 1 more of the files to write "
        "(--overwrite writes it anew; or name another)"
    )
    refuse_existing(paths, overwrite=True)


def test_a_copy_names_the_file_that_cannot_be_read_or_written(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    copy_file(tmp_path / "a", tmp_path / "below" / "b")
    assert (tmp_path / "below" / "b").read_bytes() == b"abc"
    with pytest.raises(UserError, match="cannot read: No such file or directory") as caught:
        copy_file(tmp_path / "none", tmp_path / "c")
    assert caught.value.where == tmp_path / "none"
    with pytest.raises(UserError, match="cannot write") as caught:
        copy_file(tmp_path / "a", tmp_path / "a" / "c")
    assert caught.value.where == tmp_path / "a" / "c"


def test_a_refusal_of_the_system_names_what_it_is_about(tmp_path, monkeypatch):
    assert refusal(OSError(errno.ENOSPC, "No space left on device", "a.png")) == "a.png: the disk is full"
    assert refusal(OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b")) == "b: Invalid cross-device link"
    assert refusal(OSError("no number")) == f"the system: {reason(OSError('no number'))}"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        Path().absolute()
    assert refusal(caught.value) == "the current folder: No such file or directory"


@pytest.mark.parametrize("name", ["x" * 255, "人" * 85, "caf\udce9" + "y" * 240])
def test_a_file_of_the_longest_name_is_written_and_leaves_no_draft(tmp_path, name):
    write_text(tmp_path / name, "all of it")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "all of it"


def test_the_draft_of_a_short_name_says_whose_it_is():
    assert draft_name("results.csv") == f".results.csv.{os.getpid()}.part"


def test_a_text_that_is_no_unicode_is_told_and_nothing_is_overwritten(tmp_path):
    (tmp_path / "a.csv").write_text("before")
    with pytest.raises(UserError) as caught:
        write_text(tmp_path / "a.csv", "scene caf\udce9,1")
    assert caught.value.what == r"cannot write 'scene caf\udce9,1': it is no Unicode text"
    assert (tmp_path / "a.csv").read_text() == "before"


def test_a_new_folder_is_there_with_all_that_was_written_or_not_at_all(tmp_path):
    out = tmp_path / "a" / "out"

    def fail(error):
        with new_folder(out) as folder:
            (folder / "half.txt").write_text("half")
            assert not out.exists()
            raise error

    for error, expected in ((ZeroDivisionError(), ZeroDivisionError), (OSError(errno.ENOSPC, "full"), CannotWrite)):
        with pytest.raises(expected):
            fail(error)
        assert list((tmp_path / "a").iterdir()) == []
    out.mkdir()
    with new_folder(out) as folder:
        write_text(folder / "deep" / "whole.txt", "whole")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["out"]
    assert (out / "deep" / "whole.txt").read_text() == "whole"


@pytest.mark.parametrize("there", ["a folder", "a file"])
def test_a_new_folder_is_no_place_for_what_is_there_already(tmp_path, there):
    (tmp_path / "out").mkdir() if there == "a folder" else None
    (tmp_path / "out" / "mine.txt" if there == "a folder" else tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="something is there already"), new_folder(tmp_path / "out"):
        raise AssertionError("nothing is written")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_that_a_library_makes_for_its_owner_alone_can_be_read_by_whom_the_system_lets(tmp_path):
    def write(draft):
        draft.unlink()
        draft.touch(mode=0o600)
        draft.write_text("x")

    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "model", write)
        assert (tmp_path / "model").stat().st_mode & 0o777 == 0o644
        os.umask(0o077)
        write_atomically(tmp_path / "private", write)
        assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
