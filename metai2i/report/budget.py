"""What each row has cost: training, adapting to a scene, and what must be stored of a scene."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

from metai2i.report.wording import NOTHING, amount_of_bytes, duration, marked
from metai2i.run_folder.reader import Run, items, mapping
from metai2i.statistics import Summary

TRAINING = ("pretrain", "further", "metatrain")
"""The stages that train; one that several rows share counts in each, as though it had been made for it alone."""


def budget(run: Run, row: str) -> dict[str, Any] | None:
    """What a row of a run has cost, in seconds, numbers and bytes, as its stages have recorded it.

    A stage that was taken from the store counts with what it cost when it was made.

    Returns:
        `training` (all of it) and `metatraining`; `tuning`, None where nothing was tuned; `seconds` of adapting to a
        scene and `aux_seconds` of what is done before it with retrieved scenes, medians over test tasks;
        `scene_seconds`: lower quartile, median and upper quartile of both together; `numbers` and `bytes` of a scene's
        own. None for a run that has not recorded it.
    """
    stages = [stage for stage in items(run.provenance.get("stages")) if row in (stage.get("rows") or [])]
    adapting = next((mapping(stage.get("adapting")) for stage in stages if stage.get("name") == "evaluate"), {})
    if not adapting:
        return None
    spent = {name: _seconds(stages, [name]) for name in ("metatrain", "tune")}
    return {
        "training": _seconds(stages, TRAINING) or 0.0,
        "metatraining": spent["metatrain"] or 0.0,
        "tuning": spent["tune"],
        **adapting,
    }


def pooled_budget(budgets: Iterable[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """The means of what a row has cost in several runs; None where one of them has not recorded it."""
    every = list(budgets)
    if not every or any(one is None for one in every):
        return None
    known = [one for one in every if one is not None]
    return {name: _mean([one.get(name) for one in known]) for name in known[0]}


def budget_table(summary: Summary) -> list[dict[str, str]]:
    """Per row that has recorded it, in words: `name`, `training`, `tuning`, `adapting`, `numbers`, `stored`."""
    return [
        {
            "name": marked(summary, row),
            "training": duration(told["training"]),
            "tuning": NOTHING if told["tuning"] is None else duration(told["tuning"]),
            "adapting": _adapting(told),
            "numbers": NOTHING if told["numbers"] is None else f"{told['numbers']:,.0f}",
            "stored": NOTHING if told["bytes"] is None else amount_of_bytes(told["bytes"]),
        }
        for row, told in summary.get("budgets", {}).items()
    ]


def _adapting(told: Mapping[str, Any]) -> str:
    alone = short_duration(told["seconds"])
    return f"{alone} + {short_duration(told['aux_seconds'])}" if told["aux_seconds"] >= 0.0005 else alone


def short_duration(seconds: float) -> str:
    """12 ms, 0.35 s, 3 min 20 s."""
    if seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms" if seconds >= 0.0005 else "0 ms"
    return f"{seconds:.2f} s" if seconds < 9.95 else duration(seconds)


def _seconds(stages: Iterable[Mapping[str, Any]], names: Iterable[str]) -> float | None:
    wanted = set(names)
    found = [float(stage.get("seconds") or 0.0) for stage in stages if stage.get("name") in wanted]
    return sum(found) if found else None


def _mean(values: list[Any]) -> Any:
    if any(value is None for value in values):
        return None
    if isinstance(values[0], list):
        return [fmean(each) for each in zip(*values, strict=True)]
    return fmean(values)
