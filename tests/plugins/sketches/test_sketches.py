"""Drawings of objects and their photographs: layouts, QuickDraw's forms, edges, and drawings that are none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from metai2i_sketches.drawings import Drawing, find_drawings, read_drawing
from metai2i_sketches.edges import xdog
from metai2i_sketches.source import Sketches
from PIL import Image
from scipy.ndimage import gaussian_filter

from metai2i import NEW_DOMAIN, Randomness, UserError
from metai2i.testing import run_contracts

SIDE = 16


def square(seed: int, colour=(200, 30, 30), side: int = SIDE) -> np.ndarray:
    """A square of a colour somewhere on white: (H, W, 3)."""
    image = np.full((side, side, 3), 255, np.uint8)
    y, x = np.random.default_rng(seed).integers(1, side // 2 - 1, 2)
    image[y : y + side // 2, x : x + side // 2] = colour
    image[0, 0] = seed % 200, 250, 250  # no two alike
    return image


def outline(photo: np.ndarray) -> np.ndarray:
    """The square's border, black on white: (H, W)."""
    inside = (photo < 240).any(-1)
    inside[0, 0] = False
    ys, xs = np.nonzero(inside)
    image = np.full(photo.shape[:2], 255, np.uint8)
    image[[ys.min(), ys.max()], xs.min() : xs.max() + 1] = 0
    image[ys.min() : ys.max() + 1, [xs.min(), xs.max()]] = 0
    return image


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photographs(tmp_path) -> Path:
    """Six photographs of each of two classes to train on, four to test on."""
    for n in range(20):
        part, name = ("train", "test")[n >= 12], ("cat", "car")[n % 2]
        save(
            tmp_path / "photos" / part / name / f"{n}.png", square(n, (200, 30, 30) if name == "cat" else (30, 30, 200))
        )
    return tmp_path / "photos"


def lengths(source):
    return {split: {task.id: len(task) for task in source.tasks(split)} for split in ("train", "val", "test")}


def levels(structure):
    return (structure[:, 0] * 255).round().to(torch.uint8).numpy()


def test_edges_are_those_of_the_formula_on_a_step_and_none_on_a_plain_image():
    photo = np.full((9, 12, 3), 230, np.uint8)
    photo[:, 6:] = 60
    grey = photo[..., 0] / 255
    apart = gaussian_filter(grey, 0.6) - 0.945 * gaussian_filter(grey, 0.96)
    soft = np.where(apart < -0.1, 1, 1 + np.tanh(200 * apart))
    assert np.array_equal(xdog(photo), np.where(soft > soft.mean(), 255, 0))
    edges = xdog(photo)
    assert (edges[:, :5] == 255).all()
    assert (edges[:, 6] == 0).all()
    assert (edges[:, 9:] == 255).all()
    for level in (0, 128, 255):
        assert (xdog(np.full((8, 8, 3), level, np.uint8)) == 255).all()


