"""What a preparation made, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metai2i import UserError
from metai2i_faces.prepare.sources import SPLITS


@dataclass
class Summary:
    """What was made, by this run and by those that it went on from.

    Args:
        sources: how many videos (folders of pictures) there are.
        before: how many of them had been worked through before.
        clips: the clips of each split, each of which is a person.
        pairs: the pairs of each split.
        frames: how many frames were looked at.
        rejected: how many of them were rejected, by why.
        dropped: clips with too few good frames.
        unused: the good frames of such clips.
        bad: what could not be read, and why.
    """

    sources: int = 0
    before: int = 0
    clips: Counter[str] = field(default_factory=Counter)
    pairs: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    unused: int = 0
    bad: list[UserError] = field(default_factory=list)

    def add(self, done: Mapping[str, Any]) -> None:
        """Counts what the marker of a source says."""
        self.clips[done["split"]] += len(done["clips"])
        self.pairs[done["split"]] += sum(clip["pairs"] for clip in done["clips"])
        self.frames += done["frames"]
        self.rejected.update(done["rejected"])
        self.dropped += len(done["dropped"])
        self.unused += sum(done["dropped"])

    def frames_told(self) -> str:
        """What became of the frames."""
        why = ", ".join(f"{name}: {count}" for name, count in self.rejected.most_common())
        return (
            f"{self.frames} frames looked at, {self.pairs.total()} kept, {self.rejected.total()} rejected"
            f"{f' ({why})' if why else ''}, {self.unused} in {self.dropped} clips that have too few"
        )

    def lines(self, out: Path) -> Iterator[str]:
        """All of it, for people."""
        yield f"{self.sources} videos, {self.before} of them done before, {len(self.bad)} that cannot be read"
        yield from (f"  {error}" for error in self.bad)
        yield self.frames_told()
        yield ", ".join(f"{split}: {self.clips[split]} clips of {self.pairs[split]} pairs" for split in SPLITS)
        yield f"a look over all: {out / 'contact.png'}"
