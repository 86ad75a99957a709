"""What a support has to have, told where its files cannot give it."""

from __future__ import annotations

import pytest
from PIL import Image

from metai2i import Field, TaskSpec, UserError
from metai2i.inference.support_files import find_support

SPEC = TaskSpec(0, (16, 16), also={"domain": Field("label", 2, ("a", "b")), "mask": Field("map", 1)})


def test_photographs_alone_do_not_give_a_translator_masks_and_classes_and_it_is_told_how_they_lie(tmp_path):
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.png")
    with pytest.raises(
        UserError, match="needs domain, mask, source, target, which photographs alone do not give"
    ) as it:
        find_support(tmp_path).read(SPEC, {"source", "mask", "domain"})
    assert it.value.where == tmp_path
    assert it.value.hint == "make a folder for each field: mask/, source/, target/; and domain.txt"


def test_of_a_translator_of_label_maps_it_is_told_which_pairs_were_looked_for(tmp_path):
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"no pairs of a photograph and its map are here, only 0 \.jpg files"):
        find_support(tmp_path).read(TaskSpec(3, (16, 16)), {"structure", "target"})
