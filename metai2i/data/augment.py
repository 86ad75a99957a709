"""`Augment`: flip, crop and rotation of pairs, drawn for every sample on its own."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from metai2i.batch import Batch
from metai2i.bounds import Degrees, Kept, check_range
from metai2i.field import FieldLookup, standard_field
from metai2i.randomness import Randomness

# Why not torchvision.transforms.v2: it draws from torch's global generator, so a draw would depend on how many came
# before it, and it draws one set of parameters for a whole batch, so five copies of one pair would remain one pair.


class Augment:
    """Flips, crops and rotates the samples of a batch, each by parameters of its own, the same for all its fields.

    The paper names the three and gives no magnitudes; those here are a moderate choice. Rotation is about the
    centre and by pixels, so that nothing is sheared in a wide image; what a rotated crop sees beyond the border is
    the image mirrored there.

    Args:
        flip: mirror left and right with probability 1/2; classes that are called so (`l_eye`, `r_eye`) change places.
        rotate: rotate by an angle drawn uniformly from [-rotate, rotate], in degrees; in [0, 180].
        crop: cut out a window whose sides are a fraction of the image's, drawn uniformly from [crop, 1], anywhere in
            it, and resize it to the full size; in (0, 1].

    Raises:
        UserError: when `rotate` or `crop` is out of its range.
    """

    def __init__(self, *, flip: bool = True, rotate: Degrees = 10.0, crop: Kept = 0.8) -> None:
        check_range("augment.rotate", rotate, Degrees)
        check_range("augment.crop", crop, Kept)
        self.flip = flip
        self.rotate = float(rotate)
        self.crop = float(crop)
        self._field: FieldLookup = standard_field

    def of(self, lookup: FieldLookup) -> Augment:
        """Return the same augmentation for data whose fields `lookup` knows; without it the standard names decide."""
        same = copy.copy(self)
        same._field = lookup
        return same

    def __call__(self, batch: Batch, rng: Randomness) -> Batch:
        """Return the augmented batch: the same fields, shapes, dtypes and device.

        Label maps and ids (`structure`, `instances`) and every field of whole numbers are sampled by nearest
        neighbour, which moves values and makes no new ones (one-hot stays one-hot); other images (B, C, H, W)
        bilinearly. Fields that are not images (`domain`, vectors) are handed through. With everything turned off it
        is the batch itself.

        Args:
            batch: B samples.
            rng: the address of the draw. Parameters are drawn on the CPU, the same for every device.
        """
        warps = self.rotate > 0 or self.crop < 1
        images = {name: field for name, field in batch.items() if self._is_image(name, field)}
        if not (self.flip or warps) or not images or not batch.size:
            return batch

        draws = torch.rand(batch.size, 5, generator=rng.generator())
        flips = (draws[:, 0] < 0.5) & self.flip
        grids: dict[tuple[torch.device, int, int], tuple[Tensor, Tensor]] = {}
        changed = {}
        for name, given in images.items():
            flipped = flips.to(given.device)
            field = self._sides_changed(name, given, flipped)
            key = (field.device, field.shape[-2], field.shape[-1])
            if warps and key not in grids:
                grids[key] = self._grid(draws[:, 1:], *key)
            if warps and (self._is_sharp(name) or not field.is_floating_point()):
                changed[name] = _nearest(field, *grids[key], flipped)
            else:
                out = _mirrored(field, flipped)  # apart from the warp, so that it is exact
                changed[name] = _bilinear(out, *grids[key]) if warps else out
        return batch.replace(**changed)

    def _sides_changed(self, name: str, field: Tensor, flipped: Tensor) -> Tensor:
        """Return the field with left and right classes exchanged in the `flipped` (B,) samples."""
        known = self._field(name)
        places = () if known is None else known.mirrored
        if not places or not bool(flipped.any()):
            return field
        return torch.where(flipped[:, None, None, None], field[:, list(places)], field)

    def _is_sharp(self, name: str) -> bool:
        """Return whether a pixel of a field is never mixed with its neighbour, whatever the dtype."""
        known = self._field(name)
        return known is not None and known.is_sharp

    def _is_image(self, name: str, field: Tensor) -> bool:
        """Return whether the field is an image, (B, C, H, W) of anything, or (B, H, W) of labels."""
        known = self._field(name)
        if known is not None and not known.is_image:
            return False
        return field.ndim == 4 or (field.ndim == 3 and (self._is_sharp(name) or not field.is_floating_point()))

    def _grid(self, draws: Tensor, device: torch.device, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Return where each output pixel is read: (x, y), each (B, H, W) float32 in pixels, pixel centres at whole
        numbers.

        Elementwise, not by `affine_grid`, whose matrix product loses pixels under autocast and TF32. Fields of one
        size share it, so that a map and its photograph stay aligned.
        """
        angle = (2 * draws[:, 0] - 1) * math.radians(self.rotate)
        side = self.crop + (1 - self.crop) * draws[:, 1]
        # The middle of the window, from the middle of the image, in image sides.
        right, down = ((draws[:, 2:4] - 0.5) * (1 - side)[:, None]).unbind(1)
        moved = torch.stack([angle.cos(), angle.sin(), side, right, down]).to(device)
        cos, sin, side, right, down = moved[:, :, None, None].unbind(0)
        u = side * (torch.arange(width, device=device) - (width - 1) / 2) + right * width
        v = side * (torch.arange(height, device=device)[:, None] - (height - 1) / 2) + down * height
        x = cos * u - sin * v + (width - 1) / 2
        y = sin * u + cos * v + (height - 1) / 2
        return _mirror(x, width), _mirror(y, height)


