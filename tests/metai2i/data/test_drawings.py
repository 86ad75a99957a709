"""Which images are drawings: dark lines on white."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from metai2i import UserError
from metai2i.data import check_drawing, fitted_drawing


def test_a_dark_drawing_on_white_is_no_drawing_on_black():
    image = np.full((16, 16), 255, np.uint8)
    image[1:15, 1:15] = 0
    check_drawing(image, "a.png")


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_one_is_refused(level):
    with pytest.raises(UserError, match=r"a\.png: the drawing is empty: all of it is of one colour"):
        check_drawing(np.full((16, 16), level, np.uint8), "a.png")


def test_a_drawing_of_which_the_middle_has_nothing_is_refused_at_a_size():
    page = np.full((20, 60), 255, np.uint8)
    page[5:15, 2:12] = 0
    with pytest.raises(UserError, match=r"a\.png: nothing of the drawing is left at 16x16, .* middle of its 20x60"):
        fitted_drawing(Image.fromarray(page), (16, 16), "a.png")
    assert fitted_drawing(Image.fromarray(page[:, :20]), (16, 16), "a.png").min() == 0


def test_white_on_black_is_known_also_where_a_line_runs_through_corners():
    image = np.zeros((16, 16), np.uint8)
    np.fill_diagonal(image, 255)
    with pytest.raises(UserError, match="white on black"):
        check_drawing(image, "a.png")


def test_white_on_black_is_refused_with_what_helps():
    image = np.zeros((16, 16), np.uint8)
    image[8, 2:14] = 255
    with pytest.raises(UserError, match=r"white on black \(95 % of it is dark\), .* \(save it in black on white\)"):
        check_drawing(image, "a.png")
    with pytest.raises(UserError, match=r"\(turn it\)"):
        check_drawing(image, "a.png", "turn it")
