"""What a recipe holds once it has been checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from metai2i.bounds import Count, Iterations, Positive, Seed, Share, Weight, Whole
from metai2i.metrics.display import DESCRIPTORS, MEASURES

Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[Beta, Beta]


SLUG = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""What the name of a recipe may be: runs are kept in a folder of it."""
LONGEST_RECIPE_NAME = 100
"""How many letters the name of a recipe may have."""


def _slug(name: str) -> str:
    if len(name) > LONGEST_RECIPE_NAME:
        raise ValueError(
            f"got {len(name)} letters, expected at most {LONGEST_RECIPE_NAME} (runs are kept in a folder of it)"
        )
    if not re.fullmatch(SLUG, name):
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
    """A part of a recipe: unknown keys are refused, types are strict, numbers finite, and it cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Component(Section):
    """A plugin's component and its options, checked against its constructor, defaults spelled out.

    Args:
        use: the component.
        options: its options.
    """

    use: str
    options: dict[str, Any] = Field(default_factory=dict)


class RetrieverComponent(Component):
    """A retriever, and how many training tasks it is asked for.

    Args:
        use: the retriever.
        k: how many training scenes are retrieved for each unseen scene.
    """

    k: Count = 5


class Episodes(Section):
    """How episodes are drawn.

    Args:
        shots: support pairs, which are adapted on.
        queries: query pairs, which are scored; never among the support.
        draws: episodes drawn from each test scene.
        as_new: give the domain of a scene the number of a new one, in meta-training and of validation scenes. What is
            learned, and the rates that are chosen, are then of what an unseen domain uses: a translator's spare
            parameters. For data whose test scenes are of domains that do not train.
    """

    shots: Count = 5
    queries: Count = 5
    draws: Count = 1
    as_new: bool = False


class Player(Section):
    """What holds for one player alone; null for what holds for all.

    Args:
        lr: its learning rate, as it stands.
        betas: Adam's betas.
        eps: epsilon.
        weight_decay: L2.
    """

    lr: Positive | None = None
    betas: Betas | None = None
    eps: Positive | None = None
    weight_decay: Weight | None = None


class Average(Section):
    """An average of weights over the steps, which is what meta-training, adapting and evaluating start from.

    Args:
        decay: how much of the average each step keeps.
        players: whose weights are averaged.
    """

    decay: Beta = 0.999
    players: Annotated[tuple[str, ...], Field(min_length=1)]


class Pretrain(Section):
    """Plain training of the general model.

    Args:
        iterations: steps of each of the translator's phases, or `{PHASE: steps}` with all of them.
        batch: pairs per step, each of a scene drawn evenly.
        lr: learning rate; a translator may scale it for single players (`rates`).
        optimizer: `adam`, `rmsprop` (torch's) or `rmsprop-tf` (TensorFlow's).
        betas: Adam's betas.
        eps: epsilon, outside the root; of `rmsprop-tf` inside.
        weight_decay: L2 weight decay.
        clip: the largest gradient norm of a move; null for no clipping.
        anneal: let the learning rate fall linearly to 0 in each phase; 0.5 for from the half of it on.
        players: `{PLAYER: {lr: ..., betas: ..., eps: ..., weight_decay: ...}}`, where one has its own.
        average: `{decay: 0.999, players: [...]}`, an average over the steps that is used from then on; null for none.
        parts: into how many parts a batch is split that are computed by themselves, so that processes can share them;
            1 for a batch that is computed whole, by the first process.
    """

    iterations: Iterations | dict[str, Iterations] = 1000
    batch: Count = 5
    lr: Positive = 1e-4
    optimizer: Literal["adam", "rmsprop", "rmsprop-tf"] = "adam"
    betas: Betas = (0.5, 0.999)
    eps: Positive = 1e-8
    weight_decay: Weight = 0.0
    clip: Positive | None = None
    anneal: bool | Share = False
    players: dict[str, Player] = Field(default_factory=dict)
    average: Average | None = None
    parts: Count = 1

    @model_validator(mode="after")
    def _a_sample_each(self) -> Self:
        if self.parts > self.batch:
            raise ValueError(f"`parts` is {self.parts}, expected at most the {self.batch} of `batch`")
        return self


class ContinuedPretraining(Section):
    """Pre-training goes on plainly, so that a baseline has had as much training as a meta-trained row.

    Args:
        iterations: steps.
        match: the row whose meta-training is matched, counted in samples that go forward and backward.
        lr: learning rate; null for that of `pretrain`. Rates of single players change by the same factor.
        anneal: let the learning rate fall linearly to 0, as of `pretrain`; null for what that says.
    """

    iterations: Iterations | None = None
    match: str | None = None
    lr: Positive | None = None
    anneal: bool | Share | None = None

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
        tasks: scenes per outer step.
        lr: outer learning rate (Reptile has its `epsilon` instead).
        clip: the largest meta-gradient norm of a player; null for no clipping.
        probe: outer steps between two measurements of drift, for the log; null for a fifth of `iterations`.
        average: `{decay: 0.999, players: [...]}`, an average over the outer steps that is used from then on; null for
            none.
        freeze: players that stay as plain training has left them, such as `[discriminator]` where it would win; the
            inner loop adapts them all the same, but for those in `adapt.freeze`.
    """

    iterations: Iterations = 1000
    tasks: Count = 5
    lr: Positive = 1e-4
    clip: Positive | None = None
    probe: Count | None = None
    average: Average | None = None
    freeze: tuple[str, ...] = ()


