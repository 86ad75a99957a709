"""What the photographs of a data set are like before they are brought to size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metai2i.data.decoding import Size, covering, header
from metai2i.errors import UserError, counted_are

_SHOWN = 5
"""Of many alike files so many are named."""
CUT = 0.4
"""More than this share of a photograph cut away is told."""
_FEW = 0.2
"""Photographs that are held otherwise than all others are told when they are no more than this share."""
LARGE_PIXELS, LARGE_BYTES = 40_000_000, 64 * 2**20
"""Larger files take so long to decode that it is told."""


@dataclass
class Survey:
    """Photographs as they lie on the disk, of one split.

    Args:
        wanted: (height, width) to which they are brought.
        sizes: how many photographs have which (height, width).
        small: those that are enlarged.
        cut: those of which much is cut away.
        lying: those that are wider than high.
        standing: those that are higher than wide.
        large: those that take long to decode.
    """

    wanted: Size
    sizes: Counter[Size] = field(default_factory=Counter)
    small: list[Path] = field(default_factory=list)
    cut: list[Path] = field(default_factory=list)
    lying: list[Path] = field(default_factory=list)
    standing: list[Path] = field(default_factory=list)
    large: list[Path] = field(default_factory=list)

    def add(self, files: Sequence[Path]) -> None:
        """Take in a sample's files, the photograph first; a file that cannot be read is left to its reader.

        A photograph and its map side by side in one file are passed over: its size is that of both.
        """
        if not files or len(set(files)) < len(files):
            return
        try:
            width, height = header(files[0]).size
            weight = files[0].stat().st_size
        except (UserError, OSError):
            return
        size = height, width
        self.sizes[size] += 1
        whole = covering(size, self.wanted)
        kept = self.wanted[0] * self.wanted[1] / (whole[0] * whole[1])
        for applies, those in (
            (size[0] < self.wanted[0] or size[1] < self.wanted[1], self.small),
            (1 - kept > CUT, self.cut),
            (size[1] > size[0], self.lying),
            (size[0] > size[1], self.standing),
            (size[0] * size[1] > LARGE_PIXELS or weight > LARGE_BYTES, self.large),
        ):
            if applies:
                those.append(files[0])

    def findings(self) -> list[str]:
        """Return what should be known of these photographs, in words."""
        height, width = self.wanted
        few = sorted((self.lying, self.standing), key=len)[0]
        others = "higher than wide" if few is self.lying else "wider than high"
        odd = few if len(few) <= _FEW * sum(self.sizes.values()) else []
        limits = f"{LARGE_PIXELS // 10**6} megapixels or {LARGE_BYTES // 2**20} MiB"
        texts = (
            (self.small, f"smaller than {height}x{width}, and enlarged"),
            (self.cut, f"cut to {height}x{width} so that more than {100 * CUT:.0f} % is lost"),
            (odd, f"held otherwise than the others, which are {others}, as if turned by a quarter"),
            (
                self.large,
                f"larger than {limits}, and slow to read",
            ),
        )
        return [f"{counted_are(len(those), 'photograph')} {text}: {_named(those)}" for those, text in texts if those]


def _named(paths: Sequence[Path]) -> str:
    """Return the first few, and how many more there are."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(map(str, paths[:_SHOWN])) + more
