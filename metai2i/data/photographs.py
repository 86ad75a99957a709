"""The one reader of photographs: every kind of pixels as a viewer shows it, in sRGB, upright.

What a viewer does not show the same way everywhere (transparent pixels) or at all (numbers beyond an image's range)
is refused. `docs/data.md` has the table of all kinds.
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from metai2i.data.decoding import check_sums, grey_scale, kind_of_pixels, opened, turn_of
from metai2i.errors import UserError

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""
PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr")
"""Modes that Pillow brings to RGB as viewers do."""
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
WIDE = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Modes of 16-bit grey levels."""

SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""The mode to which a colour profile of each kind is applied."""
FITS = {"RGB": ("RGB", "L"), "L": ("L",), "CMYK": ("CMYK",)}
"""Modes of images in which such a profile means something."""
SAME = 2
"""A profile that changes no level by more than this is sRGB under another name, and its images stay as they are."""
SRGB_GAMMA = 1 / 2.2
"""The gAMA of PNG files that sRGB has; others within 5 % are taken for it, as viewers do."""


def read_photograph(path: Path, on: Colour | None = None) -> Image.Image:
    """Return the photograph in a file as a viewer shows it: in mode RGB, in sRGB, upright, without metadata.

    Args:
        path: of the file.
        on: the colour that is seen through what is transparent; None where nothing may be.

    Raises:
        UserError: naming the file, when it cannot be opened or is cut short, when pixels are transparent, or when they
            are no colours (floating point).
    """
    with opened(path) as image:
        check_sums(image, path)
        scale = grey_scale(image)
        turn = turn_of(image)
        image.load()
        try:
            seen = as_seen(image, scale, on)
        except UserError as error:
            raise UserError(error.what, where=path, hint=error.hint) from None
        upright = seen if turn is None else seen.transpose(turn)
    upright.info = {}
    return upright


def as_seen(image: Image.Image, scale: int = 1, on: Colour | None = None) -> Image.Image:
    """Return a loaded image in RGB and sRGB, not turned.

    Args:
        scale: by how much its grey levels were stretched, as `grey_scale` tells.
        on: the colour that is seen through what is transparent; None where nothing may be.

    Raises:
        UserError: when pixels are transparent or no colours; it names no file.
    """
    if on is not None and transparent_share(image, scale):
        if image.mode in (*WITH_ALPHA, "P"):
            cover = image.convert("RGBA").getchannel("A")
            plain = image.convert("RGBA").convert("L" if image.mode in ("LA", "La") else "RGB")
        else:  # one colour stands for nothing, by a key of the file
            cover, plain = Image.fromarray(np.where(_keyed(image, scale), 0, 255).astype(np.uint8)), image.copy()
        plain.info = {name: value for name, value in image.info.items() if name != "transparency"}
        return Image.composite(as_seen(plain), Image.new("RGB", plain.size, on), cover)
    refuse_transparent(image, scale)
    if image.mode in WIDE:
        plain = Image.fromarray(to_8_bits(np.asarray(image)))
    elif image.mode in WITH_ALPHA:
        plain = image.convert("RGBA").convert("L" if image.mode in ("LA", "La") else "RGB")
    elif image.mode in PLAIN:
        plain = image if image.mode in SPACES.values() else image.convert("RGB")
    else:
        raise UserError(
            f"the image holds {kind_of_pixels(image.mode)}, which viewers do not show alike",
            hint="expected 8 or 16 bits of grey or RGB, a palette, or CMYK",
        )
    profile = image.info.get("icc_profile")
    managed = in_srgb(plain, bytes(profile)) if profile else None
    return managed if managed is not None else with_gamma(plain.convert("RGB"), image.info)


def to_8_bits(levels: np.ndarray) -> np.ndarray:
    """Return grey levels of 16 bits (H, W) as uint8, rounded.

    Raises:
        UserError: for numbers outside of 0..65535.
    """
    if levels.size and (levels.min() < 0 or levels.max() > 65535):
        low, high = int(levels.min()), int(levels.max())
        raise UserError(f"grey levels from {low} to {high}, expected 8 or 16 bits (0 to 65535)")
    return ((levels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def refuse_transparent(image: Image.Image, scale: int = 1) -> None:
    """Refuse a loaded image of which a part can be seen through: what shows there is up to the viewer.

    Args:
        scale: by how much its grey levels were stretched.

    Raises:
        UserError: with the share of such pixels; it names no file.
    """
    share = transparent_share(image, scale)
    if share:
        raise UserError(
            f"{percent(share)} of the pixels are transparent, and what is seen there is up to the viewer",
            hint="save the image without transparency",
        )


def transparent_share(image: Image.Image, scale: int = 1) -> float:
    """Return the share of the pixels of a loaded image that are not opaque."""
    if image.mode in WITH_ALPHA:
        return _share(np.asarray(image.getchannel(image.getbands()[-1])) < 255)
    key = image.info.get("transparency")
    if key is None:
        return 0.0
    pixels = np.asarray(image)
    if image.mode == "P":
        alpha = np.full(256, 255, np.uint8)
        if isinstance(key, bytes):
            alpha[: len(key)] = np.frombuffer(key[:256], np.uint8)
        else:
            alpha[key] = 0
        return _share(alpha[pixels] < 255)
    return _share(_keyed(image, scale))


def _keyed(image: Image.Image, scale: int) -> np.ndarray:
    """Return which pixels have the colour that the file's key says is transparent, (H, W) bool."""
    key, pixels = image.info["transparency"], np.asarray(image)
    keyed: np.ndarray
    if image.mode == "RGB":  # a file of 16 bits has a key of 16 bits, of which Pillow keeps the upper 8 in the pixels
        each = [(pixels == [level >> shift & 255 for level in key]).all(-1) for shift in sorted({0, *_wide(key)})]
        keyed = max(each, key=np.count_nonzero)
    else:
        keyed = pixels == (bool(key) if image.mode == "1" else key * scale)
    return keyed


