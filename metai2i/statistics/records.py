"""The records that a summary is made of, as `summary.json` has them: every key with its type."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from metai2i.metrics.display import MeasureRecord, SetNumberRecord


class EstimateRecord(TypedDict):
    """A mean over test tasks with its 95 % interval, the fields of `Estimate`."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    sd: float | None


class MeanRecord(EstimateRecord):
    """A row's mean of one metric, and how many values were left out of it because they are not finite."""

    left_out: int


class PairRecord(TypedDict):
    """A row against its baseline on one metric: the fields of `Pair`, and wins as a share of the tasks."""

    difference: float | None
    low: float | None
    high: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    p: float | None
    p_holm: float | None
    wins: float | None
    n: int
    verdict: str
    win_rate: float | None


class TaskListRecord(TypedDict):
    """The test tasks, and a hash of their queries."""

    ids: list[str]
    hash: str


class HalfPairRecord(TypedDict):
    """A row against another one on one half of the queries."""

    difference: float | None
    low: float | None
    high: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    n: int


class HalfRowRecord(EstimateRecord):
    """A row's mean on one half of the queries; `against`: other row -> the comparison with it."""

    against: dict[str, HalfPairRecord]


class HalfRecord(TypedDict):
    """One half: how many queries are in it, and its rows."""

    queries: int
    rows: dict[str, HalfRowRecord]


class HalvesRecord(TypedDict):
    """The harder and the easier half of the queries.

    `median`: of the descriptor, over the queries; `of`: the row whose support it was measured with; `alike`: whether
    it is the same for all rows; `halves`: "harder" (below the median) and "easier".
    """

    median: float
    of: str
    alike: bool
    halves: dict[str, HalfRecord]


class BudgetRecord(TypedDict):
    """What a row has cost.

    Seconds: `training` (all of it) and `metatraining`; `tuning`, None where nothing was tuned; `seconds` of adapting to
    a scene and `aux_seconds` of what is done before it with retrieved scenes, medians over test tasks; `scene_seconds`:
    lower quartile, median and upper quartile of both together. `numbers` and `bytes` are a scene's own, None for
    another kind of model than the general one.
    """

    training: float
    metatraining: float
    tuning: float | None
    seconds: float
    aux_seconds: float
    scene_seconds: list[float]
    numbers: float | None
    bytes: float | None


class LineRecord(TypedDict):
    """Rows that differ in the number of adaptation steps alone: number of steps (as text) -> row, fewest first."""

    label: str
    rows: dict[str, str]


class TradeOffRecord(TypedDict):
    """Rows that differ only in how they adapt; `points`: row -> its mean with a bootstrap interval."""

    lines: list[LineRecord]
    points: dict[str, EstimateRecord]


class FactorLineRecord(TypedDict):
    """Rows that differ in one factor alone: level -> row."""

    label: str
    rows: dict[str, str]


class FactorRecord(TypedDict):
    """Rows that fill a grid.

    `factor`: what the rows of a line differ in, as its path in the recipe ("adapt.iterations"), with its `levels` in
    their order; `by`: what the lines differ in, empty where these are several things.
    """

    factor: str
    levels: list[str]
    by: str
    lines: list[FactorLineRecord]


class RankingRecord(TypedDict):
    """How rows rank at a number of steps (None for all rows at once): the fields of `Ranks`.

    `names`: row -> what it is called in the comparison.
    """

    steps: int | None
    names: dict[str, str]
    ranks: dict[str, float]
    n: int
    statistic: float | None
    p: float
    critical_difference: float | None
    alike: list[list[str]]


class BySeedRecord(TypedDict):
    """What each seed gave alone for a row and a metric, and the standard deviation of the means (n - 1 below the line).

    `ratios` and `differences` are to the row's baseline of the same seed.
    """

    means: list[float | None]
    ratios: list[float | None]
    differences: list[float | None]
    sd: float | None


class SeedsRecord(TypedDict):
    """Several seeds pooled; `rows`: row -> metric -> what each gave."""

    labels: list[str]
    rows: dict[str, dict[str, BySeedRecord]]


class SetLineRecord(SetNumberRecord):
    """The number of a row, or of its mean over seeds, and its difference from the baseline's with a 95 % interval over
    scenes; None where there is none, or too few scenes.
    """

    difference: float | None
    difference_low: float | None
    difference_high: float | None


class SetsRecord(TypedDict):
    """Metrics of sets; `measures`: how they are read; `rows`: row -> metric -> its number."""

    measures: dict[str, MeasureRecord]
    rows: dict[str, dict[str, SetLineRecord]]


class SceneNumberRecord(TypedDict):
    """What one metric says of a row on one scene, and its difference from the baseline's number there, None where there
    is none; with 95 % intervals over the images of the scene, None where there are too few.
    """

    value: float | None
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None


class BestGroupRecord(TypedDict):
    """A group of rows, by the one of them that was best on validation scenes.

    `chosen` and `validation` (row -> score) are of each run that is pooled, or of the only one; `mean` of those rows on
    test tasks, and `against`: the comparison with those of the first group, None for itself.
    """

    chosen: list[str]
    validation: list[dict[str, float]]
    mean: MeanRecord
    against: PairRecord | None


class BestRecord(TypedDict):
    """Best against best, on the main metric.

    `runs`: what pooled runs are called, none for a single one; `metric`: by which rows were chosen; `baseline`: the
    group that the others are compared with.
    """

    runs: list[str]
    metric: str
    baseline: str
    groups: dict[str, BestGroupRecord]


class Summary(TypedDict):
    """Everything that a table or a report says of a run's numbers.

    `rows` and `pairs`: row -> metric -> its mean, or the comparison with its baseline; `against`: row -> that baseline.
    `measures`: how each of `metrics` is read; `uneven`: those by which rows with other numbers of images cannot be
    compared. What is not required is there for the runs that have recorded it:

    - `copies` and `leaking`: rows that hand back a support image, and that are shown what they are to predict
    - `shots`: row -> how many pairs it adapts to
    - `budgets`: row -> what it has cost
    - `factors`: which rows fill a grid
    - `trade_offs`, `ranks`, `harder_half`, and `seeds` where several are pooled
    - `sets`: what metrics of sets say of all scenes together
    - `single_scenes`: metric -> row -> scene -> its number, where there are too few scenes for a verdict
    - `best`: best against best, where the recipe names groups of rows
    """

    baseline: str | None
    metric: str
    metrics: list[str]
    measures: dict[str, MeasureRecord]
    tasks: TaskListRecord
    rows: dict[str, dict[str, MeanRecord]]
    pairs: dict[str, dict[str, PairRecord]]
    against: dict[str, str]
    uneven: list[str]
    notes: list[str]
    copies: NotRequired[list[str]]
    leaking: NotRequired[list[str]]
    shots: NotRequired[dict[str, int | None]]
    harder_half: NotRequired[HalvesRecord | None]
    budgets: NotRequired[dict[str, BudgetRecord]]
    factors: NotRequired[list[FactorRecord]]
    trade_offs: NotRequired[list[TradeOffRecord]]
    ranks: NotRequired[list[RankingRecord]]
    seeds: NotRequired[SeedsRecord]
    sets: NotRequired[SetsRecord]
    single_scenes: NotRequired[dict[str, dict[str, dict[str, SceneNumberRecord]]]]
    best: NotRequired[BestRecord]
