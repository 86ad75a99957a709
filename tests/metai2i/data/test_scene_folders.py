"""Scenes are told by their names, and no folder is two of them."""

from __future__ import annotations

import pytest

from metai2i import UserError
from metai2i.data.scene_folders import Member, missing_folder, named_member, refuse_same


@pytest.fixture
def folder(tmp_path):
    for name in ("ada", "bo", "cy"):
        (tmp_path / name).mkdir()
    return tmp_path


def members(folder, *names):
    return [named_member(name, folder, folder / "splits.json", "train") for name in names]


def test_a_scene_has_the_name_that_a_list_gives_it_however_it_is_spelled(folder):
    assert members(folder, "ada", "./bo", "cy/", "a//b") == [
        Member("ada", folder / "ada"), Member("bo", folder / "bo"), Member("cy", folder / "cy"),
        Member("a/b", folder / "a" / "b"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["../ada", "/etc", "ada/../../bo", "."])
def test_a_path_that_leads_out_of_the_folder_is_refused(folder, name):
    with pytest.raises(UserError, match="which leads out of this folder"):
        members(folder, name)


@pytest.mark.parametrize("name", ["", " ", 3, None, ["a"], "a\0b"])
def test_what_is_no_name_is_refused(folder, name):
    with pytest.raises(UserError, match="expected a list of folder names under 'train'"):
        members(folder, name)


def test_a_name_that_is_longer_than_any_folders_is_the_lists_fault(folder):
    assert members(folder, "é" * 127 + "a") == [Member("é" * 127 + "a", folder / ("é" * 127 + "a"))]
    with pytest.raises(UserError, match="of 256 bytes, and no folder has a name of more than 255") as error:
        members(folder, "é" * 128)
    assert error.value.where == folder / "splits.json"


def test_a_name_with_half_a_letter_is_refused(folder):
    with pytest.raises(UserError, match=r"lists '\\udce9', which is no text") as error:
        members(folder, "\udce9")
    str(error.value).encode()


def test_different_scenes_pass(folder):
    refuse_same([("train", members(folder, "ada", "bo")), ("test", members(folder, "cy"))], folder)


def test_a_scene_that_is_listed_in_two_spellings_is_told(folder):
    with pytest.raises(UserError, match="'train' lists 'ada' twice"):
        refuse_same([("train", members(folder, "ada", "./ada"))], folder)
    with pytest.raises(UserError, match="'ada' is in 'train' and in 'test'"):
        refuse_same([("train", members(folder, "ada")), ("test", members(folder, "ada/"))], folder)


def test_names_that_look_the_same_are_told(folder):
    composed, other = "jos\u00e9", "jose\u0301"
    with pytest.raises(UserError, match=r"look the same \('jos\\xe9', 'jose\\u0301'\)"):
        refuse_same([("train", members(folder, composed)), ("test", members(folder, other))], folder)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_folder_that_is_reached_by_a_link_as_well_is_told(folder, split):
    (folder / "di").symlink_to("ada")
    with pytest.raises(UserError, match=f"'ada' in 'train' and 'di' in '{split}' are one folder, {folder / 'ada'}"):
        refuse_same([("train", members(folder, "ada")), (split, members(folder, "di"))], folder)


def test_a_folder_that_is_not_there_is_told_with_the_nearest_name(folder):
    where = folder / "splits.json"
    (member,) = members(folder, "adda")
    text = f"{where}: 'train' lists 'adda', but there is no folder {folder / 'adda'} (did you mean 'ada'?)"
    assert str(missing_folder(member, folder, where, "train")) == text
    (folder / "zoe").symlink_to("gone")
    (member,) = members(folder, "zoe")
    assert "a link that leads nowhere" in str(missing_folder(member, folder, where, "train"))
