"""What a recipe holds once it has been checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from metai2i.measures import DESCRIPTORS, MEASURES

Count = Annotated[int, Field(ge=1)]
Iterations = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[Beta, Beta]


def _slug(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"got {name!r}, expected letters, digits, '.', '_' and '-' (runs are kept in a folder of it)")
    return name


def _metrics(names: tuple[str, ...]) -> tuple[str, ...]:
    for n, name in enumerate(names):
        if name in names[:n]:
            raise ValueError(f"{name!r} is named twice")
        if name in DESCRIPTORS:
            raise ValueError(f"{name!r} tells of a query, not of a row; it is recorded anyway")
    return names


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, types are strict, and it cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Component(Section):
    """A plugin's component and its options, checked against its constructor, defaults spelled out."""

    use: str
    options: dict[str, Any] = Field(default_factory=dict)


class RetrieverComponent(Component):
    """A retriever, and how many training tasks it is asked for."""

    k: Count = 5


class Episodes(Section):
    """How episodes are drawn.

    Args:
        shots: support samples per episode.
        queries: query samples per episode.
        draws: episodes per test task.
    """

    shots: Count = 5
    queries: Count = 5
    draws: Count = 1


class Pretrain(Section):
    """Plain training of the general model with Adam.

    Args:
        iterations: of every phase of the translator, or of each phase by its name.
        batch: samples per iteration.
        lr: Adam's learning rate.
        betas: Adam's betas.
        weight_decay: Adam's (L2) weight decay.
        clip: the largest norm of a player's gradient; null for no clipping.
    """

    iterations: Iterations | dict[str, Iterations] = 1000
    batch: Count = 5
    lr: Positive = 1e-4
    betas: Betas = (0.5, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Positive | None = None


class Further(Section):
    """Pre-training goes on plainly, so that a baseline has had as much training as a meta-trained row.

    Args:
        iterations: how long; or
        match: the row whose meta-training budget is spent.
        lr: the learning rate; null for that of `pretrain`.
    """

    iterations: Iterations | None = None
    match: str | None = None
    lr: Positive | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.iterations is None) == (self.match is None):
            got = "neither" if self.match is None else "both"
            raise ValueError(f"expected either `iterations` or `match`, got {got}")
        return self


class Metatrain(Section):
    """Meta-training of the general model by the strategy.

    Args:
        iterations: outer steps.
        tasks: tasks per outer step.
        lr: the outer learning rate.
        clip: the largest norm of a player's meta-gradient; null for no clipping.
        probe: outer steps between two looks at the drift of the general model; null for a fifth of them.
    """

    iterations: Iterations = 1000
    tasks: Count = 5
    lr: Positive = 1e-4
    clip: Positive | None = None
    probe: Count | None = None


class Adapt(Section):
    """Adaptation of the general model to the support of one task: the inner loop.

    Args:
        iterations: inner steps.
        batch: support samples per inner step.
        lr: the inner learning rate.
        optimizer: of the inner loop.
        betas: Adam's betas.
        eps: Adam's epsilon.
        freeze: players that are not adapted.
    """

    iterations: Iterations = 20
    batch: Count = 5
    lr: Positive = 1e-4
    optimizer: Literal["adam", "sgd"] = "adam"
    betas: Betas = (0.5, 0.999)
    eps: Positive = 1e-8
    freeze: tuple[str, ...] = ()


class Tune(Section):
    """The inner rate and the number of steps at test are chosen on validation scenes, from all combinations.

    Meta-training keeps `adapt` as it is written, and so do the other rows.

    Args:
        lr: inner rates to try; none for `adapt.lr` only.
        iterations: numbers of inner steps to try; none for `adapt.iterations` only.
        metric: by which the best is chosen.
        tasks: only the first so many validation scenes; null for all.
    """

    lr: tuple[Positive, ...] = ()
    iterations: tuple[Iterations, ...] = ()
    metric: str = "lpips"
    tasks: Count | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.lr and not self.iterations:
            raise ValueError("nothing to try: give `lr` or `iterations` a list of values")
        return self


