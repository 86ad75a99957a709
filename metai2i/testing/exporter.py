"""The contracts of an `Exporter`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from metai2i.data.images import save_photo
from metai2i.exporter import Exporter, ModelContent, RowNumber, RunContent, RunImage, SeriesCurve
from metai2i.exporting.export import is_there, samples_of, write_by
from metai2i.inference.model_file import AdaptedModel
from metai2i.inference.model_header import ModelRecord
from metai2i.registry.options import summary
from metai2i.run_folder.results import Record, write_results
from metai2i.statistics import summarise
from metai2i.testing.bench import Bench
from metai2i.testing.contract import Contract, NotApplicable, promise, require
from metai2i.testing.toy_translators import Awkward
from metai2i.training.checkpoint import digest

CONTRACTS: list[Contract] = []
READ = "docs/write-a-translator.md#exporters"
ROWS = ("Line", "A | B & 50 % <b>_{x}</b>")
"""Names of rows: they may hold any sign."""


def make(bench: Bench) -> Exporter:
    """Return the exporter on trial.

    Raises:
        NotApplicable: when its library is not there.
    """
    exporter: Exporter = bench.make()
    lacking = [module for module in exporter.modules if not is_there(module)]
    if lacking:
        raise NotApplicable(f"{', '.join(lacking)} is not installed: {exporter.install}")
    return exporter


def toy_run(folder: Path) -> RunContent:
    """Return a run of two rows with numbers, a curve with a gap, and an image, whose folder has its numbers."""
    values = {ROWS[0]: (0.4, 0.5, 0.3), ROWS[1]: (0.3, 0.45, 0.2)}
    records = [Record(row, f"t{n}", "0", "lpips", value) for row in ROWS for n, value in enumerate(values[row])]
    write_results(folder / "results.csv", records)
    save_photo(folder / "0.png", torch.zeros(3, 8, 8))
    numbers = [
        RowNumber(row=row, metric="lpips", title="LPIPS", mean=sum(each) / 3, low=None, high=None, n=3)
        for row, each in values.items()
    ]
    curve = SeriesCurve(series="pretrain Line (012345)", term="generator/l1", steps=[1, 2, 3],
                        values=[1.0, float("nan"), 0.5])  # fmt: skip
    summary_of_run = cast(Mapping[str, Any], summarise(records, list(ROWS), ROWS[0], "lpips"))
    toy_summary = {"copies": [], "leaking": [], "shots": {}, **summary_of_run}
    image = RunImage(tag="t0/Line/0", path=folder / "0.png")
    return RunContent("toy", folder, {"name": "toy", "seed": 0}, toy_summary, numbers, [curve], [image], {})


def toy_model(bench: Bench) -> ModelContent:
    """Return a small translator, as if it had been adapted to two samples."""
    with torch.random.fork_rng():
        translator = Awkward(spec=bench.spec).eval().requires_grad_(False)
    about: Any = {"translator": {"use": "awkward", "options": {}}, "made": {}}
    model = AdaptedModel(translator, bench.spec, bench.needed(2).to("cpu"), None, cast(ModelRecord, about))
    return ModelContent(model, None, samples_of(model, None))


@promise(CONTRACTS, READ, gate=True)
def it_says_what_it_takes_and_what_it_writes(bench: Bench) -> None:
    """It is constructed with its options; it has a docstring; where it needs modules it says how they are installed."""
    exporter: Exporter = bench.make()
    require(bool(summary(type(exporter))) and bool(type(exporter).__doc__), "a docstring that says what it is", "none")
    require(not exporter.modules or bool(exporter.install), "the command that installs its modules", "none")


@promise(CONTRACTS, READ)
def it_writes_what_it_says(bench: Bench) -> None:
    """A small run with awkward names and a gap in a curve, or a small model, becomes a file, or a folder with some; it
    gives a sentence on one line or None."""
    exporter = make(bench)
    if exporter.ending is None:
        raise NotApplicable("it writes elsewhere, and nothing is sent for a trial")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run.mkdir()
        place = Path(folder) / f"out{exporter.ending.removesuffix('/')}"
        content = toy_run(run) if exporter.takes == "run" else toy_model(bench)
        sentence = write_by(exporter, "on trial", content, place, run)
        is_folder = exporter.ending.endswith("/")
        files = [path for path in place.rglob("*") if path.is_file()] if is_folder else [place]
        sizes = [path.stat().st_size for path in files if path.is_file() and not path.name.startswith(".")]
        require(sum(sizes) > 0, f"something written to {place.name}", "nothing")
        require({path.name for path in Path(folder).iterdir()} == {"run", place.name}, "nothing else", "more files")
    text = sentence is None or (isinstance(sentence, str) and "\n" not in sentence)
    require(text, "a sentence on one line, or None", repr(sentence))


@promise(CONTRACTS, READ)
def it_leaves_a_model_as_it_is(bench: Bench) -> None:
    """Exporting changes no parameter and no buffer."""
    exporter = make(bench)
    if exporter.takes != "model":
        raise NotApplicable("it takes runs")
    content = toy_model(bench)
    before = digest(content.model.translator)
    with tempfile.TemporaryDirectory() as folder:
        write_by(exporter, "on trial", content, Path(folder) / f"out{exporter.ending}", Path(folder))
    require(digest(content.model.translator) == before, "the same parameters and buffers", "others")
