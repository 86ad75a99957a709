"""What stages called "tune" chose on validation scenes, and what they tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypedDict

from metai2i.metrics.display import MetricInfo, info_of
from metai2i.report.wording import number
from metai2i.run_folder.record import StageRecord

Value = float | str | None


class Trial(TypedDict):
    """A setting that was tried and its score, in words, and whether it was chosen."""

    setting: str
    score: str
    chosen: bool


class TunedRows(TypedDict):
    """What was chosen for some rows, in words.

    `ends`: settings whose chosen value is the lowest or highest of several that were tried, so that a better one may
    lie beyond.
    """

    rows: list[str]
    chosen: str
    tried: list[Trial]
    ends: list[str]


def tuned_values(stages: Iterable[StageRecord], measures: Mapping[str, MetricInfo]) -> list[TunedRows]:
    """Return the tuned rows of a run.

    Args:
        stages: as provenance has them; one called "tune" says what was chosen, and what was measured with all settings
            that were tried.
        measures: how metrics are read.
    """
    tuned = []
    for stage in stages:
        if stage.name == "tune" and stage.chosen is not None and "tried" in stage.model_fields_set:
            chosen: dict[str, Value] = stage.chosen.model_dump(exclude_unset=True)
            varied = [name for name in chosen if len({str(tried.get(name)) for tried in stage.tried}) > 1]
            tuned.append(
                TunedRows(
                    rows=stage.rows,
                    chosen=_settings(chosen, list(chosen)),
                    tried=[_tried(tried, chosen, varied, measures) for tried in stage.tried],
                    ends=[name for name in varied if _at_an_end(name, chosen, stage.tried)],
                )
            )
    return tuned


def _tried(
    tried: Mapping[str, Value], chosen: Mapping[str, Value], varied: list[str], measures: Mapping[str, MetricInfo]
) -> Trial:
    scores = [(info_of(name, measures), value) for name, value in tried.items() if name not in chosen]
    numbers = [(kind, None if value is None else float(value)) for kind, value in scores]
    scores_shown = [f"{kind.title} {number(value, kind.digits)}" for kind, value in numbers]
    return Trial(
        setting=_settings(tried, varied or list(chosen)),
        score=", ".join(scores_shown),
        chosen=all(tried.get(name) == value for name, value in chosen.items()),
    )


def _settings(values: Mapping[str, Value], names: Iterable[str]) -> str:
    return ", ".join(f"{name} {_plain(values[name])}" for name in names if name in values)


def _plain(value: Value) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _number(value: Value) -> float | None:
    return value if isinstance(value, int | float) else None


def _at_an_end(name: str, chosen: Mapping[str, Value], tries: Iterable[Mapping[str, Value]]) -> bool:
    values = [value for tried in tries if (value := _number(tried.get(name))) is not None]
    return bool(values) and chosen[name] in (min(values), max(values))
