"""Region maps of drawn faces, whose areas are known."""

import math

import numpy as np
import pytest
from metai2i_faces.prepare.crop import MIRRORED
from metai2i_faces.prepare.draw import BRIDGE, FOREHEAD, area, draw, regions
from metai2i_faces.regions import CLASSES

SIZE = 200
UNIT = 60.0


@pytest.fixture
def points(face):
    return face(100, 95, UNIT)


def share(polygons, name):
    """Pixels of a region that is drawn alone, in square units."""
    return (draw({name: polygons[name]}, SIZE) == CLASSES.index(name)).sum() / UNIT**2


def test_the_face_is_half_an_ellipse_and_a_lower_one(points):
    expected = math.pi * 1.25 / 2 * (1 + FOREHEAD)
    assert share(regions(points), "face") == pytest.approx(expected, rel=0.02)


def test_a_tilted_face_has_the_same_area(points):
    angle = math.radians(20)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    tilted = (points - [100, 95]) @ turn + [100, 95]
    for name, polygons in regions(points).items():
        assert sum(map(area, regions(tilted)[name])) == pytest.approx(sum(map(area, polygons)), rel=1e-6)


def test_eyes_and_lips_are_their_own_polygons(points):
    polygons = regions(points)
    assert share(polygons, "eyes") == pytest.approx(2 * 0.4 * 0.07, rel=0.1)  # two hexagons of 0.3 and 0.1 by 0.14
    lips = 12 / 2 * math.sin(2 * math.pi / 12) * 0.35 * 0.2  # a regular polygon of 12 corners, squeezed
    assert share(polygons, "lips") == pytest.approx(lips, rel=0.05)


def test_the_nose_is_a_strip_between_the_eyes_and_reaches_its_lowest_point(points):
    labels = draw({"nose": regions(points)["nose"]}, SIZE)
    assert (labels[96 + 5] == CLASSES.index("nose")).sum() == pytest.approx(2 * BRIDGE * UNIT, abs=1)
    lowest = np.flatnonzero((labels == CLASSES.index("nose")).any(1)).max()
    assert lowest + 0.5 == pytest.approx(points[33, 1], abs=1)


def test_eyebrows_are_bands_about_their_points(points):
    labels = draw({"eyebrows": regions(points)["eyebrows"]}, SIZE)
    for x, y in points[[18, 19, 20, 23, 24, 25]]:
        assert labels[int(y), int(x)] == CLASSES.index("eyebrows")
        assert labels[int(y + 0.12 * UNIT), int(x)] == 0
        assert labels[int(y - 0.12 * UNIT), int(x)] == 0


def test_small_regions_are_drawn_over_large_ones(points):
    polygons = regions(points)
    assert list(polygons) == ["face", "nose", "eyebrows", "eyes", "lips", "inner-mouth"]
    labels = draw(polygons, SIZE)
    mouth = tuple(points[60:68].mean(0).astype(int)[::-1])
    assert labels[mouth] == CLASSES.index("inner-mouth")
    for eye in (points[36:42], points[42:48]):
        assert labels[tuple(eye.mean(0).astype(int)[::-1])] == CLASSES.index("eyes")
    assert labels[0, 0] == CLASSES.index("background")
    assert set(np.unique(labels)) == set(range(7))


def test_the_order_decides_who_is_seen(points):
    everywhere = np.array([[0, 0], [SIZE, 0], [SIZE, SIZE], [0, SIZE]], float)
    labels = draw({**regions(points), "lips": [everywhere]}, SIZE)
    assert set(np.unique(labels)) == {CLASSES.index("lips"), CLASSES.index("inner-mouth")}


@pytest.mark.parametrize(("gap", "there"), [(0.03, False), (0.04, True)])
def test_a_mouth_is_open_from_a_gap_on(face, gap, there):
    assert ("inner-mouth" in regions(face(100, 95, UNIT, mouth=gap))) is there


def test_a_mirrored_face_has_the_mirrored_map(face):
    points = face(90, 95, UNIT) + np.linspace(0, 3, 68)[:, None]  # no longer symmetric
    mirrored = points[MIRRORED] * [-1, 1] + [SIZE, 0]
    differing = draw(regions(mirrored), SIZE) != draw(regions(points), SIZE)[:, ::-1]
    assert differing.mean() < 0.004  # pixels whose middle is on an edge


def test_a_pixel_belongs_to_the_region_that_its_middle_is_in():
    square = np.array([[2.3, 2.3], [5.7, 2.3], [5.7, 5.7], [2.3, 5.7]])
    labels = draw({"face": [square]}, 8)
    expected = np.zeros((8, 8), np.uint8)
    expected[2:6, 2:6] = 1
    assert (labels == expected).all()


def test_maps_are_not_shifted():
    shifts = []
    for seed in range(50):
        middle = np.random.default_rng(seed).uniform(40, 60, 2)
        angles = np.linspace(0, 2 * math.pi, 30, endpoint=False)
        labels = draw({"face": [middle + np.stack([20 * np.cos(angles), 15 * np.sin(angles)], 1)]}, 100)
        rows, columns = np.nonzero(labels)
        shifts.append([columns.mean() + 0.5 - middle[0], rows.mean() + 0.5 - middle[1]])
    np.testing.assert_allclose(np.mean(shifts, 0), 0, atol=0.02)


def test_the_area_of_a_polygon_on_a_line_is_nothing():
    assert area(np.array([[0, 0], [1, 1], [3, 3]])) == 0
