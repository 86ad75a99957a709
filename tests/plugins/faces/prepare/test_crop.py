"""Squares about faces, and where points come to lie in them."""

import numpy as np
import pytest
from metai2i_faces.prepare.crop import MIRRORED, Square, cut_out, place, scaled, square_about
from metai2i_faces.prepare.cut import Warp

WARPS = [Warp(), Warp(flip=True), Warp(degrees=9), Warp(flip=True, degrees=-7)]


def test_the_square_has_its_margin_mostly_above():
    points = np.array([[100.0, 120.0], [150.0, 220.0]])  # 50 wide, 100 high
    square = square_about(points, (400, 400), 1.3)
    assert square.side == pytest.approx(130)
    assert square.left + square.side / 2 == pytest.approx(125)
    assert square.top == pytest.approx(120 - 0.8 * 30)


def test_a_square_that_would_leave_the_frame_is_slid_and_not_scaled():
    points = np.array([[0.0, 5.0], [50.0, 105.0]])
    assert square_about(points, (400, 400), 1.3) == Square(0, 0, 130)
    points += [350, 290]
    assert square_about(points, (400, 400), 1.3) == Square(270, 270, 130)


def test_a_face_that_does_not_fit_has_no_square():
    points = np.array([[20.0, 20.0], [120.0, 120.0]])
    assert square_about(points, (129, 400), 1.3) is None
    assert square_about(points, (131, 400), 1.3) is not None
    assert square_about(points + np.array([0, 300]), (400, 400), 1.3) is None  # the chin is 20 below the frame
    assert square_about(points + np.array([0, 288]), (400, 400), 1.3) is not None  # 8 below


def test_scaling_keeps_the_middle_as_far_as_the_frame_allows():
    assert scaled(Square(100, 100, 100), 1.2, (400, 400)) == Square(90, 90, 120)
    assert scaled(Square(0, 290, 100), 1.2, (400, 400)) == Square(0, 280, 120)
    assert scaled(Square(0, 0, 100), 1.2, (110, 400)) == Square(0, 0, 110)


@pytest.mark.parametrize("warp", WARPS)
def test_points_lie_where_the_image_shows_them(warp, face):
    points = face(150, 120, 40)
    square = Square(90.4, 60.2, 131.7)
    placed = place(points, square, warp, 128)
    for number in (0, 8, 30, 36, 54):
        there = np.flatnonzero(np.arange(68) == number)[0] if not warp.flip else MIRRORED[number]
        y, x = np.mgrid[0:240, 0:300] + 0.5
        spot = 255 * np.exp(-((x - points[number, 0]) ** 2 + (y - points[number, 1]) ** 2) / 8)
        image = cut_out(np.repeat(spot[..., None], 3, 2).astype(np.uint8), square, warp, 128)[..., 0].astype(float)
        rows, columns = np.mgrid[0:128, 0:128] + 0.5
        centre = [(columns * image).sum() / image.sum(), (rows * image).sum() / image.sum()]
        np.testing.assert_allclose(centre, placed[there], atol=0.15)


def test_mirroring_twice_changes_no_number(face):
    assert (MIRRORED[MIRRORED] == np.arange(68)).all()
    symmetric = face(0, 0, 1)
    np.testing.assert_allclose(symmetric[MIRRORED] * [-1, 1], symmetric, atol=1e-9)


@pytest.mark.parametrize("warp", WARPS)
def test_a_turned_square_repeats_the_edge_of_the_frame(warp):
    frame = np.full((100, 100, 3), (10, 200, 90), np.uint8)
    assert (cut_out(frame, Square(0, 0, 100), warp, 64) == (10, 200, 90)).all()
