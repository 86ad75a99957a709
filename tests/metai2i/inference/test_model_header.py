"""The header of an adapted model: whatever stands in it, a message, and nothing large is built or unpacked."""

from __future__ import annotations

import copy
import json
import random
import time
from pathlib import Path

import pytest
import torch
from metai2i_pix2pix import Pix2pix
from safetensors.torch import save_file
from torch import nn
from toys import ToyRegistry, ToyTask, toy_row

from metai2i import Objective, Randomness, TaskSpec, UserError, __version__
from metai2i.inference.model_file import description, read_adapted, save_adapted
from metai2i.inference.model_header import FORMAT, no_larger_than
from metai2i.training.checkpoint import load, save

CPU = torch.device("cpu")
SPEC = TaskSpec(structure_channels=3, size=(16, 16), classes=("a", "b", "c"), palette=((0, 0, 0),) * 3)
SMALL = {"width": 2, "downs": 2, "d_width": 2, "d_layers": 1}
SECONDS = 2.0


@pytest.fixture(scope="module")
def registry() -> ToyRegistry:
    toy_registry = ToyRegistry()
    toy_registry.known["translator", "pix2pix"] = Pix2pix
    return toy_registry


@pytest.fixture(scope="module")
def model(registry, tmp_path_factory) -> Path:
    """The file of a whole model."""
    row = toy_row(
        translator={"use": "pix2pix", "options": SMALL}, objective={"l1": 1.0, "adversarial": 1.0, "perceptual": 0.0}
    )
    with Randomness((1,)).scope():
        translator = Pix2pix(spec=SPEC, objective=Objective(**row.objective), **SMALL)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    about = description(row, SPEC, registry.identity("translator", "pix2pix"), {"row": "X", "metai2i": "0.1.0"})
    save_adapted(path, translator, ToyTask("scene", 2).load(range(2)), about)
    return path


def rewritten(model: Path, target: Path, header: str) -> Path:
    save_file(load(model)[0], target, metadata={"state": header})
    return target


def refused(path: Path, registry: ToyRegistry) -> str:
    began = time.process_time()
    with pytest.raises(UserError) as caught:
        read_adapted(path, registry, CPU)
    assert time.process_time() - began < SECONDS
    assert "\n" not in str(caught.value)
    return str(caught.value)


def put(about: dict, where: tuple, value: object) -> dict:
    about = copy.deepcopy(about)
    inner = about
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    return about


BAD = {
    "options null": (("translator", "options"), None, "damaged: translator.options: "),
    "options in a list": (("translator", "options"), [], "damaged: translator.options: "),
    "an option of another type": (("translator", "options", "width"), "2", "width: got the string '2'"),
    "no name": (("translator", "use"), 3, "damaged: translator.use: "),
    "objective null": (("objective",), None, "damaged: objective: "),
    "an unknown weight": (("objective",), {"nope": 1}, "damaged: objective: unknown option 'nope'"),
    "an infinite weight": (("objective", "l1"), 1e400, "objective.l1: got .inf, expected a finite number"),
    "reference as a number": (("reference",), 5, "damaged: reference: "),
    "plugin as a number": (("plugin",), 5, "damaged: plugin: "),
    "a palette of one": (("spec", "palette"), [[0, 0, 0]], "damaged: spec: got 1 colour"),
    "a palette of 300": (("spec", "palette"), [[0, 0, 0]] * 300, "got 300 colours"),
    "a colour out of range": (("spec", "palette", 0), [0, 0, 256], "damaged: spec.palette.0.2: "),
    "a large square": (("spec", "size"), [100_000, 100_000], "damaged: spec.size.0: "),
    "a long strip": (("spec", "size"), [32, 1_000_000], "damaged: spec.size.1: "),
    "another size": (("spec", "size"), [8192, 8192], "support.structure is (2, 16, 16)"),
    "a size of one": (("spec", "size"), [16], "damaged: spec.size: "),
    "fewer channels": (("spec",), {"structure_channels": 1, "size": [16, 16], "fields": [], "domains": 0, "classes": [],
                                   "palette": []}, "support.structure has the classes 0 to 2, expected 0 to 0"),
    "more channels": (("spec",), {"structure_channels": 60_000, "size": [16, 16], "fields": [], "domains": 0,
                                  "classes": [], "palette": []}, "larger than the one in the file"),
    "a wide network": (("translator", "options", "width"), 600, "far larger than the one in the file"),
    "a huge network": (("translator", "options", "width"), 10**7, "width: got 10000000, expected at most 1,000,000"),
    "a network with others": (("translator", "options", "width"), 3, "the weights do not fit"),
    "an unknown precision": (("precision",), "fp4", "damaged: precision: "),
    "a later format": (("format",), "metai2i adapted model 7",
                       "its format is 'metai2i adapted model 7', written by metai2i 0.1.0; this version reads"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_header_that_cannot_be_is_told_by_its_place(what, model, registry, tmp_path):
    where, value, words = BAD[what]
    header = json.dumps(put(load(model)[1], where, value))
    assert words in refused(rewritten(model, tmp_path / "x.safetensors", header), registry)


def test_a_model_that_does_not_fit_names_the_version_that_wrote_it(model, registry, tmp_path):
    header = put(put(load(model)[1], ("precision",), "fp4"), ("made", "metai2i"), "9.1.0")
    message = refused(rewritten(model, tmp_path / "x.safetensors", json.dumps(header)), registry)
    assert f"metai2i 9.1.0 wrote it, and this is metai2i {__version__}" in message


def test_json_nested_without_end_is_no_model(model, registry, tmp_path):
    header = json.dumps(load(model)[1])[:-1] + ', "more": ' + "[" * 100_000 + "]" * 100_000 + "}"
    assert "this is no adapted model" in refused(rewritten(model, tmp_path / "x.safetensors", header), registry)


VALUES = (None, [], {}, "", 5, -1, 1.5, True, "x" * 1000, 10**7, 10**30, 1e308, [[[]]], "\0", [8192, 8192], ["a"] * 300)


def places(value: object, before: tuple = ()) -> list[tuple]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for key, inner in items for p in [(*before, key), *places(inner, (*before, key))]]


def outcome(path: Path, registry: ToyRegistry) -> str | None:
    """Return what is said of a file; None where it is a model."""
    try:
        read_adapted(path, registry, CPU)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(4))
