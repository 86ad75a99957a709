"""What scoring a scene must leave as it was: the general model, and whatever plugins keep from scene to scene."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from metai2i.errors import UserError
from metai2i.meta.outer_step import as_module
from metai2i.meta.plain_state import plain_state, shared_state
from metai2i.registry.discovery import label_of
from metai2i.stages.fakes import by_plugin
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.stages.scene_scores import SceneScore
from metai2i.stages.score import score
from metai2i.tasks import Task
from metai2i.training.checkpoint import digest

_NEAR = 0.02
"""What share of itself a number may differ by on a GPU when a scene is scored once more; on a CPU it is the same."""


def learned(judge: RowEvaluator) -> tuple[str, str]:
    """Return a hash of all that training has made, which no scene may change."""
    return digest(judge.gp), digest(as_module(judge.strategy.meta_parameters()))


def refuse_changed(judge: RowEvaluator, before: tuple[str, str], title: str = "") -> None:
    """Refuse a general model, or meta-parameters, that a scene has changed.

    Raises:
        UserError: naming those who may have done it.
    """
    if learned(judge) != before:
        prefix = f"{title}: " if title else ""
        raise UserError(
            f"{prefix}adapting to a scene or translating has changed the general model, so its results would be void; "
            f"{suspects(judge)}",
            hint="`metai2i check` finds out which: adapt() must work on a copy (metai2i.meta.adapted makes one)",
        )


def suspects(judge: RowEvaluator) -> str:
    """Return whose code works on the general model, in words."""
    translator_class, strategy = type(judge.gp), type(judge.strategy)
    return (
        f"it was done by the strategy {strategy.__name__} of {label_of(strategy)} or by the translator "
        f"{translator_class.__name__} of {label_of(translator_class)}"
    )


def kept_by_plugins(judge: RowEvaluator) -> dict[str, str]:
    """Return digests of what the plugins of a row keep besides parameters and buffers, by name."""
    kept: dict[str, str] = {}
    retrievers = [] if judge.retriever is None else [by_plugin(judge.retriever)]
    for part in (judge.gp, judge.strategy, *retrievers, *judge.metrics.values()):
        kept |= {f"{type(part).__name__}.{name}": value for name, value in plain_state(part).items()}
        kept |= shared_state(part)
    return kept


def remembered(
    judge: RowEvaluator, first: tuple[Task, SceneScore] | None, names: Sequence[str], device: torch.device
) -> UserError | None:
    """Return the error when the first scene, scored once more behind all others, has other numbers; that is tried where
    a plugin keeps something that has changed since.

    Args:
        first: the scene and what `score` has told of it.
        names: what has changed.
    """
    if first is None or not names:
        return None
    task, before = first
    after = score(judge, task, None)
    slack = _NEAR if device.type == "cuda" else 0.0
    sets, sets_after = before.get("sets", {}), after.get("sets", {})
    if _alike(before["queries"], after["queries"], slack) and _alike([sets], [sets_after], slack):
        return None
    return UserError(
        f"scene {task.id!r}, scored once more after the others, has other numbers: what a plugin keeps goes from scene "
        f"to scene ({', '.join(names[:5])})",
        hint="keep nothing between scenes; what a translator learns belongs into parameters and buffers "
        "(register_buffer)",
    )


def _alike(
    before: Sequence[Mapping[str, float | str]], after: Sequence[Mapping[str, float | str]], slack: float
) -> bool:
    """Return whether two lists of a scene's numbers say the same, within a share of each number."""
    return len(before) == len(after) and all(
        left.keys() == other.keys()
        and all(math.isclose(float(left[name]), float(other[name]), rel_tol=slack, abs_tol=slack) for name in left)
        for left, other in zip(before, after, strict=True)
    )
