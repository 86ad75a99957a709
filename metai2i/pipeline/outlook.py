"""What a recipe asks for before any of it is worked on: its stages, which are done, why others are not, how long they
may take, and what the comparison could show at best."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict

from metai2i.errors import UserError, counted
from metai2i.pipeline.assemble import Assembler, scored_tasks
from metai2i.pipeline.plan import PlannedRow, continued_iterations, trying
from metai2i.pipeline.reasons import about, differences, in_brief, known_stages
from metai2i.pipeline.stage_store import Stage, StageStore
from metai2i.pipeline.stage_weights import NOT_TRAINED
from metai2i.recipe import Recipe, Row
from metai2i.registry.options import json_default
from metai2i.stages.pretrain import phase_ends
from metai2i.stages.tune import candidates
from metai2i.statistics import compared_with, smallest_p, tasks_needed
from metai2i.training.checkpoint import load_state
from metai2i.training.file_names import PROGRESS
from metai2i.training.sealed import Broken, read_sealed
from metai2i.training.stage_checkpoint import behind_of

PACE: Mapping[str, Sequence[str]] = {
    "pretrain": (
        "device", "precision", "objective", "translator.name", "translator.options", "tasks.name",
        "tasks.options.size", "pretrain.batch", "pretrain.parts",
    ),
    "continued": (),
    "metatrain": ("strategy.name", "strategy.options", "episodes", "metatrain.tasks"),
    "tune": ("strategy.name", "strategy.options", "episodes"),
    "evaluate": ("strategy.name", "strategy.options", "episodes", "adapt.iterations", "draws", "evaluate.samples"),
}  # fmt: skip
"""What decides how long an iteration of a stage takes, beside the machine and what decides it in the stages below."""


class StageOutlook(TypedDict):
    """A stage that a recipe asks for.

    - `key`: its name in the store; `needs`: keys of the stages that must be done before it
    - `state`: "done"; "begun", where a run would go on at `step`; "to do"
    - `why`: what has changed since a stage like it was done, in words; None where the store has nothing like it
    - `iterations`: steps of training, trials on a scene of tuning, scenes of evaluation
    - `samples`: that training reads; None for other stages
    - `seconds`: what it took, or what is left of it at the pace of a stage like it; None where no such stage is known
    """

    key: str
    name: str
    rows: list[str]
    needs: list[str]
    state: str
    step: int
    why: str | None
    iterations: int
    samples: int | None
    seconds: float | None


class ComparisonOutlook(TypedDict):
    """What the comparison of rows could show at best: when every task speaks for the same row.

    `smallest_p` is that of the signed-rank test after Holm's correction; `tasks_needed` for a difference to be shown.
    """

    tasks: int
    comparisons: int
    smallest_p: float | None
    tasks_needed: int
    says: str


class RecipeOutlook(TypedDict):
    """What a recipe asks for. `seconds_left` is the sum over stages that are not done; None where one is unknown."""

    recipe: str
    stages: list[StageOutlook]
    seconds_left: float | None
    comparison: ComparisonOutlook | None


def outlook(
    recipe: Recipe, planned: Sequence[PlannedRow], stages: Sequence[Stage], store: StageStore, assembler: Assembler
) -> RecipeOutlook:
    """Return what a planned recipe asks for, of the store as it is now.

    Args:
        stages: of the rows, each once, behind those that it needs.
    """
    known = known_stages(store.root)
    paces = dict(_paces(known, store))
    records = [_stage_outlook(stage, planned, recipe, store, assembler, known, paces) for stage in stages]
    left = [record["seconds"] for record in records if record["state"] != "done"]
    known_left = [seconds for seconds in left if seconds is not None]
    return RecipeOutlook(
        recipe=recipe.name,
        stages=records,
        seconds_left=round(sum(known_left), 1) if len(known_left) == len(left) else None,
        comparison=comparison_outlook(recipe, assembler),
    )


def _stage_outlook(
    stage: Stage,
    planned: Sequence[PlannedRow],
    recipe: Recipe,
    store: StageStore,
    assembler: Assembler,
    known: Sequence[Mapping[str, object]],
    paces: Mapping[str, float],
) -> StageOutlook:
    sharing = [each for each in planned if stage.key in {shared.key for shared in each.stages}]
    rows = [each.name for each in sharing]
    row = sharing[0].row if sharing else recipe.rows[next(iter(recipe.rows))]
    iterations, samples = amount(stage, row, recipe, assembler)
    done = store.done(stage)
    step = 0 if done is not None else _step_behind(stage, store)
    if done is not None:
        seconds: float | None = done["seconds"]
    else:
        per_iteration = paces.get(pace([(each.name, each.determines) for each in _chain(stage)]))
        seconds = None if per_iteration is None else round(per_iteration * (iterations - step), 1)
    why = None if done is not None else differences(stage, about(stage, recipe.name, rows, {}), known)
    return StageOutlook(
        key=stage.key,
        name=stage.name,
        rows=rows,
        needs=[needed.key for needed in stage.needs],
        state="done" if done is not None else "begun" if step else "to do",
        step=step,
        why=None if why is None else in_brief(why),
        iterations=iterations if done is None else done["iterations"],
        samples=samples,
        seconds=seconds,
    )


def amount(stage: Stage, row: Row, recipe: Recipe, assembler: Assembler) -> tuple[int, int | None]:
    """Return a stage's iterations, and the samples that its training reads.

    Args:
        row: one of those that share it.
    """
    if stage.name == "pretrain":
        ends = phase_ends(assembler.translator(row), row.pretrain.iterations)
        return ends[-1][1], ends[-1][1] * row.pretrain.batch
    if stage.name == "continued":
        iterations = continued_iterations(row, recipe.rows, assembler)
        return iterations, iterations * row.pretrain.batch
    if stage.name == "metatrain":
        settings, shape = row.metatrain, (row.episodes.shots, row.episodes.queries)
        samples = settings.iterations * settings.tasks * assembler.strategy(row).cost(*shape)
        return settings.iterations, samples
    if stage.name == "tune":
        tried = trying(row, recipe.rows)
        assert tried.tune is not None
        scenes = assembler.source(tried).tasks("val")[: tried.tune.tasks]
        return len(candidates(tried, tried.tune)) * len(scenes), None
    return (len(scored_tasks(row, assembler)), None) if stage.name == "evaluate" else (0, None)


def comparison_outlook(recipe: Recipe, assembler: Assembler) -> ComparisonOutlook | None:
    """Return what the rows' comparison could show at best; None where nothing is compared."""
    baselines = {name: row.baseline for name, row in recipe.rows.items() if row.baseline is not None}
    comparisons = len(compared_with(list(recipe.rows), recipe.compare.baseline, baselines))
    if not comparisons:
        return None
    tasks = min(len(scored_tasks(row, assembler)) for row in recipe.rows.values())
    smallest, needed = smallest_p(tasks, comparisons), tasks_needed(comparisons)
    what = f"{counted(tasks, 'task')} and {counted(comparisons, 'comparison')}"
    says = (
        f"{what} can show nothing: {counted(needed, 'task')} could"
        if tasks < needed
        else f"{what}: a difference can be shown, where p is at best {smallest:.2g} after Holm's correction"
    )
    return ComparisonOutlook(tasks=tasks, comparisons=comparisons, smallest_p=smallest, tasks_needed=needed, says=says)


