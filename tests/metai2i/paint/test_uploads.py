import pytest
from page_server import files_in_one

from metai2i.errors import UserError
from metai2i.paint.uploads import Uploads, files_of


def test_files_come_out_as_they_went_in():
    files = {"a.jpg": b"\0\1\n", "maps/b.png": b"", "ünïcode.png": b"x"}
    assert files_of(files_in_one(files)) == files


def test_each_time_has_a_folder_of_its_own(tmp_path):
    uploads = Uploads(tmp_path)
    folders = [uploads.keep(files_in_one({"maps/a.png": content})) for content in (b"1", b"2")]
    assert [(folder / "maps" / "a.png").read_bytes() for folder in folders] == [b"1", b"2"]
    assert uploads.folder(folders[1].name) == folders[1]


@pytest.mark.parametrize("key", ["", "3", "..", "1/..", "²", "01/x"])
def test_a_folder_that_nobody_has_given_is_refused(tmp_path, key):
    uploads = Uploads(tmp_path)
    uploads.keep(files_in_one({"a": b""}))
    with pytest.raises(UserError, match="there are no files of the number"):
        uploads.folder(key)


@pytest.mark.parametrize("name", ["..", "a/..", "/etc/passwd", "a/b/c", "", "a\\b", "a\0", ".", " ", "x" * 201, "./a"])
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(UserError, match="no file may be called"):
        Uploads(tmp_path).keep(files_in_one({name: b"x"}))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "expected a line"),
        (b'[["a", 1]]', "expected a line"),
        (b"{}\n", "expected a line"),
        (b'[["a", true]]\n', "expected a line"),
        (b"[" * 5000 + b"\n", "expected a line"),
        (b"[]\n", "got 0 files, expected from 1 to 200"),
        (b'[["a", 1], ["a", 1]]\nxy', "two files are called 'a'"),
        (b'[["a", 2]]\nx', "the files should have 2 bytes, got 1"),
        (b'[["a", 1]]\nxy', "the files should have 1 bytes, got 2"),
    ],
)
def test_a_body_that_is_none_is_refused(body, message):
    with pytest.raises(UserError, match=message):
        files_of(body)


def test_messages_do_not_speak_of_the_folder(tmp_path):
    uploads = Uploads(tmp_path)
    assert uploads.shown(f"{tmp_path}/12/a.png: wrong, expected {tmp_path}/12/b.png") == "a.png: wrong, expected b.png"
    assert uploads.shown(f"{tmp_path}/3: none") == "none"
