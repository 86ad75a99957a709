"""Ids out of JPEG colours, judged on maps that are known."""

import io

import numpy as np
import pytest
from metai2i_street.labels import PALETTE
from metai2i_street.side_by_side import decode, without_specks
from metai2i_street.tables import Tables
from PIL import Image, ImageDraw

TABLE = Tables().colours("cityscapes_colours")


def street(seed):
    """A made-up street in the colours of Cityscapes, (512, 1024) ids: areas, cars, poles, signs, people."""
    rng = np.random.default_rng(seed)
    image = Image.new("L", (1024, 512), 10)
    draw = ImageDraw.Draw(image)
    draw.polygon([(0, 512), (0, 380), (480, 250), (560, 250), (1024, 380), (1024, 512)], fill=0)
    for x in range(0, 1024, 128):
        top = int(rng.integers(60, 220))
        draw.rectangle([x, top, x + 140, 300], fill=int(rng.choice([2, 2, 8, 3, 4])))
    draw.polygon([(0, 300), (0, 400), (460, 270), (460, 250)], fill=1)
    for _ in range(8):
        x, y, width = int(rng.integers(0, 950)), int(rng.integers(240, 330)), int(rng.integers(30, 120))
        draw.ellipse([x, y, x + width, y + width // 2], fill=int(rng.choice([13, 13, 14, 15, 11, 12, 18])))
    for _ in range(6):
        x, width = int(rng.integers(0, 1000)), int(rng.integers(8, 16))
        draw.rectangle([x, 120, x + width, 330], fill=5)
        draw.rectangle([x - 14, 120, x + 22, 160], fill=int(rng.choice([6, 7])))
    return np.asarray(image)


def squeezed_jpeg(ids, quality):
    """As pix2pix pairs are made: coloured, squeezed to a square with blends at the edges, compressed."""
    colours = Image.fromarray(np.array(PALETTE, np.uint8)[ids]).resize((256, 256), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    colours.save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def nearest_colour(colours):
    distances = ((colours[::2, :, None].astype(int) - TABLE.colours.astype(int)) ** 2).sum(-1)
    return TABLE.ids[distances.argmin(-1)]


@pytest.mark.parametrize("quality", [75, 95])
def test_decoding_is_right_and_beats_the_nearest_colour(quality):
    right, plain, false_thin, plain_false_thin = [], [], [], []
    for seed in range(3):
        ids = street(seed)
        truth = np.asarray(Image.fromarray(ids).resize((256, 128), Image.Resampling.NEAREST))
        colours = squeezed_jpeg(ids, quality)
        got, simple = decode(colours, TABLE), nearest_colour(colours)
        right.append((got == truth).mean())
        plain.append((simple == truth).mean())
        false_thin.append(len(np.setdiff1d(got, truth)))
        plain_false_thin.append(len(np.setdiff1d(simple, truth)))
    assert np.mean(right) > 0.97
    assert np.mean(right) > np.mean(plain)
    assert sum(false_thin) < sum(plain_false_thin)


@pytest.mark.parametrize("colour", range(len(TABLE.rows)))
def test_every_colour_of_the_palette_is_decoded(colour):
    image = np.broadcast_to(TABLE.colours[colour], (64, 64, 3))
    assert (decode(image, TABLE) == TABLE.ids[colour]).all()


def test_the_dark_frame_is_replaced():
    image = np.full((64, 64, 3), PALETTE[13], np.uint8)
    image[:2] = image[-2:] = 0
    image[:, :2] = image[:, -2:] = 0
    assert (decode(image, TABLE) == 13).all()


def test_specks_of_areas_go_and_thin_things_stay():
    ids = np.zeros((20, 20), np.uint8)
    ids[3, 4:9] = 1  # a line of sidewalk
    ids[2:18, 15] = 5  # a pole
    ids[10:14, 2:6] = 13  # a car
    cleaned = without_specks(ids)
    expected = ids.copy()
    expected[3, 4:9] = 0
    np.testing.assert_array_equal(cleaned, expected)
