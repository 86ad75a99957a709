"""What a file is, by its first bytes, whatever its name says; for messages about files that are no images."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple


class _Kind(NamedTuple):
    """What a file is.

    Args:
        words: as it is called in a sentence.
        format: Pillow's name for it, where we read such images.
        convert: a command that makes a PNG of it, with IN and OUT for the files; empty where nothing is to be made.
    """

    words: str
    format: str | None = None
    convert: str = ""


MAGICK = "magick IN[0] OUT"
STARTS: tuple[tuple[bytes, _Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", _Kind("a PNG image", "PNG")),
    (b"\xff\xd8\xff", _Kind("a JPEG image", "JPEG")),
    (b"II*\0", _Kind("a TIFF image", "TIFF")),
    (b"MM\0*", _Kind("a TIFF image", "TIFF")),
    (b"BM", _Kind("a BMP image", "BMP")),
    (b"GIF8", _Kind("a GIF image", convert=MAGICK)),
    (b"%!PS", _Kind("PostScript")),
    (b"\xc5\xd0\xd3\xc6", _Kind("PostScript")),
    (b"%PDF", _Kind("a PDF document")),
    (b"8BPS", _Kind("a Photoshop document", convert=MAGICK)),
    (b"\0\0\1\0", _Kind("an icon (ICO)", convert=MAGICK)),
    (b"\0\0\0\x0cjP  ", _Kind("a JPEG 2000 image", convert="opj_decompress -i IN -o OUT")),
    (b"\xff\x4f\xff\x51", _Kind("a JPEG 2000 image", convert="opj_decompress -i IN -o OUT")),
    (b"\0\0\0\x0cJXL ", _Kind("a JPEG XL image", convert="djxl IN OUT")),
    (b"\xff\x0a", _Kind("a JPEG XL image", convert="djxl IN OUT")),
    (b"v/1\x01", _Kind("an OpenEXR image")),
    (b"#?RADIANCE", _Kind("a Radiance HDR image")),
    (b"\x93NUMPY", _Kind("a NumPy array")),
    (b"PK\3\4", _Kind("a ZIP archive")),
    (b"\x1f\x8b", _Kind("a gzip archive")),
    (b"version https://git-lfs", _Kind("a Git LFS pointer, whose content has not been fetched")),
)
AVIF = _Kind("an AVIF image", "AVIF", convert="avifdec IN OUT")
HEIC = _Kind("a HEIC image", convert="heif-convert IN OUT")
BRANDS = dict.fromkeys((b"avif", b"avis"), AVIF) | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), HEIC
)
"""By the brand in an ISO media file; others are videos."""
_LOOKED_AT = 512
"""Bytes."""


def kind_of(path: Path) -> _Kind | None:
    """Return what the file at `path` is; None when its first bytes do not tell.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT)
    if not head:
        return _Kind("an empty file")
    for start, kind in STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return _Kind("a WebP image", "WEBP") if head[8:12] == b"WEBP" else _Kind("a RIFF file (sound or video)")
    if head[4:8] == b"ftyp":
        return _media(head)
    return _text(head)


def conversion(kind: _Kind, path: Path) -> str | None:
    """Return the command that makes a PNG of an image that is not read, beside it; None where there is none."""
    if not kind.convert:
        return None
    names = {"IN": str(path), "OUT": str(path.with_suffix(".png"))}
    command = " ".join(shlex.quote(_filled(word, names)) for word in kind.convert.split())
    return f"convert it, and move the original elsewhere: {command}"


def _filled(word: str, names: dict[str, str]) -> str:
    name = word.removesuffix("[0]")
    return names[name] + word.removeprefix(name) if name in names else word


def _media(head: bytes) -> _Kind:
    """Return what an ISO media file is, by its brand, or where that is a general one by those that it names besides."""
    brand = head[8:12]
    end = min(int.from_bytes(head[:4]), len(head))
    besides = {head[at : at + 4] for at in range(16, end - 3, 4)}
    if brand in (b"mif1", b"msf1") and besides & {b"avif", b"avis"}:
        return AVIF
    return BRANDS.get(brand, _Kind("a video (MP4)"))


def _text(head: bytes) -> _Kind | None:
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
        return _Kind("an SVG drawing")
    return _Kind("an HTML page" if start.startswith(("<!doctype html", "<html")) else "text")
