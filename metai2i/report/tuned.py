"""What stages called "tune" chose on validation scenes, and what they tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from metai2i.metrics.display import Measure, measure_named
from metai2i.report.wording import number


def tuned_values(stages: Iterable[Mapping[str, Any]], measures: Mapping[str, Measure]) -> list[dict[str, Any]]:
    """The tuned rows of a run.

    Args:
        stages: as provenance has them; one called "tune" says `chosen`, setting -> value, and `tried`, mappings of the
            same settings and of what was measured with them.
        measures: how metrics are read.

    Returns:
        Per stage `rows`, `chosen` (in words), `tried`: `setting`, `score` (both in words) and `chosen` (whether it is)
        each; `ends`: settings whose chosen value is the lowest or highest of several that were tried, so that a better
        one may lie beyond.
    """
    found = []
    for stage in stages:
        chosen, tried = stage.get("chosen"), stage.get("tried")
        if stage.get("name") == "tune" and isinstance(chosen, Mapping) and isinstance(tried, list):
            tries = [one for one in tried if isinstance(one, Mapping)]
            varied = [name for name in chosen if len({str(one.get(name)) for one in tries}) > 1]
            found.append(
                {
                    "rows": [str(row) for row in stage.get("rows") or []],
                    "chosen": _settings(chosen, list(chosen)),
                    "tried": [_tried(one, chosen, varied, measures) for one in tries],
                    "ends": [name for name in varied if _at_an_end(name, chosen, tries)],
                }
            )
    return found


def _tried(
    one: Mapping[str, Any], chosen: Mapping[str, Any], varied: list[str], measures: Mapping[str, Measure]
) -> dict[str, Any]:
    scores = [(measure_named(str(name), measures), value) for name, value in one.items() if name not in chosen]
    told = [f"{kind.title} {number(value if _is_number(value) else None, kind.digits)}" for kind, value in scores]
    return {
        "setting": _settings(one, varied or list(chosen)),
        "score": ", ".join(told),
        "chosen": all(one.get(name) == value for name, value in chosen.items()),
    }


def _settings(values: Mapping[str, Any], names: Iterable[str]) -> str:
    return ", ".join(f"{name} {_plain(values[name])}" for name in names if name in values)


def _plain(value: object) -> str:
    return f"{value:g}" if _is_number(value) else str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at_an_end(name: str, chosen: Mapping[str, Any], tries: Iterable[Mapping[str, Any]]) -> bool:
    values = [one[name] for one in tries if _is_number(one.get(name))]
    return bool(values) and chosen[name] in (min(values), max(values))
