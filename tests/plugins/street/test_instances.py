"""Instance maps: each layout gives the ids that are in its files, and what cannot be ids is refused."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from fingerprints import fingerprints
from metai2i_street.instances import panoptic_segments, spade_ids
from metai2i_street.street import StreetInstances
from PIL import Image

from metai2i import UserError

HEIGHT, WIDTH = 32, 64
LABELS = {"road": 7, "building": 11, "sky": 23, "car": 26, "other": 4}


def label_ids() -> np.ndarray:
    """Sky above, road below, and two cars beside each other."""
    labels = np.full((HEIGHT, WIDTH), LABELS["road"], np.uint8)
    labels[: HEIGHT // 2] = LABELS["sky"]
    labels[16:24, 16:48] = LABELS["car"]
    return labels


def instance_ids() -> np.ndarray:
    ids = label_ids().astype(np.uint16)
    ids[16:24, 16:32], ids[16:24, 32:48] = 26000, 26001
    return ids


def write(folder: Path, seed: int, photo: str, label: str, instance: str | None) -> None:
    paths = [folder / name for name in (photo, label, *([instance] if instance else []))]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for path, pixels in zip(paths, (noise, label_ids(), instance_ids()), strict=False):
        Image.fromarray(pixels).save(path)


def official(folder: Path, instances: bool = True) -> Path:
    """Two photographs to train on and one to test."""
    for seed, part in enumerate(("train", "train", "val")):
        name = f"ulm_{seed:06d}_000019"
        stem = f"gtFine/{part}/ulm/{name}_gtFine"
        write(
            folder, seed, f"leftImg8bit/{part}/ulm/{name}_leftImg8bit.png", f"{stem}_labelIds.png",
            f"{stem}_instanceIds.png" if instances else None,
        )  # fmt: skip
    return folder


def pix2pixhd(folder: Path, test: str = "val") -> Path:
    for seed, part in enumerate(("train", "train", test)):
        name = f"ulm_{seed:06d}_000019"
        write(
            folder, seed, f"{part}_img/{name}_leftImg8bit.png", f"{part}_label/{name}_gtFine_labelIds.png",
            f"{part}_inst/{name}_gtFine_instanceIds.png",
        )  # fmt: skip
    return folder


LAYOUTS = {
    "official": (official, "gtFine/train/ulm/ulm_000001_000019_gtFine_instanceIds.png"),
    "pix2pixhd": (pix2pixhd, "train_inst/ulm_000001_000019_gtFine_instanceIds.png"),
}


def source(root: Path, **options: object) -> StreetInstances:
    return StreetInstances(**{"root": root, "size": (HEIGHT, WIDTH), "neighbours": 1, **options})


def load_all(data: StreetInstances) -> None:
    for task in data.tasks("train"):
        task.load(range(len(task)))


@pytest.fixture
def spoilt(tmp_path):
    """A tree of the official layout, and the instance map of its second pair."""
    return official(tmp_path), tmp_path / LAYOUTS["official"][1]


def check_refused(root: Path, message: str, path: Path, caplog) -> None:
    """The message names the file; with `on_bad_file: skip` the pair is left out and listed."""
    with pytest.raises(UserError, match=message) as caught:
        load_all(source(root))
    assert str(path) in str(caught.value)
    assert "\n" not in caught.value.what
    caplog.set_level(logging.INFO, "metai2i")
    skipping = source(root, on_bad_file="skip")
    assert [task.id for task in skipping.tasks("train")] == ["ulm_000000_000019"]
    assert str(path) in "\n".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ids_come_out_as_they_were_put_in(layout, tmp_path):
    data = source(LAYOUTS[layout][0](tmp_path))
    assert (len(data.tasks("train")), len(data.tasks("test"))) == (2, 1)
    for split in ("train", "test"):
        batch = data.tasks(split)[0].load([0])
        assert (batch["instances"][0].numpy() == instance_ids()).all()
        assert set(batch) == data.provides == data.spec().fields == {"structure", "target", "instances"}
        cars = batch["instances"] >= 1000
        assert (batch["structure"].argmax(1)[cars] == 13).all()


def test_pix2pixhds_test_split_is_taken_where_there_is_no_val(tmp_path):
    assert [task.id for task in source(pix2pixhd(tmp_path, "test")).tasks("test")] == ["ulm_000002_000019"]


def test_successive_photographs_of_a_city_make_a_scene_in_both_splits(tmp_path):
    root = official(tmp_path)
    with pytest.raises(UserError, match="no test scenes: no city has 2 photographs in the split val"):
        source(root, neighbours=2)
    name = "ulm_000003_000019"
    stem = f"gtFine/val/ulm/{name}_gtFine"
    write(
        root, 3, f"leftImg8bit/val/ulm/{name}_leftImg8bit.png", f"{stem}_labelIds.png", f"{stem}_instanceIds.png"
    )  # fmt: skip
    data = source(root, neighbours=2)
    assert [len(task) for split in ("train", "test") for task in data.tasks(split)] == [2, 2]
    assert data.tasks("test")[0].load([1, 0])["instances"].shape == (2, HEIGHT, WIDTH)


def test_ids_are_resized_by_the_nearest_pixel_together_with_the_map(tmp_path):
    batch = source(official(tmp_path), size=(16, 32)).tasks("train")[0].load([0])
    assert set(batch["instances"].unique().tolist()) == {7, 23, 26000, 26001}
    cars = batch["instances"] >= 1000
    assert (cars == (batch["structure"].argmax(1) == 13)).all()


def test_ids_read_from_the_cache_are_the_same(tmp_path):
    first, second = (source(official(tmp_path)).tasks("train")[0].load([0])["instances"] for _ in range(2))
    assert (first == second).all()


def test_the_map_has_a_part_in_the_names_of_what_is_kept(spoilt):
    root, path = spoilt
    before = fingerprints(source(root))
    ids = instance_ids()
    ids[ids == 26001] = 26002
    Image.fromarray(ids).save(path)
    after = fingerprints(source(root))
    assert before != after


def test_a_missing_map_is_named(spoilt, caplog):
    root, path = spoilt
    path.unlink()
    photo = root / "leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png"
    check_refused(root, f"the photograph has no instance map; expected {path}", photo, caplog)


def test_ids_in_a_jpeg_are_refused(spoilt, caplog):
    root, path = spoilt
    Image.fromarray(label_ids()).save(path, format="JPEG")
    check_refused(root, "this is a JPEG.*expected PNG", path, caplog)


def test_8_bits_where_16_are_meant_are_refused(spoilt, caplog):
    root, path = spoilt
    Image.fromarray((instance_ids() & 255).astype(np.uint8)).save(path)
    check_refused(root, "expected instance ids in grey of 16 bits, got grey levels of 8 bits", path, caplog)


def test_a_colour_image_is_refused(spoilt, caplog):
    root, path = spoilt
    Image.new("RGB", (WIDTH, HEIGHT), (1, 2, 3)).save(path)
    check_refused(root, "this map is coloured", path, caplog)


def test_another_size_is_told_with_both(spoilt, caplog):
    root, path = spoilt
    Image.fromarray(instance_ids()[:16]).save(path)
    check_refused(root, "the instance map is 64x16, its photograph .* 64x32", path, caplog)


def test_ids_that_do_not_refine_the_classes_are_told_with_place_id_and_class(spoilt, caplog):
    root, path = spoilt
    ids = instance_ids()
    ids[24, 20:24] = 26000
    Image.fromarray(ids).save(path)
    message = (
        r"the instance ids do not refine the classes: 4 pixels \(0.2 %\) are of another class in the label map, "
        r"such as id 26000 \(car\) on road in column 20, row 24"
    )
    check_refused(root, message, path, caplog)


def test_ids_that_cityscapes_cannot_have_are_told(spoilt, caplog):
    root, path = spoilt
    ids = instance_ids()
    ids[0, :5] = 300
    Image.fromarray(ids).save(path)
    check_refused(root, r"5 pixels \(0.24 %\) have class ids that the data has not \(300\)", path, caplog)


def test_a_label_that_there_is_not_is_told(spoilt, caplog):
    root, path = spoilt
    ids = instance_ids()
    ids[ids == 26001] = 60001
    Image.fromarray(ids).save(path)
    check_refused(root, r"such as id 60001 \(a label that there is not\) on car", path, caplog)


def test_a_damaged_map_is_refused(spoilt, caplog):
    root, path = spoilt
    path.write_bytes(path.read_bytes()[:90])
    check_refused(root, "damaged|cut short|cannot be read", path, caplog)


def test_a_layout_without_instance_maps_is_told_which_have_them(trees, tmp_path):
    trees.compact_cityscapes(tmp_path)
    with pytest.raises(UserError, match="Cityscapes in the layout 'compact pack' has no instance maps") as caught:
        source(tmp_path)
    assert "layouts that have them: official Cityscapes, pix2pixHD folders" in str(caught.value)


def test_streets_without_instances_do_not_look_for_them(tmp_path, small):
    data = small(official(tmp_path, instances=False), train="cityscapes", test="cityscapes")
    assert set(data.tasks("train")[0].load([0])) == {"structure", "target"}
    assert len(data.tasks("train")[0].files) == 2


# COCO


def saved(pixels: np.ndarray, path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_a_number_of_spades_maps_may_mean_an_object_and_a_class(tmp_path):
    """Number 1 is an object on class 3 and 5, and where there is no object the class 1 itself: three instances."""
    numbers, classes = np.array([[1, 1, 0, 1]], np.uint8), np.array([[3, 5, 5, 1]], np.uint8)
    ids = spade_ids(saved(numbers, tmp_path / "a.png"), classes)
    assert ids.tolist() == [[3 * 256 + 1, 5 * 256 + 1, 5 * 256, 256 + 1]]


def test_numbers_beyond_8_bits_are_refused_in_spades_maps(tmp_path):
    path = saved(np.full((2, 2), 300, np.uint16), tmp_path / "a.png")
    with pytest.raises(UserError, match=r"4 pixels \(100 %\) have class ids that the data has not \(300\)"):
        spade_ids(path, np.zeros((2, 2), np.uint8))


def colours(ids: list[list[int]]) -> np.ndarray:
    number = np.array(ids)
    return np.stack([number & 255, number >> 8 & 255, number >> 16], -1).astype(np.uint8)


def test_a_colour_is_red_and_256_times_green_and_65536_times_blue(tmp_path):
    path = saved(colours([[0, 7, 3937500], [256, 65536, 7]]), tmp_path / "a.png")
    classes, ids = panoptic_segments(path, {7: 2, 3937500: 0, 256: 2, 65536: 5}, Path("list.json"))
    assert ids.tolist() == [[0, 7, 3937500], [256, 65536, 7]]
    assert classes.tolist() == [[-1, 2, 0], [2, 5, 2]]


def test_a_segment_that_the_list_lacks_is_told_with_its_colour_and_the_list(tmp_path):
    path = saved(colours([[7, 7, 261]]), tmp_path / "a.png")
    with pytest.raises(UserError, match=r"1 pixel \(33.* %\) has colours that no class has.*\(5, 1, 0\)") as caught:
        panoptic_segments(path, {7: 2}, Path("list.json"))
    assert "the nearest is" in str(caught.value)
    assert "id R + 256 G + 65536 B of a segment, and list.json lists 1 for this image" in str(caught.value)


def test_grey_is_refused_where_colours_are_ids(tmp_path):
    path = saved(np.zeros((2, 2), np.uint8), tmp_path / "a.png")
    with pytest.raises(UserError, match="expected a label map of colours, got grey levels"):
        panoptic_segments(path, {7: 2}, Path("list.json"))


def test_a_jpeg_of_segments_is_refused(tmp_path):
    Image.fromarray(colours([[7, 7]])).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(UserError, match="this is a JPEG"):
        panoptic_segments(tmp_path / "a.png", {7: 2}, Path("list.json"))
