import numpy as np
import pytest
from metai2i_pairs.classes import no_classes, read_classes
from odd_images import GREY, png
from PIL import Image

from metai2i import UserError


def read(tmp_path, text):
    path = tmp_path / "classes.txt"
    path.write_text(text)
    return read_classes(path)


def refused(tmp_path, text):
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    return str(caught.value).removeprefix(f"{tmp_path}/")


def test_names_are_numbered_in_the_order_of_the_lines(tmp_path):
    classes = read(tmp_path, "# mine\nsky\n\n  traffic light \n")
    assert (classes.names, classes.numbers, classes.palette) == (("sky", "traffic light"), (0, 1), ())


def test_a_colour_stands_behind_the_name_and_a_number_in_front_of_it(tmp_path):
    classes = read(tmp_path, "7 road 128 64 128\n255 traffic light 250 170 30\n")
    assert classes.names == ("road", "traffic light")
    assert classes.numbers == (7, 255)
    assert classes.palette == ((128, 64, 128), (250, 170, 30))
    assert classes.legend.ids == {7: 0, 255: 1}
    assert classes.legend.colours == {(128, 64, 128): 0, (250, 170, 30): 1}


def test_a_name_may_end_in_a_number(tmp_path):
    assert read(tmp_path, "part 0\npart 1\n").names == ("part 0", "part 1")
    classes = read(tmp_path, "4 lane 2 1 2 3\n5 lane 3 4 5 6\n")
    assert (classes.names, classes.numbers) == (("lane 2", "lane 3"), (4, 5))
    assert classes.palette == ((1, 2, 3), (4, 5, 6))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sky\n", "classes.txt:1: 'sky' is the only class, expected two or more"),
        ("sky\n1 2 3\n", "classes.txt:2: expected NAME, NAME R G B, or NUMBER in front of these, got '1 2 3'"),
        (
            "sky\nroad 12 13\n",
            "classes.txt:2: expected NAME, NAME R G B, or NUMBER in front of these, got 'road 12 13'",
        ),
        ("sky\n0 12 13 14\n", "classes.txt:2: expected NAME, NAME R G B, or NUMBER in front of these"),
        ("sky 1 2 3\nroad 1 2 256\n", "classes.txt:2: the colour 1 2 256 is not within 0 and 255"),
        ("65536 sky\n1 road\n", "classes.txt:1: the number 65536 is larger than 65535"),
        ("sky 1 2 3\n# no colour\nroad\n", "classes.txt:3: 'road' has no colour, and others have one"),
        ("0 sky\nroad\n", "classes.txt:2: 'road' has no number, and others have one"),
        ("sky\nroad\nsky\n", "classes.txt:3: two classes have the name 'sky', see line 1"),
        ("sky 1 2 3\nroad 1 2 3\n", "classes.txt:2: two classes have the colour 1 2 3, see line 1"),
        ("4 sky\n4 road\n", "classes.txt:2: two classes have the number 4, see line 1"),
        ("# nothing\n", "classes.txt: there is no line in this file, expected a class in each line"),
    ],
)
def test_a_line_that_is_no_class_is_told_with_its_place(tmp_path, text, said):
    assert refused(tmp_path, text).startswith(said)


def test_where_the_list_is_missing_numbers_and_colours_of_maps_are_told(tmp_path):
    maps = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "damaged.png"]
    Image.fromarray(np.array([[0, 2], [2, 2]], np.uint8)).save(maps[0])
    Image.fromarray(np.array([[11, 0]], np.uint8)).save(maps[1])
    maps[2].write_bytes(b"")
    where = tmp_path / "classes.txt"
    assert "; the first 3 maps hold the numbers 0, 2, 11 (write a line" in str(no_classes(where, maps))
    Image.fromarray(np.array([[False, True]])).save(maps[0])
    assert "; the first map holds the numbers 0, 1 (" in str(no_classes(where, maps[:1])), "black and white"
    maps[0].write_bytes(png([b"\x03", b"\xbf"], 2, 4, GREY))
    assert "; the first map holds the numbers 0, 3, 11, 15 (" in str(no_classes(where, maps[:1])), "not stretched"
    Image.fromarray(np.array([[[9, 8, 7], [9, 8, 7], [0, 0, 0]]], np.uint8)).save(maps[0])
    assert "; the first map holds the colours 9 8 7, 0 0 0" in str(no_classes(where, maps[:1]))
