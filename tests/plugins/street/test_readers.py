"""Photographs and label maps are read as their owner sees them, in every layout."""

import logging

import numpy as np
import pytest
from PIL import Image

from metai2i import UserError

MAPS = {
    "compact_camvid": ("camvid", "*.png", "CITYSCAPES_COLOURS"),
    "segnet": ("camvid", "*annot/*.png", "CAMVID_COLOURS"),
    "colour_labels": ("camvid", "*_labels/*.png", "CAMVID_COLOURS"),
    "official_camvid": ("camvid", "LabeledApproved_full/*.png", "CAMVID_COLOURS"),
    "compact_cityscapes": ("cityscapes", "*/*.png", "CITYSCAPES_COLOURS"),
    "official_cityscapes": ("cityscapes", "gtFine/*/*/*_labelIds.png", "CITYSCAPES_COLOURS"),
    "bdd100k_seg": ("bdd100k", "seg/labels/*/*.png", "CITYSCAPES_COLOURS"),
    "bdd100k_images": ("bdd100k", "labels/sem_seg/masks/*/*.png", "CITYSCAPES_COLOURS"),
}
"""Of each layout: the data set, its maps, and the colours that its classes have."""


@pytest.fixture
def layout(request, trees, small, tmp_path):
    """The maps of a layout, its colours by class, and what reads it."""
    name = request.param
    dataset, pattern, colours = MAPS[name]
    folder = getattr(trees, name)(tmp_path / dataset)
    return (
        sorted(folder.glob(pattern)),
        getattr(trees, colours),
        lambda **options: small(tmp_path, train=dataset, test=dataset, **options),
    )


@pytest.mark.parametrize("layout", MAPS, indirect=True)
def test_palettes_of_the_datas_colours_are_read_by_colour(layout, trees):
    maps, colours, source = layout
    order = {number: index for index, number in enumerate(reversed(list(colours)))}
    for path in maps:
        image = Image.fromarray(np.vectorize(order.get)(trees.label_map()).astype(np.uint8)).convert("P")
        image.putpalette([level for number in order for level in colours[number]])
        image.save(path)
    assert (source().tasks("test")[0].maps()[0].numpy() == trees.label_map()).all()


@pytest.mark.parametrize("layout", MAPS, indirect=True)
def test_a_class_whose_colour_is_a_level_off_is_told_with_its_class(layout, trees):
    maps, colours, source = layout
    for path in maps:
        trees.in_colours({**colours, trees.ROAD: (129, 64, 128)}).save(path)
    message = r"\(\d+ %\) have colours that no class has, most of them \(129, 64, 128\) \(the nearest is road"
    with pytest.raises(UserError, match=message):
        source().tasks("test")[0].maps()


def test_photographs_and_maps_are_held_upright(trees, small, tmp_path):
    folder = trees.compact_camvid(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 3
    for path in folder.glob("*.jpg"):
        Image.open(path).convert("RGB").rotate(180).save(path, quality=100, subsampling=0, exif=exif)
    batch = small(tmp_path, train="camvid", test="camvid").tasks("test")[0].load([0])
    seen = ((batch["target"][0] + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(seen - np.asarray(trees.photo(3), np.float32)).max() <= 24  # stored as JPEG twice
    assert (batch["structure"][0].argmax(0).numpy() == trees.label_map()).all()


def test_a_map_of_the_lying_photograph_is_told_of_its_orientation(trees, small, tmp_path):
    folder = trees.compact_camvid(tmp_path)
    path = folder / f"{trees.FRAMES[0]}.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).save(path, exif=exif)
    with pytest.raises(UserError, match=r"the label map is 64x32, its photograph .* 32x64 .*EXIF orientation \(6\)"):
        small(tmp_path, train="camvid", test="camvid")


@pytest.mark.parametrize(
    ("write", "dataset", "photo"),
    [
        ("compact_camvid", "camvid", "0001TP_006690.jpg"),
        ("segnet", "camvid", "train/0001TP_006690.png"),
        ("pix2pix", "cityscapes", "train/1.jpg"),
        ("official_cityscapes", "cityscapes", "leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png"),
        ("bdd100k_seg", "bdd100k", "seg/images/train/*.jpg"),
    ],
)
def test_two_photographs_of_one_name_are_refused(write, dataset, photo, trees, small, tmp_path):
    folder = getattr(trees, write)(tmp_path / dataset)
    (path, *_) = sorted(folder.glob(photo))
    path.with_suffix(".jpeg").write_bytes(path.read_bytes())
    names = sorted([path.name, path.with_suffix(".jpeg").name])
    with pytest.raises(UserError, match=f"{names[0]} and {names[1]} have one name"):
        small(tmp_path, train=dataset, test=dataset)


def test_a_map_that_is_a_jpeg_is_refused_at_once(trees, small, tmp_path):
    folder = trees.compact_camvid(tmp_path)
    trees.in_ids(trees.IDENTITY).save(folder / f"{trees.FRAMES[0]}.png", format="JPEG")
    with pytest.raises(UserError, match=r"0001TP_006690.png: .* this is a JPEG image, expected PNG"):
        small(tmp_path, train="camvid", test="camvid")


def test_maps_of_ids_that_were_smoothed_are_told_once_for_all(trees, small, tmp_path, caplog):
    folder = trees.compact_camvid(tmp_path)
    for path in folder.glob("*.png"):
        rough = Image.open(path).resize((20, 10), Image.Resampling.NEAREST)
        rough.resize((64, 32), Image.Resampling.BILINEAR).save(path)
    caplog.set_level(logging.WARNING, "metai2i")
    source = small(tmp_path, train="camvid", test="camvid")
    for split in ("train", "test"):
        source.tasks(split)[0].maps()
    assert [text.partition(":")[0] for text in source.remarks()] == ["CamVid"]
    assert f"4 label maps, such as {folder / trees.FRAMES[0]}.png: resized with smoothing" in source.remarks()[0]
    assert caplog.text.count("resized with smoothing") == 1
