"""Poses: what is drawn of a person's points."""

from __future__ import annotations

import numpy as np
import pytest
from metai2i_exemplars.pose import CHANNELS, COLOURS, DISC, LIMBS, POINTS, Pose, drawn

SIZE = (40, 30)
"""Width and height."""


def pose(**points: tuple[float, float]) -> Pose:
    return Pose(tuple(points.get(point) for point in POINTS))


def nearest(inside: np.ndarray) -> np.ndarray:
    """Steps across and down to the nearest pixel of a limb, one pair of pixels after the other."""
    ys, xs = np.nonzero(inside)
    rows, columns = np.indices(inside.shape)
    return (abs(rows[..., None] - ys) + abs(columns[..., None] - xs)).min(-1)


def test_nobody_is_black_and_far_away():
    colours, distances = drawn(pose(), SIZE)
    assert colours.shape == (30, 40, 3)
    assert distances.shape == (30, 40, 17)
    assert (colours == 0).all()
    assert (distances == 255).all()


def test_a_point_alone_is_a_disc_of_its_colour():
    colours, distances = drawn(pose(neck=(20.9, 12.9)), SIZE)
    disc = (colours == COLOURS[POINTS.index("neck")]).all(-1)
    assert disc.sum() == sum(2 * half + 1 for half in DISC) == (colours.any(-1)).sum()
    assert disc[12, 16:25].all()
    assert not disc[12, 15]
    assert disc[8, 20]
    assert (distances == 255).all()


def test_a_level_limb_is_an_ellipse_from_end_to_end_and_distances_count_steps_by_three():
    colours, distances = drawn(pose(neck=(10, 15), r_shoulder=(30, 15)), SIZE)
    at = LIMBS.index(("neck", "r_shoulder"))
    limb = distances[..., at] == 0
    away = nearest(limb)
    inner = (abs(np.arange(40) - 20) <= 10)[None] & (abs(np.arange(30) - 15) <= 4)[:, None]
    assert not (limb & (away > 2)).any()
    exact = distances[15, :, at]
    assert exact[:9].tolist() == [(10 - x) // 3 for x in range(9)]
    assert exact[33:].tolist() == [(x - 30) // 3 for x in range(33, 40)]
    assert distances[0, 20, at] == (11 - 0) // 3
    assert not (limb & ~inner & (distances[..., at] == 0) & (away > 0)).any()
    assert (np.delete(distances, at, axis=-1) == 255).all()
    mixed = np.rint(0.6 * np.array(COLOURS[at]))
    assert (colours[15, 20] == mixed).all()


def test_a_limb_is_drawn_over_what_was_there_by_six_tenths():
    colours, _ = drawn(pose(neck=(10, 15), r_shoulder=(30, 15)), SIZE)
    point, limb = np.array(COLOURS[POINTS.index("neck")], float), np.array(COLOURS[0], float)
    assert (colours[15, 12] == np.rint(0.4 * point + 0.6 * limb)).all()


@pytest.mark.parametrize("away", [(0, 15), (20, 0)])
def test_a_limb_with_one_end_unseen_is_not_drawn(away):
    _, distances = drawn(pose(l_hip=away, r_hip=away), SIZE)
    assert (distances == 255).all()


def test_distances_agree_with_a_search_over_all_pixels():
    seen = dict(zip(POINTS, [(5 + 2 * n % 31, 3 + 5 * n % 23) for n in range(len(POINTS))], strict=True))
    _, distances = drawn(pose(**seen), SIZE)
    _, wide = drawn(pose(**seen), (400, 300))
    for at in range(len(LIMBS)):
        touched = distances[..., at] == 0
        assert touched.any()
        known = wide[:30, :40, at]
        assert (distances[..., at] >= known).all()


def test_there_are_three_channels_of_colour_and_one_for_each_limb():
    assert len(CHANNELS) == 20
    assert len(set(CHANNELS)) == 20
    assert len(POINTS) == len(COLOURS) == 18
