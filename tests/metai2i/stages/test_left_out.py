"""What a set metric says of a scene without some of its images, and how wide that makes its interval."""

from __future__ import annotations

import math

import pytest
import torch

from metai2i import SetMetric
from metai2i.metrics.jackknife import jackknife_interval
from metai2i.metrics.sets import Kid
from metai2i.stages.left_out import (
    IMAGE_BLOCKS,
    MOST_SCENES,
    ScoredSet,
    blocks,
    kinds_of_images,
    left_out,
    single_scorings,
    tell_single_scenes,
)
from metai2i.stages.sets import scorings, together
from metai2i.statistics import ENOUGH


class Apart(SetMetric):
    """How far the mean of the outputs is from that of the real images."""

    label, higher_is_better = "apart ↓", False

    def features(self, images):
        return images.mean((2, 3))[:, :1]

    def score(self, outputs, real):
        return float(outputs.mean() - real.mean())


class Sparing(Apart):
    least = 4


def column(*levels):
    return torch.tensor(levels).float()[:, None]


def draw(outputs, real):
    """Features of outputs of the images 0, 1, ... and of real images that nobody asks for."""
    numbers = torch.arange(len(outputs)), 100 + torch.arange(len(real))
    return {"outputs/apart": column(*outputs), "real/apart": column(*real),
            "outputs_of/apart": numbers[0], "real_of/apart": numbers[1]}  # fmt: skip


def scored(outputs, real, outputs_of, real_of):
    return ScoredSet(column(*outputs), column(*real), torch.tensor(outputs_of), torch.tensor(real_of))


def test_outputs_are_left_out_query_by_query_and_real_images_one_by_one():
    numbers = left_out("apart", Apart(), [scored([0, 2, 10, 12], [1, 2, 6], [0, 0, 1, 1], [7, 8, 9])])
    assert numbers["sides"][0] == [11 - 3, 1 - 3]
    assert numbers["sides"][1] == pytest.approx([6 - 4, 6 - 3.5, 6 - 1.5])


def test_an_image_is_left_out_of_every_draw_at_once_wherever_it_lies_there():
    draws = [scored([0, 2, 4], [0, 0, 0], [0, 1, 2], [7, 8, 9]), scored([10, 20, 60], [0, 0, 0], [2, 3, 0], [7, 8, 9])]
    numbers = left_out("apart", Apart(), draws)
    without_0, without_1 = (3 + 15) / 2, (2 + 30) / 2
    assert [without_0, without_1, (1 + 40) / 2, (2 + 35) / 2] in numbers["sides"]


def test_an_output_is_left_out_together_with_its_truth():
    numbers = left_out("apart", Apart(), [scored([5, 7, 9, 11], [1, 2, 6, 7], [0, 1, 2, 3], [1, 0, 8, 9])])
    with_their_truths, further, of_nobody = numbers["sides"]
    assert with_their_truths == pytest.approx([9 - 14 / 3, 25 / 3 - 5])
    assert further == pytest.approx([23 / 3 - 4, 7 - 4])
    assert of_nobody == pytest.approx([8 - 10 / 3, 8 - 3])


def test_an_image_that_is_the_only_one_of_its_kind_goes_to_the_largest_other_kind():
    some = scored([1, 2, 3], [1, 2, 6, 7], [0, 1, 2], [0, 1, 8, 9])
    assert [kind.tolist() for kind in kinds_of_images([some])] == [[0, 1], [8, 9, 2]]
    assert [kind.tolist() for kind in kinds_of_images([scored([1], [1], [0], [0])])] == [[0]]


def test_many_images_are_left_out_in_blocks_that_are_all_of_them():
    parts = blocks(torch.arange(90))
    assert len(parts) == IMAGE_BLOCKS
    assert torch.cat(parts).tolist() == list(range(90))


