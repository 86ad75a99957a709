import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from metai2i import Batch, UserError
from metai2i.data.images import to_uint8
from metai2i.metrics import METRICS, measure
from metai2i.metrics import builtin as metrics
from metai2i.metrics.builtin import mse, psnr, ssim
from metai2i.metrics.display import MEASURES, info_from_class


def noise(seed: int, count: int = 2, side: int = 40) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def flat(*levels: int, side: int = 32) -> torch.Tensor:
    """One constant image for each 8-bit level, in [-1, 1]."""
    return torch.stack([torch.full((3, side, side), level / 127.5 - 1) for level in levels])


def test_images_are_rounded_to_the_levels_they_are_saved_with():
    values = torch.tensor([-2.0, -1.0, 0.1 / 127.5 - 1, 0.6 / 127.5 - 1, 1.0, 3.0])
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 255, 255]


def test_differences_below_half_a_level_do_not_count():
    real = flat(100, 7)
    fake = real + 0.4 / 127.5
    assert mse(fake, real).tolist() == [0, 0]
    assert ssim(fake, real).tolist() == pytest.approx([1, 1])


def test_mse_and_psnr_of_constant_images_have_closed_forms():
    fake, real = flat(0, 100, 255), flat(255, 151, 255)
    assert mse(fake, real).tolist() == pytest.approx([1.0, 0.04, 0.0])
    assert psnr(fake, real).tolist() == pytest.approx([0.0, -20 * math.log10(51 / 255), math.inf])


def test_psnr_is_taken_per_image_and_not_of_the_mean_mse():
    fake, real = flat(10, 200), flat(20, 10)
    values = psnr(fake, real)
    assert values.tolist() == pytest.approx([float(psnr(fake[i : i + 1], real[i : i + 1])) for i in range(2)])
    assert abs(float(values.mean()) + 10 * math.log10(float(mse(fake, real).mean()))) > 1


def test_ssim_of_constant_images_has_a_closed_form():
    a, b, c1 = 51 / 255, 204 / 255, 0.01**2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert ssim(flat(51), flat(204)).tolist() == pytest.approx([expected])


def test_ssim_equals_an_independent_one_by_gaussian_filters():
    fake, real = noise(1), 0.6 * noise(1) + 0.4 * noise(2)

    def smooth(image: np.ndarray) -> np.ndarray:
        return np.stack([gaussian_filter(channel, 1.5, radius=5, mode="mirror") for channel in image])

    def reference(x: np.ndarray, y: np.ndarray) -> float:
        mean_x, mean_y = smooth(x), smooth(y)
        var_x, var_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
        cov = smooth(x * y) - mean_x * mean_y
        c1, c2 = 0.01**2, 0.03**2
        values = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
        values /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
        return float(values.mean())

    pairs = zip(*(to_uint8(images).double().numpy() / 255 for images in (fake, real)), strict=True)
    assert ssim(fake, real).tolist() == pytest.approx([reference(x, y) for x, y in pairs], abs=1e-6)


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_gives_one_value_for_each_image_whatever_its_neighbours(name):
    metric, fake, query = METRICS[name](), noise(3, 3), Batch(target=noise(4, 3))
    values = metric(fake, query)
    assert values.shape == (3,)
    alone = torch.cat([metric(fake[i : i + 1], query.select([i])) for i in range(3)])
    assert torch.allclose(values, alone, atol=1e-6)


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_gets_better_as_the_image_comes_nearer(name):
    metric, real, other = METRICS[name](), noise(5), noise(6)
    far, near = (metric(real + part * (other - real), Batch(target=real)) for part in (0.8, 0.2))
    assert bool(((near > far) == metric.higher_is_better).all())
    best = {"lpips": 0.0, "ssim": 1.0, "mse": 0.0, "psnr": math.inf}[name]
    assert metric(real, Batch(target=real)).tolist() == pytest.approx([best, best], abs=1e-6)


def test_lpips_is_measured_with_alexnet_on_the_saved_levels():
    from metai2i.losses.lpips import lpips_distance

    fake, real = noise(7, 1), noise(8, 1)
    on_levels = [to_uint8(images).float() / 127.5 - 1 for images in (fake, real)]
    assert metrics.lpips(fake, real).tolist() == pytest.approx(lpips_distance("alex")(*on_levels).tolist(), abs=1e-6)


def test_measure_gives_lists_of_numbers_by_name():
    values = measure(flat(0, 255), flat(255, 255), names=("mse", "psnr"))
    assert values == {"mse": pytest.approx([1.0, 0.0]), "psnr": pytest.approx([0.0, math.inf])}


def test_measure_refuses_what_cannot_be_measured():
    with pytest.raises(UserError, match="did you mean 'lpips'"):
        measure(flat(0), flat(0), names=("lpip",))
    with pytest.raises(ValueError, match="differ in shape"):
        measure(flat(0), flat(0, 0), names=("mse",))
    with pytest.raises(UserError, match="not finite"):
        measure(flat(0) * math.nan, flat(0), names=("mse",))
    with pytest.raises(UserError, match="at least 11 pixels a side, got 10x10"):
        measure(flat(0, side=10), flat(0, side=10), names=("ssim",))


def test_the_cores_own_metrics_are_read_as_is_known_without_torch():
    assert list(METRICS) == list(MEASURES)
    assert {name: info_from_class(name, metric) for name, metric in METRICS.items()} == MEASURES
