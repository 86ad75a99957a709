"""What systems and programs leave behind is nobody's data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metai2i import UserError
from metai2i.data.folders import by_stem, check_name, entries, is_left_behind, refuse_twins, subfolders

SYSTEMS = [
    "__MACOSX", "@eaDir", ".ipynb_checkpoints", "lost+found", "$RECYCLE.BIN", "$Recycle.Bin", "#recycle",
    "System Volume Information", ".Trashes", ".Trash-1000", "Thumbs.db", "thumbs.db", "._ada.jpg", ".DS_Store",
    "desktop.ini", "Desktop.ini", "__pycache__", "Icon\r", ".AppleDouble", ".git",
]  # fmt: skip


@pytest.mark.parametrize("name", SYSTEMS)
def test_names_of_systems_are_known_in_any_case(name):
    assert is_left_behind(name)


@pytest.mark.parametrize("name", ["ada", "recycle", "MACOSX", "@ada", "lost", "thumbs", "_ada", "Trash"])
def test_a_users_own_names_are_not_taken_for_a_systems(name):
    assert not is_left_behind(name)


def test_what_lies_in_a_folder_comes_by_name_without_what_systems_left(tmp_path):
    for name in ("b", "a", "@eaDir", "__MACOSX"):
        (tmp_path / name).mkdir()
    for name in ("c.jpg", ".DS_Store", "._c.jpg", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in entries(tmp_path)] == ["a", "b", "c.jpg"]
    assert [path.name for path in subfolders(tmp_path)] == ["a", "b"]
    assert entries(tmp_path / "nowhere") == []


def test_a_link_that_leads_nowhere_is_a_folder_that_is_missed(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "gone")
    (tmp_path / "b").symlink_to(tmp_path / "b")
    assert [path.name for path in subfolders(tmp_path)] == ["a", "b"]


def test_files_of_one_name_are_all_given(tmp_path):
    for name in ("a.jpg", "a.JPEG", "b.jpg", "b.png", "c.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "d.jpg").mkdir()
    files = {stem: [path.name for path in paths] for stem, paths in by_stem(tmp_path, (".jpg", ".jpeg")).items()}
    assert files == {"a": ["a.JPEG", "a.jpg"], "b": ["b.jpg"]}
    with pytest.raises(UserError, match=r"a\.JPEG: a\.JPEG and a\.jpg have one name"):
        refuse_twins(by_stem(tmp_path, (".jpg", ".jpeg"))["a"])


def test_a_name_that_is_no_utf_8_is_told_in_bytes(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(UserError, match=r"the name b'caf\\xe9' is no UTF-8") as error:
        check_name(path)
    str(error.value).encode()
    check_name(tmp_path / "café")
