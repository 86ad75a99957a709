"""Looks a whole data set over before anyone trains on it: every sample of every split is read once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.contact_sheet import MOST_CELLS, cell, is_label_map
from metai2i.data.images import to_uint8
from metai2i.data.spacing import evenly_spaced
from metai2i.data_tools.file_survey import Survey
from metai2i.data_tools.findings import (
    DataReport,
    Demand,
    Finding,
    SamplePlace,
    SplitReport,
    alike_names,
    empty_splits,
    missing_classes,
    nothing_to_see,
    same_photographs,
    shared_scenes,
    short_scenes,
)
from metai2i.errors import UserError
from metai2i.field import PHOTOGRAPH, Field
from metai2i.guards.handed_over import remarks_of
from metai2i.tasks import SPLITS, Split, Task, TaskSource, TaskSpec
from metai2i.training.device import give_freed_memory_back

INPUT = "source"
"""The field of a sample without a pair that is translated."""
IMAGES = ("target", "reference", INPUT)
"""The fields that hold a photograph by their names, the first of which is looked at, before others that do."""
TRIMMED = 200
"""After so many samples freed memory is handed back to the system."""

Bar = Callable[[Split, int], AbstractContextManager[Callable[[int], None]]]
"""Is told a split and its number of samples; what it gives is called with how many are done."""


def check_source(source: TaskSource, demand: Demand, bar: Bar) -> DataReport:
    """Read every sample of a source once.

    Args:
        source: the recipe's task source.
        demand: what the rows ask of it.
        bar: shows how far it is.

    Raises:
        UserError: when the source cannot even list its scenes.
    """
    spec = source.spec()
    reports: dict[Split, SplitReport] = {}
    seen: dict[bytes, list[SamplePlace]] = defaultdict(list)
    for split in SPLITS:
        tasks = source.tasks(split)
        with bar(split, sum(map(len, tasks))) as tell:
            reports[split] = check_split(split, tasks, spec, source.provides, seen, tell)
    findings = [
        *empty_splits(reports, demand),
        *(Finding("error", text) for report in reports.values() for text in report.damaged),
        *shared_scenes(reports),
        *alike_names(reports),
        *short_scenes(reports, demand),
        *same_photographs(seen),
        *missing_classes(reports, spec),
        *nothing_to_see(reports),
        *(Finding("warning", f"{split}: {text}") for split, report in reports.items() for text in report.remarks),
        *(Finding("warning", text) for text in remarks_of(source)),
    ]
    return DataReport(spec, reports, sorted(findings, key=lambda finding: finding.level))


def check_split(
    split: Split,
    tasks: Sequence[Task],
    spec: TaskSpec,
    provides: frozenset[str],
    seen: dict[bytes, list[SamplePlace]],
    tell: Callable[[int], None],
) -> SplitReport:
    """Read a split; photographs are noted in `seen` by a hash of their pixels."""
    report, survey, done = SplitReport(), Survey(spec.size), 0
    surveyed: set[Path] = set()
    rest: dict[str, None] = {}  # a file may be in several scenes of unpaired data
    shown = set(evenly_spaced(sum(map(len, tasks)), MOST_CELLS))
    for task in tasks:
        if task.id in report.lengths:
            report.damaged.append(f"{split}: several scenes are called {task.id!r}")
        report.lengths[task.id] = len(task)
        files = task.files
        for index in range(len(task)):
            of_sample = files[index * len(files) // len(task) : (index + 1) * len(files) // len(task)]
            place = SamplePlace(split, task.id, index, of_sample[0] if of_sample else None, noun_of(spec))
            if place.file not in surveyed:  # a photograph may be in several scenes of unpaired data
                survey.add(of_sample)
            surveyed |= {place.file} if place.file else set()
            try:
                sample = task.load([index])
            except UserError as error:
                report.damaged.append(f"{place}: {error}")
            except Exception as error:  # whatever a source raises for one file, the others are still looked at
                report.damaged.append(f"{place}: {type(error).__name__}: {error}")
            else:
                report.damaged += [f"{place}: {wrong}" for wrong in wrong_fields(sample, spec, provides)]
                lent = index in task.support_only
                note(report, sample, place, spec, None if lent else seen, show=done in shown)
            done += 1
            if done % TRIMMED == 0:
                give_freed_memory_back()
            tell(done)
        rest |= {f"{split}: {error}": None for error in task.unread()}
    report.damaged += rest
    report.sizes = survey.sizes or report.sizes
    report.remarks = survey.findings()
    return report


def wrong_fields(sample: Batch, spec: TaskSpec, provides: frozenset[str]) -> list[str]:
    """Return what a translator could not take: missing fields, other sizes, values out of range."""
    wrong = [f"it has no {name!r}" for name in sorted(provides - set(sample))]
    for name in sample:
        known = spec.known_field(name)
        why = None if known is None else wrong_values(sample[name], known, spec.size)
        wrong += [] if why is None else [f"{name!r} has {why}"]
    return wrong


def wrong_values(values: Tensor, known: Field, size: tuple[int, int]) -> str | None:
    """Return what is wrong with the values of a field of one sample, in words; None when nothing is."""
    shape = known.shape(size)
    if shape is not None and tuple(values.shape) != (1, *shape):
        return f"shape {tuple(values.shape)}, expected {(1, *shape)}"
    if known.is_whole != (not values.is_floating_point()):
        return f"values of {values.dtype}, expected {'whole numbers' if known.is_whole else 'floats'}"
    low, high = (end.item() for end in torch.aminmax(values)) if values.numel() else (0, 0)
    if not (isfinite(low) and isfinite(high)):  # a value that is no number is both ends
        return "values that are not finite"
    if known.lowest is not None and (low < known.lowest or high > 1):
        return f"values from {low:g} to {high:g}, expected [{known.lowest:g}, 1]"
    most = known.channels - 1 if known.kind == "label" and known.channels else high
    if known.is_whole and (low < 0 or high > most):
        return f"values from {low} to {high}, expected 0{f' to {most}' if known.channels else ' or more'}"
    return None


def noun_of(spec: TaskSpec) -> str:
    """Return what a sample of some data is called: a pair, unless it has an input without the photograph it becomes."""
    return "sample" if INPUT in spec.fields else "pair"


def is_photograph(name: str, spec: TaskSpec) -> bool:
    """Return whether a field holds a photograph."""
    known = spec.known_field(name)
    return known is not None and known.kind == "photo"


def first_photograph(sample: Batch, spec: TaskSpec) -> str:
    """Return the field of a sample that is looked at; the name of one that it has not where it has no photograph."""
    names = [*IMAGES, *(name for name in sorted(sample) if is_photograph(name, spec))]
    return next((name for name in names if name in sample), PHOTOGRAPH)


def note(
    report: SplitReport,
    sample: Batch,
    place: SamplePlace,
    spec: TaskSpec,
    seen: dict[bytes, list[SamplePlace]] | None,
    *,
    show: bool,
) -> None:
    """Take one sample into the report; its photograph is noted in `seen`, if that is there."""
    structure = sample.get("structure")
    if structure is not None and spec.field("structure").is_labels and is_label_map(structure):
        counts = structure.sum(-1).sum((0, 2), dtype=torch.float64)
        rest = structure.shape[-2] * structure.shape[-1] - counts.sum()
        pixels = torch.cat([counts, rest[None]])
        report.pixels = pixels if report.pixels is None else report.pixels + pixels
        if (pixels > 0).sum() == 1:
            report.single.append(str(place))
    photo = sample.get(first_photograph(sample, spec))
    if photo is not None:
        report.sizes[(photo.shape[-2], photo.shape[-1])] += 1
        pixels = to_uint8(photo)
        if (pixels == pixels[..., :1, :1]).all():
            report.plain.append(str(place))
        if seen is not None:
            seen[blake2b(repr(pixels.shape).encode() + pixels.numpy().tobytes(), digest_size=16).digest()].append(place)
    parts = [part for part in (structure, photo) if part is not None]
    if show and parts and all(part.shape[-2:] == spec.size for part in parts):
        shown = [None if part is None else part[0] for part in (structure, photo)]
        report.cells.append(cell(shown[0], shown[1], spec))
