"""The two tables, as text for the template: means with intervals, and every row against the baseline."""

from __future__ import annotations

from typing import Any

from metai2i.report.wording import best_rows, count, interval, number, p_value
from metai2i.statistics import Summary, metric_named


def mean_table(summary: Summary) -> list[dict[str, Any]]:
    """Per row: `row`, `baseline` (whether it is), `n`, and `cells` with `mean`, `half`, `interval`, `best`, `flag`."""
    metrics = summary["metrics"]
    best = {metric: best_rows(summary, metric) for metric in metrics}
    table = []
    for row, entry in summary["rows"].items():
        cells = [mean_cell(entry.get(metric), metric) | {"best": row in best[metric]} for metric in metrics]
        counts = sorted({entry[metric]["n"] for metric in metrics if metric in entry})
        table.append(
            {
                "row": row,
                "baseline": row == summary["baseline"],
                "n": " to ".join(map(str, counts[:1] + counts[1:][-1:])) or "0",
                "cells": cells,
            }
        )
    return table


def mean_cell(entry: dict[str, Any] | None, metric: str) -> dict[str, Any]:
    """A mean in words: `mean`, `half` (of the interval's width), `interval`, `flag` (values were left out)."""
    digits = metric_named(metric).digits
    if entry is None or entry["mean"] is None:
        return {"mean": "–", "half": "", "interval": "", "flag": bool(entry and entry["left_out"])}
    half = "" if entry["low"] is None else number((entry["high"] - entry["low"]) / 2, digits)
    return {
        "mean": number(entry["mean"], digits),
        "half": half,
        "interval": interval(entry["low"], entry["high"], digits) if half else "",
        "flag": bool(entry["left_out"]),
    }


def pair_table(summary: Summary, metric: str) -> list[dict[str, str]]:
    """Per row but the baseline: difference, ratio, their intervals, p, wins and verdict on one metric."""
    digits = metric_named(metric).digits
    return [
        {
            "row": row,
            "difference": number(pair[metric]["difference"], digits, sign=True),
            "difference_interval": interval(pair[metric]["low"], pair[metric]["high"], digits, sign=True),
            "ratio": number(pair[metric]["ratio"], 3),
            "ratio_interval": interval(pair[metric]["ratio_low"], pair[metric]["ratio_high"], 3),
            "p": p_value(pair[metric]["p_holm"]),
            "wins": f"{count(pair[metric]['wins'])}/{pair[metric]['n']}"
            if pair[metric]["win_rate"] is not None
            else "–",
            "verdict": pair[metric]["verdict"],
        }
        for row, pair in summary["pairs"].items()
        if metric in pair
    ]
