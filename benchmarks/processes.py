"""How long a meta-iteration of five tasks takes on two cores: our processes, and learn2learn's plain loop.

    python benchmarks/processes.py --quick
    python benchmarks/processes.py --json processes.json

A step of the outer loop of Pix2pix at 128x128 on noise: five episodes of 5 support pairs, K inner steps of SGD in first
order and 5 query pairs each, the mean gradient, Adam. The loop is what a user of learn2learn writes: `clone_module`,
`update_module`, one task after the other, on two threads. `loss` tells whether the cases did the same work. Time is by
the clock: nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import atexit
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import interleaved, measure, report
from engines import LR, PAIRS, Work, weights

from metai2i import Adaptation, Episode, Step
from metai2i.distributed.launch import started
from metai2i.distributed.processes import ALONE, Processes
from metai2i.meta.clones import learn2learn_utils
from metai2i.meta.outer_step import outer_optimizer, shared_meta_step
from metai2i.training.device import keep_freed_memory

TASKS, CORES, OUTER_LR, TARGET = 5, 2, 1e-4, 1.5
BETAS = (0.5, 0.999)


def plain_loop(*, width: int, steps: int) -> Callable[[], float]:
    """Run learn2learn's two functions, one task after the other."""
    work, library = Work(width), learn2learn_utils()
    episodes = [(work._pairs(), work._pairs()) for _ in range(TASKS)]
    origin = weights(work.networks)
    outer = torch.optim.Adam([p for group in origin.values() for p in group], lr=OUTER_LR, betas=BETAS)

    def run() -> float:
        outer.zero_grad()
        total = 0.0
        for support, query in episodes:
            clones = {name: library.clone_module(network) for name, network in work.networks.items()}
            for _ in range(steps):
                for player, loss in work.moves(clones, support):
                    grads = torch.autograd.grad(loss, list(clones[player].parameters()))
                    library.update_module(clones[player], updates=[-LR * g for g in grads])
            for player, loss in work.moves(clones, query):
                total += float(loss.detach()) / TASKS
                for p, g in zip(
                    origin[player], torch.autograd.grad(loss, origin[player], retain_graph=True), strict=True
                ):
                    p.grad = g / TASKS if p.grad is None else p.grad + g / TASKS
        outer.step()
        return total

    return run


def step_of(width: int, steps: int, processes: Processes) -> Callable[[], float]:
    """Return the step of one of our processes."""
    from metai2i_bil import Bil

    keep_freed_memory()  # as every process of a run does
    work = Work(width)
    episodes = [Episode("noise", work._pairs(), work._pairs()) for _ in range(TASKS)]
    strategy = Bil(inner=Adaptation(optimizer="sgd", lr=LR, batch=PAIRS), steps=steps)
    outer = outer_optimizer(work.gp, strategy, OUTER_LR)
    share = {n: episodes[n] for n in processes.share(range(TASKS))}

    def run() -> float:
        losses = shared_meta_step(work.gp, strategy, outer, share, TASKS, Step(), None, processes)
        return float(sum(value for name, value in losses.items() if name.startswith("query/")))

    return run


def follow(setting: tuple[int, int], processes: Processes) -> None:
    """Take a step in the other processes whenever the first one does."""
    step = step_of(*setting, processes)
    while processes.gather(None)[0] == "a step":
        step()


def ours(*, width: int, steps: int, processes: int) -> Callable[[], float]:
    """Run our step in some processes."""
    if processes == 1:
        return step_of(width, steps, ALONE)
    stack = ExitStack()
    together = stack.enter_context(started(processes, torch.device("cpu"), follow, (width, steps)))
    atexit.register(stack.close)
    atexit.register(together.gather, "the end")  # runs before the other
    step = step_of(width, steps, together)

    def run() -> float:
        together.gather("a step")
        return step()

    return run


def compare(width: int, steps: int, rounds: int, repeats: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of one setting, and what is to be said of cases that failed."""
    settings: dict[str, Any] = {"width": width, "steps": steps, "repeats": repeats}
    peer = "learn2learn, plain loop, 2 threads"
    cases = {
        peer: partial(measure, plain_loop, threads=CORES, **settings),
        "ours: 1 process, 2 threads": partial(measure, ours, threads=CORES, processes=1, **settings),
        "ours: 2 processes, 1 thread each": partial(measure, ours, threads=1, processes=CORES, **settings),
    }
    measured, failed = interleaved(cases, rounds)
    base = measured.get(peer)
    rows = [
        {
            "width": width,
            "K": steps,
            "loop": name,
            "seconds by the clock": timing.wall,
            "times as fast as learn2learn": base.wall / timing.wall if base else None,
            "target": TARGET if name.startswith("ours: 2") else None,
            "loss": timing.value,
        }
        for name, timing in measured.items()
    ]
    return rows, [f"width {width}, K = {steps}: {name} failed: {why}" for name, why in failed.items()]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="width 16, K = 2, each case once")
    parser.add_argument("--json", type=Path, help="also write the table there")
    parser.add_argument("--widths", type=int, nargs="+", help="16 and 64")
    parser.add_argument("--steps", type=int, nargs="+", help="5")
    parser.add_argument("--rounds", type=int, help="fresh processes for each case, in turns; their median counts")
    parser.add_argument("--repeats", type=int, help="timed repetitions in a process; their median counts")
    arguments = parser.parse_args()
    rows, notes = [], []
    for width in arguments.widths or ([16] if arguments.quick else [16, 64]):
        for steps in arguments.steps or ([2] if arguments.quick else [5]):
            rounds = arguments.rounds or (1 if arguments.quick else 3)
            measured, failed = compare(width, steps, rounds, arguments.repeats or (1 if arguments.quick else 3))
            rows, notes = rows + measured, notes + failed
    report("A meta-iteration of five tasks on two cores", rows, arguments.json, notes=notes)


if __name__ == "__main__":
    main()
