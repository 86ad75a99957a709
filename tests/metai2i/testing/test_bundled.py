"""All components that are installed keep their contracts, read off the registry."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from metai2i import Episode, Step, UserError
from metai2i.loading import KINDS
from metai2i.registry import Registry
from metai2i.testing import run_contracts
from metai2i.testing.bench import step_at
from metai2i.testing.run import make_bench
from metai2i.testing.scenes import toy_spec
from metai2i.testing.strategy import learner

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "pix2pix": [{"width": 4, "d_layers": 2}],
    "pg2": [{"width": 4, "d_layers": 2}, {"width": 4, "variant": "original"}],
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
        found = run_contracts(kind, REGISTRY.get(kind, name), options, spec=spec)
    except UserError as error:  # it needs files or weights that are not here
        pytest.skip(str(error))
    assert {outcome.contract.name: str(outcome.error) for outcome in found if outcome.status == "failed"} == {}


class Shifted(Step):
    """A step at which the first episode has the address that it has as the second one elsewhere."""

    def at(self, *more: int | str, inner: bool | None = None) -> Step:
        if more[:1] == ("episode",):
            more = ("episode", int(more[1]) + 1)
        return Step(self.rng, self.index, self.total, self.phase, self.inner).at(*more, inner=inner)


@pytest.mark.parametrize("name", [name for name, found in REGISTRY.components("strategy").items() if found.meta])
def test_the_meta_gradient_of_two_episodes_is_the_mean_of_each_ones_at_its_address(name):
    """Exactly, whatever is drawn: so episodes can be worked on one by one, or by several processes."""
    bench = make_bench("strategy", REGISTRY.get("strategy", name), {"steps": 2})
    first, second, step = bench.episode(0), bench.episode(1), step_at()
    shifted = Shifted(step.rng, step.index, step.total, step.phase, step.inner)

    def gradients(episodes: list[Episode], at: Step) -> dict[str, torch.Tensor]:
        strategy, gp = learner(bench)
        strategy.meta_gradient(gp, episodes, at)
        named = {**dict(gp.named_parameters()), **dict(strategy.meta_parameters())}
        return {name: parameter.grad for name, parameter in named.items()}

    both, alone, other = gradients([first, second], step), gradients([first], step), gradients([second], shifted)
    largest = max(float(gradient.abs().max()) for gradient in both.values())
    for key, gradient in both.items():
        assert torch.allclose(gradient, (alone[key] + other[key]) / 2, rtol=1e-5, atol=1e-6 * largest)
        assert not torch.equal(alone[key], other[key])


def test_all_kinds_are_among_them():
    assert {param.values[0] for param in BUNDLED} == set(KINDS)
