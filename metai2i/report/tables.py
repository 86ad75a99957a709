"""The tables, as text for the template: means with intervals, and every row against its baseline."""

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
    rank_sentences,
    steps,
)
from metai2i.statistics import Summary, baseline_of, baselines_in, measure_of


def mean_table(summary: Summary) -> list[dict[str, Any]]:
    """Per row: `row`, `name` (marked), `baseline` (whether it is one), `n`, and `cells` with `mean`, `half`,
    `interval`, `best`, `flag`."""
    metrics = summary["metrics"]
    best = {metric: best_rows(summary, metric) for metric in metrics}
    seeds = f" × {len(summary['seeds']['labels'])}" if summary.get("seeds") else ""
    baselines = {summary["baseline"], *baselines_in(summary)}
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
                "baseline": row in baselines,
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
    """Per compared row: `against` (its baseline), difference, ratio, their intervals, p, wins, verdict on a metric."""
    digits = measure_of(summary, metric).digits
    return [
        {
            "row": row,
            "name": marked(summary, row),
            "against": marked(summary, summary["against"][row]),
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
        `sentence`: what the halves are; `others`: what all are compared with, a row's name or "its baseline"; `by`:
        "ratio", or "difference" for amounts in decibel; `halves`: `name` and `queries` of each; `rows`: per row `name`
        and `cells`, per half `mean`, `half` (of the interval's width), `n` and `against`: per other `value` and
        `interval`.
    """
    told = summary.get("harder_half")
    if not told:
        return None
    measure = measure_of(summary, summary["metric"])
    baselines, copies = baselines_in(summary), summary["copies"][:1]
    own = [] if baselines == copies else baselines  # else one column would say it twice
    by = "difference" if measure.unit == "dB" else "ratio"
    halves = told["halves"]
    others = {row: [*([baseline_of(summary, row)] if own else []), *copies] for row in summary["rows"]}
    return {
        "sentence": harder_half_sentence(told),
        "others": [
            *(["its baseline"] if len(own) > 1 else [marked(summary, row) for row in own]),
            *(marked(summary, row) for row in copies),
        ],
        "by": by,
        "halves": [{"name": name, "queries": half["queries"]} for name, half in halves.items()],
        "rows": [
            {
                "name": marked(summary, row),
                "baseline": row == summary["baseline"] or row in baselines,
                "cells": [
                    _half_cell(half["rows"].get(row), others[row], by, measure.digits) for half in halves.values()
                ],
            }
            for row in summary["rows"]
            if any(row in half["rows"] for half in halves.values())
        ],
    }


def _half_cell(entry: dict[str, Any] | None, others: list[str | None], by: str, digits: int) -> dict[str, Any]:
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
        (per seed `mean` and `against`, that to the row's baseline of the same seed) and `sd`, between the seeds' means.
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
                {"mean": mean, "against": "" if value == NOTHING else value}
                for mean, value in zip(means, against, strict=True)
            ]
            rows.append({"name": marked(summary, row), "cells": cells, "sd": number(entry["sd"], measure.digits + 1)})
    return {"labels": told["labels"], "by": by, "rows": rows}


def rank_tables(summary: Summary) -> dict[str, Any] | None:
    """Mean ranks, a column for each comparison, for tables; None where nothing is ranked.

    Returns:
        `columns`: what stands above them ("after 5 steps", or "mean rank" where there is one); `rows`: per row `name`
        and `cells`, each with `rank` and `best`; best first, by the last column that has the row; `sentences`:
        the tests.
    """
    told = summary.get("ranks")
    if not told:
        return None
    names: dict[str, list[dict[str, Any]]] = {}
    for place, one in enumerate(told):
        best = min(one["ranks"].values())
        for row, rank in one["ranks"].items():
            name = marked(summary, one["names"][row])
            cells = names.setdefault(name, [{"rank": NOTHING, "best": False} for _ in told])
            cells[place] = {"rank": f"{rank:.2f}", "best": rank == best}
    columns = ["mean rank" if one["steps"] is None else f"after {steps(one['steps'])}" for one in told]
    order = sorted(names, key=lambda name: [float(c["rank"]) for c in names[name][::-1] if c["rank"] != NOTHING])
    return {
        "columns": columns,
        "rows": [{"name": name, "cells": names[name]} for name in order],
        "sentences": rank_sentences(told),
    }
