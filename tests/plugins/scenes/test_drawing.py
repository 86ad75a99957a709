import numpy as np
import pytest
from metai2i_scenes.canvas import SCALE, Canvas
from metai2i_scenes.colour import mix, oklch
from metai2i_scenes.head import smooth
from metai2i_scenes.noise import look_up, value_noise
from metai2i_scenes.view import Camera


def test_labels_are_point_sampled_and_colours_are_means():
    canvas = Canvas(4, 4, ground=0, colour=(0.0, 0.0, 0.0))
    ink = canvas.ink(7, (1.0, 0.0, 0.0), 0.0, 1.0)
    # Two of three sample columns of pixel 1 and all of pixels 2 and 3.
    canvas.polygon([(SCALE + 1, 0), (4 * SCALE, 0), (4 * SCALE, 4 * SCALE), (SCALE + 1, 4 * SCALE)], ink)
    drawn = canvas.finish()
    assert drawn.labels.tolist() == [[0, 7, 7, 7]] * 4
    np.testing.assert_allclose(drawn.colour[0, :, 0], [0, 2 / 3, 1, 1], atol=0.01)
    np.testing.assert_allclose(drawn.attributes[0, :, 1], [0, 2 / 3, 1, 1], atol=0.01)


def test_what_is_painted_after_freezing_does_not_show_in_the_map():
    canvas = Canvas(2, 2)
    canvas.freeze_labels()
    canvas.ellipse(SCALE, SCALE, 10, 10, canvas.ink(3, (1.0, 1.0, 1.0)))
    drawn = canvas.finish()
    assert not drawn.labels.any()
    assert drawn.colour.min() == 1


def test_value_noise_has_mean_0_deviation_1_and_wraps():
    field = value_noise(np.random.default_rng(0), 64, 4)
    assert abs(field.mean()) < 1e-5
    assert field.std() == pytest.approx(1, abs=1e-4)
    steps = np.abs(np.diff(field, axis=1)).max()
    assert np.abs(field[:, 0] - field[:, -1]).max() < 2 * steps
    index = np.arange(3.0)
    np.testing.assert_array_equal(look_up(field, index, index + 64), field[[0, 1, 2], [0, 1, 2]])


@pytest.mark.parametrize(
    ("lch", "srgb"),
    [
        ((1.0, 0.0, 0.0), (1, 1, 1)),
        ((0.0, 0.0, 0.0), (0, 0, 0)),
        ((0.62796, 0.25768, 29.234), (1, 0, 0)),
        ((0.45201, 0.31321, 264.052), (0, 0, 1)),
    ],
)
def test_oklch_gives_known_srgb_colours(lch, srgb):
    assert oklch(*lch) == pytest.approx(srgb, abs=0.005)


def test_mixing_goes_from_one_colour_to_the_other():
    assert mix((0, 0, 0), (1, 0.5, 0.2), 0.5) == pytest.approx((0.5, 0.25, 0.1))


def test_a_point_twice_as_far_is_half_as_far_from_where_the_street_vanishes():
    cam = Camera(focal=100, u=50, v=40, x=1, y=2, z=0)
    near, far = cam.see(4, 0, 5), cam.see(4, 0, 10)
    assert near == pytest.approx((50 + 60, 40 + 40))
    assert (far[0] - 50, far[1] - 40) == pytest.approx(((near[0] - 50) / 2, (near[1] - 40) / 2))


def test_a_smooth_curve_goes_through_its_points():
    points = [(0.0, 0.0), (1.0, 3.0), (4.0, 2.0), (2.0, -1.0)]
    np.testing.assert_allclose(smooth(points, steps=5)[::5], points)
    np.testing.assert_allclose(smooth(points, steps=5, closed=False)[::5], points)
