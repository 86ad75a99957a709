"""Image files that image libraries do not write: odd bit depths, single chunks, small colour profiles."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""PNG's colour types."""
SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
"""Red, green and blue of sRGB as XYZ under D50."""


def png(
    rows: Sequence[bytes], width: int, depth: int, kind: int, *chunks: tuple[bytes, bytes], late: bytes = b""
) -> bytes:
    """A PNG file of packed rows; `chunks` before the pixels, `late` EXIF data behind them."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    parts = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)),
        *(chunk(*each) for each in chunks),
        chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
        *([chunk(b"eXIf", late)] if late else []),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def profile(gamma: float, primaries: Sequence[Sequence[float]] = ()) -> bytes:
    """A colour profile (ICC 2) of a gamma and the XYZ of red, green and blue; of grey levels without these."""

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    white = fixed(0.9642, 1.0, 0.8249)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(80)
    tags = [(b"desc", text), (b"cprt", b"text\0\0\0\0x\0\0\0"), (b"wtpt", b"XYZ \0\0\0\0" + white)]
    if primaries:
        for letter, xyz in zip((b"r", b"g", b"b"), primaries, strict=True):
            tags += [(letter + b"XYZ", b"XYZ \0\0\0\0" + fixed(*xyz)), (letter + b"TRC", curve)]
    else:
        tags.append((b"kTRC", curve))
    table, content, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, tag in tags:
        padded = tag + bytes(-len(tag) % 4)
        table += name + struct.pack(">II", start + len(content), len(tag))
        content += padded
    body = struct.pack(">I", len(tags)) + table + content
    head = struct.pack(
        ">I4sI4s4s4s", 128 + len(body), b"none", 0x02100000, b"mntr", b"RGB " if primaries else b"GRAY", b"XYZ "
    )
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white + bytes(48)
    return head + body
