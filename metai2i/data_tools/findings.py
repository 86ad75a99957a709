"""What looking a data set over has found, and what of it stops or spoils a run."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Literal, NamedTuple

from torch import Tensor

from metai2i.errors import counted, counted_are
from metai2i.tasks import Split, TaskSpec

TOLD = 5
"""Of many alike findings that are no errors, so many are spelled out."""
_NAMED = 20
"""Of many classes so many are named."""


class Finding(NamedTuple):
    """One thing that was found: an error would stop or spoil a run, a warning should be known."""

    level: Literal["error", "warning"]
    text: str


class SamplePlace(NamedTuple):
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


def same_photographs(seen: Mapping[bytes, Sequence[SamplePlace]]) -> list[Finding]:
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


def _of_other_files(places: Sequence[SamplePlace]) -> list[SamplePlace]:
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
