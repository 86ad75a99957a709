"""Reading the drawing in a file, on white."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from metai2i import UserError, extra_command, reason
from metai2i.data import Size, opened, read_photograph
from metai2i_emoji.hands import Hand, drawings, is_svg, require_packages

WHITE = (255, 255, 255)
RESVG = "resvg_py"
ENLARGED = 2
"""Times as large as they are wanted, SVG drawings are drawn whose margins are then cut."""
MARGIN = 1 / 16
"""What is left around a drawing whose margins are cut, in parts of its longer side."""
_LARGEST = 2**22
"""Bytes of an SVG file."""


def reader(size: Size, *, trim: bool = False) -> partial[Image.Image]:
    """Return what reads drawings to be brought to a size.

    Args:
        size: height and width.
        trim: whether their margins are cut.
    """
    return partial(read_drawing, side=max(size), trim=trim)


def read_drawing(path: Path, side: int, *, trim: bool = False) -> Image.Image:
    """Return a drawing on white, in RGB.

    Args:
        path: an image, or an SVG drawing.
        side: in pixels, to which SVG drawings are drawn.
        trim: whether its margins are cut, so that all hands draw as large; SVG drawings are then drawn twice as large.

    Raises:
        UserError: naming the file, when it cannot be read; and when nothing is there to draw SVG.
    """
    if trim:
        return trimmed(read_drawing(path, ENLARGED * side), read_cover(path, ENLARGED * side), WHITE)
    if path.suffix.lower() != ".svg":
        return read_photograph(path, on=WHITE)
    return _drawn(path, side, background="#ffffff").convert("RGB")


def read_cover(path: Path, side: int, *, trim: bool = False) -> Image.Image:
    """Return what a drawing covers, in grey levels: white where it does, black where one sees through it.

    Args:
        path: an image, or an SVG drawing.
        side: in pixels, to which SVG drawings are drawn.
        trim: as of `read_drawing`.

    Raises:
        UserError: naming the file, when it cannot be read; and when nothing is there to draw SVG.
    """
    if trim:
        cover = read_cover(path, ENLARGED * side)
        return trimmed(cover, cover, 0)
    if path.suffix.lower() == ".svg":
        return _drawn(path, side).getchannel("A")
    with opened(path) as image:
        return image.convert("RGBA").getchannel("A")


def trimmed(image: Image.Image, cover: Image.Image, empty: int | tuple[int, int, int]) -> Image.Image:
    """Return a drawing in the middle of the smallest square that holds it with a margin; as it is where it is empty.

    Args:
        image: the drawing.
        cover: of one size with it, where it is drawn at all.
        empty: the colour beyond its canvas.
    """
    box = cover.getbbox()
    if box is None:
        return image
    left, top, right, bottom = box
    inner = max(right - left, bottom - top)
    side = inner + 2 * max(1, round(MARGIN * inner))
    square = Image.new(image.mode, (side, side), empty)
    square.paste(image.crop(box), ((side - (right - left)) // 2, (side - (bottom - top)) // 2))
    return square


def _drawn(path: Path, side: int, **options: str) -> Image.Image:
    """Return an SVG drawing in RGBA."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"a drawing of more than {_LARGEST // 2**20} MiB", where=path)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"the drawing cannot be read: {reason(error)}", where=path) from None
    except UnicodeDecodeError:
        raise UserError("this is no SVG drawing: it is not in UTF-8", where=path) from None
    try:
        png = resvg().svg_to_bytes(svg_string=text, width=side, skip_system_fonts=True, **options)
    except ValueError as error:
        raise UserError(f"this SVG drawing cannot be drawn: {error}", where=path) from None
    return Image.open(io.BytesIO(bytes(png)), formats=["PNG"]).convert("RGBA")


def resvg() -> Any:
    """Return the module that draws SVG.

    Raises:
        UserError: when it is not installed.
    """
    try:
        return import_module(RESVG)
    except ImportError:
        raise UserError(
            "OpenMoji's drawings are SVG, and resvg-py, which draws them, is not installed",
            hint=f"{extra_command('metai2i-emoji', 'svg')}; the hands twemoji, noto and fluent do without",
        ) from None


def all_drawings(root: Path, hands: Iterable[Hand]) -> dict[Hand, dict[str, Path]]:
    """Return the drawings of some hands by their code points, all of which can be read.

    Raises:
        UserError: when a package is missing or without drawings, or what draws SVG is not installed.
    """
    hands = tuple(hands)
    require_packages(root, hands)
    if any(map(is_svg, hands)):
        resvg()
    return {hand: drawings(root, hand) for hand in hands}