class Adapt(Section):
    """Adaptation of the general model to the support of one task: the inner loop.

    Args:
        iterations: steps for an unseen scene; in meta-training the strategy's own `steps` counts.
        batch: pairs per step; a smaller support is repeated up to it when it is augmented, else taken
            whole.
        lr: inner learning rate.
        optimizer: `adam` or `sgd`, with fresh state for every scene.
        betas: Adam's betas.
        eps: Adam's epsilon; in second order its square, inside the root.
        freeze: players that are not adapted, such as `[discriminator]`.
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
        metric: by which the best combination is chosen.
        tasks: only the first so many validation scenes; null for all.
        at: steps with which rates are tried, so that rows that differ in steps alone share the choice; null for
            `adapt.iterations`.
        match: the row that adapts from the same training and tries for itself; this one adapts as is chosen there, and
            tries nothing.
    """

    lr: tuple[Positive, ...] = ()
    iterations: tuple[Iterations, ...] = ()
    metric: str = "lpips"
    tasks: Count | None = None
    at: Count | None = None
    match: str | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.match is not None:
            return self
        if not self.lr and not self.iterations:
            raise ValueError("nothing to try: give `lr` or `iterations` a list of values, or `match` a row that tries")
        if self.at is not None and self.iterations:
            raise ValueError("`at` fixes the steps that `iterations` would try: give one of the two")
        return self


class Aux(Section):
    """What is done with the training tasks that are retrieved for a test task.

    Args:
        into: where they go. `model`: a copy of the general model is tuned on them, before it is adapted. `batches`:
            pairs of theirs join every batch of the inner loop, which starts from the general model as it is.
        iterations: outer steps, into `model`.
        tasks: scenes per outer step, of the `k` retrieved, into `model`.
        lr: learning rate, into `model`; null for that of `metatrain` (of `pretrain`, where the strategy does not
            meta-train; rates of single players then change by the same factor).
        rows: pairs that join each batch, into `batches`.
        weights: how often each scene is drawn. `equal`: all alike. `rank`: the n-th most similar 1/n times as often as
            the first, with replacement.
    """

    into: Literal["model", "batches"] = "model"
    iterations: Iterations = 10
    tasks: Count = 5
    lr: Positive | None = None
    rows: Count = 5
    weights: Literal["equal", "rank"] = "equal"


class ExemplarGrid(Section):
    """An image of each scene in which every input is shown with every exemplar.

    Args:
        sources: the first so many queries; null for five, or as many as there are.
        references: so many exemplars, which are photographs of the support, or those that a task source gives with its
            queries, each once; null for five, or as many as there are.
    """

    sources: Annotated[int, Field(ge=1, le=20)] | None = None
    references: Annotated[int, Field(ge=1, le=20)] | None = None


class Evaluate(Section):
    """What is measured.

    Args:
        split: whose scenes are adapted to and scored: `test`, or `val` while anything is being tuned.
        tasks: the first so many scenes; null for all.
        shots: support samples per test scene; null for `episodes.shots`.
        queries: query samples per test scene; null for `episodes.queries`.
        metrics: by which images are measured: these, and others (`metai2i plugins` lists them), of single images
            or of a set.
        way: in which way the translator is asked for images, where it has several; null for its first.
        samples: outputs for each query; metrics of single images take the first, those of a set all.
        real: real images of each scene that a set is compared with, of those that are not in the support; null for all.
        images: of how many scenes images are kept, for the report.
        grid: `{sources: 4, references: 3}`, an image of every input with every exemplar for each of these scenes, where
            the translator is shown exemplars; null for none.
    """

    split: Literal["test", "val"] = "test"
    tasks: Count | None = None
    shots: Count | None = None
    queries: Count | None = None
    metrics: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_metrics)] = tuple(MEASURES)
    way: str | None = None
    samples: Count = 1
    real: Count | None = None
    images: Whole = 8
    grid: ExemplarGrid | None = None


WHOLE = "translator"
"""What stands for the whole of a translator where a part of it may be named."""