def test_a_class_is_a_task_and_edges_are_made_on_the_spot(photographs):
    source = Sketches(root=photographs, size=(SIDE, SIDE))
    assert lengths(source) == {
        "train": {"train/car": 6, "train/cat": 6}, "val": {}, "test": {"test/car": 4, "test/cat": 4},
    }  # fmt: skip
    batch = source.tasks("train")[1].load(range(6))
    photos = ((batch["target"] + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert all(
        np.array_equal(drawn, xdog(photo)) for drawn, photo in zip(levels(batch["structure"]), photos, strict=True)
    )
    assert batch["domain"].tolist() == [1] * 6
    spec = source.spec()
    assert (spec.domains, spec.field("domain").names) == (2, ("car", "cat", NEW_DOMAIN))
    assert (spec.field("structure").kind, spec.structure_channels) == ("map", 1)


def test_edgegans_images_have_the_drawing_left_and_the_photograph_right(tmp_path):
    for n in range(12):
        photo = square(n)
        both = np.concatenate([np.repeat(outline(photo)[..., None], 3, 2), photo], 1)
        save(tmp_path / ("train", "test")[n >= 8] / str(n % 2) / f"{n}.png", both)
    source = Sketches(root=tmp_path, size=(SIDE, SIDE))
    assert source.layout == "edgegan"
    batch = source.tasks("train")[0].load([0, 1])
    assert np.array_equal(levels(batch["structure"])[0], outline(square(0)))
    assert torch.equal(batch["target"][1], torch.from_numpy(square(2)).permute(2, 0, 1) / 127.5 - 1)
    save(tmp_path / "train" / "0" / "wide.png", np.zeros((16, 48, 3), np.uint8))
    with pytest.raises(UserError, match=r"wide\.png: the image is 48x16, expected a drawing and a photograph side by"):
        Sketches(root=tmp_path, size=(SIDE, SIDE))
    (tmp_path / "train" / "0" / "wide.png").unlink()
    save(tmp_path / "train" / "0" / "0.png", np.zeros((16, 48, 3), np.uint8))
    with pytest.raises(UserError, match=r"0\.png: the image is 48x16"):
        Sketches(root=tmp_path, size=(SIDE, SIDE))
    assert lengths(Sketches(root=tmp_path, size=(SIDE, SIDE), on_bad_file="skip"))["train"]["train/0"] == 3


@pytest.fixture
def sketchycoco(tmp_path) -> Path:
    root = tmp_path / "coco"
    for n in range(12):
        photo, place = square(n), Path(("train", "val")[n >= 8]) / ("17", "2")[n % 2] / f"{n}.png"
        save(root / "Object" / "GT" / place, photo)
        save(root / "Object" / "Edge" / place, xdog(photo))
        save(root / "Object" / "Sketch" / place, outline(photo))
    return root


def test_sketchycoco_trains_on_edges_and_tests_on_sketches(sketchycoco):
    source = Sketches(root=sketchycoco, size=(SIDE, SIDE))
    assert lengths(source)["test"] == {"test/bicycle": 2, "test/cat": 2}
    train, test = source.tasks("train")[1], source.tasks("test")[1]
    assert np.array_equal(levels(train.load([0])["structure"])[0], xdog(square(0)))
    assert np.array_equal(levels(test.load([0])["structure"])[0], outline(square(10)))
    by_edges = Sketches(root=sketchycoco, size=(SIDE, SIDE), drawn="edge")
    assert np.array_equal(levels(by_edges.tasks("test")[1].load([0])["structure"])[0], xdog(square(10)))
    assert by_edges.fingerprint("train") == source.fingerprint("train")
    assert by_edges.fingerprint("test") != source.fingerprint("test")
    (sketchycoco / "Object" / "Sketch" / "val" / "17" / "10.png").unlink()
    with pytest.raises(UserError, match=r"10\.png: the photograph has no drawing; expected .*Sketch/val/17/10\.png"):
        Sketches(root=sketchycoco, size=(SIDE, SIDE))


@pytest.mark.parametrize("role", ["unseen", "val"])
def test_a_class_of_sketchycoco_that_does_not_train_has_sketches_alone(sketchycoco, role):
    source = Sketches(root=sketchycoco, size=(SIDE, SIDE), **{role: ("cat",)})
    (task,) = [task for task in source.tasks("test" if role == "unseen" else "val") if task.id.endswith("cat")]
    assert {pair.drawing.relative_to(sketchycoco / "Object").parts[0] for pair in task.pairs} == {"Sketch"}
    assert {pair.drawing.parts[-3] for pair in task.pairs} == {"train", "val"}


def test_a_photograph_without_its_drawing_is_told_or_left_out_and_does_not_matter_in_a_class_that_is_not_taken(
    sketchycoco,
):
    (sketchycoco / "Object" / "Sketch" / "val" / "17" / "10.png").unlink()
    with pytest.raises(UserError, match=r"GT/val/17/10\.png: the photograph has no drawing; expected .*10\.png"):
        Sketches(root=sketchycoco, size=(SIDE, SIDE))
    skipping = Sketches(root=sketchycoco, size=(SIDE, SIDE), on_bad_file="skip")
    assert lengths(skipping)["test"] == {"test/bicycle": 2, "test/cat": 1}
    assert lengths(Sketches(root=sketchycoco, size=(SIDE, SIDE), classes=("bicycle",)))["test"] == {"test/bicycle": 2}


def test_two_folders_of_one_class_of_sketchycoco_are_told(sketchycoco):
    shutil.copytree(sketchycoco / "Object" / "GT" / "train" / "17", sketchycoco / "Object" / "GT" / "train" / "cat")
    with pytest.raises(UserError, match="'cat', and another one is called so"):
        Sketches(root=sketchycoco, size=(SIDE, SIDE))


@pytest.mark.parametrize(
    "content", [b"PK\3\4 and no zip", b"\x93NUMPY\x01\x00\x10\x00{'shape('         ", b"\x93NUMPY"]
)
def test_damaged_bitmaps_are_told_as_such(tmp_path, content):
    (tmp_path / "cat.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"cat\.npy: this is no array of NumPy"):
        find_drawings(tmp_path, 5)


def test_a_stroke_at_a_number_that_no_float_has_is_told_with_its_line(tmp_path):
    (tmp_path / "cat.ndjson").write_text(json.dumps({"drawing": [[[0, 10**400], [0, 1]]]}) + "\n")
    (drawing,) = find_drawings(tmp_path, 5)["cat"]
    with pytest.raises(UserError, match=r"cat\.ndjson:1: expected"):
        read_drawing(drawing, (SIDE, SIDE))


def quickdraw(strokes) -> str:
    return json.dumps({"word": "cat", "drawing": strokes})


@pytest.fixture
def by_hand(tmp_path) -> Path:
    """Strokes of cats, bitmaps and a folder of cars."""
    root = tmp_path / "sketches"
    root.mkdir()
    lines = [quickdraw([[[0, 255, 255 - n], [10, 10, 200]]]) for n in range(3)]
    raw = quickdraw([[[0.5, 900.25], [3.5, 400.0], [0, 17]]])  # drawing pixels, with times
    (root / "cat.ndjson").write_text("\n".join([*lines, raw]) + "\n")
    for n in range(3):
        save(root / "car" / f"{n}.png", outline(square(n)))
    return root


def test_drawings_by_hand_are_queries_and_a_support_keeps_its_edges(photographs, by_hand):
    source = Sketches(root=photographs, sketches=by_hand, size=(SIDE, SIDE))
    task = source.tasks("test")[0]
    episode = task.episode(1, 3, Randomness((0,)))
    drawn = {each.tobytes() for each in levels(episode.query["structure"])}
    assert drawn == {outline(square(n)).tobytes() for n in range(3)}
    photo = ((episode.support["target"][0] + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert np.array_equal(levels(episode.support["structure"])[0], xdog(photo))
    assert task.real(1, Randomness((0,))).size == 3
    train = source.tasks("train")[0].episode(1, 3, Randomness((0,)))
    assert not {each.tobytes() for each in levels(train.query["structure"])} & drawn
    plain = Sketches(root=photographs, size=(SIDE, SIDE))
    assert plain.fingerprint("train") == source.fingerprint("train")
    assert plain.fingerprint("test") != source.fingerprint("test")


def test_strokes_are_drawn_as_large_as_fits_in_the_middle(by_hand):
    drawings = find_drawings(by_hand, 10)
    assert [len(drawings[name]) for name in ("car", "cat")] == [3, 4]
    image = read_drawing(drawings["cat"][0], (256, 256))
    ys, xs = np.nonzero(image < 128)
    assert (xs.min(), xs.max()) == pytest.approx((12, 244), abs=3)
    assert (ys.min() + ys.max()) / 2 == pytest.approx(128, abs=3)
    assert image[ys.min() + 1, 128] == 0  # the upper stroke
    wide = read_drawing(drawings["cat"][3], (256, 256))
    ys, xs = np.nonzero(wide < 128)
    assert (xs.max() - xs.min()) / (ys.max() - ys.min()) == pytest.approx(900 / 396.5, rel=0.05)


def test_bitmaps_of_quickdraw_are_turned_round(tmp_path):
    bitmaps = np.zeros((5, 784), np.uint8)
    bitmaps[:, 28 * 14 : 28 * 15] = 255
    np.save(tmp_path / "cat.npy", bitmaps)
    (drawing,) = find_drawings(tmp_path, 1)["cat"]
    image = read_drawing(drawing, (28, 28))
    assert (image[14] == 0).all()
    assert (np.delete(image, 14, 0) == 255).all()


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros((3, 100), np.uint8), r"got an array \(3, 100\) of uint8, expected bitmaps of QuickDraw: \(N, 784\)"),
        (np.zeros((3, 784), np.float32), "of float32, expected bitmaps"),
        (np.zeros((0, 784), np.uint8), r"got an array \(0, 784\)"),
        (np.zeros((2, 784), np.uint8), r"cat\.npy\[0\]: the drawing is empty"),
    ],
)
def test_bitmaps_that_are_none_are_told(tmp_path, array, why):
    np.save(tmp_path / "cat.npy", array)
    with pytest.raises(UserError, match=why):
        read_drawing(find_drawings(tmp_path, 1)["cat"][0], (28, 28))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("no json", r'cat\.ndjson:2: expected {"drawing"'),
        ('{"word": "cat"}', r"cat\.ndjson:2: expected"),
        (quickdraw([[[1, 2], [3]]]), r"cat\.ndjson:2: expected"),
        (quickdraw([]), r"cat\.ndjson:2: the drawing is empty: it has no strokes"),
        (quickdraw([[[], []]]), r"cat\.ndjson:2: the drawing is empty: it has no strokes"),
        ('{"drawing": [[["a"], ["b"]]]}', r"cat\.ndjson:2: expected"),
        ('{"drawing": [[[NaN, 1], [1, 2]]]}', r"cat\.ndjson:2: expected"),
    ],
)
def test_strokes_that_are_none_are_told_with_their_line(tmp_path, line, why):
    (tmp_path / "cat.ndjson").write_text(quickdraw([[[0, 9], [0, 9]]]) + "\n" + line + "\n")
    with pytest.raises(UserError, match=why):
        read_drawing(find_drawings(tmp_path, 2)["cat"][1], (28, 28))


