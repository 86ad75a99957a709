"""The metrics that the core brings, and how numbers of metrics are shown."""

from typing import TYPE_CHECKING

from metai2i.lazy import exported

if TYPE_CHECKING:
    from metai2i.metrics.builtin import METRICS as METRICS
    from metai2i.metrics.builtin import Lpips as Lpips
    from metai2i.metrics.builtin import Mse as Mse
    from metai2i.metrics.builtin import Psnr as Psnr
    from metai2i.metrics.builtin import Ssim as Ssim
    from metai2i.metrics.builtin import lpips as lpips
    from metai2i.metrics.builtin import measure as measure
    from metai2i.metrics.builtin import mse as mse
    from metai2i.metrics.builtin import own_metrics as own_metrics
    from metai2i.metrics.builtin import psnr as psnr
    from metai2i.metrics.builtin import ssim as ssim

_HOME = dict.fromkeys(
    ("Lpips", "METRICS", "Mse", "Psnr", "Ssim", "lpips", "measure", "mse", "own_metrics", "psnr", "ssim"), "builtin"
)
__all__ = [*_HOME]  # noqa: PLE0604
__getattr__ = exported(__name__, _HOME)
