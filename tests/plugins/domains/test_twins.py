"""Folders of twins: images of one name in several classes, their masks, and what is refused."""

from __future__ import annotations

import logging
import zlib

import numpy as np
import pytest
import torch
from metai2i_domains.twins import Twins
from PIL import Image

from metai2i import NEW_DOMAIN, Randomness, UserError
from metai2i.testing import run_contracts


def write(path, colour, side=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((side, side, 3), colour, np.uint8)
    pixels[:4, :4] = zlib.crc32(str(path).encode()) % 200  # no two images are the same
    Image.fromarray(pixels).save(path)


def write_mask(path, share=0.5, side=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[:, : int(share * side)] = 255
    Image.fromarray(pixels).save(path.with_suffix(".png"))


@pytest.fixture
def root(tmp_path):
    """Two classes whose images 0 to 2 are twins, and a third that shares the first alone."""
    for part, first in (("Train", 0), ("Test", 10)):
        for number, (name, count) in enumerate((("1_cat", 3), ("2_dog", 3), ("10_car", 1))):
            for n in range(first, first + count):
                write(tmp_path / "syn" / part / name / f"{n}.png", 20 * n + 5 * number)
                write_mask(tmp_path / "syn_mask" / part / name / f"{n}.png")
    return tmp_path / "syn"


def names_of(task):
    return [(image.path.parent.name, image.path.stem, [each.path.parent.name for each in twins])
            for image, twins in task.samples]  # fmt: skip


def test_twins_have_one_name_in_several_classes(root):
    source = Twins(root=root, size=(32, 32))
    assert [task.id for task in source.tasks("train")] == ["train/1_cat", "train/2_dog", "train/10_car"]
    assert names_of(source.tasks("train")[0]) == [
        ("1_cat", "0", ["2_dog", "10_car"]),
        ("1_cat", "1", ["2_dog"]),
        ("1_cat", "2", ["2_dog"]),
    ]
    assert [len(task) for task in source.tasks("test")] == [3, 3, 1]
    assert source.spec().domains == 3
    assert source.spec().field("domain").names == ("1_cat", "2_dog", "10_car", NEW_DOMAIN)
    batch = source.tasks("train")[0].load([0, 1])
    assert batch["domain"].tolist() == [0, 0]
    assert (batch["mask"][..., :16] == 1).all()
    assert (batch["mask"][..., 16:] == 0).all()
    drawn = {int(source.tasks("train")[0].draw(0, Randomness((n,)))["twin_domain"]) for n in range(20)}
    assert drawn == {1, 2}


def test_photographs_without_twins_are_their_own_and_train_only(root, tmp_path):
    for n in range(2):
        write(tmp_path / "real" / "train" / "1_cat" / f"{n}.png", 200 + n)
        write(tmp_path / "real" / "train" / "1001_face" / f"{n}.png", 220 + n)
        for name in ("1_cat", "1001_face"):
            write_mask(tmp_path / "masks" / "train" / name / f"{n}.png")
    source = Twins(root=root, photographs=tmp_path / "real", photograph_masks=tmp_path / "masks", size=(32, 32))
    assert [task.id for task in source.tasks("train")][3:] == [
        "train/1_cat (photographs)",
        "train/1001_face (photographs)",
    ]
    assert source.spec().field("domain").names == ("1_cat", "2_dog", "10_car", "1001_face", NEW_DOMAIN)
    batch = source.tasks("train")[4].draw(1, Randomness((0,)))
    assert torch.equal(batch["twin"], batch["source"])
    assert batch["domain"].tolist() == batch["twin_domain"].tolist() == [3]
    assert len(source.tasks("test")) == 3


def test_images_without_a_twin_are_left_out_and_counted(root, caplog):
    write(root / "Train" / "1_cat" / "99.png", 99)
    write_mask(root.parent / "syn_mask" / "Train" / "1_cat" / "99.png")
    with caplog.at_level(logging.WARNING, "metai2i"):
        source = Twins(root=root, size=(32, 32))
    assert len(source.tasks("train")[0]) == 3
    assert "left out 1 image of the split train that have no twin" in caplog.text


def test_without_a_test_folder_what_validates_tests_and_nothing_validates(root):
    for folder in (root, root.parent / "syn_mask"):
        (folder / "Test").rename(folder / "val")
    source = Twins(root=root, size=(32, 32))
    assert [len(task) for task in source.tasks("test")] == [3, 3, 1]
    assert source.tasks("val") == []


def test_a_limit_takes_names_so_that_twins_stay_twins(root):
    for n in range(3, 9):  # names that one class alone has
        write(root / "Train" / "1_cat" / f"x{n}.png", 100 + n)
    source = Twins(root=root, size=(32, 32), images=2)
    assert names_of(source.tasks("train")[0]) == [("1_cat", "0", ["2_dog", "10_car"]), ("1_cat", "1", ["2_dog"])]
    assert [len(task) for task in source.tasks("train")] == [2, 2, 1]


def test_a_mask_of_another_shape_is_refused_and_one_of_another_size_is_not(root):
    mask = root.parent / "syn_mask" / "Train" / "2_dog" / "1.png"
    write_mask(mask, side=16)
    assert len(Twins(root=root, size=(32, 32)).tasks("train")) == 3
    Image.new("RGB", (64, 32)).save(mask)
    with pytest.raises(
        UserError, match=r"the mask is 64x32, its image .*2_dog/1\.png 32x32 \(width x height\)"
    ) as caught:
        Twins(root=root)
    assert caught.value.where == mask


def test_an_image_that_trains_and_tests_is_refused(root):
    (root / "Test" / "1_cat" / "10.png").write_bytes((root / "Train" / "1_cat" / "0.png").read_bytes())
    with pytest.raises(UserError, match="the same photograph is in several splits"):
        Twins(root=root)


def test_images_that_share_no_name_are_refused(root):
    for path in (root / "Train" / "2_dog").iterdir():
        path.rename(path.with_stem(f"x{path.stem}"))
        mask = root.parent / "syn_mask" / "Train" / "2_dog" / path.name
        mask.rename(mask.with_stem(f"x{mask.stem}"))
    (root / "Train" / "10_car" / "0.png").rename(root / "Train" / "10_car" / "y.png")
    mask = root.parent / "syn_mask" / "Train" / "10_car" / "0.png"
    mask.rename(mask.with_stem("y"))
    with pytest.raises(UserError, match="there are no train images here that have a twin"):
        Twins(root=root)


def test_a_missing_mask_and_a_missing_folder_of_masks_are_told(root):
    (root.parent / "syn_mask" / "Train" / "2_dog" / "1.png").unlink()
    with pytest.raises(UserError, match=r"the image has no mask; expected .*syn_mask/Train/2_dog/1\.jpg"):
        Twins(root=root)
    (root.parent / "syn_mask").rename(root.parent / "elsewhere")
    with pytest.raises(UserError, match=r"no folder of masks for these images: expected .*syn_mask"):
        Twins(root=root)


def test_a_single_class_is_told(tmp_path):
    write(tmp_path / "syn" / "train" / "cat" / "0.png", 10)
    with pytest.raises(UserError, match="there is one class here, 'cat', and twins are of two or more"):
        Twins(root=tmp_path / "syn")


def test_a_mask_that_changes_changes_the_fingerprint(root):
    before = Twins(root=root, size=(32, 32)).fingerprint("train")
    assert Twins(root=root, size=(32, 32)).fingerprint("train") == before
    write_mask(root.parent / "syn_mask" / "Train" / "1_cat" / "0.png", 0.25)
    assert Twins(root=root, size=(32, 32)).fingerprint("train") != before


def test_it_keeps_the_contracts_of_a_task_source(root):
    outcomes = run_contracts("task source", Twins, {"root": str(root), "size": [32, 32]})
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}
