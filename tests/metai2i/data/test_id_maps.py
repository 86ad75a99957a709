"""Ids from files: what a file holds is what comes out, and what is no map of ids is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from metai2i import UserError
from metai2i.data.id_maps import check_refined, read_ids

IDS = np.arange(16).reshape(4, 4) * 17


def test_grey_of_8_and_16_bits_and_the_colours_of_coco_come_out_as_ids(tmp_path):
    path = tmp_path / "ids.png"
    Image.fromarray(IDS.astype(np.uint8)).save(path)
    assert (read_ids(path) == IDS).all()
    Image.fromarray((IDS + 26000).astype(np.uint16)).save(path)
    assert (read_ids(path) == IDS + 26000).all()
    large = IDS * 60000
    colours = np.stack([large % 256, large // 256 % 256, large // 65536], axis=2).astype(np.uint8)
    Image.fromarray(colours).save(path)
    assert (read_ids(path) == large).all()


def test_what_keeps_no_pixel_or_may_be_meant_in_two_ways_is_refused(tmp_path):
    image, path = Image.fromarray(IDS.astype(np.uint8)), tmp_path / "ids.png"
    image.save(path, format="JPEG")
    with pytest.raises(UserError, match=r"ids\.png: .*JPEG"):
        read_ids(path)
    image.convert("P").save(path)
    with pytest.raises(UserError, match=r"ids\.png: expected ids in grey or in colours, got a palette"):
        read_ids(path)
    image.convert("RGBA").convert("LA").save(path)
    assert (read_ids(path) == IDS).all()


def test_an_id_lies_within_one_class_and_nothing_may_be_anywhere(tmp_path):
    classes = np.array([[0, 0, 1, 1]])
    check_refined(tmp_path / "a.png", np.array([[0, 5, 6, 0]]), classes)
    with pytest.raises(UserError, match=r"a\.png: .* 1 of 3 span several, such as id 5 on the classes 0, 1"):
        check_refined(tmp_path / "a.png", np.array([[4, 5, 5, 6]]), classes)
