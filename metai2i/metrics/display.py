"""What measured numbers are called and on which side of them is better, known without torch: reports start quickly.

Metrics themselves are classes (`metai2i.metrics`); a run's folder keeps what is here of each, so that a report needs
no plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from metai2i.metric import Metric

_ARROWS = {True: " ↑", False: " ↓", None: ""}


@dataclass(frozen=True)
class MetricInfo:
    """How the numbers of a metric are read.

    Args:
        name: as recipes and `results.csv` write it.
        title: as people write it.
        higher_is_better: None where it is not known.
        unit: of the value ("" for none). Amounts in decibel are differences, never ratios.
        digits: after the decimal point, in tables.
        by_count: whether numbers of sets of other sizes cannot be compared.
    """

    name: str
    title: str
    higher_is_better: bool | None
    unit: str = ""
    digits: int = 3
    by_count: bool = False

    @property
    def label(self) -> str:
        """Return the title with an arrow that points to the better side."""
        return self.title + _ARROWS[self.higher_is_better]


MEASURES: Mapping[str, MetricInfo] = {
    measure.name: measure
    for measure in (
        MetricInfo("lpips", "LPIPS", higher_is_better=False),
        MetricInfo("ssim", "SSIM", higher_is_better=True),
        MetricInfo("mse", "MSE", higher_is_better=False, digits=4),
        MetricInfo("psnr", "PSNR", higher_is_better=True, unit="dB", digits=2),
    )
}
"""The core's own, the paper's four, in the order in which tables have them."""

ImageCounts = tuple[int, ...]
"""How many images a number of a metric of sets is of: outputs and real images, then the smallest and the largest number
of each in a scene."""

DESCRIPTORS = frozenset({"map_iou"})
"""Numbers in `results.csv` that tell of a query and not of a row: no table compares them."""


class MeasureRecord(TypedDict):
    """How the numbers of a metric are read, as files have it under the metric's name."""

    title: str
    higher_is_better: bool | None
    unit: str
    digits: int
    by_count: bool


class LeftOutRecord(TypedDict):
    """What a metric of sets says of a scene without some of its images.

    `sides`: for each kind of images (queries with their truths, further queries, further real images) the number
    without each block of them; `images`: a hash of which blocks these are, for rows are compared over the same images.
    """

    sides: list[list[float]]
    images: str


class SetNumberRecord(TypedDict):
    """A number of a metric of sets over all scenes together, with its interval over scenes.

    `value`: None where there is none; `low` and `high`: its 95 % interval over scenes, None where there are too few;
    `outputs` and `real`: how many images there are of each, of one draw; `scenes`: of how many scenes;
    `by_scene`: the smallest and the largest number of outputs, and of real images, of a single scene.
    """

    value: float | None
    low: float | None
    high: float | None
    outputs: int
    real: int
    scenes: int
    by_scene: list[int]


class SetRecord(SetNumberRecord):
    """What a metric of sets says in an evaluation.

    `without`: the number without each block of scenes, in their order, by which rows and seeds are compared;
    `single`: scene -> what is said of it without some images, where there are few scenes.
    """

    without: NotRequired[list[float]]
    single: NotRequired[dict[str, LeftOutRecord]]


def info_of(name: str, known: Mapping[str, MetricInfo] = MEASURES) -> MetricInfo:
    """Return the measure of that name: of `known`, else one of the core's own, else one whose better side is
    not known.
    """
    return known.get(name) or MEASURES.get(name) or MetricInfo(name, name, higher_is_better=None)


def info_from_class(name: str, metric: type[Metric]) -> MetricInfo:
    """Return what a metric says of itself; an arrow in its label is left to its direction."""
    by_count: bool = getattr(metric, "by_count", False)  # of metrics of sets alone
    return MetricInfo(name, metric.label.rstrip(" ↑↓"), metric.higher_is_better, metric.unit, metric.digits, by_count)


def tell_measures(measures: Mapping[str, MetricInfo]) -> dict[str, MeasureRecord]:
    """Measure as JSON holds them, by the names of their metrics."""
    return {
        name: MeasureRecord(
            title=each.title,
            higher_is_better=each.higher_is_better,
            unit=each.unit,
            digits=each.digits,
            by_count=each.by_count,
        )
        for name, each in measures.items()
    }


def read_measures(record: object) -> dict[str, MetricInfo]:
    """Return what `tell_measures` has told; entries that are not of that form are left out."""
    entries = record.items() if isinstance(record, Mapping) else ()
    measures = {str(name): _read(str(name), entry) for name, entry in entries}
    return {name: info for name, info in measures.items() if info is not None}


def _read(name: str, entry: object) -> MetricInfo | None:
    if not isinstance(entry, Mapping):
        return None
    title, higher = entry.get("title"), entry.get("higher_is_better")
    unit, digits = entry.get("unit", ""), entry.get("digits", 3)
    right = isinstance(title, str) and isinstance(higher, bool | None) and isinstance(unit, str)
    if not right or not isinstance(digits, int):
        return None
    return MetricInfo(name, str(title), higher, str(unit), digits, entry.get("by_count") is True)