def test_the_hash_is_of_the_images_and_not_of_what_a_row_makes_of_them():
    asked, twice, real = [0, 1, 2], [0, 0, 1, 1, 2, 2], [7, 8, 9]
    sets = [
        scored([0, 2, 4], [1, 2, 3], asked, real),
        scored([5, 5, 6, 6, 7, 8], [1, 2, 3], twice, real),
        scored([0, 2, 4], [1, 2, 3], asked, [7, 8, 6]),
    ]
    first, sampled, other = (left_out("apart", Apart(), [each])["images"] for each in sets)
    assert first == sampled != other


def test_there_is_nothing_where_too_little_is_left_for_a_number():
    some = scored([1, 2, 3, 4], [1, 2, 3, 4, 5], [0, 1, 2, 3], [5, 6, 7, 8, 9])
    assert left_out("apart", Sparing(), [some]) == {"sides": [], "images": ""}
    assert left_out("apart", Apart(), [scored([1], [1, 2], [0], [7, 8])])["sides"] == []


def test_of_thousands_of_images_nothing_is_told_of_single_scenes(monkeypatch):
    metrics, scenes = {"apart": Apart()}, {"few": [draw([1, 2], [0, 2])], "many": [draw([1, 2, 3], [0, 2])]}
    monkeypatch.setattr("metai2i.stages.left_out.LARGEST_SET", 4)
    records = together(metrics, [*scenes.values()])
    tell_single_scenes(records, metrics, scenes)
    assert list(records["apart"]["single"]) == ["few"]


def test_with_scenes_enough_for_a_verdict_nothing_is_told_of_single_ones():
    assert MOST_SCENES + 1 == ENOUGH
    metrics, scenes = {"apart": Apart()}, {f"scene {n}": [draw([n, 1], [0, 2])] for n in range(6)}
    for count in (5, 6):
        some = dict(list(scenes.items())[:count])
        records = together(metrics, [*some.values()])
        tell_single_scenes(records, metrics, some)
        assert list(records["apart"].get("single", {})) == ([*some] if count < 6 else [])


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_how_often_it_will_be_scored_is_known_before(count):
    metrics, scored = {"apart": Apart(), "again": Apart()}, []
    scenes = {f"scene {n}": [draw([n, 1], [0, 2, 4]), draw([n, 3], [1, 5, 6])] for n in range(count)}
    records = together(metrics, [*scenes.values()], scored.append)
    assert len(scored) == 2 * scorings(count)
    tell_single_scenes(records, metrics, scenes, scored.append)
    assert len(scored) == 2 * scorings(count) + single_scorings(metrics, scenes)
    assert scored.count("apart") == scored.count("again")


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("draws", [1, 3])
def test_the_interval_of_kid_is_as_wide_as_other_images_would_move_it(paired, draws):
    """Of scenes of images that are asked in one draw or in several, and held against their truths or against others."""
    kid, generator = Kid(), torch.Generator().manual_seed(0)

    def scene():
        truths = torch.randn(40, 16, generator=generator)
        outputs = 0.9 * truths + 0.5 * torch.randn(40, 16, generator=generator) + 0.2
        real = truths if paired else torch.randn(50, 16, generator=generator)
        numbers = torch.arange(40), torch.arange(40) if paired else 100 + torch.arange(50)
        orders = [torch.randperm(40, generator=generator)[:30] for _ in range(draws)]
        return [ScoredSet(outputs[order], real, numbers[0][order], numbers[1]) for order in orders]

    values, halves = [], []
    for n in range(150):
        every = scene()
        values.append(sum(kid.score(each.outputs, each.real) for each in every) / draws)
        if n < 12:
            low, high = jackknife_interval(values[-1], *left_out("kid", kid, every)["sides"])
            halves.append((high - low) / 2)
    spread = 2.093 * torch.tensor(values).std().item()  # t of 19 degrees of freedom
    assert sum(halves) / len(halves) == pytest.approx(spread, rel=0.4)
    assert not math.isclose(min(halves), max(halves))
