"""A finished run of a few seconds, and pairs of a scene that it has not seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from metai2i.data.images import to_uint8
from metai2i.pipeline.runner import Runner
from metai2i.pipeline.stage_store import StageStore
from metai2i.recipe import load_recipe
from metai2i.registry import Registry

PLUGINS = Path(__file__).parent / "downstream" / "one_file"

RECIPE = f"""
name: small
plugins: {PLUGINS}
tasks: {{use: stripes, scenes: 3, pairs: 6}}
episodes: {{shots: 2, queries: 2}}
augment: null
translator: {{use: line, gain: 1.5}}
objective: {{l1: 1, adversarial: 0, perceptual: 0}}
pretrain: {{iterations: 20, batch: 4, lr: 1e-2}}
metatrain: {{iterations: 3, tasks: 2}}
adapt: {{iterations: 10, lr: 1e-1}}
aux: {{iterations: 2, tasks: 2}}
evaluate: {{images: 0, tasks: 1, metrics: [mse]}}
compare: {{metric: mse}}
rows:
  Copy: {{strategy: {{use: copy}}}}
  Line: {{strategy: {{use: none}}}}
  Line (2-shot): {{strategy: {{use: finetune}}}}
  Aux: {{strategy: {{use: finetune}}, retriever: {{use: iou, k: 2}}}}
  Reptile (2-shot): {{strategy: {{use: reptile, steps: 2}}}}
"""


def make_run(folder: Path) -> Path:
    """Runs it; its stages go to `folder/runs/.stages`. Gives the run's folder."""
    (folder / "small.yaml").write_text(RECIPE)
    registry, run = Registry(), folder / "runs" / "small"
    recipe = load_recipe(folder / "small.yaml", registry=registry)
    return Runner(recipe, registry, run, StageStore(run.parent / ".stages"), torch.device("cpu")).run()


def forget_digests(run: Path) -> None:
    """Makes a run's folder one of an older version, whose files may be changed unnoticed."""
    provenance = json.loads((run / "provenance.json").read_text())
    for name in ("files", "measured"):
        provenance.pop(name)
    (run / "provenance.json").write_text(json.dumps(provenance))


def colours() -> torch.Tensor:
    """Of the scene's three classes: (3, 3), in [-1, 1]."""
    return torch.tensor([[0.8, -0.6, -0.6], [-0.6, 0.8, -0.6], [-0.6, -0.6, 0.8]])


def write_scene(folder: Path, pairs: int, maps: int) -> None:
    """Writes `pairs/` and `maps/`, stripes in three colours."""
    for name, count in (("pairs", pairs), ("maps", maps)):
        (folder / name).mkdir()
        for n in range(count):
            ids = ((torch.arange(32) // 4 + n) % 3)[None].expand(32, -1)
            photo = to_uint8(colours()[ids].permute(2, 0, 1)).permute(1, 2, 0).numpy()
            target = folder / name / (f"{n}_map.png" if name == "pairs" else f"{n}.png")
            Image.fromarray(ids.numpy().astype(np.uint8)).save(target)
            if name == "pairs":
                Image.fromarray(photo).save(folder / name / f"{n}.png")