def _wide(key: tuple[int, ...]) -> set[int]:
    return {8} if max(key) > 255 else set()


def _share(mask: np.ndarray) -> float:
    return float(mask.mean()) if mask.size else 0.0


def percent(share: float) -> str:
    """Return a share for people, small ones with the digits that they need.

    >>> percent(0.3333), percent(0.0021), percent(0.00004)
    ('33 %', '0.21 %', 'less than 0.01 %')
    """
    if share < 1e-4:
        return "less than 0.01 %"
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def in_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return an image with an embedded colour profile, brought to sRGB; None where the profile is damaged, not of this
    kind of image, or sRGB already: viewers then show the numbers as they are.
    """
    known = _opened_profile(profile)
    if known is None or not _changes(profile):
        return None
    mode = SPACES[known.profile.xcolor_space]
    if image.mode not in FITS[mode]:
        return None
    try:
        return _transformed(image if image.mode == mode else image.convert(mode), known)
    except (ImageCms.PyCMSError, ValueError):
        return None


@lru_cache(maxsize=32)
def _changes(profile: bytes) -> bool:
    """Return whether a colour profile shows other colours than the numbers alone do."""
    known = _opened_profile(profile)
    mode = SPACES.get(known.profile.xcolor_space) if known is not None else None
    if known is None or mode is None:
        return False
    if mode == "CMYK":
        return True
    steps = np.arange(0, 256, 17, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(16, -1, 3) if mode == "RGB" else steps[None]
    sample = Image.fromarray(np.ascontiguousarray(grid))
    try:
        shown = _transformed(sample, known)
    except (ImageCms.PyCMSError, ValueError):
        return False
    apart = np.asarray(shown).astype(int) - np.asarray(sample.convert("RGB")).astype(int)
    return bool(np.abs(apart).max() > SAME)


def _opened_profile(profile: bytes) -> Any:
    """Return the profile, or None for one that cannot be read."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _transformed(image: Image.Image, profile: Any) -> Image.Image:
    shown = ImageCms.profileToProfile(
        image,
        profile,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert shown is not None
    return shown


def with_gamma(image: Image.Image, info: dict[Any, Any]) -> Image.Image:
    """Return an RGB image whose PNG file says by gAMA that its levels are not those of sRGB, brought to these."""
    gamma = info.get("gamma")
    if not isinstance(gamma, float) or gamma <= 0 or "srgb" in info or "icc_profile" in info:
        return image
    if abs(gamma / SRGB_GAMMA - 1) <= 0.05:
        return image
    light = (np.arange(256) / 255) ** (1 / gamma)
    return image.point([round(255 * level) for level in light**SRGB_GAMMA] * 3)
