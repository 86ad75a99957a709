"""What a user sees while it works: a live bar on a terminal, a line every few seconds in a pipe."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from metai2i.console.consoles import console, speaks_unicode
from metai2i.console.legible import on_one_line

_PROBE = "probe"
"""What the general model's drift is logged under (`metai2i.stages.metatrain.probe`)."""
QUERY = "query"
"""What strategies log the losses of adapted models under."""
LINE_EVERY = 5.0
"""Seconds between two lines in a pipe."""


def by_player(losses: Mapping[str, float]) -> str:
    """Return what each player minimises in a few characters: "generator 1.213  discriminator 0.693".

    Args:
        losses: terms called "PLAYER/TERM", already weighted, so that a player's are added up; before that may stand
            where they are taken ("query/PLAYER/TERM"). What has no player ("probe/...") is left to the log.
    """
    sums: dict[str, float] = {}
    for name, value in losses.items():
        place = name.rpartition("/")[0]
        player = name if place in ("", QUERY) else place
        sums[player] = sums.get(player, 0.0) + value
    return "  ".join(f"{player} {value:.3f}" for player, value in sums.items() if player != _PROBE)


def stage_bars(to: Console) -> Progress:
    """Return what shows a bar for each stage that is added to it; nothing where there is no terminal."""
    return Progress(
        SpinnerColumn("dots" if speaks_unicode(to) else "line"),
        TextColumn("{task.description}", markup=False),  # titles and notes hold names, which may hold brackets
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=to,
        disable=not to.is_terminal,
    )


class StageProgress:
    """A context in which one stage's steps are counted.

    Args:
        title: "pretrain (4 rows)".
        total: the number of steps.
        start: the steps that an earlier run has done.
        among: bars of several stages, which this one's joins while it is worked on; None for bars of its own.
    """

    def __init__(
        self, title: str, total: int, start: int = 0, to: Console | None = None, among: Progress | None = None
    ) -> None:
        self.title, self.total, self.start, self.done = on_one_line(title), total, start, start
        self.console = to or console()
        self.began = self.last_line = time.monotonic()
        self.among = among
        self.progress = stage_bars(self.console) if among is None else among
        self.task = self.progress.add_task(self.title, total=total, completed=start, rate="", note="")

    def __enter__(self) -> StageProgress:
        if self.among is None:
            self.progress.start()
        if not self.console.is_terminal:
            resumed = f", resumed at {self.start}" if self.start and self.among is None else ""
            self.console.print(f"{self.title}: {self.total} steps{resumed}", markup=False)
        return self

    def advance(self, done: int, note: str = "") -> None:
        """Tell that `done` steps are behind it."""
        finishes, self.done = done == self.total and self.done != done, done
        note = on_one_line(note)
        now = time.monotonic()
        rate = (done - self.start) / max(now - self.began, 1e-9)
        shown = f"{rate:.1f}/s" if rate >= 1 else f"{1 / max(rate, 1e-9):.1f} s each"
        self.progress.update(self.task, completed=done, rate=shown, note=note)
        if not self.console.is_terminal and (now - self.last_line >= LINE_EVERY or finishes):
            self.last_line = now
            left = (self.total - done) / max(rate, 1e-9)
            line = f"{self.title}: {done}/{self.total}  {shown}  {clock(left)} left  {note}".rstrip()
            self.console.print(line, markup=False)

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        if self.among is None:
            self.progress.stop()
        else:
            self.among.remove_task(self.task)


def clock(seconds: float) -> str:
    """Return a duration for people: "2:05", "1:02:05"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
