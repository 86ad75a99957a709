"""What holds for every strategy, whatever it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from toys import Toy

from metai2i import Episode, MetaStrategy, Step, Translator
from metai2i.pipeline.runner import Runner
from metai2i.pipeline.stage_store import StageStore
from metai2i.recipe import load_recipe
from metai2i.registry import Registry
from metai2i.run_folder.results import read_results
from metai2i.training.checkpoint import digest

PLUGINS = Path(__file__).parent / "downstream" / "one_file"


def check_untouched(strategy: MetaStrategy, gp: Toy, episodes: Sequence[Episode]) -> None:
    """Neither adapting nor a meta-gradient changes the general model, its buffers, or what the strategy has learned."""
    strategy.prepare(gp)
    before, learned = digest(gp), {name: p.clone() for name, p in strategy.meta_parameters().items()}
    if strategy.meta:
        strategy.meta_gradient(gp, episodes[0], Step())
        assert all(p.grad is not None for p in gp.parameters())
    adapted = strategy.adapt(gp, episodes[0].support, Step())
    assert digest(gp) == before
    assert digest(adapted) != before
    assert gp.get_buffer("seen").item() == 0
    assert all(torch.equal(p, learned[name]) for name, p in strategy.meta_parameters().items())
    assert not {p.data_ptr() for p in gp.parameters()} & {p.data_ptr() for p in adapted.parameters()}


def check_ordinary(adapted: Translator, gp: Translator) -> None:
    """An adapted copy is a translator of the same kind that can be saved, moved and trained like any other."""
    assert type(adapted) is type(gp)
    assert {name: t.shape for name, t in adapted.state_dict().items()} == {
        name: t.shape for name, t in gp.state_dict().items()
    }
    assert all(isinstance(p, torch.nn.Parameter) and p.is_leaf and p.requires_grad for p in adapted.parameters())


def short_run(folder: Path, strategy: dict[str, Any], **sections: Any) -> dict[str, float]:
    """Two outer steps, adaptation and scores of a small Pix2pix on scenes of stripes, without and with a retriever.

    Returns:
        The mean squared error of each row, "plain" and "retrieved".
    """
    recipe = {
        "plugins": str(PLUGINS),
        "tasks": {"use": "stripes", "scenes": 3, "pairs": 6},
        "episodes": {"shots": 2, "queries": 2},
        "translator": {"use": "pix2pix", "width": 2, "downs": 2, "d_layers": 1},
        "objective": {"l1": 1, "adversarial": 0.1, "perceptual": 0},
        "pretrain": {"iterations": 2, "batch": 2},
        "metatrain": {"iterations": 2, "tasks": 2},
        "adapt": {"iterations": 2, "batch": 2, "lr": 1e-2},
        "aux": {"iterations": 1, "tasks": 2},
        "evaluate": {"images": 0, "tasks": 1, "metrics": ["mse"]},
        "compare": {"metric": "mse"},
        "strategy": strategy,
        "rows": {"plain": {}, "retrieved": {"retriever": {"use": "iou", "k": 2}}},
        **sections,
    }
    file, out = folder / "short.yaml", folder / "run"
    file.write_text(yaml.safe_dump(recipe))
    registry, store = Registry(), StageStore(folder / "stages")
    Runner(load_recipe(file, registry=registry), registry, out, store, torch.device("cpu")).run()
    columns: dict[str, list[float]] = {}
    for record in read_results(out / "results.csv"):
        if record.metric == "mse":
            columns.setdefault(record.row, []).append(record.value)
    assert set(columns) == {"plain", "retrieved"}
    return {row: sum(values) / len(values) for row, values in columns.items()}
