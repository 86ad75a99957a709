"""Loss terms, and the frozen networks that they stand on.

The names below are what plugins may use; the modules of this folder may change.
"""

from typing import TYPE_CHECKING

from metai2i.lazy import exported

if TYPE_CHECKING:
    from metai2i.losses.diff_augment import Augmentation as Augmentation
    from metai2i.losses.diff_augment import DiffAugment as DiffAugment
    from metai2i.losses.lpips import SMALLEST as SMALLEST
    from metai2i.losses.lpips import lpips_at_pixels as lpips_at_pixels
    from metai2i.losses.networks import network as network
    from metai2i.losses.patchgan import Norm as Norm
    from metai2i.losses.patchgan import PatchGAN as PatchGAN
    from metai2i.losses.patchgan import check_patches as check_patches
    from metai2i.losses.patchgan import initialise as initialise
    from metai2i.losses.patchgan import normalisation as normalisation

_HOME = {
    "Augmentation": "diff_augment",
    "DiffAugment": "diff_augment",
    "Norm": "patchgan",
    "PatchGAN": "patchgan",
    "SMALLEST": "lpips",
    "check_patches": "patchgan",
    "initialise": "patchgan",
    "lpips_at_pixels": "lpips",
    "network": "networks",
    "normalisation": "patchgan",
}
__all__ = [*_HOME]  # noqa: PLE0604
__getattr__ = exported(__name__, _HOME)
