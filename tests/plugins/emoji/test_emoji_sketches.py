"""Emoji made of drawings: edges train, line drawings of other concepts test."""

import numpy as np
import pytest
import torch
from metai2i_emoji.drawing import read_drawing
from metai2i_emoji.sketches import EmojiSketches
from metai2i_sketches import xdog

from metai2i import NEW_DOMAIN, Randomness, UserError
from metai2i.testing import run_contracts

KINDS = ("animal-mammal", "sky-weather")
SIZE = (72, 72)


@pytest.fixture
def drawn(root, package):
    """Packages of three hands and of line drawings."""
    pytest.importorskip("resvg_py")
    package(root, "lines")
    return root


def levels(structure):
    return (structure[:, 0] * 255).round().to(torch.uint8).numpy()


def photos(target):
    return ((target + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def concept(photo):
    """The number of the concept that is drawn."""
    return int(photo[10, 40, 0]) // 4


def test_edges_train_and_the_line_drawing_of_the_same_concept_tests(drawn):
    source = EmojiSketches(root=drawn, size=SIZE, kinds=KINDS, test_share=0.4)
    assert [task.id for task in source.tasks("train")] == ["train/animal-mammal", "train/sky-weather"]
    train = source.tasks("train")[1].load(range(4))
    edges, images = levels(train["structure"]), photos(train["target"])
    assert all(np.array_equal(xdog(image), each) for image, each in zip(images, edges, strict=True))
    assert train["domain"].tolist() == [1] * 4
    task = source.tasks("test")[1]
    episode = task.episode(2, 5, Randomness((0,)))
    for image, lines in zip(photos(episode.query["target"]), levels(episode.query["structure"]), strict=True):
        path = drawn / "openmoji" / "black" / "svg" / f"{0x1F400 + concept(image):X}.svg"
        assert np.array_equal(lines, np.asarray(read_drawing(path, 72).convert("L")))
    support = zip(photos(episode.support["target"]), levels(episode.support["structure"]), strict=True)
    assert all(np.array_equal(xdog(image), each) for image, each in support)
    trains = {
        concept(image) for task in source.tasks("train") for image in photos(task.load(range(len(task)))["target"])
    }
    tests = {concept(image) for task in source.tasks("test") for image in photos(task.load(range(len(task)))["target"])}
    assert trains
    assert tests
    assert not trains & tests
    assert len(tests) == sum(len(task) for task in source.tasks("test"))  # none by two hands


def test_it_can_be_tested_by_edges_and_then_needs_no_line_drawings(root):
    source = EmojiSketches(root=root, size=SIZE, kinds=KINDS, test_share=0.4, drawn="edges")
    batch = source.tasks("test")[0].episode(1, 2, Randomness((0,))).query
    assert all(
        np.array_equal(xdog(p), e) for p, e in zip(photos(batch["target"]), levels(batch["structure"]), strict=True)
    )


def test_an_unseen_kind_tests_with_all_its_concepts(drawn):
    source = EmojiSketches(root=drawn, size=SIZE, kinds=KINDS, unseen=("sky-weather",))
    assert [task.id for task in source.tasks("train")] == ["train/animal-mammal"]
    assert [(task.id, len(task)) for task in source.tasks("test")] == [("test/sky-weather", 30)]
    assert source.spec().field("domain").names == ("animal-mammal", "sky-weather", NEW_DOMAIN)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"kinds": ("animal-mamal",)}, "tasks.kinds: there is no kind 'animal-mamal' (did you mean 'animal-mammal'?)"),
        ({"kinds": KINDS, "unseen": KINDS}, "no kind trains"),
        ({"kinds": (KINDS[0], KINDS[0])}, "tasks.kinds lists 'animal-mammal' twice"),
        ({"kinds": KINDS, "hands": ()}, "tasks.hands is [], expected one or more"),
        ({"kinds": KINDS, "test_share": 0.0}, "the kind 'animal-mammal' has no test drawings"),
    ],
)
def test_what_cannot_be_is_told(root, options, why):
    with pytest.raises(UserError) as caught:
        EmojiSketches(root=root, drawn="edges", **options)
    assert why in str(caught.value)


def test_it_keeps_the_contracts_of_a_task_source(drawn):
    options = {"root": str(drawn), "size": [16, 16], "kinds": list(KINDS)}
    outcomes = run_contracts("task source", EmojiSketches, options)
    assert {o.contract.name: str(o.error) for o in outcomes if o.status == "failed"} == {}