def test_white_on_black_is_told_and_can_be_turned_round(photographs, by_hand):
    path = by_hand / "car" / "0.png"
    save(path, 255 - outline(square(0)))
    with pytest.raises(UserError) as caught:
        Sketches(root=photographs, sketches=by_hand, size=(SIDE, SIDE))
    text = str(caught.value)
    assert f"{path}: the drawing is white on black" in text
    assert "expected black on white (tasks.inverted: true turns it round)" in text
    assert np.array_equal(read_drawing(Drawing(path), (SIDE, SIDE), inverted=True), outline(square(0)))
    save(path, outline(square(0)))
    with pytest.raises(UserError, match=r"tasks\.inverted turned it round: leave it out"):
        read_drawing(Drawing(path), (SIDE, SIDE), inverted=True)


def test_an_empty_drawing_is_told_or_left_out(photographs, by_hand, caplog):
    save(by_hand / "car" / "0.png", np.full((SIDE, SIDE), 255, np.uint8))
    with pytest.raises(UserError, match=r"car/0\.png: the drawing is empty: all of it is of one colour"):
        Sketches(root=photographs, sketches=by_hand, size=(SIDE, SIDE))
    source = Sketches(root=photographs, sketches=by_hand, size=(SIDE, SIDE), on_bad_file="skip")
    assert len(source.tasks("test")[0].drawings) == 2
    assert "skipped 1 of 7 drawings" in caplog.text


