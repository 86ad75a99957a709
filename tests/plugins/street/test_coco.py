"""COCO with instances, in its two layouts, on small trees."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fingerprints import fingerprints
from metai2i_street.coco import Coco
from PIL import Image

from metai2i import UserError

SIDE = 16
PERSON, SKY = 1, 187
FIRST, SECOND = 3937500, 7
"""Two people: colours (220, 20, 60) and (7, 0, 0)."""
ABOVE = 256
CATEGORIES = [
    {"id": SKY, "name": "sky-other", "isthing": 0, "color": [70, 130, 180]},
    {"id": PERSON, "name": "person", "isthing": 1, "color": [220, 20, 60]},
]


def save(pixels: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def photo(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def segment_ids() -> np.ndarray:
    """Sky above, nothing below, and two people beside each other between them."""
    ids = np.zeros((SIDE, SIDE), np.int64)
    ids[:6] = ABOVE
    ids[6:12, 2:7], ids[6:12, 7:12] = FIRST, SECOND
    return ids


def in_colours(ids: np.ndarray) -> np.ndarray:
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype(np.uint8)


def write_list(root: Path, part: str, images: range) -> Path:
    path = root / "annotations" / f"panoptic_{part}2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [(FIRST, PERSON), (SECOND, PERSON), (ABOVE, SKY)]
    segments = [{"id": number, "category_id": category, "iscrowd": 0} for number, category in listed]
    content = {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg"} for i in images],
        "annotations": [{"image_id": i, "file_name": f"{i:012d}.png", "segments_info": segments} for i in images],
        "categories": CATEGORIES,
    }
    path.write_text(json.dumps(content))
    return path


def panoptic(root: Path, inner: str = "") -> Path:
    for part, images in (("train", range(2)), ("val", range(2, 3))):
        write_list(root, part, images)
        for i in images:
            save(photo(i), root / f"{part}2017" / f"{i:012d}.jpg")
            save(in_colours(segment_ids()), root / inner / f"panoptic_{part}2017" / f"{i:012d}.png")
    return root


def stuff(root: Path) -> Path:
    """Class 5 above, unlabelled below; two objects over both, numbered 0 and 1."""
    for part, images in (("train", range(2)), ("val", range(2, 3))):
        labels = np.full((SIDE, SIDE), 255, np.uint8)
        labels[:8] = 5
        numbers = labels.copy()
        numbers[6:12, 2:7], numbers[6:12, 7:12] = 0, 1
        for i in images:
            save(photo(i), root / f"{part}_img" / f"{i:012d}.jpg")
            save(labels, root / f"{part}_label" / f"{i:012d}.png")
            save(numbers, root / f"{part}_inst" / f"{i:012d}.png")
    return root


LAYOUTS: dict[str, Callable[[Path], Path]] = {"panoptic": panoptic, "stuff": stuff}


def source(root: Path, **options: Any) -> Coco:
    return Coco(**{"root": root, "size": (SIDE, SIDE), "neighbours": 1, **options})


def load_all(root: Path) -> None:
    for task in source(root).tasks("train"):
        task.load([0])


def change(path: Path, edit: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("inner", ["", "annotations"])
def test_segments_come_out_as_they_were_put_in_and_their_classes_in_the_order_of_the_ids(inner, tmp_path):
    data = source(panoptic(tmp_path, inner))
    assert {split: len(data.tasks(split)) for split in ("train", "val", "test")} == {"train": 2, "val": 0, "test": 1}
    spec = data.spec()
    assert (spec.structure_channels, spec.classes) == (3, ("person", "sky-other", "nothing"))
    assert spec.palette == ((220, 20, 60), (70, 130, 180), (0, 0, 0))
    batch = data.tasks("train")[1].load([0, 0])
    assert batch.size == 2
    assert (batch["instances"].numpy() == segment_ids()).all()
    classes = np.select([segment_ids() == 0, segment_ids() == ABOVE], [2, 1], 0)
    assert (batch["structure"].argmax(1).numpy() == classes).all()
    assert (data.tasks("train")[1].maps()[0].numpy() == classes).all()


def test_stuff_has_the_class_in_each_id_so_that_an_object_over_two_classes_has_two(tmp_path):
    data = source(stuff(tmp_path))
    assert data.spec().structure_channels == 183
    batch = data.tasks("test")[0].load([0])
    ids, classes = batch["instances"][0], batch["structure"].argmax(1)[0]
    assert (classes[:8] == 5).all()
    assert (classes[8:] == 182).all()
    assert ids.unique().tolist() == [5 * 256 + n for n in (0, 1, 5)] + [182 * 256 + n for n in (0, 1, 255)]
    assert (ids // 256 == classes).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_kept_is_named_by_the_files(layout, tmp_path):
    root = LAYOUTS[layout](tmp_path)
    before = fingerprints(source(root))
    assert before == fingerprints(source(root))
    if layout == "panoptic":
        change(
            root / "annotations/panoptic_train2017.json",
            lambda content: content["annotations"][0]["segments_info"][0].update(category_id=SKY),
        )
    else:
        save(np.zeros((SIDE, SIDE), np.uint8), root / "train_inst" / f"{0:012d}.png")
    assert before != fingerprints(source(root))


def test_a_segment_of_another_category_is_read_anew(tmp_path):
    """The list is no part of the map's file, under which decoded maps are kept."""
    root = panoptic(tmp_path)
    source(root).tasks("train")[0].load([0])
    change(
        root / "annotations/panoptic_train2017.json",
        lambda content: content["annotations"][0]["segments_info"][0].update(category_id=SKY),
    )
    batch = source(root).tasks("train")[0].load([0])
    assert batch["structure"].argmax(1)[0, 8, 4] == 1


