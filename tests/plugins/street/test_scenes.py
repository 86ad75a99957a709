import copy
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from fingerprints import fingerprints
from metai2i_street.readers import TwoFiles
from metai2i_street.scenes import Scene, neighbouring
from PIL import Image

from metai2i import Randomness, UserError
from metai2i.data.decoding import covering, fit_labels, fit_photo
from metai2i.data.memory_cache import MemoryCache


@pytest.fixture
def source(trees, small, tmp_path):
    trees.compact_cityscapes(tmp_path / "cityscapes")
    trees.segnet(tmp_path / "camvid")
    return small(tmp_path, val="cityscapes", val_tasks=1)


def test_the_spec_names_classes_and_colours(source):
    spec = source.spec()
    assert (spec.structure_channels, spec.size, len(spec.classes), len(spec.palette)) == (20, (32, 64), 20, 20)
    assert spec.classes[0] == "road"


def test_a_batch_is_one_hot_and_in_range(source):
    batch = source.tasks("test")[0].load([0, 1])
    assert batch["structure"].shape == (2, 20, 32, 64)
    assert batch["target"].shape == (2, 3, 32, 64)
    assert batch["structure"].dtype == batch["target"].dtype == torch.float32
    assert (batch["structure"].sum(1) == 1).all()
    assert -1 <= batch["target"].min() < batch["target"].max() <= 1


def test_loading_twice_gives_the_same(source):
    task = source.tasks("test")[0]
    for name, field in task.load([1, 0]).items():
        assert torch.equal(field, task.load([1, 0])[name])
        assert torch.equal(field[1], task.load([0])[name][0])


def test_what_a_batch_holds_can_be_written_to_without_harm(source):
    task = source.tasks("train")[0]
    before = task.load([0])["target"].clone()
    task.load([0])["target"].zero_()
    task.maps().zero_()
    assert torch.equal(task.load([0])["target"], before)


def test_maps_read_no_photograph(source, monkeypatch):
    def never(*_):
        raise AssertionError("read a photograph")

    monkeypatch.setattr(TwoFiles, "photo", never)
    maps = source.tasks("test")[0].maps()
    assert (maps.shape, maps.dtype) == ((2, 32, 64), torch.int64)
    assert source.tasks("test")[0].maps(limit=1).shape == (1, 32, 64)


def test_no_scene_is_in_two_splits(source):
    ids = {split: {task.id for task in source.tasks(split)} for split in ("train", "val", "test")}
    assert {split: len(scenes) for split, scenes in ids.items()} == {"train": 3, "val": 1, "test": 2}
    assert len(set().union(*ids.values())) == 6


def test_episodes_are_drawn_from_scenes(source):
    episode = source.tasks("test")[0].episode(1, 1, Randomness())
    assert (episode.support.size, episode.query.size) == (1, 1)
    assert not torch.equal(episode.support["target"], episode.query["target"])


def test_files_are_decoded_once(source, monkeypatch):
    task = source.tasks("train")[0]
    task.load([0])
    monkeypatch.setattr(TwoFiles, "photo", None)
    task.load([0])


def test_a_source_can_be_copied_and_sent_to_other_processes(source):
    for other in (copy.deepcopy(source), pickle.loads(pickle.dumps(source))):
        assert fingerprints(other) == fingerprints(source)
        batch = other.tasks("train")[0].load([0])
        assert torch.equal(batch["target"], source.tasks("train")[0].load([0])["target"])


def test_the_cache_forgets_what_was_used_longest_ago():
    cache, loads = MemoryCache(limit=250), []

    def get(key, size=100):
        return cache.get(key, lambda: loads.append(key) or np.zeros(size, np.uint8))

    for key in ("a", "b", "a", "c", "a", "b"):
        get(key)
    assert loads == ["a", "b", "c", "b"]
    assert (len(cache), cache.used) == (2, 200)
    get("big", 300)
    assert (len(cache), cache.used) == (2, 200)


