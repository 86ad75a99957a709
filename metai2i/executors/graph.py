"""The stages that runs ask for as one graph: each once, with what it needs and how urgent it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metai2i.pipeline.outlook import StageOutlook, outlook
from metai2i.pipeline.runner import Runner


@dataclass(frozen=True)
class Job:
    """A stage that is not done.

    Args:
        key: its name in the store.
        stage: "pretrain", "evaluate", …
        title: what the user reads while it is worked on.
        needs: keys of the jobs that come before it; what is done already is not among them.
        iterations: steps, trials or scenes.
        run: which of the runs it is worked on for.
        folder: of the stage.
        urgency: seconds, as far as they are known, until everything that waits for it is done.
    """

    key: str
    stage: str
    title: str
    needs: tuple[str, ...]
    iterations: int
    run: int
    folder: Path
    urgency: float = 0.0


def graph_of(runners: Sequence[Runner]) -> dict[str, Job]:
    """Return the stages of planned runs that are not done, by their keys, each behind those that it needs."""
    listed: dict[str, tuple[int, StageOutlook]] = {}
    for number, runner in enumerate(runners):
        seen = outlook(runner.recipe, runner.planned, runner.stages, runner.store, runner.assembler)
        for stage in seen["stages"]:
            if stage["state"] != "done":
                listed.setdefault(stage["key"], (number, stage))
    seconds = {key: _seconds(stage) for key, (_, stage) in listed.items()}
    needs = {key: [each for each in stage["needs"] if each in listed] for key, (_, stage) in listed.items()}
    urgent = urgencies(needs, seconds)
    names = {number: f"{runner.out.name}: " if len(runners) > 1 else "" for number, runner in enumerate(runners)}
    return {
        key: Job(
            key=key,
            stage=stage["name"],
            title=f"{names[number]}{stage['name']} ({_rows(stage['rows'])})",
            needs=tuple(needs[key]),
            iterations=stage["iterations"],
            run=number,
            folder=runners[number].store.root / key,
            urgency=urgent[key],
        )
        for key, (number, stage) in listed.items()
    }


def urgencies(needs: Mapping[str, Sequence[str]], seconds: Mapping[str, float]) -> dict[str, float]:
    """Return how long each job and the longest chain of those that wait for it take together.

    Args:
        needs: of each job, each behind those that it needs.
    """
    urgent = dict(seconds)
    for key in reversed(list(needs)):
        for needed in needs[key]:
            urgent[needed] = max(urgent[needed], seconds[needed] + urgent[key])
    return urgent


def _seconds(stage: StageOutlook) -> float:
    """Return how long a stage takes; of an unknown one, that it takes some time."""
    return 1.0 if stage["seconds"] is None else stage["seconds"]


def _rows(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} rows"
