"""Scenes: objects on white with the sketch of the background."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from metai2i_sketches.compose import Placed, composite
from metai2i_sketches.scenes import SketchScenes
from PIL import Image
from scipy.io import savemat

from metai2i import UserError
from metai2i.testing import run_contracts

SIDE = 16


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def photograph(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (SIDE, SIDE, 3), dtype=np.uint8)


def ground() -> np.ndarray:
    """A line across the lower half, on white."""
    image = np.full((SIDE, SIDE, 3), 255, np.uint8)
    image[12] = 0
    return image


def test_an_object_is_resized_to_the_shorter_side_of_its_box_and_put_into_its_middle_without_its_white():
    cat = np.full((4, 4, 3), 255, np.uint8)
    cat[:, 2:] = 10, 20, 30
    scene = composite(ground(), [Placed(cat, (2, 9, 8, 4), "cat")])
    expected = ground()
    expected[9:13, 6:8] = 10, 20, 30  # a square of 4, from 4 to 8, whose left half is white
    assert np.array_equal(scene, expected)


@pytest.mark.parametrize("box", [(-1, 0, 4, 4), (0, 13, 4, 4), (13, 0, 4, 4), (0, -2, 4, 4)])
def test_a_box_outside_the_scene_is_told(box):
    with pytest.raises(UserError, match=r"the box .* of 'cat' is not within the scene, which is 16x16"):
        composite(ground(), [Placed(ground(), box, "cat")])


def test_an_empty_box_is_told():
    with pytest.raises(UserError, match=r"the box \[0, 0, 0, 4\] of 'cat' is empty"):
        composite(ground(), [Placed(ground(), (0, 0, 0, 4), "cat")])


@pytest.fixture
def listed(tmp_path) -> Path:
    """Three scenes to train on, two to test on, each with a red square as its object."""
    save(tmp_path / "train" / "ground.png", ground())
    save(tmp_path / "test" / "ground.png", ground())
    for n in range(5):
        place = tmp_path / ("train", "test")[n >= 3]
        save(place / f"s{n}.jpg", photograph(n))
        save(place / "objects" / "red.png", np.full((8, 8, 3), (255, 0, 0), np.uint8))
        entry = {"class": "car", "image": "objects/red.png", "box": [4, 4, 4 + n, 4]}
        (place / f"s{n}.json").write_text(json.dumps({"background": "ground.png", "objects": [entry]}))
    return tmp_path


def test_a_listed_scene_has_its_objects_in_their_boxes_on_its_background(listed):
    source = SketchScenes(root=listed, size=(SIDE, SIDE), neighbours=2)
    assert [[task.id, len(task)] for task in source.tasks("train")] == [["train/s0", 2]]
    assert [task.id for task in source.tasks("test")] == ["test/s3"]
    assert source.tasks("val") == []
    batch = source.tasks("train")[0].load([0])
    expected = ground()
    expected[4:8, 4:8] = 255, 0, 0
    assert torch.equal(batch["structure"][0], torch.from_numpy(expected).permute(2, 0, 1) / 255)
    photo = np.asarray(Image.open(listed / "train" / "s0.jpg"))
    assert torch.allclose(batch["target"][0], torch.from_numpy(photo.copy()).permute(2, 0, 1) / 127.5 - 1)


def test_sketchycocos_scenes_are_the_photographs_objects_on_the_sketch(tmp_path):
    for n, part in enumerate(("trainInTrain", "valInTrain", "val", "val")):
        save(tmp_path / "Scene" / "GT" / part / f"{n}.png", photograph(n))
        save(tmp_path / "Scene" / "Sketch" / "paper_version" / part / f"{n}.png", ground())
        ids = np.full((SIDE, SIDE), 124, np.uint8)
        ids[2:6, 3:9] = 17
        folder = tmp_path / "Scene" / "Annotation" / "paper_version" / part / "CLASS_GT"
        folder.mkdir(parents=True, exist_ok=True)
        savemat(folder / f"{n}.mat", {"CLASS_GT": ids})
    source = SketchScenes(root=tmp_path, size=(SIDE, SIDE), neighbours=2)
    assert [len(source.tasks(split)) for split in ("train", "test")] == [1, 1]
    expected = ground()
    expected[2:6, 3:9] = photograph(1)[2:6, 3:9]
    batch = source.tasks("train")[0].load([1])
    assert torch.equal(batch["structure"][0], torch.from_numpy(expected).permute(2, 0, 1) / 255)
    savemat(folder / "3.mat", {"CLASS_GT": ids[:8]})
    with pytest.raises(UserError, match=r"3\.mat: the classes are 16x8, their photograph .*3\.png is 16x16"):
        SketchScenes(root=tmp_path, size=(SIDE, SIDE), neighbours=2).tasks("test")[0].load([1])
    (folder / "3.mat").write_text("none")
    with pytest.raises(UserError, match=r"3\.mat: this file of MATLAB cannot be read"):
        SketchScenes(root=tmp_path, size=(SIDE, SIDE), neighbours=2).tasks("test")[0].load([1])
    savemat(folder / "3.mat", {"CLASS_GT": ids}, do_compression=True)
    whole = (folder / "3.mat").read_bytes()
    for damaged in (whole[:-9], whole[:-9] + bytes(9)):
        (folder / "3.mat").write_bytes(damaged)
        with pytest.raises(UserError, match=r"3\.mat: this file of MATLAB cannot be read"):
            SketchScenes(root=tmp_path, size=(SIDE, SIDE), neighbours=2).tasks("test")[0].load([1])
    (folder / "3.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(UserError, match=r"3\.mat: this is a file of MATLAB 7\.3, expected one of version 7 or before"):
        SketchScenes(root=tmp_path, size=(SIDE, SIDE), neighbours=2).tasks("test")[0].load([1])
    (folder / "3.mat").unlink()
    with pytest.raises(UserError, match=r"3\.png: the photograph has no classes; expected .*CLASS_GT/3\.mat"):
        SketchScenes(root=tmp_path, size=(SIDE, SIDE), neighbours=2)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            {"objects": [{"image": "objects/red.png", "box": [14, 4, 4, 4]}]},
            "s0.json:1:14: the box [14, 4, 4, 4] of 'red' is",
        ),
        (
            {"objects": [{"image": "objects/red.png", "box": [0, 0, 0, 4]}]},
            "s0.json:1:14: the box [0, 0, 0, 4] of 'red' is e",
        ),
        ({"objects": [{"image": "objects/red.png", "box": [0, 0, 4]}]}, "in whole pixels, got"),
        ({"objects": [{"image": "objects/red.png", "box": [0, 0, 4.5, 4]}]}, "in whole pixels, got"),
        ({"objects": [{"box": [0, 0, 4, 4]}]}, "in whole pixels, got"),
        ({"objects": [{"image": "no.png", "box": [0, 0, 4, 4]}]}, "no.png: there is no such file"),
        ({"objects": [], "background": 3}, "expected the name of a file as the background, got 3"),
        (
            {"objects": [], "backgroud": "ground.png"},
            "s0.json:1:17: the list has the unknown key 'backgroud' (did you mean 'background'",
        ),
        (
            {"objects": [{"clas": "car", "image": "objects/red.png", "box": [0, 0, 4, 4]}]},
            "has the unknown key 'clas' (did you mean 'class'?)",
        ),
        ({"objects": [], "background": "ground.png", "size": [9, 9]}, "it has a background and a size, expected one"),
        ({"objects": [], "background": "no.png"}, "no.png: there is no such file"),
        ([], 'expected {"objects": [...]'),
    ],
)
def test_a_list_that_is_not_as_it_should_be_is_told_before_anything_is_read(listed, content, why):
    (listed / "train" / "s0.json").write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        SketchScenes(root=listed, size=(SIDE, SIDE), neighbours=2)
    assert why in str(caught.value)


def test_a_background_in_white_on_black_is_told(listed):
    save(listed / "train" / "ground.png", 255 - ground())
    with pytest.raises(UserError, match=r"ground\.png: the drawing is white on black"):
        SketchScenes(root=listed, size=(SIDE, SIDE), neighbours=2).tasks("train")[0].load([0])


def test_too_few_scenes_none_or_a_list_without_its_photograph_are_told(listed, tmp_path):
    with pytest.raises(UserError, match=r"there are 2 scenes in the split test, fewer than tasks\.neighbours"):
        SketchScenes(root=listed, neighbours=3)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="there are no scenes here"):
        SketchScenes(root=tmp_path / "none")
    (listed / "train" / "s0.jpg").unlink()
    with pytest.raises(UserError, match=r"s0\.json: there is no photograph of this name beside it"):
        SketchScenes(root=listed, neighbours=2)


def test_it_keeps_the_contracts_of_a_task_source(listed):
    outcomes = run_contracts("task source", SketchScenes, {"root": str(listed), "size": [SIDE, SIDE], "neighbours": 2})
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}
