"""What is wrong with files is told with their names, at the scan or at loading; or they are left out."""

import logging

import numpy as np
import pytest
from fingerprints import fingerprints
from PIL import Image

from metai2i import UserError


@pytest.fixture
def city(trees, tmp_path):
    """Three training pairs; the second is for spoiling."""
    folder = trees.compact_cityscapes(tmp_path)
    return folder / "train" / "train_0002.jpg", folder / "train" / "train_0002.png"


def load_all(source):
    for task in source.tasks("train"):
        task.load(range(len(task)))


@pytest.fixture
def both(small, tmp_path, city, caplog):
    """Asserts the message of a bad pair, that it comes at the scan or at loading, and that skipping leaves it out."""

    def check(message, at, path):
        options = {"train": "cityscapes", "test": "cityscapes"}
        if at == "scan":
            with pytest.raises(UserError, match=message) as caught:
                small(tmp_path, **options)
        else:
            source = small(tmp_path, **options)
            with pytest.raises(UserError, match=message) as caught:
                load_all(source)
        assert str(path) in str(caught.value)
        caplog.set_level(logging.INFO, "metai2i")
        source = small(tmp_path, on_bad_file="skip", **options)
        assert [task.id for task in source.tasks("train")] == ["train_0001", "train_0003"]
        load_all(source)
        printed = "\n".join(record.getMessage() for record in caplog.records)
        assert "skipped 1 of 5 pairs of Cityscapes" in printed
        assert str(path) in printed

    return check


def test_a_photograph_without_its_label_map_is_named(city, both):
    city[1].unlink()
    both(rf"{city[0]}: the photograph has no label map; expected {city[1]}", "scan", city[0])


def test_an_empty_file_is_named(city, both):
    city[1].write_bytes(b"")
    both("not an image that can be read", "scan", city[1])


def test_a_label_map_of_another_size_is_named_with_both_sizes(city, both, trees):
    Image.new("L", (60, 32)).save(city[1])
    both(rf"the label map is 60x32, its photograph {city[0]} 64x32", "scan", city[1])


def test_a_truncated_label_map_is_named(city, both):
    city[1].write_bytes(city[1].read_bytes()[:-40])
    both("the image is damaged or cut short", "load", city[1])


def test_a_truncated_photograph_is_named(city, both):
    city[0].write_bytes(city[0].read_bytes()[:-200])
    both("the image is damaged or cut short", "load", city[0])


def test_a_label_id_out_of_range_is_named_with_the_range(city, both):
    ids = np.zeros((32, 64), np.uint8)
    ids[3, 4] = 27
    Image.fromarray(ids).save(city[1])
    both(r"1 pixel .* class ids that the data has not \(27\), expected 0 to 19: 0 road", "load", city[1])


def test_a_label_id_beyond_a_byte_is_named(city, both):
    ids = np.zeros((32, 64), np.uint16)
    ids[3, 4] = 300
    Image.fromarray(ids).save(city[1])
    both(r"class ids that the data has not \(300\)", "load", city[1])


def test_colours_where_ids_should_be_are_told(city, both, trees):
    trees.photo(0).save(city[1])
    both("have colours that no class has, most of them", "load", city[1])


def test_cutting_a_file_anywhere_is_told_by_name(city, small, tmp_path):
    """Whatever the decoder stumbles over, it is a UserError with the file's name."""
    for path in city:
        whole = path.read_bytes()
        for end in [*range(0, 64), *range(64, len(whole) - 30, 37)]:
            path.write_bytes(whole[:end])
            with pytest.raises(UserError, match=path.name):
                load_all(small(tmp_path, train="cityscapes", test="cityscapes"))
        path.write_bytes(whole)


def test_several_bad_files_are_told_together(trees, small, tmp_path):
    trees.compact_cityscapes(tmp_path, train=12)
    for path in sorted((tmp_path / "train").glob("*.png"))[1:]:
        path.unlink()
    with pytest.raises(UserError) as caught:
        small(tmp_path, train="cityscapes", test="cityscapes")
    assert str(caught.value).count("has no label map") == 8
    assert "and 3 more bad files" in str(caught.value)


def test_a_photograph_where_a_map_should_be_is_told(trees, small, tmp_path):
    folder = trees.official_camvid(tmp_path)
    trees.photo(7).save(folder / "LabeledApproved_full" / f"{trees.FRAMES[0]}_L.png")
    source = small(tmp_path, train="camvid", test="camvid")
    with pytest.raises(UserError, match=r"0001TP_006690_L.png: [\d,]+ pixels \(\d+ %\) have colours that no class"):
        load_all(source)


