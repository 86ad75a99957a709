"""What CoCosNet's correlation takes of memory and time, all at once and a few rows at a time.

    python benchmarks/correlation.py --quick
    python benchmarks/correlation.py --json correlation.json

An exemplar's mean colours and its map of 19 classes are carried over to the layout of a map, at the published sizes: a
position for every 4x4 pixels, compared by 2,304 numbers each. `forward` is that alone, as where images are made;
`training` brings gradients to both sides as well; `a step` is a whole training step of a narrow translator, with two
samples at a time, of which the correlation is a part. Memory is the peak over what was resident before, each in a
process of its own; `matrix` is the size of the rows that are asked for, of which softmax and gradients hold some
copies. `value` tells whether the cases did the same work.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import MIB, interleaved, measure, report

from metai2i import Batch, Objective, Randomness, Step, TaskSpec
from metai2i.training.driving import descend, drive, parameter_groups

STRIDE, FEATURES, CLASSES, TEMPERATURE = 4, 256 * 9, 19, 0.01
WIDTH, SAMPLES = 8, 2
ALL_AT_ONCE = 0


def correlation(*, side: int, chunk: int, backward: bool) -> Callable[[], float]:
    """Carry over the values of an exemplar, and bring back gradients if they are wanted."""
    from metai2i_cocosnet.correlation import attend

    places = (side // STRIDE) ** 2
    generator = torch.Generator().manual_seed(0)
    queries, keys = (
        torch.nn.functional.normalize(torch.randn(1, places, FEATURES, generator=generator), dim=2)
        .detach()
        .requires_grad_(backward)
        for _ in range(2)
    )
    values = torch.rand(1, places, 3 + CLASSES, generator=generator)

    def run() -> float:
        carried = attend(queries, keys, values, TEMPERATURE, chunk or None)
        loss = carried.square().mean()
        if not backward:
            return float(loss)
        return float(torch.stack([gradient.norm() for gradient in torch.autograd.grad(loss, (queries, keys))]).sum())

    return run


def step(*, side: int, chunk: int) -> Callable[[], float]:
    """Take training steps of a narrow translator on noise."""
    from metai2i_cocosnet.translator import Cocosnet

    torch.manual_seed(0)
    objective = Objective(l1=10, adversarial=1, perceptual=0, gan="hinge")
    with Randomness((0,)).scope():
        translator = Cocosnet(
            spec=TaskSpec(CLASSES, (side, side)), objective=objective, width=WIDTH, d_layers=3, chunk=chunk
        )
    maps = torch.nn.functional.one_hot(torch.randint(CLASSES, (SAMPLES, side, side)), CLASSES).permute(0, 3, 1, 2)
    photos = torch.rand(SAMPLES, 3, side, side) * 2 - 1
    batch = Batch(
        structure=maps.float(), reference_structure=maps.flip(0).float(), target=photos, reference=photos.flip(0)
    )
    update = descend(translator, torch.optim.Adam(parameter_groups(translator, 1e-4)))
    return lambda: float(sum(drive(translator, batch, Step(), update).values()))


def compare(side: int, chunks: Sequence[int], rounds: int, repeats: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of one size, and what is to be said of cases that failed."""
    works = {
        "forward": partial(measure, correlation, backward=False, side=side, repeats=repeats),
        "training": partial(measure, correlation, backward=True, side=side, repeats=repeats),
        "a step": partial(measure, step, side=side, repeats=repeats),
    }
    cases = {(work, chunk): partial(run, chunk=chunk) for chunk in chunks for work, run in works.items()}
    measured, failed = interleaved({f"{side}, {work}, {chunk}": run for (work, chunk), run in cases.items()}, rounds)
    places, rows = (side // STRIDE) ** 2, []
    for (work, chunk), _ in cases.items():
        timing = measured.get(f"{side}, {work}, {chunk}")
        if timing is not None:
            rows.append(
                {
                    "pixels a side": side,
                    "positions": places,
                    "at a time": chunk or places,
                    "work": work,
                    "matrix, MiB": 4 * places * (chunk or places) * (SAMPLES if work == "a step" else 1) / MIB,
                    "peak, MiB": timing.peak,
                    "seconds": timing.seconds,
                    "value": timing.value,
                }
            )
    return rows, [f"{name} failed: {why}" for name, why in failed.items()]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="64 pixels, each case once")
    parser.add_argument("--json", type=Path, help="also write the table there")
    parser.add_argument("--sides", type=int, nargs="+", help="64 128 256")
    parser.add_argument("--chunks", type=int, nargs="+", help="positions at a time, 0 for all: 0 1024 128")
    parser.add_argument("--rounds", type=int, help="fresh processes for each case, in turns; their median counts")
    parser.add_argument("--repeats", type=int, help="timed repetitions in a process; their median counts")
    arguments = parser.parse_args()
    rows, notes = [], []
    for side in arguments.sides or ([64] if arguments.quick else [64, 128, 256]):
        fitting = [n for n in arguments.chunks or (ALL_AT_ONCE, 1024, 128) if n < (side // STRIDE) ** 2]
        measured, failed = compare(side, fitting, arguments.rounds or 1, arguments.repeats or 1)
        rows, notes = rows + measured, notes + failed
    report("CoCosNet's correlation", rows, arguments.json, notes=notes)


if __name__ == "__main__":
    main()
