import numpy as np
import pytest
import torch
from metai2i_scenes import Scenes, register_task_sources

from metai2i import Randomness, UserError

KINDS = ("street", "face")


def everything(source, split="train"):
    return [task.load(range(len(task))) for task in source.tasks(split)]


@pytest.mark.parametrize("kind", KINDS)
def test_two_sources_with_one_seed_draw_the_same_bytes(kind):
    first, second = (everything(Scenes(kind=kind, size=(32, 32), train=3, frames=2)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a["structure"], b["structure"])
        assert torch.equal(a["target"], b["target"])


@pytest.mark.parametrize("kind", KINDS)
def test_another_seed_draws_other_scenes(kind):
    first, second = (everything(Scenes(kind=kind, size=(32, 32), train=1, frames=2, seed=s))[0] for s in (0, 1))
    assert not torch.equal(first["structure"], second["structure"])
    assert (first["target"] - second["target"]).abs().mean() > 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_depends_neither_on_the_order_of_loading_nor_on_the_number_of_scenes_and_frames(kind):
    few = Scenes(kind=kind, size=(32, 32), train=2, frames=3)
    many = Scenes(kind=kind, size=(32, 32), train=20, frames=9)
    backwards = many.tasks("train")[1].load([2, 1, 0])
    forwards = few.tasks("train")[1].load([0, 1, 2])
    assert torch.equal(forwards["target"], backwards["target"].flip(0))
    assert torch.equal(forwards["structure"], backwards["structure"].flip(0))


@pytest.mark.parametrize("kind", KINDS)
def test_no_scene_is_in_two_splits_or_twice_in_one(kind):
    source = Scenes(kind=kind, size=(32, 32), train=9, val=9, test=9, frames=2)
    ids, photos = set(), set()
    for split in ("train", "val", "test"):
        for task in source.tasks(split):
            assert task.id.startswith(f"{kind}-{split}-")
            ids.add(task.id)
            photos.add(task.load([0])["target"].numpy().tobytes())
    assert len(ids) == len(photos) == 27


def test_ids_count_with_three_digits():
    assert Scenes(test=4).tasks("test")[3].id == "street-test-003"
    assert Scenes(kind="face").tasks("val")[0].id == "face-val-000"


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_a_scene_differ_in_structure(kind):
    maps = Scenes(kind=kind, train=1, frames=5).tasks("train")[0].maps()
    for i in range(5):
        for j in range(i):
            assert (maps[i] != maps[j]).float().mean() > 0.01


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(16, 16), (64, 64), (40, 72), (72, 40), (128, 256)])
def test_batches_are_one_hot_and_in_range_at_any_size(kind, size):
    source = Scenes(kind=kind, size=size, train=2, frames=2)
    spec = source.spec()
    batch = source.tasks("train")[1].load([1, 0, 1])
    assert spec.size == size
    assert spec.fields == source.provides == {"structure", "target", "instances"}
    assert batch["structure"].shape == (3, spec.structure_channels, *size)
    assert batch["target"].shape == (3, 3, *size)
    assert batch["structure"].dtype == batch["target"].dtype == torch.float32
    assert set(batch["structure"].unique().tolist()) == {0.0, 1.0}
    assert (batch["structure"].sum(1) == 1).all()
    assert batch["target"].min() >= -1
    assert batch["target"].max() <= 1
    assert batch["target"].std() > 0.1
    assert torch.equal(batch["target"][0], batch["target"][2])


@pytest.mark.parametrize(("kind", "channels"), [("street", 10), ("face", 7)])
def test_the_spec_names_and_paints_every_class(kind, channels):
    spec = Scenes(kind=kind).spec()
    assert spec.structure_channels == len(spec.classes) == len(spec.palette) == channels
    assert len(set(spec.classes)) == channels
    colours = np.asarray(spec.palette)
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + 1000 * np.eye(channels)
    assert distances.min() > 40
    assert colours.min() >= 0
    assert colours.max() <= 255


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_is_drawn(kind):
    source = Scenes(kind=kind, train=8, frames=4)
    shares = torch.stack([batch["structure"].mean(dim=(0, 2, 3)) for batch in everything(source)]).mean(0)
    assert (shares > 0.001).all(), dict(zip(source.spec().classes, shares.tolist(), strict=True))


