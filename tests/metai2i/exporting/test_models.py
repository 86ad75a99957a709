"""Models taken elsewhere: onnxruntime and torch.export paint what torch paints, for every bundled translator."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any, cast

import pytest
import torch
from small_models import MODELS_AND_WAYS, REGISTRY, bundled_translators, small_model

from metai2i import Objective, UserError
from metai2i.data.images import to_uint8
from metai2i.exporter import ModelContent
from metai2i.exporting.export import samples_of
from metai2i.exporting.onnx_file import Onnx, painted
from metai2i.exporting.torch_file import FACTS, TorchExport
from metai2i.exporting.traced import traced

DRAWING = {
    "spade with a code": (None,),
    "flow from noise": (None,),
    "stargan2": ("latent",),
    "stargan2_landmarks": ("latent",),
    "edgegan": ("sampled", "class"),
    "gpunit": ("latent",),
    "gpunit_labelled": ("latent",),
}
"""Those that draw, and in which ways."""
CASES = [pytest.param(name, way, id=f"{name} {way}") for name, way in MODELS_AND_WAYS]


def content_of(name: str, way: str | None, **options: Any) -> ModelContent:
    """A small model, and two samples of what it reads."""
    model = small_model(name, **options)
    model.translator.requires_grad_(False)
    return ModelContent(model, way, samples_of(model, way))


def test_no_bundled_translator_is_left_out():
    assert {name.partition(" ")[0] for name, _ in MODELS_AND_WAYS} == bundled_translators()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), CASES)
def test_onnxruntime_paints_what_torch_paints_for_any_number_of_images(name, way, tmp_path):
    """Against the translator itself, asked as the host asks it: what it draws is handed over by the seed."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    content = content_of(name, way)
    out = tmp_path / "model.onnx"
    Onnx().export(content, out)
    graph = onnx.load(str(out))
    said = json.loads({entry.key: entry.value for entry in graph.metadata_props}["metai2i"])
    fields = sorted(content.inputs)
    noise = [each for each in said["inputs"] if each not in fields]
    assert list(said["inputs"]) == [*fields, *noise]
    assert bool(noise) == (way in DRAWING.get(name, ()))
    assert said["images at once"] == "any number"
    torch.manual_seed(3)
    translator: Any = content.model.translator
    with torch.no_grad():
        expected = translator.translate(content.inputs, **({} if way is None else {"way": way}))
    torch.manual_seed(3)
    drawn = [torch.randn(2, *said["inputs"][each]["shape"]) for each in noise]
    got = painted(out.read_bytes(), (*fields, *noise), (*(content.inputs[field] for field in fields), *drawn))
    assert (to_uint8(got).int() - to_uint8(expected).int()).abs().max() <= 1
    assert (got - expected).abs().max() * 127.5 <= 0.5
    second = (*(content.inputs[field][1:] for field in fields), *(each[1:] for each in drawn))
    single = painted(out.read_bytes(), (*fields, *noise), second)
    assert (single - expected[1:]).abs().max() * 127.5 <= 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), CASES)
def test_a_program_of_torch_paints_what_the_translator_paints(name, way, tmp_path):
    content, out = content_of(name, way), tmp_path / "model.pt2"
    TorchExport().export(content, out)
    extra = {FACTS: ""}
    program = torch.export.load(out, extra_files=extra).module()
    followed = traced(content)
    assert json.loads(extra[FACTS])["inputs"].keys() == set(followed.names)
    for inputs, expected in followed.samples():
        with torch.no_grad():
            assert (program(*inputs) - expected).abs().max() * 127.5 <= 0.5


def test_dropout_that_stays_on_is_refused(tmp_path):
    content = content_of("pix2pix", None, width=4)
    tall = torch.nn.functional.one_hot(torch.zeros(2, 64, 64, dtype=torch.long), 3).permute(0, 3, 1, 2).float()
    deep = content_with(content, tall)
    with pytest.raises(UserError, match="'pix2pix' cannot be exported: it has dropout when it makes images"):
        TorchExport().export(deep, tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


def content_with(content: ModelContent, structure: torch.Tensor) -> ModelContent:
    """The same for larger images, so that the U-Net has layers with dropout."""
    from dataclasses import replace

    spec = replace(content.model.spec, size=tuple(structure.shape[-2:]))
    use = REGISTRY.get("translator", "pix2pix")
    translator = use(
        spec=spec, objective=Objective(l1=1, adversarial=0, perceptual=0), width=4, d_layers=2, dropout="always"
    ).eval()
    model = replace(content.model, translator=translator, spec=spec)
    return replace(content, model=model, inputs=content.inputs.replace(structure=structure))


class Looks(torch.nn.Module):
    """It looks at a number in Python."""

    ways = MappingProxyType[str, frozenset[str]]({})

    def translate(self, batch):
        return batch["target"] * (2.0 if float(batch["structure"].mean()) > 0.5 else 1.0)


def test_a_translator_that_looks_at_numbers_is_refused_with_the_reason(tmp_path):
    from dataclasses import replace

    content = content_of("pix2pix", None)
    looking = replace(content, model=replace(content.model, translator=cast(Any, Looks())))
    with pytest.raises(
        UserError, match=r"'pix2pix' cannot be exported: .*\(whatever it computes has to be computed by"
    ):
        TorchExport().export(looking, tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []
