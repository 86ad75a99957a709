"""Opening images: of which formats, how they are turned, what is wrong with those that cannot be read; and bringing
them to size.

Every image is opened here, by an explicit list of formats: what a file is decides, not its name, and what is on no
list (PostScript, say, which would start another program) reaches no decoder.

An image is resized to the smallest size of its own aspect that covers the wanted one, and the middle is cut out:
photographs with Lanczos (which averages when it shrinks), label maps by the nearest pixel. An image that has the
wanted size already stays as it is, bit by bit.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from metai2i.data.bad_files import DAMAGED
from metai2i.data.file_kinds import AVIF, HEIC, conversion, kind_of
from metai2i.data.hdr import refuse_other_light
from metai2i.errors import UserError
from metai2i.files import reason

Size = tuple[int, int]
"""(height, width) in pixels."""

READS_AVIF = "avif" in features.modules and bool(features.check("avif"))
"""Whether this Pillow can: from 11.3 on, unless it was built without."""
PHOTOGRAPHS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", *(["AVIF"] if READS_AVIF else []))
"""The formats of photographs, by Pillow's names."""
MAPS = ("PNG", "BMP", "TIFF", "PPM")
"""The formats of label maps: those that keep every pixel as it was."""

ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image upright, by its EXIF orientation; 1 is upright already."""
LYING = (5, 6, 7, 8)
"""Orientations that exchange width and height."""

_KINDS_OF_PIXELS = {
    "1": "black and white",
    "L": "grey levels of 8 bits",
    "LA": "grey levels with transparency",
    "P": "a palette",
    "RGB": "colours",
    "RGBA": "colours with transparency",
    "CMYK": "CMYK colours",
    "YCbCr": "YCbCr colours",
    "LAB": "Lab colours",
    "HSV": "HSV colours",
    "F": "floating-point numbers",
    "I": "whole numbers of 32 bits",
}
"""What pixels are, by Pillow's names for it."""


def hush() -> None:
    """Silence Pillow where we tell what matters, or nothing does.

    Images up to its limit are read, larger ones are an error of ours; damaged metadata is passed over, as viewers do;
    transparency is looked at before a palette is converted.
    """
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", module=r"PIL\.(Jpeg|Mpo|Png|Tiff)ImagePlugin")
    warnings.filterwarnings("ignore", message="Palette images with Transparency")


hush()


@dataclass(frozen=True)
class ImageHeader:
    """What is known of an image before its pixels are read.

    Args:
        size: (width, height), upright.
        orientation: as EXIF numbers it, 1 to 8.
        mode: Pillow's name for the kind of pixels.
    """

    size: tuple[int, int]
    orientation: int
    mode: str

    @property
    def stored(self) -> tuple[int, int]:
        """Return (width, height) as the pixels lie in the file."""
        return (self.size[1], self.size[0]) if self.orientation in LYING else self.size


@contextmanager
def opened(path: Path, formats: Sequence[str] = PHOTOGRAPHS) -> Iterator[Image.Image]:
    """Open the image at `path`, of which only the header has been read; as it is stored, not turned.

    Args:
        formats: that it may have, by Pillow's names. The end of the file's name does not count.

    Raises:
        UserError: naming the file, when it is missing, no such image, too large, animated, or found cut short while
            it is used.
    """
    _check_file(path)
    try:
        with Image.open(path, formats=tuple(formats)) as image:
            _check_single(image, path)
            if image.format == "AVIF":
                refuse_other_light(path)
            yield image
    except FileNotFoundError:
        raise UserError("there is no such file", where=path) from None
    except UnidentifiedImageError:
        raise _unknown(path, formats) from None
    except (Image.DecompressionBombError, MemoryError):
        raise _too_large(path) from None
    except DAMAGED as error:
        raise UserError(f"the image is damaged or cut short: {error}", where=path) from None