def test_any_change_of_the_header_gives_a_model_or_a_message(seed, model, registry, tmp_path):
    draw, about = random.Random(seed), load(model)[1]
    everywhere = places(about)
    for n in range(25):
        changed = put(about, draw.choice(everywhere), draw.choice(VALUES))
        path = rewritten(model, tmp_path / f"{n}.safetensors", json.dumps(changed))
        began = time.process_time()
        said = outcome(path, registry)
        assert said is None or str(path) in said
        assert time.process_time() - began < SECONDS


def test_weights_that_were_changed_are_found(model, registry, tmp_path):
    tensors, about = load(model)
    name = next(name for name in tensors if name.startswith("model."))
    tensors[name].view(-1)[0] += 1
    save(tmp_path / "x.safetensors", tensors, about)
    assert "its tensors are not those that were written" in refused(tmp_path / "x.safetensors", registry)


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("structure", torch.zeros(2, 16, 16), "support.structure is (2, 16, 16) of torch.float32"),
        ("structure", torch.full((2, 16, 16), 9, dtype=torch.uint8), "has the classes 9 to 9, expected 0 to 2"),
        ("structure", torch.full((2, 16, 16), -1, dtype=torch.int32), "has the classes -1 to -1"),
        ("target", torch.zeros(3, 3, 16, 16, dtype=torch.uint8), "support.target is (3, 3, 16, 16)"),
        ("structure", torch.zeros(0, 16, 16, dtype=torch.uint8), "support.structure is (0, 16, 16)"),
    ],
)
def test_a_support_that_does_not_go_with_the_spec_is_told(name, tensor, words, model, registry, tmp_path):
    tensors, about = load(model)
    save(tmp_path / "x.safetensors", {**tensors, f"support.{name}": tensor}, {**about, "tensors": None})
    assert words in refused(tmp_path / "x.safetensors", registry)


def test_a_model_of_before_has_no_digest_and_is_read(model, registry, tmp_path):
    tensors, about = load(model)
    save(tmp_path / "x.safetensors", tensors, {k: v for k, v in about.items() if k != "tensors"})
    assert read_adapted(tmp_path / "x.safetensors", registry, CPU).about["format"] == FORMAT


def test_a_network_may_be_as_large_as_its_file_and_is_then_built():
    small = {"weight": torch.zeros(10)}
    with no_larger_than(small):
        nn.Linear(20, 20)
    with pytest.raises(UserError, match="far larger"), no_larger_than(small):
        nn.Linear(2000, 2000)
    with pytest.raises(UserError, match="far larger"), no_larger_than(small):
        nn.ModuleList(nn.Linear(1, 1) for _ in range(10_000))
    nn.Linear(2000, 2000)
