"""Emoji as twins: the same concept by two hands, with masks, and concepts that test never seen in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metai2i_emoji.drawing import read_cover
from metai2i_emoji.twins import EmojiTwins
from PIL import Image

from metai2i import NEW_DOMAIN, Randomness, UserError
from metai2i.testing import run_contracts


def concept_and_hand(photos):
    """Of each drawing the concept's number and the hand's green level; a quarter of it is white."""
    levels = ((photos[:, :, 8, 8] + 1) * 127.5).round().int()
    return levels[:, 0] // 4, levels[:, 1]


def test_a_twin_is_the_same_concept_by_another_hand_that_trains(root):
    source = EmojiTwins(root=root, size=(16, 16), test_share=0.3)
    greens = torch.tensor([0, 50, 100])
    for task in source.tasks("train"):
        batch = task.load(range(len(task)))
        concept, hand = concept_and_hand(batch["source"])
        twin, other = concept_and_hand(batch["twin"])
        assert torch.equal(concept, twin)
        assert (hand != other).all()
        assert torch.equal(greens[batch["domain"]], hand.long())
        assert torch.equal(greens[batch["twin_domain"]], other.long())
        assert torch.equal(batch["target"], batch["source"])


def test_in_plain_training_the_other_hand_is_drawn_by_chance(root):
    task = EmojiTwins(root=root, size=(16, 16)).tasks("train")[0]
    draws = [task.draw(0, Randomness((n,))) for n in range(20)]
    assert {int(batch["twin_domain"]) for batch in draws} == {1, 2}
    assert {int(concept_and_hand(batch["twin"])[0]) for batch in draws} == {
        int(concept_and_hand(draws[0]["source"])[0])
    }


def test_concepts_that_test_are_drawn_by_the_unseen_hand_and_never_seen_in_training(root):
    source = EmojiTwins(root=root, hands=("twemoji", "noto"), unseen=("fluent",), size=(16, 16), test_share=0.3)
    assert [task.id for task in source.tasks("train")] == ["train/twemoji", "train/noto"]
    (task,) = source.tasks("test")
    batch = task.load(range(len(task)))
    concept, hand = concept_and_hand(batch["source"])
    assert (hand == 100).all()
    assert set(batch["twin_domain"].tolist()) == {0, 1}
    trains = [concept_and_hand(each.load(range(len(each)))["source"])[0] for each in source.tasks("train")]
    assert not set(concept.tolist()) & set(torch.cat(trains).tolist())
    assert source.spec().domains == 2
    assert source.spec().field("twin_domain").names == ("twemoji", "noto", "fluent", NEW_DOMAIN)
    seen = EmojiTwins(root=root, hands=("twemoji", "noto"), unseen=("fluent",), test="seen", size=(16, 16))
    assert [each.id for each in seen.tasks("test")] == ["test/twemoji", "test/noto"]
    assert seen.fingerprint("train") == EmojiTwins(root=root, hands=("twemoji", "noto"), size=(16, 16)).fingerprint(
        "train"
    )


def test_a_mask_shows_what_is_not_transparent(root):
    batch = EmojiTwins(root=root, size=(16, 16)).tasks("train")[0].load([0, 1])
    for mask in (batch["mask"], batch["twin_mask"]):
        assert (mask[..., :4] == 0).all()
        assert (mask[..., 4:] == 1).all()


def test_a_cover_is_the_alpha_of_an_image_and_of_an_svg_drawing(tmp_path, package):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:, :, 3] = np.array([0, 85, 170, 255])
    Image.fromarray(pixels).save(tmp_path / "half.png")
    assert np.asarray(read_cover(tmp_path / "half.png", 4))[0].tolist() == [0, 85, 170, 255]
    Image.new("RGB", (4, 4)).save(tmp_path / "opaque.png")
    assert (np.asarray(read_cover(tmp_path / "opaque.png", 4)) == 255).all()
    pytest.importorskip("resvg_py")
    package(tmp_path, "lines", ["1f400"])
    cover = np.asarray(read_cover(tmp_path / "openmoji/black/svg/1F400.svg", 72))
    assert (cover[:, :18] == 0).all()
    assert (cover[:, 18:38] == 255).all()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"hands": ("noto",)}, "tasks.hands has 1 hand, expected two or more"),
        ({"test": "unseen"}, "tasks.test is 'unseen', but no hand is"),
        ({"val_share": 0.5, "test_share": 0.5}, "leave nothing to train on"),
        ({"categories": ("object",)}, "there is no category 'object' (did you mean 'objects'?)"),
        ({"val_share": 0.0, "test_share": 0.0}, "test/twemoji has no concept that another hand has drawn"),
    ],
)
def test_what_cannot_be_is_told(root, options, why):
    with pytest.raises(UserError) as caught:
        EmojiTwins(root=root, **options)
    assert why in str(caught.value)


def test_it_keeps_the_contracts_of_a_task_source(root):
    outcomes = run_contracts("task source", EmojiTwins, {"root": str(root), "size": [16, 16], "test_share": 0.4})
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}
