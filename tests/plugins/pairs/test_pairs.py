"""The task source on folders that the tests make."""

import logging
import os
import shutil

import numpy as np
import pytest
import torch
from fingerprints import fingerprints
from metai2i_pairs.source import Pairs
from PIL import Image

from metai2i import UserError

SPLITS = {"train": ["a", "b", "c", "d"], "test": ["x", "y"]}


def ids(source, split):
    return [task.id for task in source.tasks(split)]


def refused(**options):
    with pytest.raises(UserError) as caught:
        Pairs(**options)
    return str(caught.value)


def test_every_folder_is_a_scene_of_its_split(folder):
    source = Pairs(root=folder())
    assert {split: ids(source, split) for split in ("train", "val", "test")} == {**SPLITS, "val": []}
    assert all(len(task) == 4 for split in SPLITS for task in source.tasks(split))
    assert source.spec().classes == ("sky", "road", "car")


def test_a_pair_of_the_wanted_size_comes_out_unchanged(folder):
    root = folder()
    batch = Pairs(root=root, size=(16, 16)).tasks("train")[1].load([2])
    photo, labels = (np.asarray(Image.open(root / "train/b" / name)) for name in ("02.jpg", "02.png"))
    assert (((batch["target"][0] + 1) * 127.5).round().permute(1, 2, 0).numpy() == photo).all()
    assert (batch["structure"][0].argmax(0).numpy() == labels).all()
    assert (batch["structure"].sum(1) == 1).all()


def test_pairs_lie_as_adapt_takes_them(folder):
    root = folder()
    (root / "train/b/photos").mkdir()
    (root / "train/b/maps").mkdir()
    for n in range(4):
        (root / f"train/a/{n:02}.png").rename(root / f"train/a/{n:02}_map.png")
        (root / f"train/b/{n:02}.jpg").rename(root / f"train/b/photos/{n:02}.jpg")
        (root / f"train/b/{n:02}.png").rename(root / f"train/b/maps/{n:02}.png")
    source = Pairs(root=root)
    assert [len(task) for task in source.tasks("train")] == [4, 4, 4, 4]
    assert [path.name for path in source.tasks("train")[0].files[:2]] == ["00.jpg", "00_map.png"]


def test_colours_are_read_by_class_and_so_are_numbers_of_ones_own(folder):
    root = folder(classes="9 sky 1 2 3\n255 road 4 5 6\n7 car 7 8 9\n")
    numbers, colours = np.array([9, 255, 7], np.uint8), np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)
    true = {}
    for n, path in enumerate(sorted(root.glob("*/*/*.png"))):
        true[path] = np.asarray(Image.open(path))
        Image.fromarray((numbers if n % 2 else colours)[true[path]]).save(path)
    source = Pairs(root=root, size=(16, 16))
    for task in source.tasks("train"):
        for read, path in zip(task.load(range(4))["structure"], task.files[1::2], strict=True):
            assert (read.argmax(0).numpy() == true[path]).all()
    assert source.spec().palette == ((1, 2, 3), (4, 5, 6), (7, 8, 9))


def test_maps_that_are_images_come_out_in_0_to_1(folder):
    root = folder(classes="")
    sketch = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(sketch).save(root / "train/a/00.png")
    source = Pairs(root=root, maps="images", size=(16, 16))
    structure = source.tasks("train")[0].load([0])["structure"]
    assert torch.equal((structure[0] * 255).round().byte(), torch.from_numpy(sketch).permute(2, 0, 1))
    assert source.spec().field("structure").kind == "map"
    assert np.array_equal(source.tasks("train")[0].maps()[0], sketch.argmax(-1)), "by the strongest colour"


def test_without_folders_of_scenes_successive_pairs_make_them(folder):
    root = folder()
    for path in sorted((root / "train").glob("*/*")):
        path.rename(root / "train" / f"{path.parent.name}{path.name}")
    for name in SPLITS["train"]:
        (root / "train" / name).rmdir()
    source = Pairs(root=root, neighbours=6)
    lengths = {task.id: len(task) for task in source.tasks("train")}
    assert lengths == {"train/a00": 6, "train/b02": 6, "train/d00": 4}
    (root / "train/e").mkdir()
    assert "there are images and folders of scenes here, such as 'e'" in refused(root=root)


def test_a_folder_around_it_may_be_named(folder):
    assert ids(Pairs(root=folder().parent), "test") == ["x", "y"]


def test_training_scenes_are_set_aside_to_validate(folder):
    source = Pairs(root=folder(), val=2)
    assert ids(source, "train") == ["b", "d"]
    assert ids(source, "val") == ["a", "c"]


