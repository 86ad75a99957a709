"""Instance ids of drawn scenes: exact, and the same images as without them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metai2i_scenes import Scenes
from metai2i_scenes.canvas import SCALE, Canvas
from metai2i_scenes.view import CAR, PERSON

from metai2i import UserError


def batches(**options):
    source = Scenes(**{"size": (64, 128), "train": 4, "frames": 2, **options})
    return [task.load(range(2)) for task in source.tasks("train")]


def same_class_borders(batch) -> int:
    classes, ids = batch["structure"].argmax(1), batch["instances"]
    across = (classes[..., 1:] == classes[..., :-1]) & (ids[..., 1:] != ids[..., :-1])
    down = (classes[:, 1:] == classes[:, :-1]) & (ids[:, 1:] != ids[:, :-1])
    return int(across.sum() + down.sum())


def test_two_things_that_overlap_are_told_apart_to_the_pixel():
    canvas = Canvas(6, 8, ground=0, counted=(3,))
    for thing, (left, right) in enumerate([(1, 5), (4, 7)], start=1):
        canvas.thing = thing
        shadow, body = canvas.ink(1, (0, 0, 0)), canvas.ink(3, (1, 1, 1))
        box = [(left, 2), (right, 2), (right, 4), (left, 4)]
        canvas.polygon([(x * SCALE, (y + 1) * SCALE - 1) for x, y in box], shadow)
        canvas.polygon([(x * SCALE, y * SCALE) for x, y in box], body)
    drawn = canvas.finish()
    assert drawn.instances[2].tolist() == [0, 3001, 3001, 3001, 3002, 3002, 3002, 0]
    assert drawn.labels[2].tolist() == [0, 3, 3, 3, 3, 3, 3, 0]
    assert drawn.instances[4].tolist() == [0, 1, 1, 1, 1, 1, 1, 0]  # a shadow is on the ground, whosesoever it is


def test_only_the_thing_behind_is_darker_and_only_along_the_border():
    canvas = Canvas(4, 8, counted=(3,))
    for thing, left in enumerate((0, 4), start=1):
        canvas.thing = thing
        canvas.polygon(
            [(x * SCALE, y * SCALE) for x, y in ((left, -1), (9, -1), (9, 9), (left, 9))], canvas.ink(3, (1, 1, 1))
        )
    colour = canvas.finish(contact=0.5).colour[2, :, 0]
    np.testing.assert_allclose(colour, [1, 1, 1, 0.5, 1, 1, 1, 1], atol=0.01)
    np.testing.assert_allclose(canvas.finish().colour, 1)


@pytest.mark.parametrize("options", [{"kind": "street"}, {"kind": "street", "touching": True}, {"kind": "face"}])
def test_ids_refine_the_classes_and_say_them(options):
    for batch in batches(**options):
        ids, classes = batch["instances"], batch["structure"].argmax(1)
        assert ids.dtype == torch.int64
        assert torch.equal(torch.where(ids < 1000, ids, ids // 1000), classes)
        assert set(classes[ids >= 1000].tolist()) <= {PERSON, CAR}
        assert not torch.isin(ids[ids < 1000], torch.tensor([PERSON, CAR])).any()


def test_streets_have_several_cars_and_people_and_faces_have_none():
    counted = {int(i) for batch in batches() for i in batch["instances"].unique() if i >= 1000}
    assert len({i for i in counted if i // 1000 == CAR}) > 3
    assert len({i for i in counted if i // 1000 == PERSON}) > 3
    assert all(torch.equal(b["instances"], b["structure"].argmax(1)) for b in batches(kind="face"))


def test_touching_scenes_have_many_times_as_many_borders_within_a_class():
    apart, touching = (sum(map(same_class_borders, batches(touching=on))) for on in (False, True))
    assert touching > 4 * apart


def test_borders_within_a_class_show_in_the_photograph():
    """Pixels behind such a border are darker than those of the same thing farther off."""
    edge, rest = [], []
    for batch in batches(touching=True):
        ids, light = batch["instances"], batch["target"].mean(1)
        differs = (
            (ids[..., 1:] != ids[..., :-1]) & (ids[..., 1:] // 1000 == ids[..., :-1] // 1000) & (ids[..., 1:] > 999)
        )
        step = (light[..., 1:] - light[..., :-1]).abs()
        alike = (ids[..., 1:] == ids[..., :-1]) & (ids[..., 1:] > 999)
        edge.append(step[differs])
        rest.append(step[alike])
    assert torch.cat(edge).mean() > 1.5 * torch.cat(rest).mean()


def test_numbering_things_changes_no_pixel_of_maps_and_photographs(monkeypatch):
    numbered = batches()
    monkeypatch.setattr("metai2i_scenes.street.numbered", lambda canvas, things: things)
    for first, second in zip(numbered, batches(), strict=True):
        assert torch.equal(first["structure"], second["structure"])
        assert torch.equal(first["target"], second["target"])
        assert torch.equal(second["instances"], second["structure"].argmax(1))
        assert not torch.equal(first["instances"], second["instances"])


def test_touching_and_apart_are_kept_under_names_of_their_own():
    first, second = (Scenes(touching=on) for on in (False, True))
    assert first.fingerprint("train") != second.fingerprint("train")
    assert first.tasks("train")[0].fingerprint() != second.tasks("train")[0].fingerprint()


def test_touching_faces_are_refused():
    with pytest.raises(UserError, match=r"tasks\.touching is for streets, got kind: face"):
        Scenes(kind="face", touching=True)
