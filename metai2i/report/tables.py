"""The two tables, as text for the template: means with intervals, and every row against the baseline."""

from __future__ import annotations

from typing import Any

from metai2i.report.wording import (
    NOTHING,
    best_rows,
    count,
    harder_half_sentence,
    interval,
    marked,
    number,
    p_value,
)
from metai2i.statistics import Summary, measure_of


def mean_table(summary: Summary) -> list[dict[str, Any]]:
    """Per row: `row`, `name` (marked), `baseline` (whether it is), `n`, and `cells` with `mean`, `half`, `interval`,
    `best`, `flag`."""
    metrics = summary["metrics"]
    best = {metric: best_rows(summary, metric) for metric in metrics}
    seeds = f" × {len(summary['seeds']['labels'])}" if summary.get("seeds") else ""
    table = []
    for row, entry in summary["rows"].items():
        cells = [
            mean_cell(entry.get(metric), measure_of(summary, metric).digits) | {"best": row in best[metric]}
            for metric in metrics
        ]
        counts = sorted({entry[metric]["n"] for metric in metrics if metric in entry})
        table.append(
            {
                "row": row,
                "name": marked(summary, row),
                "baseline": row == summary["baseline"],
                "n": (" to ".join(map(str, counts[:1] + counts[1:][-1:])) or "0") + seeds,
                "cells": cells,
            }
        )
    return table


def mean_cell(entry: dict[str, Any] | None, digits: int) -> dict[str, Any]:
    """A mean in words: `mean`, `half` (of the interval's width), `interval`, `flag` (values were left out)."""
    if entry is None or entry["mean"] is None:
        return {"mean": "–", "half": "", "interval": "", "flag": bool(entry and entry.get("left_out"))}
    half = "" if entry["low"] is None else number((entry["high"] - entry["low"]) / 2, digits)
    return {
        "mean": number(entry["mean"], digits),
        "half": half,
        "interval": interval(entry["low"], entry["high"], digits) if half else "",
        "flag": bool(entry.get("left_out")),
    }


def pair_table(summary: Summary, metric: str) -> list[dict[str, str]]:
    """Per row but the baseline: difference, ratio, their intervals, p, wins and verdict on one metric."""
    digits = measure_of(summary, metric).digits
    return [
        {
            "row": row,
            "name": marked(summary, row),
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


def halves_table(summary: Summary) -> dict[str, Any] | None:
    """Every row on the harder and on the easier half of the queries, for the template; None where it was not measured.

    Returns:
        `sentence`: what the halves are; `others`: the rows that all are compared with; `by`: "ratio", or "difference"
        for amounts in decibel; `names` and `queries` of the halves; `rows`: per row `name` and `cells`, per half
        `mean`, `half` (of the interval's width), `n` and `against`: per other row `value` and `interval`.
    """
    told = summary.get("harder_half")
    if not told:
        return None
    measure = measure_of(summary, summary["metric"])
    others = list(dict.fromkeys([summary["baseline"], *summary["copies"][:1]]))
    others = [row for row in others if row is not None]
    by = "difference" if measure.unit == "dB" else "ratio"
    halves = told["halves"]
    return {
        "sentence": harder_half_sentence(told),
        "others": [marked(summary, row) for row in others],
        "by": by,
        "halves": [{"name": name, "queries": half["queries"]} for name, half in halves.items()],
        "rows": [
            {
                "name": marked(summary, row),
                "baseline": row == summary["baseline"],
                "cells": [_half_cell(half["rows"].get(row), others, by, measure.digits) for half in halves.values()],
            }
            for row in summary["rows"]
            if any(row in half["rows"] for half in halves.values())
        ],
    }


def _half_cell(entry: dict[str, Any] | None, others: list[str], by: str, digits: int) -> dict[str, Any]:
    pairs = [(entry or {}).get("against", {}).get(other) for other in others]
    return mean_cell(entry, digits) | {
        "n": entry["n"] if entry else 0,
        "against": [_against_cell(pair, by, digits) for pair in pairs],
    }


def _against_cell(pair: dict[str, Any] | None, by: str, digits: int) -> dict[str, str]:
    if pair is None:
        return {"value": "", "interval": ""}
    if by == "difference":
        return {
            "value": number(pair["difference"], digits, sign=True),
            "interval": interval(pair["low"], pair["high"], digits, sign=True),
        }
    return {"value": number(pair["ratio"], 3), "interval": interval(pair["ratio_low"], pair["ratio_high"], 3)}


def seeds_table(summary: Summary) -> dict[str, Any] | None:
    """What each seed gave by itself on the main metric, for tables; None for a summary that is not of several seeds.

    Returns:
        `labels` of the seeds; `by`: "ratio", or "difference" for amounts in decibel; `rows`: per row `name`, `cells`
        (per seed `mean` and `against`, that of the baseline of the same seed) and `sd`, between the seeds' means.
    """
    told = summary.get("seeds")
    if not told:
        return None
    measure = measure_of(summary, summary["metric"])
    by = "difference" if measure.unit == "dB" else "ratio"
    rows = []
    for row, metrics in told["rows"].items():
        entry = metrics.get(measure.name)
        if entry is not None:
            against = [
                number(value, measure.digits, sign=True) if by == "difference" else number(value, 3)
                for value in entry[f"{by}s"]
            ]
            means = [number(mean, measure.digits) for mean in entry["means"]]
            cells = [
                {"mean": mean, "against": "" if row == summary["baseline"] or value == NOTHING else value}
                for mean, value in zip(means, against, strict=True)
            ]
            rows.append({"name": marked(summary, row), "cells": cells, "sd": number(entry["sd"], measure.digits + 1)})
    return {"labels": told["labels"], "by": by, "rows": rows}
