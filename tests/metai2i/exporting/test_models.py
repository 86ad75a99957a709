"""Models taken elsewhere: onnxruntime and torch.export paint what torch paints, for every bundled translator."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any, cast

import pytest
import torch

from metai2i import Objective, UserError
from metai2i.data.images import to_uint8
from metai2i.exporter import ModelContent
from metai2i.exporting.onnx_file import Onnx, painted
from metai2i.exporting.torch_file import FACTS, TorchExport
from metai2i.exporting.traced import traced
from metai2i.inference.model_file import AdaptedModel
from metai2i.inference.model_header import ModelRecord
from metai2i.registry import Registry
from metai2i.testing.run import make_bench
from metai2i.training.ways import fields_of_way, handed_over

SMALL: dict[str, dict[str, Any]] = {
    "pix2pix": {"width": 4, "d_layers": 2},
    "pg2": {"width": 4, "d_layers": 2},
    "spade": {"width": 4, "d_layers": 3},
    "spade with a code": {"width": 4, "d_layers": 3, "start": "encoder", "latent": 5},
    "spade_instances": {"width": 4, "d_layers": 3},
    "panoptic": {"width": 2, "d_layers": 2},
    "cocosnet": {"width": 2, "d_layers": 2},
    "flow": {"width": 4, "d_layers": 2, "steps": 2},
    "flow from noise": {"width": 4, "d_layers": 2, "source": "noise"},
    "stargan2": {"width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4},
    "edgegan": {"width": 2, "latent": 3},
    "gpunit": {"width": 2, "sampler_epochs": 1},
}
WAYS = {"stargan2": ("exemplar", "latent"), "edgegan": ("sketch", "sampled", "class"), "gpunit": ("exemplar", "latent")}
DRAWING = {
    "spade with a code": (None,),
    "flow from noise": (None,),
    "stargan2": ("latent",),
    "edgegan": ("sampled", "class"),
    "gpunit": ("latent",),
}
CASES = [pytest.param(name, way, id=f"{name} {way}") for name in SMALL for way in WAYS.get(name, (None,))]
REGISTRY = Registry()


def content_of(name: str, way: str | None, **options: Any) -> ModelContent:
    """A small translator with random weights, and two samples of what it reads."""
    use = name.partition(" ")[0]
    bench = make_bench("translator", REGISTRY.get("translator", use), {**SMALL[name], **options}, strategies={})
    translator = bench.make(spec=bench.spec, objective=Objective(l1=1, adversarial=1, perceptual=0))
    translator.eval().requires_grad_(False)
    batch = bench.needed(2)
    about: Any = {"translator": {"use": use, "options": {}}, "made": {"recipe": "toy", "row": "Line"}}
    model = AdaptedModel(translator, bench.spec, batch, None, cast(ModelRecord, about))
    given = handed_over(translator, batch, way)
    wanted = fields_of_way(translator, way)
    return ModelContent(model, way, type(given)(**{n: given[n].contiguous() for n in given if n in wanted}))


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
    single = painted(
        out.read_bytes(), (*fields, *noise), tuple(v[1:] for v in (*content.inputs.select([0, 1]).values(), *drawn))
    )
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
    content = content_of("pix2pix", None, dropout="always", width=4)
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
