import numpy as np
import torch
from PIL import Image

from metai2i import TaskSpec
from metai2i.data.contact_sheet import GAP, cell, coloured, save_sheet

SPEC = TaskSpec(structure_channels=2, size=(4, 6), palette=((10, 20, 30), (40, 50, 60)))


def one_hot(ids: torch.Tensor, classes: int = 2) -> torch.Tensor:
    return torch.nn.functional.one_hot(ids, classes).permute(2, 0, 1).float()


def test_a_cell_has_the_map_in_the_datas_colours_above_the_image():
    ids = torch.arange(24).reshape(4, 6) % 2
    both = cell(one_hot(ids), torch.full((3, 4, 6), 1.0), SPEC)
    assert both.shape == (3, 8, 6)
    assert both[:, 0, 0].tolist() == [10, 20, 30]
    assert both[:, 0, 1].tolist() == [40, 50, 60]
    assert (both[:, 4:] == 255).all()


def test_pixels_without_a_class_are_black():
    structure = one_hot(torch.ones(4, 6, dtype=torch.long))
    structure[:, 0, 0] = 0
    colours = coloured(structure, SPEC)
    assert colours[:, 0, 0].tolist() == [0, 0, 0]
    assert colours[:, 1, 1].tolist() == [40, 50, 60]


def test_a_continuous_structure_is_shown_as_the_mean_of_its_channels():
    structure = torch.stack([torch.full((4, 6), 0.2), torch.full((4, 6), 0.6)])
    assert (coloured(structure, SPEC) == 102).all()


def test_a_wide_cell_is_shrunk():
    assert cell(None, torch.zeros(3, 300, 600), SPEC).shape == (3, 100, 200)


def test_a_sheet_has_every_cell(tmp_path):
    cells = [torch.full((3, 8, 6), 10 * n, dtype=torch.uint8) for n in range(7)]
    save_sheet(tmp_path / "sheet.png", cells)
    pixels = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert pixels.shape == (3 * (8 + GAP) + GAP, 3 * (6 + GAP) + GAP, 3)
    assert {10 * n for n in range(7)} < set(pixels.ravel().tolist())
