"""Trackio: a local dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metai2i.exporter import RowNumber, Tracker
from metai2i.extras import extra_command


class Trackio(Tracker):
    """A run of Trackio, whose dashboard is on this machine.

    Args:
        project: that it is put into.
    """

    modules = ("trackio",)
    install = extra_command("metai2i", "trackio")

    def __init__(self, *, project: str = "metai2i") -> None:
        self.project = project

    def begin(self, name: str, recipe: Mapping[str, object], out: Path) -> None:
        """Start a run with the recipe as its configuration."""
        import trackio

        self._trackio: Any = trackio
        self._run: Any = trackio.init(project=self.project, name=name, config=dict(recipe))

    def scalar(self, series: str, term: str, step: int, value: float) -> None:
        """Log a metric of the series."""
        self._run.log({f"{series}/{term}": value}, step=step)

    def number(self, number: RowNumber) -> None:
        """Log a mean and its interval as metrics of the row."""
        values = {f"row {number['row']}/{number['metric']} {key}": number[key] for key in ("mean", "low", "high")}
        self._run.log({key: value for key, value in values.items() if value is not None}, step=0)

    def image(self, tag: str, path: Path) -> None:
        """Log an image."""
        self._run.log({f"images/{tag}": self._trackio.Image(str(path), caption=tag)}, step=0)

    def end(self, failed: bool) -> object:
        """Finish the run."""
        self._run.finish()
        return f"trackio show --project {self.project} shows it"
