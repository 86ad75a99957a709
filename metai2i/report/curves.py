"""The losses of `log.jsonl` as curves: one figure per training stage, one small panel per term."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from markupsafe import Markup

from metai2i.report.plots import curve_plot

POINTS = 300  # per curve; longer ones are averaged over equal stretches
_PROBE = "probe/"
_LARGEST = 1e100
"""Losses beyond it are told as not finite: no axis goes so far."""
_LAST = 1e15
"""Steps beyond it are left out."""

Curve = tuple[list[float], list[float]]


class StageCurves(TypedDict):
    """A training stage of a log; `rate`: median iterations per second; `curves`: term -> (steps, values)."""

    name: str
    key: str
    rows: list[str]
    rate: float | None
    curves: dict[str, Curve]


class CurvePanel(TypedDict):
    """A panel of a stage; `not_finite`: how many values are not."""

    title: str
    svg: Markup
    not_finite: int


@dataclass
class _Logged:
    """What has been read of a stage so far; `terms`: term -> step -> value."""

    rows: list[str] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    terms: dict[str, dict[float, float]] = field(default_factory=dict)


def training_stages(log: Iterable[Mapping[str, object]]) -> list[StageCurves]:
    """Return the training stages of a log, in the order in which they began.

    A step that was logged twice (a run that was stopped and resumed) counts as it was logged last.
    """
    stages: dict[tuple[str, str], _Logged] = {}
    for entry in log:
        losses, step = entry.get("losses"), _number(entry.get("step"))
        if not isinstance(losses, Mapping) or not abs(step) <= _LAST:
            continue
        rows = entry.get("rows")
        place = (str(entry.get("stage")), str(entry.get("key") or ""))
        stage = stages.setdefault(place, _Logged())
        stage.rows = list(dict.fromkeys([*stage.rows, *map(str, rows if isinstance(rows, list) else [])]))
        if not math.isnan(rate := _number(entry.get("rate"))):
            stage.rates.append(rate)
        for term, value in losses.items():
            stage.terms.setdefault(str(term), {})[step] = _number(value)
    return [
        StageCurves(
            name=name,
            key=key,
            rows=stage.rows,
            rate=sorted(stage.rates)[len(stage.rates) // 2] if stage.rates else None,
            curves={term: _curve(values) for term, values in stage.terms.items()},
        )
        for (name, key), stage in stages.items()
    ]


def stage_panels(stage: StageCurves) -> list[CurvePanel]:
    """Return the panels of one stage. The probe's two curves share one."""
    curves = stage["curves"]
    probe = {
        term.removeprefix(_PROBE).replace("_", " ").replace("lpips", "LPIPS"): c
        for term, c in curves.items()
        if term.startswith(_PROBE)
    }
    panels = [({term: curve}, term) for term, curve in curves.items() if not term.startswith(_PROBE)]
    pairs = list(probe.items())
    panels += [
        (dict(pairs[at : at + 2]), "probe: " + ", ".join(n for n, _ in pairs[at : at + 2]))
        for at in range(0, len(pairs), 2)
    ]
    return [
        CurvePanel(
            title=title,
            svg=curve_plot(f"{stage['name']} {stage['key'][:8]}, {title}", {n: thinned(c) for n, c in lines.items()}),
            not_finite=sum(not math.isfinite(value) for _, values in lines.values() for value in values),
        )
        for lines, title in panels
    ]


def thinned(curve: Curve, points: int = POINTS) -> Curve:
    """Return at most `points` points: means over equally many neighbours each; what is not finite makes its mean so."""
    steps, values = curve
    size = math.ceil(len(steps) / points)
    if size <= 1:
        return curve
    chunks = [slice(at, at + size) for at in range(0, len(steps), size)]
    return tuple([sum(column[c]) / len(column[c]) for c in chunks] for column in (steps, values))  # type: ignore[return-value]


def _curve(values: Mapping[float, float]) -> Curve:
    steps = sorted(values)
    return steps, [values[step] for step in steps]


def _number(value: object) -> float:
    """Return the value where it is a number; infinity for one that is too large to be drawn."""
    if not isinstance(value, int | float):
        return math.nan
    return float(value) if math.isnan(value) or abs(value) <= _LARGEST else math.inf
