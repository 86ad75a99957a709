"""What a file is, by its first bytes, whatever its name says; for messages about files that are no pictures."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Kind(NamedTuple):
    """What a file is.

    Args:
        words: as it is called in a sentence.
        format: Pillow's name for it, where we read such pictures.
    """

    words: str
    format: str | None = None


STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", Kind("a PNG picture", "PNG")),
    (b"\xff\xd8\xff", Kind("a JPEG picture", "JPEG")),
    (b"II*\0", Kind("a TIFF picture", "TIFF")),
    (b"MM\0*", Kind("a TIFF picture", "TIFF")),
    (b"BM", Kind("a BMP picture", "BMP")),
    (b"GIF8", Kind("a GIF picture")),
    (b"%!PS", Kind("PostScript")),
    (b"\xc5\xd0\xd3\xc6", Kind("PostScript")),
    (b"%PDF", Kind("a PDF document")),
    (b"8BPS", Kind("a Photoshop document")),
    (b"\0\0\1\0", Kind("an icon (ICO)")),
    (b"\0\0\0\x0cjP  ", Kind("a JPEG 2000 picture")),
    (b"\xff\x4f\xff\x51", Kind("a JPEG 2000 picture")),
    (b"\0\0\0\x0cJXL ", Kind("a JPEG XL picture")),
    (b"\xff\x0a", Kind("a JPEG XL picture")),
    (b"v/1\x01", Kind("an OpenEXR picture")),
    (b"#?RADIANCE", Kind("a Radiance HDR picture")),
    (b"\x93NUMPY", Kind("a NumPy array")),
    (b"PK\3\4", Kind("a ZIP archive")),
    (b"\x1f\x8b", Kind("a gzip archive")),
    (b"version https://git-lfs", Kind("a Git LFS pointer, whose content has not been fetched")),
)
BRANDS = {b"avif": "an AVIF picture", b"avis": "an AVIF picture"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1"), "a HEIC picture"
)
"""By the brand in an ISO media file; others are videos."""
LOOKED_AT = 512
"""Bytes."""


def kind_of(path: Path) -> Kind | None:
    """What the file at `path` is; None when its first bytes do not tell.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(LOOKED_AT)
    if not head:
        return Kind("an empty file")
    for start, kind in STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return Kind("a WebP picture", "WEBP") if head[8:12] == b"WEBP" else Kind("a RIFF file (sound or video)")
    if head[4:8] == b"ftyp":
        return Kind(BRANDS.get(head[8:12], "a video (MP4)"))
    return _text(head)


def _text(head: bytes) -> Kind | None:
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not only the last letter, cut in two
            return None
        text = head[: error.start].decode("utf-8-sig")
    if not all(letter.isprintable() or letter.isspace() for letter in text):
        return None
    start = text.lstrip().lower()
    if "<svg" in start:
        return Kind("an SVG drawing")
    return Kind("an HTML page" if start.startswith(("<!doctype html", "<html")) else "text")
