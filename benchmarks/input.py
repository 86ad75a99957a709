"""How long plain training waits for its input: pairs read or drawn, augmented, and put together to batches.

    python benchmarks/input.py --quick
    python benchmarks/input.py --street DIR --faces DIR --json input.json

Pix2pix (width 16) with batches of five, as `metai2i run` trains it. `input ms` is what a batch costs: for the first
time (images are decoded or drawn), in a later process (decoded images are `kept` in the cache folder, an empty one
here), and `again` in the same. Batches are made while the step before them runs: `waited %` is the share of the time by
the clock for which training stood still because its next batch was not there yet.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import measure, report

from metai2i import Augment, Batch, Objective, Randomness, Step, TaskSource
from metai2i.data.prefetch import Prefetcher
from metai2i.data.sampling import Sampling
from metai2i.training.driving import descend, drive

BATCH, TARGET = 5, 2.0


def source_of(name: str, root: str | None, size: tuple[int, int]) -> TaskSource:
    """Return a task source at a size; its scenes are drawn where it has no root."""
    if name == "street":
        from metai2i_street.street import Street

        return Street(root=Path(str(root)), size=size)
    if name == "faces":
        from metai2i_faces.faces import Faces

        return Faces(root=Path(str(root)), size=size)
    from metai2i_scenes import Scenes

    return Scenes(kind="street" if name == "scenes street" else "face", size=size)


def batches_of(source: TaskSource) -> Callable[[int], Batch]:
    """Give the batch of a step."""
    tasks, sampling = source.tasks("train"), Sampling(Augment())
    return lambda i: sampling.mixed(tasks, BATCH, Randomness((0, "pretrain")).at(i))


def loading(*, name: str, root: str | None, size: tuple[int, int], steps: int) -> Callable[[], object]:
    """Load the batches and do nothing else."""
    draw_batch = batches_of(source_of(name, root, size))
    return lambda: [draw_batch(i) for i in range(steps)]


def training(
    *, name: str, root: str | None, size: tuple[int, int], steps: int, repeated: bool, report_file: str
) -> Callable[[], object]:
    """Return a short training, which writes the share of its time for which it waited into `report_file`."""
    from metai2i_pix2pix import Pix2pix

    source = source_of(name, root, size)
    draw_batch = batches_of(source)
    translator = Pix2pix(spec=source.spec(), objective=Objective(l1=10.0, adversarial=0.2, perceptual=0.0), width=16)
    update = descend(translator, torch.optim.Adam(translator.parameters(), lr=1e-4))

    def one_step(batch: Batch, i: int) -> None:
        drive(translator, batch, Step(Randomness((0, i)), i, steps), update)

    one_step(draw_batch(steps), 0)
    if repeated:
        for i in range(steps):
            draw_batch(i)

    def work() -> None:
        began = time.perf_counter()
        with Prefetcher(draw_batch, steps) as batches:
            for i in range(steps):
                one_step(batches(i), i)
        Path(report_file).write_text(str(100 * batches.waited / (time.perf_counter() - began)))

    return work


def row(name: str, root: str | None, size: tuple[int, int], steps: int, threads: int) -> dict[str, Any]:
    """Return what is measured of one source."""
    case = {"name": name, "root": root, "size": size, "steps": steps, "threads": threads, "repeats": 1}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["METAI2I_CACHE"] = cache
        first = measure(loading, **case, warm=0).wall
        kept = measure(loading, **case, warm=0).wall if root else None
        again = measure(loading, **case, warm=1).wall
        report_file = Path(cache) / "waited"
        run = partial(measure, training, **case, warm=0, report_file=str(report_file))
        cold = (run(repeated=False), float(report_file.read_text()))
        warm = (run(repeated=True), float(report_file.read_text()))
    milliseconds = 1000 / steps
    return {
        "source": name,
        "size": f"{size[0]}x{size[1]}",
        "input ms, first": first * milliseconds,
        "kept": None if kept is None else kept * milliseconds,
        "again": again * milliseconds,
        "step ms": warm[0].wall * milliseconds,
        "waited %, first": cold[1],
        "waited %, again": warm[1],
        f"under {TARGET:.0f} %": "yes" if warm[1] < TARGET else "no",
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few steps, small images (under three minutes)")
    parser.add_argument("--street", metavar="ROOT", help="the folder of street photographs (tasks.root)")
    parser.add_argument("--faces", metavar="ROOT", help="the folder of faces (tasks.root)")
    parser.add_argument("--steps", type=int, help="training steps  [default: 60; 15 with --quick]")
    parser.add_argument("--threads", type=int, default=1, help="of the numerical libraries  [default: 1]")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the table there")
    asked = parser.parse_args()
    steps = asked.steps or (15 if asked.quick else 60)
    cases: list[tuple[str, str | None, tuple[int, int]]] = [("scenes street", None, (64, 64))]
    cases += [] if asked.quick else [("scenes face", None, (64, 64)), ("scenes street", None, (128, 256))]
    for name, root, sizes in (
        ("faces", asked.faces, ((64, 64), (128, 128))),
        ("street", asked.street, ((64, 128), (128, 256))),
    ):
        cases += [(name, root, size) for size in (sizes[:1] if asked.quick else sizes) if root]
    rows = [row(name, root, size, steps, asked.threads) for name, root, size in cases]
    report(f"waiting for input, {asked.threads} thread(s), {steps} steps", rows, asked.json)


if __name__ == "__main__":
    main()
