"""What a set metric says of a scene without some of its images, and how wide that makes its interval."""

from __future__ import annotations

import math

import pytest
import torch

from metai2i import SetMetric
from metai2i.metrics.jackknife import jackknife_interval
from metai2i.metrics.sets import Kid
from metai2i.stages.left_out import IMAGE_BLOCKS, MOST_SCENES, left_out, tell_single_scenes, without_blocks
from metai2i.stages.sets import together
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
    return {"outputs/apart": column(*outputs), "real/apart": column(*real)}


def test_outputs_are_left_out_query_by_query_and_real_images_one_by_one():
    numbers = left_out("apart", Apart(), [column(0, 2, 10, 12)], [column(1, 2, 6)], samples=2)
    assert numbers["outputs"] == [11 - 3, 1 - 3]
    assert numbers["real"] == pytest.approx([6 - 4, 6 - 3.5, 6 - 1.5])


def test_a_query_is_left_out_of_every_draw_at_once():
    numbers = left_out("apart", Apart(), [column(0, 2, 4), column(10, 20, 60)], [column(0, 0, 0)] * 2)
    assert numbers["outputs"] == [(3 + 40) / 2, (2 + 35) / 2, (1 + 15) / 2]


def test_many_images_are_left_out_in_blocks_that_are_all_of_them():
    rest = without_blocks([torch.arange(90)[:, None]], 2)
    gone = [set(range(90)) - set(left.flatten().tolist()) for (left,) in rest]
    assert len(rest) == IMAGE_BLOCKS
    assert sorted(n for block in gone for n in block) == list(range(90))
    assert all(n ^ 1 in block for block in gone for n in block)


def test_there_is_nothing_where_too_little_is_left_for_a_number():
    assert left_out("apart", Sparing(), [column(1, 2, 3, 4)], [column(1, 2, 3, 4, 5)]) == {"outputs": [], "real": []}
    assert left_out("apart", Apart(), [column(1)], [column(1, 2)])["outputs"] == []


def test_with_scenes_enough_for_a_verdict_nothing_is_told_of_single_ones():
    assert MOST_SCENES + 1 == ENOUGH
    metrics, scenes = {"apart": Apart()}, {f"scene {n}": [draw([n, 1], [0, 2])] for n in range(6)}
    for count in (5, 6):
        some = dict(list(scenes.items())[:count])
        records = together(metrics, [*some.values()])
        tell_single_scenes(records, metrics, some, 1)
        assert list(records["apart"].get("single", {})) == ([*some] if count < 6 else [])


def test_the_interval_of_kid_is_as_wide_as_other_images_would_move_it():
    kid, generator = Kid(), torch.Generator().manual_seed(0)
    values, halves = [], []
    for n in range(120):
        outputs = torch.randn(60, 16, generator=generator) * 1.3 + 0.2
        real = torch.randn(80, 16, generator=generator)
        values.append(kid.score(outputs, real))
        if n < 12:
            numbers = left_out("kid", kid, [outputs], [real])
            low, high = jackknife_interval(values[-1], numbers["outputs"], numbers["real"])
            halves.append((high - low) / 2)
    spread = 2.093 * torch.tensor(values).std().item()  # t of 19 degrees of freedom
    assert sum(halves) / len(halves) == pytest.approx(spread, rel=0.3)
    assert not math.isclose(min(halves), max(halves))
