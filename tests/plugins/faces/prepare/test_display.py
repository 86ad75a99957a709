"""The eight orientations of a video's header."""

import numpy as np
import pytest
from metai2i_faces.prepare.display import orientation, shown

from metai2i import UserError

ONE = 65536
STORED = np.array([[1, 2, 3], [4, 5, 6]])
SHOWN = {
    (1, 0, 0, 1): [[1, 2, 3], [4, 5, 6]],
    (-1, 0, 0, 1): [[3, 2, 1], [6, 5, 4]],
    (1, 0, 0, -1): [[4, 5, 6], [1, 2, 3]],
    (-1, 0, 0, -1): [[6, 5, 4], [3, 2, 1]],
    (0, 1, -1, 0): [[4, 1], [5, 2], [6, 3]],  # a quarter turn clockwise, as phones write it
    (0, -1, 1, 0): [[3, 6], [2, 5], [1, 4]],
    (0, 1, 1, 0): [[1, 4], [2, 5], [3, 6]],
    (0, -1, -1, 0): [[6, 3], [5, 2], [4, 1]],
}
"""What a viewer shows of STORED, by the entries a b c d of the matrix: (x, y) goes to (ax + cy, bx + dy)."""


def entries(a, b, c, d, scale=ONE):
    return [round(a * scale), round(b * scale), 0, round(c * scale), round(d * scale), 0, 0, 0, 2**30]


@pytest.mark.parametrize("matrix", SHOWN, ids=str)
@pytest.mark.parametrize("scale", [ONE, ONE // 3, 2 * ONE])
def test_every_orientation_is_shown_as_a_viewer_does(matrix, scale):
    assert shown(STORED, orientation(entries(*matrix, scale))).tolist() == SHOWN[matrix]


def test_colours_stay_with_their_pixels():
    frame = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    turned = shown(frame, orientation(entries(0, 1, -1, 0)))
    assert turned.shape == (4, 2, 3)
    assert turned[0, 0].tolist() == frame[1, 0].tolist()
    assert turned.flags.c_contiguous


def test_a_matrix_of_nothing_is_passed_over():
    assert shown(STORED, orientation([0] * 9)).tolist() == STORED.tolist()


def test_an_angle_that_is_nearly_right_is_taken_for_it():
    assert orientation(entries(0.01, 1, -1, -0.01)) == orientation(entries(0, 1, -1, 0))


@pytest.mark.parametrize("degrees", [45, 10, 100, -30])
def test_another_angle_is_refused(degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    with pytest.raises(UserError, match="no multiple of 90 degrees"):
        orientation(entries(cos, sin, -sin, cos))


def test_a_shear_is_refused():
    with pytest.raises(UserError, match="no multiple of 90 degrees"):
        orientation(entries(1, 0, 0.5, 1))


@pytest.mark.parametrize("matrix", [(1, 0, 0, 0), (0, 0, 1, 0), (1, 0, 1, 0)])
def test_a_matrix_that_leaves_a_line_is_refused(matrix):
    with pytest.raises(UserError, match="no multiple of 90 degrees"):
        orientation(entries(*matrix))
