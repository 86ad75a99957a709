"""What is refused before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from metai2i.assemble import Assembler
from metai2i.errors import UserError
from metai2i.objectives import Objective
from metai2i.perceptual import SMALLEST, lpips_distance
from metai2i.recipe import Row
from metai2i.tasks import Task


def scored_tasks(row: Row, assembler: Assembler) -> Sequence[Task]:
    """The scenes that the row is scored on."""
    return assembler.source(row).tasks(row.evaluate.split)[: row.evaluate.tasks]


def check_row(name: str, row: Row, assembler: Assembler) -> None:
    """Goes through all that can be known of a row before anything is trained.

    Raises:
        UserError: for what would fail hours later.
    """
    source = assembler.source(row)
    if "target" not in source.provides:
        raise UserError(
            f"row {name!r}: the task source {row.tasks.use!r} provides no 'target', so nothing could be scored",
            hint="metrics without pairs are not there yet",
        )
    tasks = scored_tasks(row, assembler)
    if not tasks or not source.tasks("train"):
        empty = "train" if tasks else row.evaluate.split
        raise UserError(f"row {name!r}: the task source {row.tasks.use!r} has no {empty} tasks")
    twice = [task for task, count in Counter(task.id for task in tasks).items() if count > 1]
    if twice:
        raise UserError(f"row {name!r}: {row.tasks.use!r} has several {row.evaluate.split} tasks called {twice[0]!r}")
    check_lengths(name, row, assembler)
    # Constructors know which sizes they can take, and LPIPS says at once when its weights are nowhere.
    height, width = source.spec().size
    if min(height, width) < SMALLEST["alex"]:
        raise UserError(
            f"row {name!r}: LPIPS needs pictures of at least {SMALLEST['alex']} pixels a side, "
            f"{row.tasks.use!r} gives {height}x{width}"
        )
    objective = Objective(**row.objective)
    assembler.translator(row)
    for net in {"alex", *([objective.net] if objective.weights["perceptual"] else [])}:
        lpips_distance(net, assembler.device)


def check_lengths(name: str, row: Row, assembler: Assembler) -> None:
    """Refuses scenes that are too short for an episode."""
    source, tasks = assembler.source(row), scored_tasks(row, assembler)
    wanted = row.episodes.shots + row.episodes.queries
    # A training scene of a single pair is no obstacle: two augmentations of it are support and query.
    checked: dict[str, list[Task]] = {row.evaluate.split: [task for task in tasks if len(task) < wanted]}
    if assembler.strategy(row).meta:
        checked["train"] = [t for t in source.tasks("train") if 1 < len(t) < wanted]
    for split, short in checked.items():
        if short:
            raise UserError(
                f"row {name!r}: {len(short)} {split} tasks have fewer pairs than {row.episodes.shots} shots + "
                f"{row.episodes.queries} queries, {short[0].id!r} has {len(short[0])}",
                hint="lower episodes.shots or episodes.queries",
            )
