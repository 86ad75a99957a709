"""All components that are installed keep their contracts, read off the registry."""

from __future__ import annotations

from typing import Any

import pytest

from metai2i import UserError
from metai2i.loading import KINDS
from metai2i.registry import Registry
from metai2i.testing import run_contracts
from metai2i.testing.scenes import toy_spec

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


def test_all_kinds_are_among_them():
    assert {param.values[0] for param in BUNDLED} == set(KINDS)
