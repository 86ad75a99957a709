"""Cuts between the shots of a video."""

import numpy as np
import pytest
from metai2i_faces.prepare.shots import CELLS, is_album, shots


def place(seed, level=128):
    """An image of its own: smooth noise."""
    rough = np.random.default_rng(seed).integers(-60, 60, (4, 4, 3))
    return np.clip(np.kron(rough, np.ones((CELLS // 4, CELLS // 4, 1))) + level, 0, 255).astype(np.uint8)


def filmed(image, count, seed=0):
    """Frames that differ by a little noise."""
    rng = np.random.default_rng(seed)
    return [np.clip(image + rng.integers(-5, 6, image.shape), 0, 255).astype(np.uint8) for _ in range(count)]


def lengths(cells):
    return [(shot.start, shot.stop) for shot in shots(cells)]


def test_a_cut_ends_a_shot():
    cells = [*filmed(place(1), 6), *filmed(place(2), 5), *filmed(place(3), 7)]
    assert lengths(cells) == [(0, 6), (6, 11), (11, 18)]


def test_images_of_one_colour_are_cut_where_it_changes():
    cells = [np.full((CELLS, CELLS, 3), level, np.uint8) for level in [60] * 4 + [200] * 4]
    assert lengths(cells) == [(0, 4), (4, 8)]


def test_a_cut_in_the_dark_is_seen():
    dark = [np.zeros((CELLS, CELLS, 3), np.uint8) for _ in range(2)]
    dark[0][2:12, 1:6] = 120
    dark[1][6:14, 9:15] = 120
    assert lengths([*filmed(dark[0], 6), *filmed(dark[1], 6)]) == [(0, 6), (6, 12)]


def test_somebody_who_comes_and_goes_is_no_cut():
    empty, full = place(1), place(1)
    full[3:11, 2:9] = (220, 40, 40)
    assert lengths([*filmed(empty, 4), *filmed(full, 4), *filmed(empty, 4)]) == [(0, 12)]


@pytest.mark.parametrize("frames", [1, 2])
def test_a_flash_is_no_cut(frames):
    cells = [*filmed(place(1), 6), *filmed(place(1, 250), frames), *filmed(place(1), 6)]
    assert lengths(cells) == [(0, 12 + frames)]


@pytest.mark.parametrize("between", [1, 2])
def test_frames_between_two_cuts_belong_to_no_shot(between):
    cells = [*filmed(place(1), 6), *filmed(place(2), between), *filmed(place(3), 6)]
    assert lengths(cells) == [(0, 6), (6 + between, 12 + between)]


def test_a_camera_that_is_swung_is_no_cut():
    swung = [place(seed) for seed in range(10, 18)]
    assert lengths([*filmed(place(1), 6), *swung, *filmed(place(2), 6)]) == [(0, 20)]


def test_a_slow_change_is_no_cut():
    assert lengths([place(1, level) for level in range(60, 200, 7)]) == [(0, 20)]


def test_one_frame_is_one_shot():
    assert lengths([place(1)]) == [(0, 1)]


def test_photographs_each_of_its_own_are_an_album():
    assert is_album([place(seed) for seed in range(6)])
    assert not is_album([*filmed(place(1), 6), *filmed(place(2), 6)])
    assert not is_album([place(1)])
