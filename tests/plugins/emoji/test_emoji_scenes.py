"""Scenes of emoji in drawn landscapes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from metai2i_emoji.landscape import landscape
from metai2i_emoji.scenes import Plan, draw_scenes
from metai2i_sketches.scenes import SketchScenes
from PIL import Image

from metai2i import UserError
from metai2i.data import check_drawing


@pytest.fixture
def packages(root, package):
    package(root, "lines")
    return root


def test_a_landscape_has_a_sketch_of_lines_and_depends_on_its_generator_alone():
    first, again, other = (landscape(np.random.default_rng(seed), 64) for seed in (0, 0, 1))
    assert np.array_equal(first.photo, again.photo)
    assert np.array_equal(first.sketch, again.sketch)
    assert not np.array_equal(first.sketch, other.sketch)
    check_drawing(first.sketch, "landscape")
    assert set(np.unique(first.sketch)) == {0, 255}
    sky, meadow = first.photo[2].mean(0), first.photo[-2].mean(0)
    assert sky.argmax() == 2
    assert meadow.argmax() == 1


def test_scenes_are_drawn_as_they_are_read_with_objects_that_stand_apart(packages, tmp_path):
    pytest.importorskip("resvg_py")
    out = tmp_path / "out"
    draw_scenes(packages, out, Plan(train=4, test=2, side=64))
    source = SketchScenes(root=out, size=(64, 64), neighbours=2)
    assert [len(source.tasks(split)) for split in ("train", "test")] == [2, 1]
    shown = {"train": set(), "test": set()}
    for split in ("train", "test"):
        for path in sorted((out / split).glob("*.json")):
            objects = json.loads(path.read_text())["objects"]
            taken = np.zeros((64, 64), int)
            photo = np.asarray(Image.open(path.with_suffix(".png"))).astype(int)
            for each in objects:
                left, top, width, height = each["box"]
                taken[top : top + height, left : left + width] += 1
                assert width == height
                image = np.asarray(Image.open(path.parent / each["image"])).astype(int)
                inside = photo[top : top + height, left : left + width]
                assert np.abs(image[:, width // 2 :] - inside[:, width // 2 :]).max() <= 1  # nothing shows through
                assert np.abs(image[:, 0] - inside[:, 0]).max() > 20  # where it is transparent the landscape does
                shown[split].add(int(image[height // 2, -1, 0]))
            assert taken.max() == 1
    assert not shown["train"] & shown["test"], "what tests does not train"


def test_the_same_plan_draws_the_same_scenes_and_more_of_them_begin_alike(packages, tmp_path):
    pytest.importorskip("resvg_py")
    draw_scenes(packages, tmp_path / "a", Plan(train=1, test=1, side=64))
    draw_scenes(packages, tmp_path / "b", Plan(train=2, test=1, side=64))
    for name in ("train/0000.png", "train/0000.json", "train/backgrounds/0000.png", "test/0000.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_folder_with_something_in_it_and_missing_packages_are_told(packages, root, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"full: something is there already"):
        draw_scenes(packages, tmp_path / "full", Plan())
    with pytest.raises(UserError, match="packages of these hands are not here"):
        draw_scenes(tmp_path / "none", tmp_path / "out", Plan())
    assert not (tmp_path / "out").exists()