class Aux(Section):
    """Tuning of the general model on retrieved training tasks, before it is adapted to a test task.

    Args:
        iterations: outer steps.
        tasks: tasks per outer step.
        lr: the learning rate; null for that of `metatrain` (of `pretrain` where the strategy does not meta-train).
    """

    iterations: Iterations = 10
    tasks: Count = 5
    lr: Positive | None = None


class Evaluate(Section):
    """What is measured.

    Args:
        split: the split whose tasks are adapted to.
        tasks: only the first so many of them; null for all.
        shots: support samples per test task; null for as many as in training.
        queries: query samples per test task; null for as many as in training.
        metrics: by which pictures are measured.
        images: how many tasks' pictures are kept.
    """

    split: Literal["test", "val"] = "test"
    tasks: Count | None = None
    shots: Count | None = None
    queries: Count | None = None
    metrics: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_metrics)] = tuple(MEASURES)
    images: Annotated[int, Field(ge=0)] = 8


class Compare(Section):
    """How rows are compared.

    Args:
        baseline: the row that others are compared with unless they name their own; null for none.
        metric: by which, of those that all rows are measured by.
    """

    baseline: str | None = None
    metric: str = "lpips"


class General(Section):
    """A column of a figure: what a row's general model paints before it is adapted.

    Args:
        general: the row.
    """

    general: str


class Figure(Section):
    """A figure of the report: a line for each query, a column for each thing that is shown of it.

    Args:
        columns: from left to right: rows by their names, `structure`, `support`, `reference`, `truth`, `general: ROW`.
        tasks: the first so many test tasks; null for four, or as many as there are pictures of.
        queries: of each of them.
    """

    columns: Annotated[tuple[str | General, ...], Field(min_length=1)]
    tasks: Count | None = None
    queries: Annotated[int, Field(ge=1, le=5)] = 1


class Row(Section):
    """One line of an ablation table.

    `augment`, `reference` and `objective` hold the options of `metai2i.augment.Augment` (null: none at all), of
    `metai2i.reference.Reference` and of `metai2i.objectives.Objective`. `baseline` is the row that this one is compared
    with, null for that of `compare`; it decides nothing that is trained or scored.
    """

    tasks: Component
    episodes: Episodes = Field(default_factory=Episodes)
    augment: dict[str, Any] | None = Field(default_factory=dict)
    reference: dict[str, Any] = Field(default_factory=dict)
    translator: Component
    objective: dict[str, Any] = Field(default_factory=dict)
    pretrain: Pretrain = Field(default_factory=Pretrain)
    further: Further | None = None
    metatrain: Metatrain = Field(default_factory=Metatrain)
    adapt: Adapt = Field(default_factory=Adapt)
    tune: Tune | None = None
    strategy: Component
    retriever: RetrieverComponent | None = None
    aux: Aux = Field(default_factory=Aux)
    evaluate: Evaluate = Field(default_factory=Evaluate)
    baseline: str | None = None

    @property
    def test_shots(self) -> int:
        """Support samples per test task."""
        return self.evaluate.shots or self.episodes.shots

    @property
    def test_queries(self) -> int:
        """Query samples per test task."""
        return self.evaluate.queries or self.episodes.queries


class Header(Section):
    """What a recipe says once, for all rows."""

    name: Annotated[str, AfterValidator(_slug)]
    description: str = ""
    seed: int = 0
    plugins: str | None = None
    compare: Compare = Field(default_factory=Compare)
    figures: dict[str, Figure] | None = None


class Recipe(Header):
    """A recipe that has been checked and is ready to run.

    Args:
        name: what its runs are called; the stem of its file by default.
        description: for people to read.
        seed: from which all randomness is drawn.
        plugins: the folder with the recipe's one-file plugins, absolute.
        compare: how rows are compared.
        figures: of the report, by their titles; None for those that the rows suggest.
        rows: by their names, in the order of the recipe.
        source_path: the file it was read from.
        resolved: plain data with all defaults, which written as YAML (`dump_yaml`) loads to the same rows again.
    """

    rows: dict[str, Row]
    source_path: Path
    resolved: dict[str, Any]
