"""All components that are installed keep their contracts, read off the registry."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from metai2i import UserError
from metai2i.losses import network
from metai2i.meta.outer_step import meta_step
from metai2i.registry import Registry
from metai2i.registry.loading import KINDS
from metai2i.testing import run_contracts
from metai2i.testing.bench import step_at
from metai2i.testing.run import make_bench
from metai2i.testing.scenes import toy_spec
from metai2i.testing.strategy import gradients_of, learner

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "pix2pix": [{"width": 4, "d_layers": 2}],
    "pg2": [{"width": 4, "d_layers": 2}, {"width": 4, "variant": "original"}],
    "spade": [{"width": 4, "d_layers": 3}, {"width": 4, "d_layers": 3, "start": "encoder", "latent": 5}],
    "spade_instances": [{"width": 4, "d_layers": 3}],
    "panoptic": [{"width": 2, "d_layers": 2}],
    "cocosnet": [{"width": 2, "d_layers": 2}],
    "stargan2": [{"width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4}],
    "stargan2_landmarks": [{"width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4, "high_pass": 1.0}],
    "edgegan": [{"width": 2, "latent": 3}],
    "gpunit-prior": [{"width": 2}],
    "gpunit": [{"width": 2, "sampler_epochs": 1}, {"width": 2, "sampler_epochs": 1, "graded": True, "skips": 1}],
    "flow": [
        {"width": 4, "d_layers": 2},
        {"width": 4, "d_layers": 2, "source": "noise", "predict": "velocity", "steps": 2},
    ],
    "flow_reference": [{"width": 4, "d_layers": 2}],
    "bil": [{"steps": 2}],
    "scenes": [{"size": (32, 32), "frames": 6, "train": 2, "val": 1, "test": 1}],
}
"""Small ones."""
FACES = toy_spec(classes=("background", "face", "eyebrows", "eyes", "lips", "inner-mouth"))
REGISTRY = Registry()
BUNDLED = [
    pytest.param(kind, name, options, id=f"{kind} {name} {n}")
    for kind in KINDS
    for name, component in REGISTRY.components(kind).items()
    if component.__module__.startswith("metai2i")
    for n, options in enumerate(OPTIONS.get(name, [{}]))
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name", "options"), BUNDLED)
def test_what_is_bundled_keeps_its_contracts(kind, name, options):
    spec = FACES if name.startswith("face_") else None
    try:
        for each in getattr(REGISTRY.get(kind, name), "feature_networks", ()):
            network(each).digest()
        outcomes = run_contracts(kind, REGISTRY.get(kind, name), options, spec=spec)
    except UserError as error:  # it needs files or weights that are not here
        pytest.skip(str(error))
    assert {outcome.contract.name: str(outcome.error) for outcome in outcomes if outcome.status == "failed"} == {}


@pytest.mark.parametrize("name", [name for name, status in REGISTRY.components("strategy").items() if status.meta])
def test_an_outer_steps_gradient_is_the_mean_over_its_episodes_each_at_its_address(name):
    """Exactly, whatever is drawn: so episodes can be worked on one by one, or by several processes."""
    bench = make_bench("strategy", REGISTRY.get("strategy", name), {"steps": 2})
    episodes, step = [bench.episode(0), bench.episode(1)], step_at()
    strategy, gp = learner(bench)
    still = torch.optim.SGD([*gp.parameters(), *strategy.meta_parameters().values()], lr=0.0)
    meta_step(gp, strategy, still, episodes, step)
    learned = {f"its own {name}": parameter for name, parameter in strategy.meta_parameters().items()}
    alone = [gradients_of(bench, e, step.at("task", n).at("episode", 0)) for n, e in enumerate(episodes)]
    for key, parameter in (dict(gp.named_parameters()) | learned).items():
        first, second = (gradients[key] for gradients in alone)
        assert torch.equal(parameter.grad, ((first.double() + second.double()) / 2).to(parameter.dtype))
        votes = key in learned and set(first.flatten().tolist()) <= {-1.0, 0.0, 1.0}  # which may be the same ones
        assert votes or not torch.equal(first, second)


def test_all_kinds_are_among_them():
    assert {param.values[0] for param in BUNDLED} == set(KINDS)
