"""The paper's four metrics, one value per image, measured on images as they would be saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from metai2i.errors import UserError, did_you_mean
from metai2i.images import to_uint8

_WINDOW = 11


@dataclass(frozen=True)
class Metric:
    """A measure of how near a picture is to the photograph.

    Args:
        name: as recipes and tables write it.
        function: (fake, real), both (B, 3, H, W) in [-1, 1], to (B,) values.
        higher_is_better: its direction.
        label: as it is printed, with its direction.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    higher_is_better: bool
    label: str


def _as_saved(images: Tensor) -> Tensor:
    """Images in [-1, 1] to float64 in [0, 1], on the 256 levels of a saved image.

    All metrics start from here, so that a number measured in a run is the number that anybody measures on the saved
    pictures, and so that photographs (which come with 256 levels) and pictures are treated alike.
    """
    return to_uint8(images).double() / 255


def lpips(fake: Tensor, real: Tensor) -> Tensor:
    """LPIPS v0.1 with AlexNet (Zhang et al., 2018): (B,) float32 distances; lower is nearer.

    Args:
        fake: (B, 3, H, W) in [-1, 1], at least 31 pixels a side.
        real: the same.

    Raises:
        UserError: when the images are too small, or when there are no real AlexNet weights.
    """
    from metai2i.perceptual import lpips_distance

    distance = lpips_distance("alex", fake.device)
    with torch.no_grad(), torch.autocast(fake.device.type, enabled=False):
        return cast(Tensor, distance(*((_as_saved(images) * 2 - 1).float() for images in (fake, real))))


def ssim(fake: Tensor, real: Tensor) -> Tensor:
    """Structural similarity (Wang et al., 2004): (B,) float64 in [-1, 1], 1 for equal images.

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
        _as_saved(fake),
        _as_saved(real),
        sigma=1.5,
        kernel_size=_WINDOW,
        data_range=1.0,
        reduction="none",
        return_full_image=True,
    )
    return cast(Tensor, values).mean(dim=(1, 2, 3))


def mse(fake: Tensor, real: Tensor) -> Tensor:
    """Mean squared error on [0, 1] images: (B,) float64; times 4 for images in [-1, 1], times 255^2 for 8-bit levels.

    Args:
        fake: (B, 3, H, W) in [-1, 1].
        real: the same.
    """
    return (_as_saved(fake) - _as_saved(real)).square().mean(dim=(1, 2, 3))


def psnr(fake: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, peak 1 on [0, 1] images: (B,) float64, inf for equal images.

    It is the same for any other range with its own peak. The mean of it over images is not that of the mean MSE.

    Args:
        fake: (B, 3, H, W) in [-1, 1].
        real: the same.
    """
    return -10 * mse(fake, real).log10()


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("lpips", lpips, higher_is_better=False, label="LPIPS ↓"),
        Metric("ssim", ssim, higher_is_better=True, label="SSIM ↑"),
        Metric("mse", mse, higher_is_better=False, label="MSE ↓"),
        Metric("psnr", psnr, higher_is_better=True, label="PSNR ↑"),
    )
}
"""All metrics by name."""


def measure(
    fake: Tensor, real: Tensor, names: Sequence[str] = ("lpips", "ssim", "mse", "psnr")
) -> dict[str, list[float]]:
    """The values of several metrics for each image.

    Args:
        fake: (B, 3, H, W) in [-1, 1].
        real: the same.
        names: which metrics.

    Raises:
        UserError: when there is no metric of that name, or when a picture holds values that are not finite.
        ValueError: when `fake` and `real` differ in shape.
    """
    for name in names:
        if name not in METRICS:
            raise UserError(f"there is no metric {name!r}", hint=did_you_mean(name, METRICS))
    if fake.shape != real.shape:
        raise ValueError(f"pictures and photographs differ in shape: {tuple(fake.shape)} and {tuple(real.shape)}")
    if not bool(torch.isfinite(fake).all()):  # as 8-bit levels they would pass for black
        raise UserError("the pictures hold values that are not finite", hint="training diverged: lower the rate")
    with torch.no_grad():
        return {name: METRICS[name].function(fake, real).tolist() for name in names}