def test_scenes_in_val_validate(folder):
    root = folder({**SPLITS, "val": ["v"]})
    assert ids(Pairs(root=root), "val") == ["v"]
    assert "but there are 1 in val/ already" in refused(root=root, val=1)


def test_fewer_scenes_and_pairs_are_evenly_spaced(folder):
    source = Pairs(root=folder(), train_tasks=2, test_tasks=1, pairs=2)
    assert ids(source, "train") == ["a", "c"]
    assert ids(source, "test") == ["x"]
    assert [path.name for path in source.tasks("train")[0].files] == ["00.jpg", "00.png", "02.jpg", "02.png"]


def test_what_is_missing_is_told_with_what_is_expected(folder, tmp_path):
    root = folder(classes="")
    assert "there is no list of classes; the first 8 maps hold the numbers 0, 1, 2" in refused(root=root)
    (root / "test").rename(root / "tests")
    assert "there is no test/ here; expected train/SCENE/ and test/SCENE/" in refused(root=root)
    (root / "train").rename(root / "trian")
    assert "there is no train/ here" in refused(root=root)
    assert "did you mean 'trian'?" in refused(root=root)
    assert "there is no such folder" in refused(root=tmp_path / "nothing")


def test_a_folder_that_is_nearly_called_as_a_split_is_told(folder, caplog):
    root = folder({**SPLITS, "vals": ["v"]})
    with caplog.at_level(logging.WARNING, logger="metai2i"):
        assert ids(Pairs(root=root), "val") == []
    assert f"nothing is taken from {root / 'vals'}, which is no split; did you mean 'val'?" in caplog.text


def spoil(root):
    """Break five scenes' files, each in a way of its own, and tell what is said of each."""
    (root / "train/a/00.png").unlink()
    (root / "train/b/01.jpg").unlink()
    shutil.copy(root / "train/c/02.jpg", root / "train/c/02.jpeg")
    Image.new("L", (16, 32)).save(root / "train/d/03.png")
    (root / "test/y/00.jpg").write_bytes(b"GIF89a")
    return ["a/00.jpg: this photograph has no map", "b/01.png: this map has no photograph",
            "02.jpeg and 02.jpg have one name", "d/03.png: the map is 16x32, its photograph 03.jpg 16x16",
            "y/00.jpg"]  # fmt: skip


def test_bad_files_are_told_together(folder):
    root = folder()
    expected = spoil(root)
    message = refused(root=root)
    assert all(said in message for said in expected[:3])
    for path in ("train/a/00.jpg", "train/b/01.png", "train/c/02.jpeg"):
        (root / path).unlink()
    message = refused(root=root)
    assert all(said in message for said in expected[3:])


def test_bad_files_are_left_out_and_listed(folder, caplog):
    root = folder()
    expected = spoil(root)
    for n in (0, 1):
        (root / f"test/x/0{n}.jpg").write_bytes((root / f"test/x/0{n}.jpg").read_bytes()[:200])
    for path in (*(root / "test/x").glob("02.*"), *(root / "test/x").glob("03.*")):
        path.unlink()
    with caplog.at_level(logging.WARNING, logger="metai2i"):
        source = Pairs(root=root, on_bad_file="skip")
    assert [len(task) for task in source.tasks("train")] == [3, 3, 3, 3]
    assert [(task.id, len(task)) for task in source.tasks("test")] == [("y", 3)]
    assert "left out 1 scene without a good pair: x" in caplog.text
    assert all(said in caplog.text for said in expected)


def test_a_scene_in_two_splits_is_refused_by_name_by_link_and_by_photograph(folder):
    root = folder()
    os.symlink(root / "train/a", root / "test/z")
    assert "'a' in 'train' and 'z' in 'test' are one folder" in refused(root=root)
    (root / "test/z").unlink()
    shutil.copytree(root / "train/b", root / "test/b")
    assert "'b' is in 'train' and in 'test'" in refused(root=root)
    (root / "test/b").rename(root / "test/other")
    assert "the same photograph is in several splits" in refused(root=root)


def test_the_fingerprint_tells_by_content_and_by_classes(folder, tmp_path):
    root = folder()
    first = fingerprints(Pairs(root=root))
    shutil.copytree(root, tmp_path / "copy/mine")
    assert fingerprints(Pairs(root=tmp_path / "copy/mine")) == first
    (root / "classes.txt").write_text("road\nsky\ncar\n")
    assert fingerprints(Pairs(root=root)) != first
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
    Image.new("L", (16, 16)).save(root / "train/a/00.png")
    second = fingerprints(Pairs(root=root))
    assert [new == old for new, old in zip(second, first, strict=True)] == [False, True, True]
