"""Weights & Biases: a run on its server, or in a folder (`WANDB_MODE=offline`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metai2i.exporter import RowNumber, Tracker
from metai2i.extras import extra_command


class Wandb(Tracker):
    """A run of Weights & Biases; with WANDB_MODE=offline it stays on this machine.

    Args:
        project: that it is put into.
    """

    modules = ("wandb",)
    install = extra_command("metai2i", "wandb")

    def __init__(self, *, project: str = "metai2i") -> None:
        self.project = project

    def begin(self, name: str, recipe: Mapping[str, object], out: Path) -> None:
        """Start a run with the recipe as its configuration."""
        import wandb

        self._wandb: Any = wandb
        self._run: Any = wandb.init(project=self.project, name=name, config=dict(recipe))
        self._series: set[str] = set()

    def scalar(self, series: str, term: str, step: int, value: float) -> None:
        """Log a metric of the series, over the steps of the series."""
        if series not in self._series:
            self._series.add(series)
            self._run.define_metric(f"{series}/*", step_metric=f"{series}/step")
        self._run.log({f"{series}/{term}": value, f"{series}/step": step})

    def number(self, number: RowNumber) -> None:
        """Put a mean and its interval into the summary of the run."""
        for key in ("mean", "low", "high"):
            self._run.summary[f"row {number['row']}/{number['metric']} {key}"] = number[key]

    def image(self, tag: str, path: Path) -> None:
        """Log an image."""
        self._run.log({f"images/{tag}": self._wandb.Image(str(path), caption=tag)})

    def end(self, failed: bool) -> object:
        """Finish the run."""
        where = self._run.url or self._run.dir
        self._run.finish(exit_code=int(failed))
        return f"it is in {where}"
