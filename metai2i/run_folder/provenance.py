"""What a result was made with: versions, commit, device, plugins."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict

import torch

from metai2i import __version__
from metai2i.guards.system import processor_name
from metai2i.metrics.display import MeasureRecord, SetRecord, info_from_class, tell_measures
from metai2i.recipe.schema import Row
from metai2i.registry import Registry
from metai2i.run_folder.spec_json import RowsSpecRecord
from metai2i.training.stage_records import RunStageRecord

_WATCHED = ("torch", "torchvision", "learn2learn", "lpips", "torchmetrics", "numpy", "scipy", "pydantic", "pluggy")


class DeviceRecord(TypedDict):
    """What computed: "cpu" or "cuda", its name, and the threads that torch used."""

    type: str
    name: str
    threads: int


class MadeWith(TypedDict):
    """The part of `provenance.json` that does not depend on the run itself.

    `plugins`: kind, name, distribution, version and source of every component; `metrics`: how each is read.
    """

    metai2i: str
    python: str
    torch: str
    platform: str
    versions: dict[str, str]
    commit: str | None
    device: DeviceRecord
    plugins: list[dict[str, str | None]]
    metrics: dict[str, MeasureRecord]


class DataFacts(TypedDict):
    """What a run was trained and measured on, in digests."""

    fingerprint: str
    test_tasks: int
    test_hash: str


class CountRecord(TypedDict):
    """How much was measured of a row: test tasks, queries of all of them, and numbers per metric."""

    tasks: int
    queries: int
    numbers: dict[str, int]


class ProvenanceRecord(MadeWith):
    """The whole of `provenance.json`, as a run writes it; `metai2i.run_folder.record.Provenance` is what is read of it.

    `format`: that of the folder (`RUN_FORMAT`); `measured`: by rows; `sets`: row -> metric -> what it says of all
    scenes together; `references`: rows that are shown references; `spec`: what translators were told of the data;
    `starts`: row -> part of its translator -> with which weights it began, and their digest or stage;
    `files`: every other file of the run with its digest.
    """

    format: int
    command: list[str]
    started: str
    finished: str
    seconds: float
    processes: int
    data: DataFacts
    measured: dict[str, CountRecord]
    sets: dict[str, dict[str, SetRecord]]
    references: list[str]
    spec: list[RowsSpecRecord]
    stages: list[RunStageRecord]
    starts: dict[str, dict[str, dict[str, str]]]
    files: dict[str, str]


def describe(registry: Registry, rows: Sequence[Row], device: torch.device) -> MadeWith:
    """Return what results of these rows are made with."""
    return MadeWith(
        metai2i=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        platform=platform.platform(),
        versions={name: version for name in _WATCHED if (version := installed(name)) is not None},
        commit=commit(),
        device=device_of(device),
        plugins=plugins(registry, rows),
        metrics=metrics(registry, rows),
    )


def installed(name: str) -> str | None:
    """Return the version of an installed distribution."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """Return the commit of the checkout that metai2i runs from, with a mark when files differ from it; None when it is
    installed, even within somebody else's checkout.
    """
    file = Path(__file__)
    ours = git(file.parent, "ls-files", file.name)
    return git(file.parent, "describe", "--always", "--dirty", "--abbrev=12") if ours else None


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git says, if it says anything."""
    try:
        command = ["git", "-C", str(folder), *arguments]
        finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return finished.stdout.strip() or None


def device_of(device: torch.device) -> DeviceRecord:
    """Return what computed."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return DeviceRecord(type=device.type, name=name, threads=torch.get_num_threads())


def plugins(registry: Registry, rows: Sequence[Row]) -> list[dict[str, str | None]]:
    """Return every component that the rows name, once."""
    named = {("task source", row.tasks.use) for row in rows} | {("translator", row.translator.use) for row in rows}
    named |= {("strategy", row.strategy.use) for row in rows}
    named |= {("retriever", row.retriever.use) for row in rows if row.retriever}
    named |= {("metric", name) for row in rows for name in row.evaluate.metrics}
    return [{"kind": kind, **registry.identity(kind, name)} for kind, name in sorted(named)]


def metrics(registry: Registry, rows: Sequence[Row]) -> dict[str, MeasureRecord]:
    """Return what the rows are measured by: the title of every metric, which side is better, unit and digits."""
    named = dict.fromkeys(name for row in rows for name in row.evaluate.metrics)
    return tell_measures({name: info_from_class(name, registry.get("metric", name)) for name in named})