def test_a_copied_folder_has_the_same_fingerprint(source, small, tmp_path):
    shutil.copytree(tmp_path, tmp_path.parent / "copy")  # with new times
    other = small(tmp_path.parent / "copy", val="cityscapes", val_tasks=1)
    assert fingerprints(other) == fingerprints(source)


def test_the_fingerprint_changes_with_files_and_options(source, trees, small, tmp_path):
    options = {"val": "cityscapes", "val_tasks": 1}
    changed = [{"train_tasks": 2}, {"val_tasks": 2}, {"size": (16, 32)}, {"val": None}, {"clip": 1}]
    prints = [fingerprints(source)] + [fingerprints(small(tmp_path, **{**options, **change})) for change in changed]
    path = tmp_path / "cityscapes" / "train" / "train_0002.png"
    Image.new("L", (64, 32)).save(path)
    prints.append(fingerprints(small(tmp_path, **options)))
    path.with_suffix(".jpg").unlink()
    prints.append(fingerprints(small(tmp_path, **options)))
    assert len(set(prints)) == len(prints)
    assert fingerprints(small(tmp_path, cache_mb=1, on_bad_file="skip", **options)) == prints[-1]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_change_in_place_changes_the_fingerprint_of_its_split_and_of_the_scene(source, small, tmp_path, suffix):
    before, scene = fingerprints(source), source.tasks("train")[1].fingerprint()
    path = next(file for file in source.tasks("train")[1].files if file.suffix == suffix)
    state, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    again = small(tmp_path, val="cityscapes", val_tasks=1)
    assert [mark == other for mark, other in zip(fingerprints(again), before, strict=True)] == [False, True, True]
    assert again.tasks("train")[1].fingerprint() != scene


@pytest.mark.parametrize("option", [{"test_tasks": 1}, {"test_sequences": ("none",)}])
def test_options_of_the_test_leave_the_fingerprints_of_training_alone(source, small, tmp_path, option):
    assert set(option) <= type(source).test_options
    after = small(tmp_path, val="cityscapes", val_tasks=1, **option)
    assert [after.fingerprint(split) == source.fingerprint(split) for split in ("train", "val")] == [True, True]


def test_training_scenes_are_limited_evenly(trees, small, tmp_path):
    trees.compact_cityscapes(tmp_path, train=6)
    source = small(tmp_path, train="cityscapes", test="cityscapes", train_tasks=3)
    assert [task.id for task in source.tasks("train")] == ["train_0001", "train_0003", "train_0005"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip": 0}, "tasks.clip: got 0, expected at least 1"),
        ({"train_tasks": 0}, "tasks.train_tasks: got 0, expected at least 1"),
        ({"size": (0, 4)}, "tasks.size.0: got 0, expected at least 1"),
        ({"cache_mb": -1}, "tasks.cache_mb: got -1, expected at least 0"),
        ({"clip": 4}, r"no test scenes: CamVid .*the longest stretch without a gap has 3 frames.*smaller tasks.clip"),
        ({"test_sequences": ("Seq05VE",), "train": "camvid"}, "did you mean 'Seq05VD'"),
    ],
)
def test_options_that_cannot_be_are_told(options, message, source, small, tmp_path):
    with pytest.raises(UserError, match=message):
        small(tmp_path, **options)


def test_a_data_set_without_a_train_split_is_told(trees, small, tmp_path):
    trees.bdd100k_seg(tmp_path)
    shutil.rmtree(tmp_path / "seg/images/train")
    shutil.rmtree(tmp_path / "seg/labels/train")
    with pytest.raises(UserError, match="no train scenes: BDD100K"):
        small(tmp_path, train="bdd100k", test="bdd100k")