def test_ids_where_colours_should_be_are_told(trees, small, tmp_path):
    folder = trees.official_camvid(tmp_path)
    Image.new("L", (64, 32)).save(folder / "LabeledApproved_full" / f"{trees.FRAMES[0]}_L.png")
    with pytest.raises(UserError, match="expected a label map of colours, got grey levels"):
        load_all(small(tmp_path, train="camvid", test="camvid"))


def test_a_pair_that_is_not_side_by_side_is_named(trees, small, tmp_path):
    trees.pix2pix(tmp_path)
    trees.photo(0, 64, 100).save(tmp_path / "train" / "2.jpg")
    with pytest.raises(UserError, match=r"2.jpg: expected photograph and label map side by side.*got 100x64"):
        small(tmp_path, train="cityscapes", test="cityscapes")


def test_a_camvid_frame_without_a_frame_number_is_named(trees, small, tmp_path):
    trees.segnet(tmp_path)
    (tmp_path / "train" / f"{trees.FRAMES[0]}.png").rename(tmp_path / "train" / "holiday-3.png")
    with pytest.raises(UserError, match=r"holiday-3\.png: cannot tell sequence and frame number"):
        small(tmp_path, train="camvid", test="camvid")


def test_a_frame_that_two_splits_hold_is_named(trees, small, tmp_path):
    trees.segnet(tmp_path)
    for folder in ("", "annot"):
        name = f"{trees.FRAMES[3]}.png"
        (tmp_path / f"train{folder}" / name).write_bytes((tmp_path / f"test{folder}" / name).read_bytes())
    with pytest.raises(UserError, match="two images called Seq05VD_f00000"):
        small(tmp_path, train="camvid", test="camvid")


def test_a_listed_frame_that_is_not_there_is_named(trees, small, tmp_path):
    trees.segnet(tmp_path)
    (tmp_path / "train.txt").write_text("".join(f"x/{name}.png y/{name}.png\n" for name in ("0001TP_006660",)))
    with pytest.raises(UserError, match=r"0001TP_006660\.png: there is no such file"):
        small(tmp_path, train="camvid", test="camvid")


def test_a_skipped_frame_leaves_a_gap_that_no_clip_crosses(trees, small, tmp_path):
    folder = trees.official_camvid(tmp_path)
    frames = [f"0001TP_{30 * i:06d}" for i in range(5)]
    for i, name in enumerate(frames):
        trees.photo(50 + i).save(folder / "701_StillsRaw_full" / f"{name}.png")
        if i != 1:
            trees.in_colours({10: (128, 128, 128)}).save(folder / "LabeledApproved_full" / f"{name}_L.png")
    source = small(tmp_path, train="camvid", test="camvid", on_bad_file="skip")
    assert [task.id for task in source.tasks("train")] == ["0001TP_000060-000090", "0001TP_006690-006720"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot read JSON"),
        ("[]", "expected an object, got a list"),
        ('{"clips": [{"id": "a"}]}', "expected `clips`, each with `id`, `sequence` and `frames`"),
        ('{"clips": [{"id": "a", "sequence": "s", "frames": ["x", "y"]}]}', "clip 'a' names frame 'x'"),
    ],
)
def test_a_wrong_list_of_clips_is_told(text, message, trees, small, tmp_path):
    trees.compact_camvid(tmp_path)
    (tmp_path / "clips.json").write_text(text)
    with pytest.raises(UserError, match=message):
        small(tmp_path, train="camvid", test="camvid")


def test_reading_every_file_is_done_once(city, small, tmp_path, own_cache, monkeypatch):
    city[1].write_bytes(city[1].read_bytes()[:-40])
    options = {"train": "cityscapes", "test": "cityscapes", "on_bad_file": "skip"}
    first = small(tmp_path, **options)
    assert len(list(own_cache.rglob("*.json"))) == 1

    def never(*_):
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr("metai2i_street.readers.IdReader.labels", never)
        again = small(tmp_path, **options)
    assert fingerprints(again) == fingerprints(first)
    # A file that was put right is read anew.
    Image.new("L", (64, 32)).save(city[1])
    assert len(small(tmp_path, **options).tasks("train")) == 3


def test_a_broken_memory_of_what_was_read_does_no_harm(city, small, tmp_path, own_cache):
    options = {"train": "cityscapes", "test": "cityscapes", "on_bad_file": "skip"}
    small(tmp_path, **options)
    for path in own_cache.rglob("*.json"):
        path.write_text("[1, 2")
    assert len(small(tmp_path, **options).tasks("train")) == 3


def test_two_photographs_of_one_name_are_told_or_left_out(city, both):
    city[0].with_suffix(".jpeg").write_bytes(city[0].read_bytes())
    both(r"train_0002\.jpeg and train_0002\.jpg have one name", "scan", city[0].with_suffix(".jpeg"))