def test_what_is_transparent_is_white(tmp_path):
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    pixels[4, 2:12] = 0, 0, 0, 255
    save(tmp_path / "a.png", pixels)
    image = read_drawing(Drawing(tmp_path / "a.png"), (SIDE, SIDE))
    assert (image[4, 2:12] == 0).all()
    assert image.mean() > 240


def test_a_class_without_photographs_is_told(photographs, by_hand):
    shutil.copytree(by_hand / "car", by_hand / "carr")
    with pytest.raises(UserError) as caught:
        Sketches(root=photographs, sketches=by_hand, size=(SIDE, SIDE))
    assert "there are drawings of the class 'carr', and no photographs (did you mean 'car'?" in str(caught.value)
    chosen = Sketches(root=photographs, sketches=by_hand, size=(SIDE, SIDE), classes=("car", "cat"))
    assert list(lengths(chosen)["test"]) == ["test/car", "test/cat"]
    with pytest.raises(UserError, match=r"tasks\.classes: there are no photographs of the class 'carr'"):
        Sketches(root=photographs, size=(SIDE, SIDE), classes=("carr",))
    shutil.rmtree(photographs / "test" / "cat")
    with pytest.raises(UserError, match="the class 'cat' has no photographs in the split test, only 6 photographs in"):
        Sketches(root=photographs, size=(SIDE, SIDE))