@pytest.mark.parametrize(
    ("natural", "size", "whole"),
    [
        ((360, 480), (128, 256), (192, 256)),
        ((720, 960), (128, 256), (192, 256)),
        ((1024, 2048), (128, 256), (128, 256)),
        ((720, 1280), (128, 256), (144, 256)),
        ((128, 256), (64, 128), (64, 128)),
        ((128, 256), (128, 128), (128, 256)),
    ],
)
def test_an_image_covers_the_wanted_size_in_its_own_aspect(natural, size, whole):
    assert covering(natural, size) == whole


@pytest.mark.parametrize("natural", [(360, 480), (720, 1280), (128, 256), (50, 333), (31, 17)])
@pytest.mark.parametrize("size", [(128, 256), (64, 128), (33, 21)])
def test_maps_are_resized_like_pillow_s_nearest(natural, size):
    labels = np.random.default_rng(0).integers(0, 20, natural, dtype=np.uint8)
    height, width = covering(natural, size)
    whole = np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    expected = whole[top : top + size[0], left : left + size[1]]
    got = fit_labels(labels, size)
    assert got.shape == size
    rows = (np.arange(size[0]) + top + 0.5) * natural[0] / height
    columns = (np.arange(size[1]) + left + 0.5) * natural[1] / width
    # Where the middle of a pixel falls on an edge the two may round differently; elsewhere they must not.
    edge = (np.abs(rows - rows.round()) < 1e-6)[:, None] | (np.abs(columns - columns.round()) < 1e-6)
    assert (got == expected)[~edge].all()


def test_photographs_are_cut_in_the_middle_and_averaged():
    striped = np.zeros((100, 100, 3), np.uint8)
    striped[::2] = 200
    got = fit_photo(Image.fromarray(striped), (10, 20))
    assert got.shape == (10, 20, 3)
    np.testing.assert_allclose(got, 100, atol=4)
    ramp = np.repeat(np.arange(100, dtype=np.uint8)[:, None, None], 100, axis=1).repeat(3, axis=2)
    assert abs(fit_photo(Image.fromarray(ramp), (50, 100)).mean() - 49.5) < 0.5


def test_an_image_of_the_wanted_size_stays_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit_photo(Image.fromarray(pixels), (32, 64)), pixels)
    np.testing.assert_array_equal(fit_labels(pixels[..., 0], (32, 64)), pixels[..., 0])


def test_the_plugin_registers_street():
    import metai2i_street
    from metai2i_street.coco import Coco
    from metai2i_street.street import Street, StreetInstances

    registered = {}
    metai2i_street.register_task_sources(registered.__setitem__)
    assert registered == {"street": Street, "street_instances": StreetInstances, "coco": Coco}


def test_neighbouring_pairs_make_a_scene_and_those_left_over_do_not(trees, small, tmp_path):
    trees.compact_cityscapes(tmp_path / "cityscapes")
    trees.segnet(tmp_path / "camvid")
    alone = small(tmp_path).tasks("train")
    pairs = small(tmp_path, neighbours=2).tasks("train")
    assert [len(scene) for scene in pairs] == [2] * (len(alone) // 2)
    assert [scene.id for scene in pairs] == [scene.id for scene in alone[: len(pairs) * 2 : 2]]
    assert torch.equal(pairs[0].load([1])["target"], alone[1].load([0])["target"])


def test_pairs_of_different_cities_are_no_neighbours():
    scenes = [Scene(f"{city}_{n:06}", [f"{city}{n}"], None) for city in ("aachen", "bochum") for n in range(5)]
    groups = neighbouring(scenes, 3)
    assert [scene.id for scene in groups] == ["aachen_000000", "bochum_000000"]
    assert groups[1].pairs == ("bochum0", "bochum1", "bochum2")


def test_names_of_hexadecimal_digits_tell_of_no_place():
    scenes = [Scene(name, [name], None) for name in ("a1f0", "b23c", "bc41", "c0d9")]
    assert [scene.pairs for scene in neighbouring(scenes, 2, by_place=False)] == [("a1f0", "b23c"), ("bc41", "c0d9")]