class Start(Section):
    """Where a part of the translator begins: as another training has left it, or as in a file.

    Args:
        row: a row of this recipe, which is trained first, or with `run` one of another run.
        run: the folder of a finished run, relative to the recipe, or to the current folder where it is typed; `{seed}`
            in it stands for the recipe's seed.
        file: tensors in a file, safetensors or PyTorch's, as for `run`.
        part: which part of these; null for the one of the same name, of a file for all of it.
    """

    row: str | None = None
    run: str | None = None
    file: str | None = None
    part: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.run is not None and self.row is None:
            goes = (
                "; beside `file`, `run: null` takes back the run that a recipe names" if self.file is not None else ""
            )
            raise ValueError(f"`run` needs the name of its `row`{goes}")
        if (self.row is None) == (self.file is None):
            got = "neither" if self.row is None else "both: `row: null` and `run: null` take back those of a recipe"
            raise ValueError(f"expected either `row` or `file`, got {got}")
        if self.part is not None and not self.part.strip("."):
            raise ValueError("`part` is the name of a part, such as encoder.first")
        return self


class Compare(Section):
    """How rows are compared.

    Args:
        baseline: the row that others are compared with, unless they name their own (`rows`); null for none.
        metric: the main metric, one of `evaluate.metrics`: LPIPS, or the first that all rows are measured by.
        best: groups of rows, each with a name: `{Plain: [A, B], Meta-trained: [C, D]}`. Of each group the row is taken
            that was best on validation scenes (`tune`), and those are compared with that of the first group.
    """

    baseline: str | None = None
    metric: str = "lpips"
    best: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class UnadaptedColumn(Section):
    """A column of a figure: what a row's general model paints before it is adapted.

    Args:
        general: the row.
    """

    general: str


class Figure(Section):
    """A figure of the report: a line for each query, a column for each thing that is shown of it.

    Args:
        columns: from left to right: rows by their names, `structure`, `support`, `reference`, `truth`,
            `general: ROW`, `shown.samples` (the first six outputs for a query side by side, where a metric looks at
            several), or `shown.NAME` for what else translators are shown and have to show, of the first row that has
            any.
        tasks: the first so many test scenes; null for four.
        queries: of each of them, up to 5.
    """

    columns: Annotated[tuple[str | UnadaptedColumn, ...], Field(min_length=1)]
    tasks: Count | None = None
    queries: Annotated[int, Field(ge=1, le=5)] = 1


class Row(Section):
    """One line of an ablation table.

    `augment`, `reference`, `colour_jitter` and `objective` hold the options of `metai2i.Augment` (null: none at all),
    of `metai2i.Reference`, of `metai2i.data.colour_jitter.ColourJitter` (null: none) and of `metai2i.Objective`.
    `baseline` decides nothing that is trained or scored.

    Args:
        precision: `fp32`, or `bf16` for forward passes in bfloat16 where that is safe; weights, losses and images are
            float32 in both.
        start: `{PART: {row: ROW}}`, `{PART: {run: DIR, row: ROW}}` or `{PART: {file: FILE}}`: with which weights a part
            of the translator begins; PART is the name of a module, `translator` for all of it.
        baseline: the row that it is compared with; null for `compare.baseline`.
    """

    tasks: Component
    episodes: Episodes = Field(default_factory=Episodes)
    augment: dict[str, Any] | None = Field(default_factory=dict)
    reference: dict[str, Any] = Field(default_factory=dict)
    colour_jitter: dict[str, Any] | None = None
    translator: Component
    start: dict[str, Start | None] = Field(default_factory=dict)
    precision: Literal["fp32", "bf16"] = "fp32"
    objective: dict[str, Any] = Field(default_factory=dict)
    pretrain: Pretrain = Field(default_factory=Pretrain)
    continued: ContinuedPretraining | None = None
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
        """Return support samples per test task."""
        return self.evaluate.shots or self.episodes.shots

    @property
    def test_queries(self) -> int:
        """Query samples per test task."""
        return self.evaluate.queries or self.episodes.queries


class Header(Section):
    """What a recipe says once, for all rows.

    Args:
        name: what runs are called: letters, digits, `.`, `_`, `-`; results go to `runs/NAME`.
        description: for people to read; stands in the report.
        seed: all randomness: initialisation, batches, episodes, augmentation.
        plugins: a folder of one-file plugins, relative to the recipe.
        figures: figures of the report, `TITLE: {columns: [...]}`; null for those that the rows suggest,
            `{}` for none.
    """

    name: Annotated[str, AfterValidator(_slug)]
    description: str = ""
    seed: Seed = 0
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
        overrides: which rows each override of a row's sections has reached (`metai2i.recipe.reach.Reach`).
        notes: what its writer should know though nothing is wrong: keys that are called otherwise now.
        start_places: where the parts that begin with other weights are named, by row and part (`Location`).
        key_places: where values are written, by row and key (`Location`).
    """

    rows: dict[str, Row]
    source_path: Path
    resolved: dict[str, Any]
    overrides: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    start_places: dict[str, dict[str, Any]] = Field(default_factory=dict)
    key_places: dict[str, dict[str, Any]] = Field(default_factory=dict)