def class_colours(source):
    """The mean colour of each class in each frame: (scenes, frames, classes, 3), NaN where a class is absent."""
    rows = []
    for batch in everything(source):
        weights = batch["structure"]
        sums = torch.einsum("bchw,bkhw->bck", weights, batch["target"])
        count = weights.sum(dim=(2, 3))
        means = sums / count[..., None]
        means[count < 12] = float("nan")
        rows.append(means)
    return torch.stack(rows).numpy()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_colours_of_classes_vary_far_less_within_a_scene_than_between_scenes(kind):
    """The law by which adapting pays: a few pairs of a scene tell its colours, those of other scenes do not."""
    colours = class_colours(Scenes(kind=kind, train=16, frames=6))
    within = np.nanmean(np.nanvar(colours, axis=1), axis=(0, 2))
    between = np.nanmean(np.nanvar(np.nanmean(colours, axis=1), axis=0), axis=1)
    names = Scenes(kind=kind).spec().classes
    ratios = dict(zip(names, (within / between).round(3).tolist(), strict=True))
    # The whites of eyes are white, and mouths have teeth, tongue and throat, whatever the scene.
    judged = {name: ratio for name, ratio in ratios.items() if name not in ("eyes", "inner mouth")}
    assert max(judged.values()) < 0.4, ratios
    assert np.mean(list(judged.values())) < 0.2, ratios


@pytest.mark.parametrize("kind", KINDS)
def test_the_map_tells_more_of_its_own_photograph_than_of_a_shifted_one(kind):
    """Map and photograph are aligned: classes explain most of the photograph when neither is moved."""

    def unexplained(structure, target):
        weights = structure.flatten(2)
        pixels = target.flatten(2)
        means = torch.einsum("bcn,bkn->bck", weights, pixels) / weights.sum(2).clamp_min(1)[..., None]
        left = (pixels - torch.einsum("bcn,bck->bkn", weights, means)).square()
        # What is behind a face is one class with many colours.
        return (left if kind == "street" else left * (1 - weights[:, :1])).mean().item()

    batch = Scenes(kind=kind, train=1, frames=6).tasks("train")[0].load(range(6))
    structure, target = batch["structure"][..., 4:-4, 4:-4], batch["target"]
    errors = {
        (dy, dx): unexplained(structure, target[..., 4 + dy : 60 + dy, 4 + dx : 60 + dx])
        for dy in (-2, -1, 0, 1, 2)
        for dx in (-2, -1, 0, 1, 2)
    }
    assert min(errors, key=errors.get) == (0, 0), errors


def test_small_splits_have_all_weathers():
    """Eight scenes in a row are under eight skies: the brightest is far brighter than the darkest."""
    batches = everything(Scenes(train=8, frames=2))
    brightness = [float(batch["target"].mean()) for batch in batches]
    assert max(brightness) - min(brightness) > 0.5


def test_episodes_and_maps_come_from_the_task():
    task = Scenes(size=(32, 32), train=1, frames=12).tasks("train")[0]
    episode = task.episode(5, 3, Randomness((1,)))
    assert (episode.support.size, episode.query.size) == (5, 3)
    assert len(task) == 12
    assert task.maps(limit=4).shape == (4, 32, 32)


def test_a_frame_beyond_the_end_is_refused():
    with pytest.raises(IndexError, match="frames 0 to 1, got 2"):
        Scenes(train=1, frames=2).tasks("train")[0].load([2])


def test_the_fingerprint_of_a_split_changes_with_every_option_that_its_scenes_depend_on():
    options = [{}, {"kind": "face"}, {"size": (64, 128)}, {"train": 7}, {"frames": 7}, {"seed": 7}]
    assert len({Scenes(**option).fingerprint("train") for option in options}) == len(options)
    assert Scenes(seed=3, val=7, test=7).fingerprint("train") == Scenes(seed=3).fingerprint("train")
    assert len({Scenes(test=9, val=9, train=9).fingerprint(split) for split in ("train", "val", "test")}) == 3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"train": 0}, "train: got 0, expected at least 1"),
        ({"val": -1}, "val: got -1, expected at least 0"),
        ({"test": -2}, "test: got -2, expected at least 0"),
        ({"frames": 1}, "frames: got 1, expected at least 2"),
        ({"size": (60, 64)}, r"size: got \[60, 64\], expected .*multiples of 8, at least 16"),
        ({"size": (8, 64)}, r"size: got \[8, 64\]"),
        ({"kind": "cat"}, "kind: got 'cat', expected 'street' or 'face'"),
    ],
)
def test_a_bad_option_is_named_with_what_was_got_and_expected(option, message):
    with pytest.raises(UserError, match=message):
        Scenes(**option)


def test_validation_scenes_may_be_left_out():
    assert list(Scenes(val=0).tasks("val")) == []


def test_the_plugin_registers_its_source():
    registered = {}
    register_task_sources(registered.__setitem__)
    assert registered == {"scenes": Scenes}