@pytest.mark.parametrize("name", ["._train_0001.jpg", "Thumbs.db", "@eaDir/train_0009.jpg", "__MACOSX/._a.png"])
def test_what_systems_leave_behind_is_not_looked_at(name, trees, small, tmp_path):
    trees.compact_cityscapes(tmp_path)
    (tmp_path / "train" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "train" / name).write_bytes(b"x")
    assert len(small(tmp_path, train="cityscapes", test="cityscapes").tasks("train")) == 3


def test_folders_of_systems_are_no_cities(trees, small, tmp_path):
    trees.official_cityscapes(tmp_path)
    (tmp_path / "leftImg8bit" / "train" / "@eaDir").mkdir()
    (tmp_path / "leftImg8bit" / "train" / "@eaDir" / "a_leftImg8bit.png").write_bytes(b"x")
    assert len(small(tmp_path, train="cityscapes", test="cityscapes").tasks("train")) == 4


def test_a_city_whose_folder_is_gone_is_told(trees, small, tmp_path):
    trees.official_cityscapes(tmp_path)
    (tmp_path / "leftImg8bit" / "train" / "bonn").symlink_to("gone")
    with pytest.raises(UserError, match="bonn: this link leads nowhere"):
        small(tmp_path, train="cityscapes", test="cityscapes")


def test_a_photograph_in_two_splits_is_refused_or_left_out_of_training(city, small, tmp_path):
    city[0].write_bytes((tmp_path / "val" / "val_0001.jpg").read_bytes())
    options = {"train": "cityscapes", "test": "cityscapes"}
    with pytest.raises(UserError, match=r"in several splits: train scene 'train_0002' .*; test scene 'val_0001' "):
        small(tmp_path, **options)
    source = small(tmp_path, on_bad_file="skip", **options)
    assert [task.id for task in source.tasks("train")] == ["train_0001", "train_0003"]
    assert [task.id for task in source.tasks("test")] == ["val_0001", "val_0002"]


def test_a_city_in_two_splits_is_told(trees, small, tmp_path, caplog):
    trees.official_cityscapes(tmp_path)
    for tree in ("leftImg8bit", "gtFine"):
        (tmp_path / tree / "val" / "lindau").rename(tmp_path / tree / "val" / "ulm")
    with caplog.at_level(logging.WARNING, "metai2i"):
        small(tmp_path, train="cityscapes", test="cityscapes")
    assert "street: 1 cities are in several splits: ulm" in caplog.messages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"train": "train_0001"}', "expected a list of names under 'train'"),
        ('{"train": ["train_0001", 7]}', "'train' lists 7, expected the name of a pair"),
        ('{"train": ["../val/val_0001"]}', "expected the name of a pair in train/"),
        ('{"train": ["train_0001", "train_0001"]}', "'train' lists 'train_0001' twice"),
    ],
)
def test_a_wrong_list_of_splits_is_told(text, message, trees, small, tmp_path):
    trees.compact_cityscapes(tmp_path)
    (tmp_path / "splits.json").write_text(text)
    with pytest.raises(UserError, match=message):
        small(tmp_path, train="cityscapes", test="cityscapes")


def test_a_list_of_splits_with_a_byte_order_mark_is_read(trees, small, tmp_path):
    trees.compact_cityscapes(tmp_path)
    (tmp_path / "splits.json").write_text('{"train": ["train_0002"], "size": [2, 3]}', encoding="utf-8-sig")
    source = small(tmp_path, train="cityscapes", test="cityscapes")
    assert [task.id for task in source.tasks("train")] == ["train_0002"]


def test_lists_of_other_machines_are_read(trees, small, tmp_path):
    trees.segnet(tmp_path)
    lines = [f"C:\\data\\CamVid\\train\\{name}.png x" for name in trees.FRAMES[:2]]
    (tmp_path / "train.txt").write_text("\r\n".join(lines), encoding="utf-8-sig")
    source = small(tmp_path, train="camvid", test="camvid")
    assert [record.name for record in source.tasks("train")[0].pairs] == list(trees.FRAMES[:2])


def test_what_was_read_before_is_told_again_with_its_hint(trees, small, tmp_path, caplog):
    folder = trees.official_camvid(tmp_path)
    trees.photo(7).save(folder / "LabeledApproved_full" / f"{trees.FRAMES[0]}_L.png")
    messages = []
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "metai2i"):
            small(tmp_path, train="camvid", test="camvid", on_bad_file="skip")
        messages.append(caplog.messages)
    assert messages[0] == messages[1]
    assert "resize maps by the nearest pixel" in messages[0][1]