def header(path: Path, formats: Sequence[str] = PHOTOGRAPHS) -> ImageHeader:
    """Return what the header of an image tells.

    Raises:
        UserError: when it cannot be opened; see `opened`.
    """
    with opened(path, formats) as image:
        orientation = orientation_of(image)
        size = (image.height, image.width) if orientation in LYING else image.size
        return ImageHeader(size, orientation, image.mode)


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return what makes an opened image upright; None when it is."""
    return TURNS.get(orientation_of(image))


def orientation_of(image: Image.Image) -> int:
    """Return the orientation by EXIF, or by XMP where there is no EXIF: 1 to 8; 1 where it is damaged or not given."""
    if image.format == "TIFF":  # Pillow turns it, and forgets that it did, when it is loaded
        image.load()
    try:
        # The PNG reader's own method decodes the whole image to look for what lies behind its pixels.
        early = image.format == "PNG" and not _has_late_chunks(image)
        orientation = (Image.Image.getexif(image) if early else image.getexif()).get(ORIENTATION)
    except DAMAGED:
        return 1
    return orientation if isinstance(orientation, int) and orientation in TURNS else 1


def grey_scale(image: Image.Image) -> int:
    """Return by how much Pillow stretches the grey levels of an image of 2 or 4 bits when it loads it; 1 for others.

    It must be asked before the image is loaded.
    """
    return {"L;2": 85, "L;4": 17}.get(_raw_mode(image), 1)


def stretched_from(image: Image.Image) -> int | None:
    """Return the largest level of a PGM or PPM whose levels Pillow stretches when it loads it; None for others.

    It must be asked before the image is loaded.
    """
    tiles: Any = getattr(image, "tile", None)
    if image.format != "PPM" or not tiles or not isinstance(tiles[0][3], tuple):
        return None
    most = tiles[0][3][-1]
    return most if isinstance(most, int) and most not in (255, 65535) else None


def has_wide_channels(image: Image.Image) -> bool:
    """Return whether an opened image has several channels of 16 bits, of which Pillow drops the lower 8 when it loads
    it.
    """
    return ";16" in _raw_mode(image) and not image.mode.startswith("I")


def _raw_mode(image: Image.Image) -> str:
    """Return Pillow's name for how an opened, not yet loaded image lies in its file."""
    tiles: Any = getattr(image, "tile", None)
    raw = tiles[0][3] if tiles else ""
    return str(raw[0] if isinstance(raw, tuple) else raw)


def check_sums(image: Image.Image, path: Path) -> None:
    """Refuse an opened, not yet loaded PNG whose pixels were changed since it was written.

    Each chunk of a PNG has a checksum. Pillow holds those in front of the pixels against it, and not those of the
    pixels: a flipped bit would become other colours or classes.

    Raises:
        UserError: naming the file.
    """
    if image.format != "PNG":
        return
    for name, length, file in _chunks(image):
        if name == b"IDAT":
            content, kept = file.read(length), file.read(4)
            if len(kept) == 4 and zlib.crc32(name + content).to_bytes(4) != kept:  # one that is cut short is told later
                raise UserError("the image is damaged: its pixels do not have the checksum in the file", where=path)


def check_same_size(photo: Path, labels: Path) -> None:
    """Refuse a label map that has not the size of its photograph, both upright. Reads headers only.

    Raises:
        UserError: also when one of them cannot be opened.
    """
    shot, drawn = header(photo), header(labels, MAPS)
    if shot.size == drawn.size:
        return
    raise UserError(
        f"the label map is {size_in_words(drawn.size)}, its photograph {photo} {size_in_words(shot.size)} "
        "(width x height)",
        where=labels,
        hint=why_turned(shot, drawn, exact=True),
    )


def kind_of_pixels(mode: str) -> str:
    """Return what the pixels of an image are, in words.

    Args:
        mode: Pillow's name for it.
    """
    return _KINDS_OF_PIXELS.get(mode, f"pixels of the kind {mode}")


def why_turned(photo: ImageHeader, labels: ImageHeader, *, exact: bool) -> str | None:
    """Return the hint that a photograph's orientation is why its map does not fit; None when it is not.

    Args:
        exact: whether the sizes must be equal, or only their aspects.
    """
    fits = photo.stored == labels.size if exact else same_aspect(photo.stored, labels.size)
    if photo.orientation not in LYING or not fits:
        return None
    return (
        f"the photograph is stored as {size_in_words(photo.stored)} and is turned upright by its EXIF orientation "
        f"({photo.orientation}), its map was drawn on the image as it is stored: turn the map too, or take the "
        "orientation out of the photograph"
    )


