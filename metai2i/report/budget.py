"""What each row has cost: training, adapting to a scene, and what must be stored of a scene."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from metai2i.report.wording import NOTHING, amount_of_bytes, duration, marked
from metai2i.run_folder.reader import Run
from metai2i.run_folder.record import StageRecord
from metai2i.statistics import BudgetRecord, Summary

TRAINING = ("pretrain", "continued", "further", "metatrain")
"""The stages that train (older runs say `further` for `continued`).

One that several rows share counts in each, as though it had been made for it alone."""


def budget(run: Run, row: str) -> BudgetRecord | None:
    """Return what a row of a run has cost, in seconds, numbers and bytes, as its stages have recorded it.

    A stage that was taken from the store counts with what it cost when it was made. None for a run that has not
    recorded it.
    """
    stages = run.provenance.stages_of(row)
    adapting = next((stage.adapting for stage in stages if stage.name == "evaluate"), None)
    if adapting is None:
        return None
    return BudgetRecord(
        training=_seconds(stages, TRAINING) or 0.0,
        metatraining=_seconds(stages, ["metatrain"]) or 0.0,
        tuning=_seconds(stages, ["tune"]),
        seconds=adapting.seconds,
        aux_seconds=adapting.aux_seconds,
        scene_seconds=adapting.scene_seconds,
        numbers=adapting.numbers,
        bytes=adapting.bytes,
    )


def pooled_budget(budgets: Iterable[BudgetRecord | None]) -> BudgetRecord | None:
    """Return the means of what a row has cost in several runs; None where one of them has not recorded it."""
    every = list(budgets)
    if not every or any(each is None for each in every):
        return None
    known = [each for each in every if each is not None]
    return BudgetRecord(
        training=fmean(each["training"] for each in known),
        metatraining=fmean(each["metatraining"] for each in known),
        tuning=_mean([each["tuning"] for each in known]),
        seconds=fmean(each["seconds"] for each in known),
        aux_seconds=fmean(each["aux_seconds"] for each in known),
        scene_seconds=[fmean(part) for part in zip(*(each["scene_seconds"] for each in known), strict=True)],
        numbers=_mean([each["numbers"] for each in known]),
        bytes=_mean([each["bytes"] for each in known]),
    )


def budget_table(summary: Summary) -> list[dict[str, str]]:
    """Return, for each row that has recorded it, in words: `name`, `training`, `tuning`, `adapting`, `numbers`,
    `stored`.
    """
    return [
        {
            "name": marked(summary, row),
            "training": duration(budget["training"]),
            "tuning": NOTHING if budget["tuning"] is None else duration(budget["tuning"]),
            "adapting": _adapting(budget),
            "numbers": NOTHING if budget["numbers"] is None else f"{budget['numbers']:,.0f}",
            "stored": NOTHING if budget["bytes"] is None else amount_of_bytes(budget["bytes"]),
        }
        for row, budget in summary.get("budgets", {}).items()
    ]


def _adapting(budget: BudgetRecord) -> str:
    alone = short_duration(budget["seconds"])
    return f"{alone} + {short_duration(budget['aux_seconds'])}" if budget["aux_seconds"] >= 0.0005 else alone


def short_duration(seconds: float) -> str:
    """Return a duration in words: 12 ms, 0.35 s, 3 min 20 s."""
    if seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms" if seconds >= 0.0005 else "0 ms"
    return f"{seconds:.2f} s" if seconds < 9.95 else duration(seconds)


def _seconds(stages: Iterable[StageRecord], names: Sequence[str]) -> float | None:
    seconds = [stage.seconds or 0.0 for stage in stages if stage.name in names]
    return sum(seconds) if seconds else None


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None where one is not known."""
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None
