"""AVIF photographs whose numbers stand for other light than sRGB's: decoded as they are, they look washed out."""

from __future__ import annotations

from pathlib import Path

from metai2i.errors import UserError

AS_SRGB = (1, 2, 6, 13, 14, 15)
"""Transfer characteristics (ITU-T H.273) that viewers show as they show sRGB: BT.709, none given, BT.601, sRGB and
BT.2020.
"""
PRIMARIES = (1, 2, 5, 6)
"""Colour primaries that are those of sRGB, not given, or of BT.601, which viewers do not tell from it."""
HDR_CURVES = {16: "PQ, an HDR curve", 18: "HLG, an HDR curve", 8: "linear light"}
WIDE_GAMUTS = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_LOOKED_AT = 1 << 16
"""Bytes; what an image is stands at its beginning."""


def refuse_other_light(path: Path) -> None:
    """Refuse an AVIF image whose header says that its numbers are HDR or of a wider gamut: its viewer maps them, and
    Pillow does not.

    An image with an ICC profile says so by that, which is followed.

    Raises:
        UserError: naming the file.
    """
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT)
    place = head.find(b"colrnclx")
    if place < 0 or len(head) < place + 12 or any(kind in head for kind in (b"colrprof", b"colrrICC")):
        return
    primaries, transfer = (int.from_bytes(head[place + at : place + at + 2]) for at in (8, 10))
    if transfer not in AS_SRGB:
        light = HDR_CURVES.get(transfer, f"transfer characteristics {transfer}")
    elif primaries not in PRIMARIES:
        light = f"the colours of {WIDE_GAMUTS.get(primaries, f'primaries {primaries}')}"
    else:
        return
    raise UserError(
        f"the AVIF image has {light}, expected sRGB",
        where=path,
        hint="save it in sRGB, 8 bits, with the program that shows it",
    )