def pace(chain: Sequence[tuple[str, Mapping[str, object]]]) -> str:
    """Return a text that is the same for stages whose iterations take as long.

    Args:
        chain: names of a stage and of those below it, with what determines them.
    """
    said = [(name, {place: _at(determines, place) for place in PACE.get(name, ())}) for name, determines in chain]
    return json.dumps(said, sort_keys=True, default=json_default)


def _at(determines: object, place: str) -> object:
    """Return what stands at a dotted place; None where nothing does."""
    for name in place.split("."):
        determines = determines.get(name) if isinstance(determines, Mapping) else None
    return determines


def _chain(stage: Stage | None) -> Iterator[Stage]:
    """Yield a stage and the trained ones below it."""
    first = stage
    while stage is not None:
        if stage is first or stage.name not in NOT_TRAINED:
            yield stage
        stage = stage.upstream


def _paces(known: Sequence[Mapping[str, object]], store: StageStore) -> Iterator[tuple[str, float]]:
    """Yield the seconds that an iteration of each finished stage took, by its pace; the newest last, which counts."""
    by_key = {str(record.get("key")): record for record in known}
    for key, record in reversed(by_key.items()):
        chain = list(_recorded_chain(record, by_key))
        try:
            done = read_sealed(store.root / key / "done.json", stage=key)
        except Broken:
            continue
        iterations, seconds = done.get("iterations"), done.get("seconds")
        if isinstance(iterations, int) and isinstance(seconds, int | float) and iterations:
            yield pace(chain), seconds / iterations


def _recorded_chain(
    record: Mapping[str, object] | None, by_key: Mapping[str, Mapping[str, object]]
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the name of a recorded stage, and of the trained ones below it, with what determines each."""
    first = record
    while record is not None:
        name, determines = str(record["name"]), record["determines"]
        if isinstance(determines, Mapping) and (record is first or name not in NOT_TRAINED):
            yield name, determines
        record = by_key.get(str(record.get("upstream")))


def _step_behind(stage: Stage, store: StageStore) -> int:
    """Return the steps, or scenes, that an interrupted run has left of a stage."""
    folder = store.folder(stage)
    if stage.name == "evaluate":
        return len(list(folder.glob("tasks/*.json")))
    try:
        return behind_of(load_state(folder / PROGRESS), stage.key).steps
    except UserError:
        return 0
