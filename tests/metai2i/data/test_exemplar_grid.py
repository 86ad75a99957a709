"""Grids of every input with every exemplar: what is shown of an input."""

from __future__ import annotations

import torch

from metai2i import Batch
from metai2i.data.exemplar_grid import input_image
from metai2i.field import standard_field


def photos(level):
    return torch.full((1, 3, 2, 2), level)


def test_of_data_without_maps_the_source_is_shown_and_no_photograph_of_the_domain():
    sample = Batch(source=photos(1.0), reference=photos(0.0), reference2=photos(-1.0), domain=torch.zeros(1).long())
    image = input_image(sample, 0, standard_field)
    assert image.unique().tolist() == [255]


def test_a_sample_without_pixels_of_its_own_has_no_image():
    assert input_image(Batch(reference=photos(0.0), reference2=photos(0.0)), 0, standard_field) is None
