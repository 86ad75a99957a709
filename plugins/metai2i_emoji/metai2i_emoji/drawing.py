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
_LARGEST = 2**22
"""Bytes of an SVG file."""


def reader(size: Size) -> partial[Image.Image]:
    """Return what reads drawings to be brought to a size."""
    return partial(read_drawing, side=max(size))


def read_drawing(path: Path, side: int) -> Image.Image:
    """Return a drawing on white, in RGB.

    Args:
        path: an image, or an SVG drawing.
        side: in pixels, to which SVG drawings are drawn.

    Raises:
        UserError: naming the file, when it cannot be read; and when nothing is there to draw SVG.
    """
    if path.suffix.lower() != ".svg":
        return read_photograph(path, on=WHITE)
    return _drawn(path, side, background="#ffffff").convert("RGB")


def read_cover(path: Path, side: int) -> Image.Image:
    """Return what a drawing covers, in grey levels: white where it does, black where one sees through it.

    Args:
        path: an image, or an SVG drawing.
        side: in pixels, to which SVG drawings are drawn.

    Raises:
        UserError: naming the file, when it cannot be read; and when nothing is there to draw SVG.
    """
    if path.suffix.lower() == ".svg":
        return _drawn(path, side).getchannel("A")
    with opened(path) as image:
        return image.convert("RGBA").getchannel("A")


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
