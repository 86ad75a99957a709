"""The paper's four metrics, one value per image, measured on images as they would be saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar, cast

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.images import to_uint8
from metai2i.errors import UserError, did_you_mean
from metai2i.hookspecs import Register, hookimpl
from metai2i.losses.lpips import SMALLEST
from metai2i.metric import Metric, metric_values
from metai2i.metrics.display import MEASURES, MetricInfo

_WINDOW = 11
_M = TypeVar("_M", bound=type[Metric])


def as_saved(images: Tensor) -> Tensor:
    """Convert images in [-1, 1] to float64 in [0, 1], on the 256 levels of a saved image.

    All metrics start from here, so that a number measured in a run is the number that anybody measures on the saved
    images, and so that photographs (which come with 256 levels) and images are treated alike.
    """
    return to_uint8(images).double() / 255


def lpips(fake: Tensor, real: Tensor) -> Tensor:
    """Return LPIPS v0.1 with AlexNet (Zhang et al., 2018): (B,) float32 distances; lower is nearer.

    Args:
        fake: (B, 3, H, W) in [-1, 1], at least 31 pixels a side.
        real: the same.

    Raises:
        UserError: when the images are too small, or when there are no real AlexNet weights.
    """
    from metai2i.losses.lpips import lpips_distance

    distance = lpips_distance("alex", fake.device)
    with torch.no_grad(), torch.autocast(fake.device.type, enabled=False):
        return cast(Tensor, distance(*((as_saved(images) * 2 - 1).float() for images in (fake, real))))


def ssim(fake: Tensor, real: Tensor) -> Tensor:
    """Return structural similarity (Wang et al., 2004): (B,) float64 in [-1, 1], 1 for equal images.

    Gaussian window of 11x11 with sigma 1.5, data range 1 on [0, 1] images, mean over channels and all positions, with
    the image mirrored at its border (as torchmetrics does; scikit-image leaves out the 5 pixels at
    the border, which changes the third digit).

    Args:
        fake: (B, 3, H, W) in [-1, 1], at least 11 pixels a side.
        real: the same.

    Raises:
        UserError: when the images are smaller than the window.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    if min(fake.shape[-2:]) < _WINDOW:
        raise UserError(f"SSIM needs images of at least 11 pixels a side, got {fake.shape[-2]}x{fake.shape[-1]}")
    # The map and not its average, over which the versions of torchmetrics differ.
    _, values = structural_similarity_index_measure(
        as_saved(fake),
        as_saved(real),
        sigma=1.5,
        kernel_size=_WINDOW,
        data_range=1.0,
        reduction="none",
        return_full_image=True,
    )
    return cast(Tensor, values).mean(dim=(1, 2, 3))


def mse(fake: Tensor, real: Tensor) -> Tensor:
    """Return mean squared error on [0, 1] images: (B,) float64; times 4 for images in [-1, 1], times 255^2 for 8-bit
    levels.

    Args:
        fake: (B, 3, H, W) in [-1, 1].
        real: the same.
    """
    return (as_saved(fake) - as_saved(real)).square().mean(dim=(1, 2, 3))


def psnr(fake: Tensor, real: Tensor) -> Tensor:
    """Return peak signal-to-noise ratio of each image in dB, peak 1 on [0, 1] images: (B,) float64, inf for equal
    images.

    It is the same for any other range with its own peak. The mean of it over images is not that of the mean MSE.

    Args:
        fake: (B, 3, H, W) in [-1, 1].
        real: the same.
    """
    return -10 * mse(fake, real).log10()


def _read_as(measure: MetricInfo) -> Callable[[_M], _M]:
    """Let a class say of itself what `MEASURES` says, which reports read without torch."""

    def say(metric: _M) -> _M:
        assert measure.higher_is_better is not None
        metric.label, metric.higher_is_better = measure.label, measure.higher_is_better
        metric.unit, metric.digits = measure.unit, measure.digits
        return metric

    return say


@_read_as(MEASURES["lpips"])
class Lpips(Metric):
    """LPIPS v0.1 with AlexNet (Zhang et al., 2018), a perceptual distance; 0 for equal images."""

    smallest = SMALLEST["alex"]
    feature_networks: ClassVar[frozenset[str]] = frozenset({"alex"})

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) distances."""
        return lpips(images, query["target"])


@_read_as(MEASURES["ssim"])
class Ssim(Metric):
    """Structural similarity (Wang et al., 2004) with an 11x11 Gaussian window, mean over channels; 1 at best."""

    smallest = _WINDOW

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) similarities."""
        return ssim(images, query["target"])


@_read_as(MEASURES["mse"])
class Mse(Metric):
    """Mean squared error on [0, 1] images."""

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) errors."""
        return mse(images, query["target"])


@_read_as(MEASURES["psnr"])
class Psnr(Metric):
    """Peak signal-to-noise ratio of each image in dB; infinite for equal images."""

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) ratios."""
        return psnr(images, query["target"])


METRICS: dict[str, type[Metric]] = {"lpips": Lpips, "ssim": Ssim, "mse": Mse, "psnr": Psnr}
"""The paper's four by name."""


@hookimpl
def register_metrics(register: Register) -> None:
    """Hand over the core's own metrics, as plugins do theirs."""
    from metai2i.metrics.deep_features import FEATURE_METRICS
    from metai2i.metrics.diversity import Diversity
    from metai2i.metrics.sets import SET_METRICS

    every: dict[str, type[Metric]] = {**METRICS, "diversity": Diversity, **FEATURE_METRICS, **SET_METRICS}
    for name, metric in every.items():
        register(name, metric)


def own_metrics(names: Sequence[str] = tuple(MEASURES)) -> dict[str, Metric]:
    """Return some of the core's own metrics, which fit all data.

    Raises:
        UserError: when there is none of a name.
    """
    for name in names:
        if name not in METRICS:
            raise UserError(f"no metric is called {name!r}", hint=did_you_mean(name, METRICS))
    return {name: METRICS[name]() for name in names}


def measure(
    fake: Tensor, real: Tensor, names: Sequence[str] = ("lpips", "ssim", "mse", "psnr")
) -> dict[str, list[float]]:
    """Return the values of some of the core's own metrics for each image.

    Args:
        fake: (B, 3, H, W) in [-1, 1].
        real: the same.
        names: which metrics.

    Raises:
        UserError: when there is no metric of that name, or when an image holds values that are not finite.
        ValueError: when `fake` and `real` differ in shape.
    """
    return metric_values(own_metrics(names), fake, Batch(target=real))
