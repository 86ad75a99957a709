"""What pays on a GPU: steps run, replayed as a CUDA graph, in bfloat16, channels last; and the paper's schedule.

    python benchmarks/gpu.py --quick
    python benchmarks/gpu.py --json gpu.json

Plain training steps of the bundled translators on noise, at the size of the small recipes and at the paper's, with the
objective of Eq. 7 less its perceptual term. `schedule` has the hours that the paper's 50,000 plain and 20,000 outer
steps (5 scenes, 5 inner steps, first order) take at the rates measured here, the perceptual term included.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from common import report
from torch import nn

from metai2i import Adaptation, Batch, Episode, Objective, Randomness, Step, TaskSpec, Translator
from metai2i.meta import inner_loop
from metai2i.meta.outer_step import meta_step, outer_optimizer
from metai2i.recipe.schema import Pretrain
from metai2i.registry import Registry
from metai2i.stages.pretrain import plain_optimizer
from metai2i.training.cuda_graphs import RecordedStep
from metai2i.training.driving import descend, drive

GPU = torch.device("cuda")
PAIRS, CLASSES = 5, 7
SMALL: Mapping[str, dict[str, Any]] = {
    "pix2pix": {"width": 16, "d_width": 8, "d_layers": 2},
    "pg2": {"width": 12, "widest": 96, "downs": 4, "d_width": 8, "d_layers": 2},
}
PLAIN, OUTER = 50_000, 20_000


def build(name: str, size: int, options: Mapping[str, Any], terms: Mapping[str, Any] | None = None) -> Translator:
    """Return a translator on the GPU."""
    objective = Objective(l1=1, adversarial=10, **(terms or {"perceptual": 0}))
    translator = Registry().get("translator", name)
    with Randomness((0,)).scope():
        gp: Translator = translator(spec=TaskSpec(CLASSES, (size, size)), objective=objective, **options)  # type: ignore[call-arg]
    return gp.to(GPU)


def pairs(size: int) -> Batch:
    """Return noise as pairs."""
    ids = torch.randint(CLASSES, (PAIRS, size, size), device=GPU)
    structure = nn.functional.one_hot(ids, CLASSES).permute(0, 3, 1, 2).float().contiguous()
    photos = [torch.rand(PAIRS, 3, size, size, device=GPU) * 2 - 1 for _ in range(2)]
    return Batch(structure=structure, target=photos[0], reference=photos[1])


def seconds(work: Callable[[], object], repeats: int, rounds: int = 3) -> float:
    """Return the median over rounds of the time of one call, after two more."""
    for _ in range(2):
        work()
    timings = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(repeats):
            work()
        torch.cuda.synchronize()
        timings.append((time.perf_counter() - began) / repeats)
    return statistics.median(timings)


def taking(gp: Translator, optimizer: torch.optim.Optimizer, batch: Batch, how: str) -> Callable[[], object]:
    """Return one plain training step, as `pretrain` takes it."""
    if how.startswith("run"):
        return partial(drive, gp, batch, Step(), descend(gp, optimizer))
    recorded = RecordedStep(gp, optimizer, batch, Step())

    def work() -> None:
        recorded(batch)
        recorded.check()

    return work


def plain_steps(name: str, size: int, options: Mapping[str, Any], repeats: int) -> list[dict[str, Any]]:
    """Return a line for each way of taking a plain training step."""
    batch, lines = pairs(size), []
    for how in ("run", "replayed", "run, bf16", "replayed, bf16", "run, channels last", "replayed, channels last"):
        gp = build(name, size, options)
        here = batch
        if "bf16" in how:
            gp.precision = "bf16"
        if "channels last" in how:
            gp.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            here = batch.map(lambda field: field.contiguous(memory_format=torch.channels_last))
        work = taking(gp, plain_optimizer(gp, Pretrain()), here, how)
        torch.cuda.reset_peak_memory_stats()
        took = seconds(work, repeats)
        peak = torch.cuda.max_memory_allocated() / 2**20
        print(f"{name} {size}x{size}, {how}: {1000 * took:.2f} ms", file=sys.stderr, flush=True)
        lines.append({"translator": name, "size": size, "step": how, "ms": 1000 * took, "peak MiB": peak})
    for line in lines:
        line["against run"] = line["ms"] / lines[0]["ms"]
    return lines


def schedule(name: str, size: int, net: str, repeats: int) -> list[dict[str, Any]]:
    """Return the hours that the paper's schedule takes at full size, run and replayed."""
    lines = []
    batch, step = pairs(size), Step()
    episodes = [Episode(str(n), pairs(size), pairs(size)) for n in range(5)]
    for how in ("run", "replayed"):
        gp = build(name, size, {}, {"perceptual": 2, "net": net})
        optimizer = plain_optimizer(gp, Pretrain())
        plain = seconds(taking(gp, optimizer, batch, how), repeats)
        strategy: Any = Registry().get("strategy", "bil")(inner=Adaptation(), steps=5)  # type: ignore[call-arg]
        outer = outer_optimizer(gp, strategy, 1e-4)
        with mock.patch.object(inner_loop, "replays", return_value=how == "replayed"):
            meta = seconds(partial(meta_step, gp, strategy, outer, episodes, step), max(1, repeats // 20))
        record = {"translator": name, "size": size, "step": how, "plain ms": 1000 * plain, "outer ms": 1000 * meta}
        hours = {"plain h": PLAIN * plain / 3600, "outer h": OUTER * meta / 3600}
        lines.append({**record, **hours, "hours": sum(hours.values())})
    return lines


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions (under a minute)")
    parser.add_argument("--net", default="vgg16", help="of the perceptual term in the schedule: vgg16, alex, squeeze")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the tables there (NAME.schedule.json)")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("torch sees no CUDA device")
    torch.backends.cudnn.deterministic = True  # as runs have it
    repeats = 10 if asked.quick else 100
    lines, hours = [], []
    for name, small in SMALL.items():
        lines += plain_steps(name, 64, small, repeats)
        lines += plain_steps(name, 128, {}, repeats)
        hours += schedule(name, 128, asked.net, repeats)
    report("Plain training steps on a GPU", lines, asked.json)
    file = asked.json and asked.json.with_suffix(".schedule.json")
    report(f"The paper's schedule at full size, LPIPS of {asked.net}", hours, file)


if __name__ == "__main__":
    main()