def same_aspect(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Return whether two sizes have one aspect, to within a pixel of the smallest side."""
    return abs(first[0] * second[1] / (first[1] * second[0]) - 1) <= 2 / min(*first, *second)


def size_in_words(size: tuple[int, int]) -> str:
    """Return a size as people write it: 640x480.

    >>> in_words((640, 480))
    '640x480'
    """
    return f"{size[0]}x{size[1]}"


def covering(natural: Size, size: Size) -> Size:
    """Return the smallest size with the aspect of `natural` that covers `size`."""
    scale = max(size[0] / natural[0], size[1] / natural[1])
    return max(size[0], round(natural[0] * scale)), max(size[1], round(natural[1] * scale))


def fit_photo(image: Image.Image, size: Size, natural: Size | None = None) -> np.ndarray:
    """Return a photograph at `size`: (H, W, 3) uint8.

    Args:
        image: the photograph, as `metai2i.data.photographs.read_photograph` gives it.
        size: the wanted size.
        natural: a size with the true aspect, for a photograph that is stored squeezed; its own when None.
    """
    height, width = covering(natural or (image.height, image.width), size)
    image = image.convert("RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    return np.ascontiguousarray(np.asarray(image)[top : top + size[0], left : left + size[1]])


def fit_labels(labels: np.ndarray, size: Size) -> np.ndarray:
    """Return a label map (H', W') or (H', W', 3) at `size`, each pixel taken from the one that lies under
    its middle.
    """
    natural = labels.shape[0], labels.shape[1]
    whole = covering(natural, size)
    picked = []
    for have, full, want in zip(natural, whole, size, strict=True):
        middles = np.arange(want) + (full - want) // 2 + 0.5
        picked.append((middles * have / full).astype(np.intp).clip(0, have - 1))
    fitted: np.ndarray = labels[picked[0][:, None], picked[1][None, :]]
    return fitted


def _check_file(path: Path) -> None:
    """Refuse what is no ordinary file: opening a pipe would wait, reading a device never end."""
    try:
        if path.is_file():
            return
        what = "this is a folder, expected an image" if path.is_dir() else "this is no ordinary file"
        what = what if path.exists() else "there is no such file"
    except OSError as error:
        what = f"cannot read: {reason(error)}"
    raise UserError(what, where=path)


def _check_single(image: Image.Image, path: Path) -> None:
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # a camera's MPO begins with the photograph
    if frames != 1:
        what = "pages" if image.format == "TIFF" else "frames, an animation"
        raise UserError(f"the file has {frames} {what}, expected a single image", where=path)


def _unknown(path: Path, formats: Sequence[str]) -> UserError:
    known = f"expected {', '.join(formats[:-1])} or {formats[-1]}".replace("WEBP", "WebP")
    try:
        kind = kind_of(path)
    except OSError as error:
        return UserError(f"cannot read: {reason(error)}", where=path)
    if kind is None:
        return UserError(f"not an image that can be read, {known}", where=path)
    if kind.format in formats:
        return UserError(f"not an image that can be read: {kind.words}, damaged or cut short", where=path)
    if (kind.format in PHOTOGRAPHS or kind in (AVIF, HEIC)) and "JPEG" not in formats:
        hint: str | None = "it blends the classes along every edge; label maps must keep each pixel"
    else:
        hint = conversion(kind, path)
    return UserError(f"not an image that can be read: this is {kind.words}, {known}", where=path, hint=hint)


def _too_large(path: Path) -> UserError:
    most = f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} million pixels are read"
    size = _declared(path)
    return UserError(f"too large: {f'{size_in_words(size)} pixels, ' if size else ''}{most}", where=path)


def _declared(path: Path) -> tuple[int, int] | None:
    """Return the (width, height) in the header of an image that is too large to be opened."""
    try:
        with path.open("rb") as file:
            kind = kind_of(path)
            if kind is None or kind.format is None:
                return None
            make: Any = Image.OPEN[kind.format][0]  # the reader itself, which sets no limit
            size: tuple[int, int] = make(file, str(path)).size
            return size
    except (*DAMAGED, MemoryError):
        return None


def _has_late_chunks(image: Image.Image) -> bool:
    """Return whether a PNG has chunks behind its pixels in which EXIF data may be."""
    behind = False
    for name, _, _ in _chunks(image):
        behind = behind or name == b"IDAT"
        if behind and name in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            return True
    return False


def _chunks(image: Image.Image) -> Iterator[tuple[bytes, int, IO[bytes]]]:
    """Yield the name and the length of each chunk of an opened PNG up to its end, and the file, which stands at its
    content; none once the image is loaded.
    """
    file = getattr(image, "fp", None)
    if file is None:
        return
    place, at = file.tell(), 8
    try:
        while True:
            file.seek(at)
            head = file.read(8)
            if len(head) < 8:
                return
            length, name = struct.unpack(">I4s", head)
            if name == b"IEND":
                return
            yield name, length, file
            at += 12 + length
    finally:
        file.seek(place)