def _mirrored(field: Tensor, flipped: Tensor) -> Tensor:
    """Return the images with the `flipped` (B,) ones mirrored left and right."""
    return torch.where(flipped.view(-1, *[1] * (field.ndim - 1)), field.flip(-1), field)


def _mirror(position: Tensor, length: int) -> Tensor:
    """Mirror positions beyond the borders (at -1/2 and length - 1/2) as often as needed; in [0, length-1]."""
    t = torch.remainder(position + 0.5, 2 * length)
    return (torch.minimum(t, 2 * length - t) - 0.5).clamp(0, length - 1)


def _nearest(field: Tensor, x: Tensor, y: Tensor, flipped: Tensor) -> Tensor:
    """Return `field` (B, [C,] H, W) of any dtype, mirrored where `flipped` (B,) says so, at the pixels nearest to (x,
    y).

    Picked out, not by `grid_sample`: that takes floats only, in which instance ids above 2**24 are not exact.
    """
    # floor(x + 1/2), not round(): that goes to the even neighbour at ties, which is no grid of equal cells.
    columns = (x + 0.5).floor().long().clamp(max=field.shape[-1] - 1)
    columns = torch.where(flipped[:, None, None], field.shape[-1] - 1 - columns, columns)
    rows = (y + 0.5).floor().long().clamp(max=field.shape[-2] - 1)
    index = (rows * field.shape[-1] + columns).flatten(1)
    out = torch.empty(field.shape, dtype=field.dtype, device=field.device)
    # Sample by sample: a batch at once would need the indices anew for each channel.
    for sample, where, into in zip(field.flatten(-2), index, out.flatten(-2), strict=True):
        torch.index_select(sample, -1, where, out=into)
    return out


def _bilinear(field: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return `field` (B, C, H, W) of floats at (x, y), mixed from the four pixels around."""
    height, width = field.shape[-2:]
    exact = torch.promote_types(field.dtype, torch.float32)
    # Pixel centres to grid_sample's [-1, 1] with align_corners=False, where -1 and 1 are the outer edges of pixels.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1).to(exact)
    out = F.grid_sample(field.to(exact), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return out.to(field.dtype)