def test_a_folder_without_coco_is_told_what_was_looked_for(tmp_path):
    with pytest.raises(UserError, match="no COCO with instances here; looked for") as caught:
        source(tmp_path)
    assert "train,val}_inst/" in str(caught.value)
    assert "annotations/panoptic_{train,val}2017.json" in str(caught.value)


def test_a_split_without_photographs_is_told(tmp_path):
    root = panoptic(tmp_path)
    (root / "annotations/panoptic_val2017.json").unlink()
    with pytest.raises(UserError, match="COCO panoptic has 0 photographs in its split val, fewer than"):
        source(root)


def spoil_png(root: Path) -> Path:
    path = root / "panoptic_train2017" / f"{1:012d}.png"
    ids = segment_ids()
    ids[15, :4] = 261
    save(in_colours(ids), path)
    return path


def spoil_size(root: Path) -> Path:
    return save(in_colours(segment_ids()[:8]), root / "panoptic_train2017" / f"{1:012d}.png")


def spoil_jpeg(root: Path) -> Path:
    path = root / "panoptic_train2017" / f"{1:012d}.png"
    Image.fromarray(in_colours(segment_ids())).save(path, format="JPEG")
    return path


def spoil_missing(root: Path) -> Path:
    (root / "panoptic_train2017" / f"{1:012d}.png").unlink()
    return root / "train2017" / f"{1:012d}.jpg"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_png, r"4 pixels \(1.6 %\) have colours that no class has, most of them \(5, 1, 0\)"),
        (spoil_size, "the label map is 16x8, its photograph .* 16x16"),
        (spoil_jpeg, "this is a JPEG.*expected PNG"),
        (spoil_missing, "the photograph has no map of segments; expected"),
    ],
)
def test_bad_files_are_refused_with_their_names_or_left_out(spoil, message, tmp_path, caplog):
    root = panoptic(tmp_path)
    path = spoil(root)
    with pytest.raises(UserError, match=message) as caught:
        load_all(root)
    assert str(path) in str(caught.value)
    caplog.set_level(logging.INFO, "metai2i")
    assert [task.id for task in source(root, on_bad_file="skip").tasks("train")] == [f"{0:012d}"]
    assert "skipped 1 of 2 photographs" in caplog.text
    assert str(path) in caplog.text


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.pop("categories"), "expected a list under categories"),
        (lambda c: c["categories"].append(CATEGORIES[0]), r"categories\[2\]: the id 187 stands twice"),
        (lambda c: c["categories"][0].pop("name"), r"categories\[0\]: expected a text under 'name', got None"),
        (lambda c: c["categories"][0].update(color=[1, 2]), r"categories\[0\]: expected `color` as three numbers"),
        (lambda c: c["images"].clear(), r"annotations\[0\]: no entry of `images` has the id 0"),
        (lambda c: c["annotations"].append(c["annotations"][0]), r"annotations\[2\]: the map '0+.png' stands twice"),
        (lambda c: c["annotations"][1].update(file_name="../a.png"), r"annotations\[1\]: expected the name of a file"),
        (
            lambda c: c["annotations"][0]["segments_info"][1].update(category_id=5),
            r"annotations\[0\].segments_info\[1\]: there is no category 5",
        ),
        (
            lambda c: c["annotations"][0]["segments_info"][1].update(id=FIRST),
            r"annotations\[0\].segments_info\[1\]: the id 3937500 stands twice",
        ),
        (
            lambda c: c["annotations"][0]["segments_info"][1].update(id=0),
            r"annotations\[0\].segments_info\[1\]: the id 0 is no colour, expected 1 to 16777215",
        ),
        (lambda c: c["annotations"][0].update(segments_info=[3]), r"segments_info\[0\]: expected an object, got int"),
        (lambda c: c["images"][0].update(id="0"), r"images\[0\]: expected a whole number under 'id', got '0'"),
    ],
)
def test_a_list_that_is_not_as_cocos_format_has_it_is_told_with_the_entry(edit, message, tmp_path):
    root = panoptic(tmp_path)
    path = root / "annotations/panoptic_train2017.json"
    change(path, edit)
    with pytest.raises(UserError, match=message) as caught:
        source(root)
    assert str(caught.value.where) == str(path)


def test_lists_of_other_categories_are_refused(tmp_path):
    root = panoptic(tmp_path)
    change(root / "annotations/panoptic_val2017.json", lambda c: c["categories"][0].update(name="sky"))
    with pytest.raises(UserError, match=r"the categories are not those of .*panoptic_train2017.json"):
        source(root)


def test_a_photograph_in_both_splits_is_refused(tmp_path):
    root = panoptic(tmp_path)
    save(photo(0), root / "val2017" / f"{2:012d}.jpg")
    with pytest.raises(UserError, match="the same photograph is in several splits"):
        source(root)


def test_successive_photographs_make_a_scene(tmp_path):
    root = stuff(tmp_path)
    with pytest.raises(UserError, match=r"has 1 photograph in its split val, fewer than .* is 2"):
        source(root, neighbours=2)
    for kind, ending in (("img", "jpg"), ("label", "png"), ("inst", "png")):
        file = root / f"val_{kind}" / f"{2:012d}.{ending}"
        (root / f"val_{kind}" / f"{3:012d}.{ending}").write_bytes(file.read_bytes())
    data = source(root, neighbours=2)
    (train,), (test,) = data.tasks("train"), data.tasks("test")
    assert (train.id, len(train), len(test)) == (f"{0:012d}", 2, 2)
    alone = [task.load([0]) for task in source(root).tasks("train")]
    for name, field in train.load([1, 0]).items():
        assert (field[0] == alone[1][name][0]).all()
        assert (field[1] == alone[0][name][0]).all()
    assert train.maps().shape == (2, SIDE, SIDE)
