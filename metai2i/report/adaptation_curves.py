"""Rows that differ only in how they adapt: quality against steps and seconds, and their ranks.

Rows belong together where all but `_FREE` is the same: data, episodes, network, objective, pre-training, seed. Of
these, rows that are the same but for the number of steps make a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile

from metai2i.report.budget import budget, pooled_budget
from metai2i.run_folder.reader import Run, mapping
from metai2i.run_folder.results import Record
from metai2i.statistics import (
    BudgetRecord,
    EstimateRecord,
    LineRecord,
    RankingRecord,
    Summary,
    TradeOffRecord,
    Values,
    bootstrap_mean,
    mean_ranks,
    measure_of,
    task_means,
    values_by_task,
)

_FREE = ("strategy", "continued", "metatrain", "adapt", "tune", "retriever", "aux")
"""The sections in which the rows of a figure may differ."""
LINKING = re.compile(r"[\s,;:(@\-–]+(after|at|with|for|in|of)?[\s,;:(@\-–]*$")


def tell_trade_offs(summary: Summary, records: Sequence[Record], rows: Mapping[str, Sequence[tuple[Run, str]]]) -> None:
    """Put into a summary what rows cost (`budgets`), which of them make lines and figures (`trade_offs`) and how they
    rank (`ranks`).

    Args:
        summary: of one or several runs.
        records: their numbers.
        rows: the rows of the summary, each with the runs that it is of and what it is called there; several where they
            are pooled over seeds.
    """
    values = values_by_task(records, summary["metric"])
    known = {row: pooled_budget(budget(run, name) for run, name in of) for row, of in rows.items()}
    summary["budgets"] = {row: budget_of_row for row, budget_of_row in known.items() if budget_of_row is not None}
    first = {row: of[0] for row, of in rows.items() if row in values}
    summary["trade_offs"] = [
        TradeOffRecord(
            lines=lines, points={row: _point(values[row]) for line in lines for row in line["rows"].values()}
        )
        for lines in groups(first, summary["budgets"])
    ]
    summary["ranks"] = _ranks(summary, values)


def groups(rows: Mapping[str, tuple[Run, str]], budgets: Mapping[str, BudgetRecord]) -> list[list[LineRecord]]:
    """Return the rows that belong together, in lines.

    Args:
        rows: the rows of a table, each with its run and what it is called there.
        budgets: what they cost.

    Returns:
        The lines of each group of at least two rows.
    """
    grouped: dict[str, dict[str, dict[str, str]]] = {}
    for row, (run, name) in rows.items():
        options = run.section(name)
        steps = _steps(run, name, options, budgets.get(row))
        if not options.get("strategy") or steps is None:
            continue
        shared = {key: value for key, value in options.items() if key not in (*_FREE, "baseline")}
        common = _spelled(shared | {"seed": run.recipe.get("seed")})
        line = _spelled({key: options.get(key) for key in _FREE})
        lines = grouped.setdefault(common, {})
        same = lines.setdefault(line, {})
        if str(steps) in same:  # of the same kind and length, from another run: a line of its own
            same = lines.setdefault(f"{line} {row}", {})
        same[str(steps)] = row
    return [_labelled(list(lines.values())) for lines in grouped.values() if sum(map(len, lines.values())) > 1]


def _labelled(lines: Sequence[Mapping[str, str]]) -> list[LineRecord]:
    """Return lines with labels of which no two are the same.

    Args:
        lines: their rows by numbers of steps.
    """
    ordered = [dict(sorted(line.items(), key=lambda pair: int(pair[0]))) for line in lines]
    rows = [list(line.values()) for line in ordered]
    for label_of in (curve_label, _label_of_both_ends, lambda names: names[0]):
        labels = [label_of(names) for names in rows]
        if len(set(labels)) == len(labels) and not any(label.endswith("=") for label in labels):
            break
    return [LineRecord(label=label, rows=line) for label, line in zip(labels, ordered, strict=True)]


def _label_of_both_ends(rows: Sequence[str]) -> str:
    """Return what rows that differ in steps alone have in common in front and behind."""
    if len(rows) == 1:
        return rows[0]
    front = LINKING.sub("", re.sub(r"\S+=$", "", curve_label(rows)))
    back = re.sub(r"^\d*\S*", "", _common_front([row[::-1] for row in rows])[::-1]).strip(" ,;:-–()")
    return ", ".join(filter(None, (front, back)))


def curve_label(rows: Sequence[str]) -> str:
    """Return what rows that differ in steps alone are called: what their names have in common in front, or
    else behind.
    """
    if len(rows) == 1:
        return rows[0]
    front = _common_front(rows)
    if any(row[len(front) :][:1].isdigit() for row in rows):
        front = front.rstrip("0123456789")
    shared = LINKING.sub("", front) if front != min(rows, key=len) else front
    return shared.strip() or _common_front([row[::-1] for row in rows])[::-1].strip(" ,;:-–") or rows[0]


def _common_front(words: Sequence[str]) -> str:
    return "".join(
        letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, zip(*words, strict=False))
    )


def _steps(run: Run, name: str, row: Mapping[str, object], spent: BudgetRecord | None) -> int | None:
    """Return with how many steps a row adapts, as tuned or as said; 0 for one that changes nothing of the general
    model, None for one that makes another kind of model, which nobody can take steps with.
    """
    tuned = [stage.chosen for stage in run.provenance.stages_of(name) if stage.name == "tune"]
    chosen = [each.iterations for each in tuned if each is not None]
    said = next((steps for steps in chosen if steps is not None), mapping(row.get("adapt")).get("iterations"))
    if not isinstance(said, int):
        return None
    if spent is not None and spent["numbers"] is None:  # another kind of model than the general one
        return None
    return 0 if spent is not None and spent["numbers"] == 0 else said


def _spelled(options: Mapping[str, object]) -> str:
    """Return what a row says, less what it adapts with and what is kept of its images."""
    plain = dict(options)
    free = {"adapt": "iterations", "evaluate": "images", "metatrain": "probe", "tune": "images"}
    free["continued"] = "match"  # the name of the matched row has the number of steps in it
    for name, key in free.items():
        section = plain.get(name)
        if isinstance(section, Mapping):
            plain[name] = {each: value for each, value in section.items() if each != key}
    return json.dumps(plain, sort_keys=True, default=str)


def _point(values: Values) -> EstimateRecord:
    return bootstrap_mean(list(task_means(values).values())).record()


def _ranks(summary: Summary, values: Mapping[str, Values]) -> list[RankingRecord]:
    """Return how rows rank: at each number of steps where there are three lines or more, or else all at once; nothing
    where the main metric cannot compare them.
    """
    higher = measure_of(summary, summary["metric"]).higher_is_better
    if higher is None or summary["metric"] in summary["uneven"]:
        return []
    rankings = []
    for steps, names in _ranked_together(summary).items():
        honest = {row: name for row, name in names.items() if row in values and row not in summary.get("leaking", ())}
        ranks = mean_ranks({row: values[row] for row in honest}, higher_is_better=higher)
        if ranks is not None:
            rankings.append(ranks.record(steps, honest))
    return rankings


def _ranked_together(summary: Summary) -> dict[int | None, dict[str, str]]:
    """Number of steps (None for all rows at once) -> row -> what it is called in that comparison."""
    for group in summary["trade_offs"]:
        lines = [line for line in group["lines"] if len(line["rows"]) > 1]
        at: dict[int | None, dict[str, str]] = {}
        for line in lines:
            for steps, row in line["rows"].items():
                at.setdefault(int(steps), {})[row] = line["label"]
        at = {steps: names for steps, names in sorted(at.items(), key=lambda pair: pair[0] or 0) if len(names) > 2}
        if len(at) > 1:
            return at
    return {None: {row: row for row in summary["rows"]}}
