"""Plain training of some recipes in one of several processes: a module, so that others can import what they do."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from metai2i.distributed.processes import Processes
from metai2i.losses.networks import only_networks
from metai2i.pipeline.assemble import Assembler
from metai2i.randomness import Randomness
from metai2i.recipe import load_recipe
from metai2i.registry import Registry
from metai2i.stages.pretrain import pretrain
from metai2i.training.checkpoint import digest
from metai2i.training.stage_context import StageContext


def train_in_parts(files: list[Path], processes: Processes) -> None:
    """Train the translators of some recipes plainly, and leave digests of what comes out, in the first process."""
    digests = {}
    for file in files:
        registry = Registry()
        ((name, row),) = load_recipe(file, registry=registry).rows.items()
        assembler = Assembler(registry, 0, torch.device("cpu"))
        translator, sampling = assembler.translator(row), assembler.sampling(row)
        stage = StageContext(file.parent / f"stage-{file.stem}", name, torch.device("cpu"), processes)
        with only_networks(assembler.digested, registry):
            tasks = assembler.source(row).tasks("train")
            pretrain(stage, translator, tasks, row.pretrain, sampling, Randomness((0, "pretrain")))
        digests[file.stem] = digest(translator)
    everybodys = processes.gather(digests)
    assert all(each == digests for each in everybodys)
    if processes.first:
        (files[0].parent / f"{processes.count}.json").write_text(json.dumps(digests))
