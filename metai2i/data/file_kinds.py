"""What a file is, by its first bytes, whatever its name says; for messages about files that are no images."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple


class FileKind(NamedTuple):
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
STARTS: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x89PNG\r\n\x1a\n", FileKind("a PNG image", "PNG")),
    (b"\xff\xd8\xff", FileKind("a JPEG image", "JPEG")),
    (b"II*\0", FileKind("a TIFF image", "TIFF")),
    (b"MM\0*", FileKind("a TIFF image", "TIFF")),
    (b"BM", FileKind("a BMP image", "BMP")),
    (b"GIF8", FileKind("a GIF image", convert=MAGICK)),
    (b"%!PS", FileKind("PostScript")),
    (b"\xc5\xd0\xd3\xc6", FileKind("PostScript")),
    (b"%PDF", FileKind("a PDF document")),
    (b"8BPS", FileKind("a Photoshop document", convert=MAGICK)),
    (b"\0\0\1\0", FileKind("an icon (ICO)", convert=MAGICK)),
    (b"\0\0\0\x0cjP  ", FileKind("a JPEG 2000 image", convert="opj_decompress -i IN -o OUT")),
    (b"\xff\x4f\xff\x51", FileKind("a JPEG 2000 image", convert="opj_decompress -i IN -o OUT")),
    (b"\0\0\0\x0cJXL ", FileKind("a JPEG XL image", convert="djxl IN OUT")),
    (b"\xff\x0a", FileKind("a JPEG XL image", convert="djxl IN OUT")),
    (b"v/1\x01", FileKind("an OpenEXR image")),
    (b"#?RADIANCE", FileKind("a Radiance HDR image")),
    (b"\x93NUMPY", FileKind("a NumPy array")),
    (b"PK\3\4", FileKind("a ZIP archive")),
    (b"\x1f\x8b", FileKind("a gzip archive")),
    (b"version https://git-lfs", FileKind("a Git LFS pointer, whose content has not been fetched")),
)
AVIF = FileKind("an AVIF image", "AVIF", convert="avifdec IN OUT")
HEIC = FileKind("a HEIC image", convert="heif-convert IN OUT")
BRANDS = dict.fromkeys((b"avif", b"avis"), AVIF) | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), HEIC
)
"""By the brand in an ISO media file; others are videos."""
_LOOKED_AT = 512
"""Bytes."""


def kind_of(path: Path) -> FileKind | None:
    """Return what the file at `path` is; None when its first bytes do not tell.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT)
    if not head:
        return FileKind("an empty file")
    for start, kind in STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return FileKind("a WebP image", "WEBP") if head[8:12] == b"WEBP" else FileKind("a RIFF file (sound or video)")
    if head[4:8] == b"ftyp":
        return _media(head)
    return _text(head)


def conversion(kind: FileKind, path: Path) -> str | None:
    """Return the command that makes a PNG of an image that is not read, beside it; None where there is none."""
    if not kind.convert:
        return None
    names = {"IN": str(path), "OUT": str(path.with_suffix(".png"))}
    command = " ".join(shlex.quote(_filled(word, names)) for word in kind.convert.split())
    return f"convert it, and move the original elsewhere: {command}"


def _filled(word: str, names: dict[str, str]) -> str:
    name = word.removesuffix("[0]")
    return names[name] + word.removeprefix(name) if name in names else word


def _media(head: bytes) -> FileKind:
    """Return what an ISO media file is, by its brand, or where that is a general one by those that it names besides."""
    brand = head[8:12]
    end = min(int.from_bytes(head[:4]), len(head))
    besides = {head[at : at + 4] for at in range(16, end - 3, 4)}
    if brand in (b"mif1", b"msf1") and besides & {b"avif", b"avis"}:
        return AVIF
    return BRANDS.get(brand, FileKind("a video (MP4)"))


def _text(head: bytes) -> FileKind | None:
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
        return FileKind("an SVG drawing")
    return FileKind("an HTML page" if start.startswith(("<!doctype html", "<html")) else "text")
