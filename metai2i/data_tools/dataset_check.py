"""Looks a whole data set over before anyone trains on it: every sample of every split is read once."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.contact_sheet import MOST_CELLS, cell, is_label_map
from metai2i.data.images import to_uint8
from metai2i.data.spacing import evenly_spaced
from metai2i.data_tools.file_survey import Survey
from metai2i.errors import UserError, counted, counted_are
from metai2i.field import PHOTOGRAPH, Field
from metai2i.guards.handed_over import remarks_of
from metai2i.tasks import SPLITS, Split, Task, TaskSource, TaskSpec
from metai2i.training.device import give_freed_memory_back

INPUT = "source"
"""The field of a sample without a pair that is translated."""
IMAGES = ("target", "reference", INPUT)
"""The fields that hold a photograph by their names, the first of which is looked at, before others that do."""
TOLD = 5
"""Of many alike findings that are no errors, so many are spelled out."""
_NAMED = 20
"""Of many classes so many are named."""


TRIMMED = 200
"""After so many samples freed memory is handed back to the system."""


class Finding(NamedTuple):
    """One thing that was found: an error would stop or spoil a run, a warning should be known."""

    level: Literal["error", "warning"]
    text: str


class _Place(NamedTuple):
    """Where a sample is, and the file of its photograph where it is read from any."""

    split: Split
    task: str
    sample: int
    file: Path | None = None
    noun: str = "pair"

    def __str__(self) -> str:
        return f"{self.split} scene {self.task!r}, {self.noun} {self.sample}"


@dataclass
class SplitReport:
    """What one split holds.

    Args:
        lengths: the number of pairs of every scene, by its id.
        sizes: how many pairs have which (height, width), of the files where there are files.
        pixels: of each class, over all label maps; in the end those without a class.
        damaged: what is wrong with single pairs, each told with its place.
        plain: places of photographs of one colour.
        single: places of label maps of one class.
        remarks: what should be known of the files.
        cells: small images for a contact sheet.
    """

    lengths: dict[str, int] = field(default_factory=dict)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    pixels: Tensor | None = None
    damaged: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    single: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    cells: list[Tensor] = field(default_factory=list)

    @property
    def shares(self) -> list[float] | None:
        """Return the share of all pixels of each class, in the end of those without one; None without label maps."""
        return None if self.pixels is None else (self.pixels / self.pixels.sum().clamp(min=1)).tolist()


@dataclass
class DataReport:
    """What a task source holds.

    Args:
        spec: the source's.
        splits: by name.
        findings: errors first.
    """

    spec: TaskSpec
    splits: dict[Split, SplitReport]
    findings: list[Finding]

    @property
    def errors(self) -> int:
        """Return how many findings are errors."""
        return sum(finding.level == "error" for finding in self.findings)


@dataclass(frozen=True)
class Need:
    """What a row asks of a split: where it is not there, `metai2i run` refuses the row.

    Args:
        split: of which there must be scenes.
        pairs: the fewest that a scene must have.
        first: only of the first so many scenes; None for all.
        single: whether a scene of a single pair is too short as well; otherwise it is its own query, augmented.
    """

    split: Split
    pairs: int
    first: int | None = None
    single: bool = True

    def stops(self, split: Split, place: int, pairs: int) -> bool:
        """Return whether the scene at a place of a split, of so many pairs, stops the row."""
        asked = split == self.split and (self.first is None or place < self.first)
        return asked and pairs < self.pairs and (self.single or pairs > 1)


@dataclass(frozen=True)
class Demand:
    """What a recipe's rows ask of a source.

    Args:
        needs: without which they are refused.
        pairs: shots and queries together, the most that a row takes anywhere.
    """

    needs: Sequence[Need]
    pairs: int


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
    seen: dict[bytes, list[_Place]] = defaultdict(list)
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
    seen: dict[bytes, list[_Place]],
    tell: Callable[[int], None],
) -> SplitReport:
    """Read a split; photographs are noted in `seen` by a hash of their pixels."""
    report, survey, done = SplitReport(), Survey(spec.size), 0
    surveyed: set[Path] = set()
    shown = set(evenly_spaced(sum(map(len, tasks)), MOST_CELLS))
    for task in tasks:
        if task.id in report.lengths:
            report.damaged.append(f"{split}: several scenes are called {task.id!r}")
        report.lengths[task.id] = len(task)
        files = task.files
        for index in range(len(task)):
            of_sample = files[index * len(files) // len(task) : (index + 1) * len(files) // len(task)]
            place = _Place(split, task.id, index, of_sample[0] if of_sample else None, noun_of(spec))
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
    place: _Place,
    spec: TaskSpec,
    seen: dict[bytes, list[_Place]] | None,
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


def empty_splits(reports: Mapping[Split, SplitReport], demand: Demand) -> list[Finding]:
    """Split without scenes, and scenes without pairs."""
    needed, findings = {"train", *(need.split for need in demand.needs)}, []
    for split, report in reports.items():
        if not report.lengths and split in needed:
            findings.append(Finding("error", f"{split}: there are no scenes"))
        findings += [
            Finding("error", f"{split}: scene {task!r} has no pairs") for task, n in report.lengths.items() if not n
        ]
    return findings


def shared_scenes(reports: Mapping[Split, SplitReport]) -> list[Finding]:
    """Return scenes that are in two splits."""
    return [
        Finding("error", f"scene {task!r} is in {first} and in {second}")
        for first, second in combinations(reports, 2)
        for task in reports[first].lengths
        if task in reports[second].lengths
    ]


def alike_names(reports: Mapping[Split, SplitReport]) -> list[Finding]:
    """Return scenes whose names differ only in how they are written, which other disks take for one."""
    alike: dict[str, list[tuple[Split, str]]] = defaultdict(list)
    for split, report in reports.items():
        for task in report.lengths:
            alike[unicodedata.normalize("NFC", task).casefold()].append((split, task))
    findings = [
        " and ".join(f"{task!r} in {split}" for split, task in each)
        for each in alike.values()
        if len({task for _, task in each}) > 1
    ]
    text = f"scenes whose names differ in capitals or accents only, which many disks take for one: {listed(findings)}"
    return [Finding("warning", text)] if findings else []


def nothing_to_see(reports: Mapping[Split, SplitReport]) -> list[Finding]:
    """Return photographs of one colour and maps of one class, which teach nothing."""
    return [
        Finding("warning", f"{split}: {counted(len(places), noun)} {what}: {listed(places)}")
        for split, report in reports.items()
        for places, noun, what in (
            (report.plain, "photograph", "of one colour"),
            (report.single, "label map", "of one class"),
        )
        if places
    ]


def short_scenes(reports: Mapping[Split, SplitReport], demand: Demand) -> list[Finding]:
    """Return scenes with fewer pairs than an episode takes: an error where a run would stop."""
    findings = []
    for split, report in reports.items():
        stopping, short = [], []
        for place, (task, pairs) in enumerate(report.lengths.items()):
            message = f"{task!r} has {pairs}"
            if pairs and any(need.stops(split, place, pairs) for need in demand.needs):
                stopping.append(message)
            elif 1 < pairs < demand.pairs:
                short.append(message)
        wanted = max((need.pairs for need in demand.needs if need.split == split), default=demand.pairs)
        if stopping:
            findings.append(Finding("error", too_short(split, stopping, wanted)))
        if short:
            findings.append(Finding("warning", too_short(split, short, demand.pairs)))
    return findings


def too_short(split: Split, scenes: Sequence[str], wanted: int) -> str:
    """Say that scenes are too short, in words."""
    have = "has" if len(scenes) == 1 else "have"
    return (
        f"{split}: {counted(len(scenes), 'scene')} {have} fewer pairs than {wanted}, shots and queries together (lower "
        f"them in `episodes` or `evaluate`): {listed(scenes)}"
    )


def same_photographs(seen: Mapping[bytes, Sequence[_Place]]) -> list[Finding]:
    """Return photographs that are equal pixel by pixel: across splits an error, within one a warning."""
    alike = [places for each in seen.values() if len(places := _of_other_files(each)) > 1]
    leaks = [places for places in alike if len({place.split for place in places}) > 1]
    findings = [
        Finding("error", f"the same photograph is in several splits: {'; '.join(map(str, places))}") for places in leaks
    ]
    copies = [places for places in alike if places not in leaks]
    inside = [places for places in copies if len({place.task for place in places}) == 1]
    across = [places for places in copies if places not in inside]
    for title, groups in (
        ("in one scene, where a query may be among the support", inside),
        ("in several scenes of a split", across),
    ):
        if groups:
            spare = sum(len(places) - 1 for places in groups)
            named = listed(["; ".join(map(str, places)) for places in groups], between=" | ")
            findings.append(Finding("warning", f"{counted_are(spare, 'photograph')} there again {title}: {named}"))
    return findings


def _of_other_files(places: Sequence[_Place]) -> list[_Place]:
    """Return places without those whose file is that of another scene of the split, as unpaired data has it."""
    scenes: dict[tuple[Split, Path], str] = {}
    kept = []
    for place in places:
        if place.file is None or scenes.setdefault((place.split, place.file), place.task) == place.task:
            kept.append(place)
    return kept


def missing_classes(reports: Mapping[Split, SplitReport], spec: TaskSpec) -> list[Finding]:
    """Return classes that no training map has, and those that no map has at all."""
    shares = {split: report.shares for split, report in reports.items()}
    known = {split: share[:-1] for split, share in shares.items() if share is not None}
    if not known:
        return []
    names = class_names(spec)
    never = [name for i, name in enumerate(names) if not any(share[i] for share in known.values())]
    findings = [Finding("warning", f"classes that no label map has: {listed(never, most=_NAMED)}")] if never else []
    if "train" in known:
        late = [
            name for i, name in enumerate(names) if not known["train"][i] and any(share[i] for share in known.values())
        ]
        if late:
            findings.append(Finding("warning", f"classes that no training map has: {listed(late, most=_NAMED)}"))
    return findings


def class_names(spec: TaskSpec) -> list[str]:
    """Return the names of the classes; their numbers where they have none."""
    return list(spec.classes) or [str(i) for i in range(spec.structure_channels)]


def listed(texts: Sequence[str], between: str = ", ", most: int = TOLD) -> str:
    """Return the first few, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more