def test_a_photograph_in_two_classes_is_told_or_left_out_of_both(photographs, caplog):
    shutil.copy(photographs / "train" / "cat" / "0.png", photographs / "train" / "car" / "copy.png")
    with pytest.raises(UserError, match=r"the same image is in several domains: 'car' \(.*copy\.png\); 'cat' \("):
        Sketches(root=photographs, size=(SIDE, SIDE))
    before = len(Sketches(root=photographs, size=(SIDE, SIDE), on_bad_file="skip").tasks("train")[0])
    assert "skipped" in caplog.text
    (photographs / "train" / "car" / "copy.png").unlink()
    assert len(Sketches(root=photographs, size=(SIDE, SIDE)).tasks("train")[0]) == before


def test_an_unseen_class_tests_with_all_its_photographs(photographs):
    source = Sketches(root=photographs, size=(SIDE, SIDE), unseen=("cat",))
    assert lengths(source) == {"train": {"train/car": 6}, "val": {}, "test": {"test/cat": 10}}
    assert source.tasks("test")[0].load([0])["domain"].tolist() == [1]
    assert source.spec().domains == 1
    with pytest.raises(UserError, match="no class trains"):
        Sketches(root=photographs, size=(SIDE, SIDE), unseen=("cat",), val=("car",))


def test_a_photograph_in_two_classes_is_told_as_such_in_whichever_split_it_is(photographs):
    shutil.copy(photographs / "train" / "cat" / "0.png", photographs / "test" / "car" / "copy.png")
    with pytest.raises(UserError, match=r"the same image is in several domains: 'car' \(.*copy\.png\); 'cat' \("):
        Sketches(root=photographs, size=(SIDE, SIDE))
    left = Sketches(root=photographs, size=(SIDE, SIDE), on_bad_file="skip")
    assert lengths(left) == {
        "train": {"train/car": 6, "train/cat": 5},
        "val": {},
        "test": {"test/car": 4, "test/cat": 4},
    }


def test_a_photograph_in_two_splits_is_told(photographs):
    shutil.copy(photographs / "train" / "cat" / "0.png", photographs / "test" / "cat" / "copy.png")
    with pytest.raises(UserError, match="the same photograph is in several splits"):
        Sketches(root=photographs, size=(SIDE, SIDE))


def test_a_folder_without_drawings_is_told(photographs, tmp_path):
    with pytest.raises(UserError, match="no such folder, expected one with drawings"):
        Sketches(root=photographs, sketches=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="there are no drawings here"):
        Sketches(root=photographs, sketches=tmp_path / "empty")


def test_it_keeps_the_contracts_of_a_task_source(photographs, by_hand):
    options = {"root": str(photographs), "sketches": str(by_hand), "size": [SIDE, SIDE]}
    outcomes = run_contracts("task source", Sketches, options)
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}


def test_a_spec_says_which_scenes_train_and_is_otherwise_that_of_any_source_of_domains(photographs):
    source = Sketches(root=photographs, size=(SIDE, SIDE))
    spec = source.spec()
    assert [task.id for task in spec.training] == ["train/car", "train/cat"]
    assert (spec.structure_channels, spec.domains, spec.field("domain").names) == (1, 2, ("car", "cat", NEW_DOMAIN))
    assert spec == source.spec()
