"""What a preparation made, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metai2i import SPLITS, UserError

SHOWN = 20
"""Lines of one kind that are told one by one."""


@dataclass
class Summary:
    """What was made, by this run and by those that it went on from.

    Args:
        sources: how many videos (folders of images) there are.
        before: how many of them had been worked through before.
        clips: the clips of each split, each of which is a person.
        pairs: the pairs of each split.
        frames: how many frames were looked at.
        rejected: how many of them were rejected, by why.
        dropped: clips with too few good frames.
        unused: the good frames of such clips.
        bad: what could not be read, and why.
        notes: what was passed over, and what has changed since the last call.
        shots: the videos that have several shots, and how many each.
        elsewhere: the frames of shots that were left out.
        gaps: how many times a person was lost and seen again.
        others: faces of other people that were passed over.
        unread: images, and videos with frames, that could not be read, and why.
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
    notes: list[str] = field(default_factory=list)
    shots: dict[Path, int] = field(default_factory=dict)
    elsewhere: int = 0
    gaps: int = 0
    others: int = 0
    unread: list[str] = field(default_factory=list)

    def add(self, source: Path, done: Mapping[str, Any]) -> None:
        """Count what the marker of a source says; those of earlier versions say less."""
        self.clips[done["split"]] += len(done["clips"])
        self.pairs[done["split"]] += sum(clip["pairs"] for clip in done["clips"])
        self.frames += done["frames"]
        self.rejected.update(done["rejected"])
        self.dropped += len(done["dropped"])
        self.unused += sum(done["dropped"])
        if done.get("shots", 1) > 1:
            self.shots[source] = done["shots"]
        self.elsewhere += done.get("elsewhere", 0)
        self.gaps += done.get("gaps", 0)
        self.others += done.get("others", 0)
        self.unread += done.get("unread", ())

    def frames_told(self) -> str:
        """Return what became of the frames."""
        why = ", ".join(f"{name}: {count}" for name, count in self.rejected.most_common())
        return (
            f"{self.frames} frames looked at, {self.pairs.total()} kept, {self.rejected.total()} rejected"
            f"{f' ({why})' if why else ''}, {self.unused} in {self.dropped} clips that have too few"
        )

    def lines(self, out: Path) -> Iterator[str]:
        """Yield all of it, for people."""
        yield f"{self.sources} videos, {self.before} of them done before, {len(self.bad)} that cannot be read"
        yield from (f"  {error}" for error in self.bad)
        yield from (f"  {note}" for note in _first(self.notes))
        yield self.frames_told()
        if self.gaps or self.others:
            yield f"a person was lost and seen again {self.gaps} times, {self.others} faces of others were passed over"
        if self.shots:
            yield f"{len(self.shots)} videos have several shots: one of each was taken, without {self.elsewhere} frames"
            yield from (
                f"  {line}" for line in _first([f"{path}: {count} shots" for path, count in self.shots.items()])
            )
        if self.unread:
            yield "images and frames that cannot be read and were left out:"
            yield from (f"  {line}" for line in _first(self.unread))
        yield ", ".join(f"{split}: {self.clips[split]} clips of {self.pairs[split]} pairs" for split in SPLITS)
        yield f"a look over all: {out / 'contact.png'}"


def _first(lines: Sequence[str]) -> Iterator[str]:
    """Yield the first few, and how many more."""
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"and {len(lines) - SHOWN} more"
