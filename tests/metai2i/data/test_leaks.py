"""No photograph is in two splits or in two domains, whatever it is called and however it got there."""

from __future__ import annotations

import logging
import os
import shutil

import pytest

from metai2i import UserError
from metai2i.data.leaks import refuse_in_two_domains, refuse_shared


@pytest.fixture
def photographs(tmp_path):
    """Three of one size."""
    paths = [tmp_path / f"{n}.jpg" for n in range(3)]
    for n, path in enumerate(paths):
        path.write_bytes(bytes([n]) * 100)
    return paths


def splits(train, test, val=()):
    return {"train": [("a", path) for path in train], "val": [("v", path) for path in val],
            "test": [("x", path) for path in test]}  # fmt: skip


def test_photographs_that_differ_pass(photographs):
    first, two, three = photographs
    assert refuse_shared("faces", splits([first, two], [three]), skip=False) == set()


def test_a_photograph_that_is_twice_in_one_split_passes(photographs, tmp_path):
    first, two, _ = photographs
    shutil.copy(first, tmp_path / "again.jpg")
    assert refuse_shared("faces", splits([first, tmp_path / "again.jpg"], [two]), skip=False) == set()


@pytest.mark.parametrize("way", [shutil.copy, os.symlink, os.link])
def test_a_copy_and_a_link_in_another_split_are_told_with_both_files(photographs, tmp_path, way):
    first, two, _ = photographs
    other = tmp_path / "other.jpg"
    way(first, other)
    with pytest.raises(UserError) as error:
        refuse_shared("faces", splits([first], [two, other]), skip=False)
    assert error.value.what == (
        f"the same photograph is in several splits: train scene 'a' ({first}); test scene 'x' ({other})"
    )


def test_what_tests_stays_and_its_copies_go(photographs, caplog):
    first, two, three = photographs
    with caplog.at_level(logging.WARNING, "metai2i"):
        left_out = refuse_shared("faces", splits([first, two], [first], val=[two, three]), skip=True)
    assert left_out == {first, two}
    assert "faces: 2 photographs are in several splits" in caplog.text


def test_many_are_counted(tmp_path):
    paths = []
    for n in range(11):
        paths.append(tmp_path / f"{n}.jpg")
        paths[-1].write_bytes(bytes([n]))
    with pytest.raises(UserError) as error:
        refuse_shared("faces", splits(paths, paths), skip=False)
    assert str(error.value).count("train scene") == 8
    assert "and 3 more photographs are in several splits" in str(error.value)


def test_a_file_that_is_gone_is_left_to_its_reader(photographs, tmp_path):
    assert refuse_shared("faces", splits([tmp_path / "gone.jpg"], photographs), skip=False) == set()


def test_a_pipe_is_not_waited_for(tmp_path):
    for name in ("a", "b"):
        os.mkfifo(tmp_path / name)
    assert refuse_shared("faces", splits([tmp_path / "a"], [tmp_path / "b"]), skip=False) == set()


@pytest.mark.parametrize("way", [shutil.copy, os.symlink, os.link])
def test_an_image_in_two_domains_is_told_with_both_files(photographs, tmp_path, way):
    first, two, three = photographs
    other = tmp_path / "other.jpg"
    way(first, other)
    with pytest.raises(UserError) as error:
        refuse_in_two_domains("domains", {"cat": [first, two], "dog": [three, other]}, skip=False)
    assert error.value.what == f"the same image is in several domains: 'cat' ({first}); 'dog' ({other})"


def test_an_image_in_two_domains_is_left_out_of_both(photographs, tmp_path, caplog):
    first, two, three = photographs
    shutil.copy(first, tmp_path / "other.jpg")
    with caplog.at_level(logging.WARNING, "metai2i"):
        away = refuse_in_two_domains(
            "domains", {"cat": [first, two], "dog": [three, tmp_path / "other.jpg"]}, skip=True
        )
    assert away == {first, tmp_path / "other.jpg"}
    assert "domains: skipped 1 of 4 images" in caplog.text


def test_an_image_that_is_twice_in_one_domain_passes(photographs, tmp_path):
    first, two, _ = photographs
    shutil.copy(first, tmp_path / "again.jpg")
    assert refuse_in_two_domains("domains", {"cat": [first, tmp_path / "again.jpg"], "dog": [two]}, skip=False) == set()


def test_of_domains_too_a_pipe_is_not_waited_for_and_a_file_that_is_gone_is_left_to_its_reader(photographs, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    domains = {"cat": [photographs[0], tmp_path / "gone.jpg"], "dog": [photographs[1], tmp_path / "pipe"]}
    assert refuse_in_two_domains("domains", domains, skip=False) == set()
