"""Changes to what a discriminator sees, against torchvision's and by hand."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.v2 import functional

from metai2i.losses import DiffAugment

STILL = 0.5
"""A number that changes no colour, and moves no image."""


def numbers(**given):
    names = ("brightness", "saturation", "contrast", "down", "right", "top", "left")
    return torch.tensor([[given.get(name, STILL) for name in names]])


def images(size=1, height=16, width=24):
    return torch.rand(size, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_without_changes_it_is_the_very_image():
    given = images()
    assert DiffAugment([])(given, numbers(brightness=0.9, down=0)) is given


def test_a_half_changes_no_colour_and_no_place():
    torch.testing.assert_close(DiffAugment(["colour", "translation"])(images(), numbers()), images())


def test_brightness_is_added():
    changed = DiffAugment(["colour"])(images(), numbers(brightness=0.9))
    torch.testing.assert_close(changed, images() + 0.4)


@pytest.mark.parametrize(("number", "factor"), [(0.0, 0.0), (0.75, 1.5)])
def test_saturation_multiplies_the_distance_from_the_mean_of_the_channels(number, factor):
    changed = DiffAugment(["colour"])(images(), numbers(saturation=number))
    grey = images().mean(1, keepdim=True)
    torch.testing.assert_close(changed.mean(1, keepdim=True), grey)
    torch.testing.assert_close(changed - grey, factor * (images() - grey))


@pytest.mark.parametrize(("number", "factor"), [(0.0, 0.5), (0.75, 1.25)])
def test_contrast_multiplies_the_distance_from_the_mean_of_the_image(number, factor):
    changed = DiffAugment(["colour"])(images(), numbers(contrast=number))
    torch.testing.assert_close(changed.mean(), images().mean())
    torch.testing.assert_close(changed.std(), factor * images().std())


@pytest.mark.parametrize(("down", "right", "by"), [(0.0, 0.999, (-2, 3)), (0.999, 0.0, (2, -3)), (0.7, 0.5, (1, 0))])
def test_images_move_by_up_to_an_eighth_of_their_sides_with_zeros_behind_them(down, right, by):
    changed = DiffAugment(["translation"])(images(), numbers(down=down, right=right))
    moved = functional.affine(images(), angle=0, translate=[by[1], by[0]], scale=1, shear=[0, 0], fill=0)
    torch.testing.assert_close(changed, moved)


def test_every_whole_number_of_pixels_is_as_likely():
    given = torch.zeros(7000, 1, 1, 24)
    given[..., 12] = 1
    drawn = DiffAugment(["translation"]).draws((7000,), torch.Generator().manual_seed(0))
    places = DiffAugment(["translation"])(given, drawn).flatten(1).argmax(1) - 12
    counts = torch.bincount(places + 3)
    assert len(counts) == 7
    assert (counts - 1000).abs().max() < 150  # five standard deviations


@pytest.mark.parametrize(
    ("top", "left", "part"), [(0.5, 0.5, (4, 6, 8, 12)), (0.0, 0.0, (0, 0, 4, 6)), (0.999, 0.5, (12, 6, 4, 12))]
)
def test_a_part_of_half_the_sides_is_taken_out_wherever_its_centre_is(top, left, part):
    changed = DiffAugment(["cutout"])(images(), numbers(top=top, left=left))
    first, side, height, width = part
    erased = functional.erase(images(), first, side, height, width, v=torch.zeros(3, 1, 1))
    torch.testing.assert_close(changed, erased)


def test_each_image_is_changed_by_its_own_numbers():
    augment = DiffAugment(["colour", "translation", "cutout"])
    drawn = augment.draws((3,), torch.Generator().manual_seed(1))
    together = augment(images(3), drawn)
    alone = torch.cat([augment(images(3)[n : n + 1], drawn[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(together, alone)


def test_a_drawing_moves_with_its_photograph_and_keeps_its_colours():
    augment = DiffAugment(["colour", "translation", "cutout"])
    drawn = augment.draws((2,), torch.Generator().manual_seed(1))
    moved = DiffAugment(["translation", "cutout"])(images(2), drawn)
    torch.testing.assert_close(augment(images(2), drawn, colour=False), moved)


def test_images_of_half_precision_move_as_others_do():
    given, augment = torch.ones(200, 1, 64, 64), DiffAugment(["translation", "cutout"])
    drawn = augment.draws((200,), torch.Generator().manual_seed(0))
    assert torch.equal(augment(given.bfloat16(), drawn).float(), augment(given, drawn))


def test_gradients_go_back_through_all_changes():
    augment = DiffAugment(["colour", "translation", "cutout"])
    drawn = augment.draws((2,), torch.Generator().manual_seed(1)).double()
    given = images(2, 8, 8).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda seen: augment(seen, drawn), given)
    assert torch.autograd.gradgradcheck(lambda seen: augment(seen, drawn).square(), given)


def test_draws_have_seven_numbers_for_each_image():
    drawn = DiffAugment(["cutout"]).draws((4, 2), torch.Generator().manual_seed(0))
    assert drawn.shape == (4, 2, 7)
    assert ((drawn >= 0) & (drawn < 1)).all()
