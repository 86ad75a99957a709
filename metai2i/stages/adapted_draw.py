"""A model adapted to one draw of an unseen scene: retrieve and fine-tune (Aux), adapt."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.guards.handed_over import adapted_by, matches_of
from metai2i.retriever import Match
from metai2i.stages.auxiliary import auxiliary
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Episode, Task
from metai2i.translator import Step, Translator


@dataclass(frozen=True)
class AdaptedDraw:
    """A model that was adapted to one draw of an unseen scene.

    Args:
        episode: the draw's support and query, on the networks' device.
        start: the general model, or what was made of it by retrieved scenes.
        strategy: that has adapted it.
        matches: the training scenes that were retrieved.
        adapted: the scene's model.
        here: the step at whose address all is drawn.
        seconds: that Aux and adapting took.
    """

    episode: Episode
    start: Translator
    strategy: MetaStrategy
    matches: Sequence[Match]
    adapted: Translator
    here: Step
    seconds: tuple[float, float]


def adapt_draw(judge: RowEvaluator, task: Task, draw: int) -> AdaptedDraw:
    """Draw support and query of an unseen task, and adapt to the support.

    Args:
        draw: its number.
    """
    row = judge.row
    rng = judge.rng.at(task.id, draw)  # the same for every row, so that rows are compared on equal terms
    episode = judge.sampling.episode(task, row.test_shots, row.test_queries, rng, unseen=True)
    maps, episode = episode.support, episode.to(judge.device)  # retrieval compares maps where they were loaded
    here = Step(rng, phase=judge.gp.phases[-1])
    clock = [now(judge.device)]
    start, strategy, matches = auxiliary_start(judge, maps, here)
    clock.append(now(judge.device))
    adapted = adapted_by(strategy, start, episode.support.map(Tensor.clone), here.at("adapt"))
    clock.append(now(judge.device))
    seconds = (clock[1] - clock[0], clock[2] - clock[1])
    return AdaptedDraw(episode, start, strategy, matches, adapted, here, seconds)


def auxiliary_start(judge: RowEvaluator, maps: Batch, here: Step) -> tuple[Translator, MetaStrategy, Sequence[Match]]:
    """Return where adapting starts, and how it goes on: from the general model, or from what Aux makes of it by the
    training scenes that are most like the support, which are returned as well.
    """
    row = judge.row
    if judge.retriever is None:
        return judge.gp, judge.strategy, ()
    matches = matches_of(judge.retriever, maps.map(Tensor.clone), row.retriever.k if row.retriever else 0)
    if not matches:
        return judge.gp, judge.strategy, matches
    scenes = [match.task for match in matches]
    start, strategy = auxiliary(judge.gp, judge.strategy, row, judge.sampling, scenes, here.at("aux"), judge.device)
    return start, strategy, matches


def now(device: torch.device) -> float:
    """Return the seconds on a clock that waits until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
