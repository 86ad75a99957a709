"""Adapting and translating with a folder for each field, by a translator that is shown an exemplar and its map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from metai2i.cli import invoke
from metai2i.data.images import to_uint8
from metai2i.pipeline.runner import Runner
from metai2i.pipeline.stage_store import StageStore
from metai2i.recipe import load_recipe
from metai2i.registry import Registry
from metai2i.report.figures import figures
from metai2i.run_folder.reader import load_run

PLUGIN = '''
import torch
from torch import nn

from metai2i import Batch, Field, Task, TaskSource, TaskSpec, Translator, hookimpl


class Blocks(TaskSource):
    """Stripes, numbered from left to right, whose classes have colours of their own in every scene."""

    provides = frozenset({"structure", "target", "instances", "domain"})

    def __init__(self, *, scenes: int = 3) -> None:
        self.scenes = scenes

    def spec(self):
        return TaskSpec(3, (16, 16), self.provides, also={"domain": Field("label", 2, ("day", "night"))})

    def tasks(self, split):
        return [Scene(f"{split}-{n}") for n in range(self.scenes)]


class Scene(Task):
    def __init__(self, name):
        self.id = name

    def __len__(self):
        return 6

    def load(self, indices):
        colours = torch.rand(3, 3, generator=torch.Generator().manual_seed(sum(map(ord, self.id)))) * 2 - 1
        stripes = torch.stack([torch.arange(16) // 4 + i for i in indices])[:, None].expand(-1, 16, -1)
        ids = stripes % 3
        return Batch(
            structure=nn.functional.one_hot(ids, 3).permute(0, 3, 1, 2).float(),
            target=colours[ids].permute(0, 3, 1, 2),
            instances=stripes + 1,
            domain=torch.tensor([i % 2 for i in indices]),
        )


class Borrow(Translator):
    """Paints each class as the exemplar has it, brighter by a number that it learns, and instance 7 in white."""

    needs = frozenset(
        {"structure", "target", "instances", "domain", "reference", "reference_structure", "reference_domain"}
    )

    def __init__(self, *, spec, objective) -> None:
        super().__init__()
        self.objective = objective
        self.brighter = nn.Parameter(torch.zeros(1))

    def players(self):
        return {"generator": [self.brighter]}

    def training_step(self, batch, step):
        yield "generator", self.objective.generator(self.translate(batch), batch["target"])

    def translate(self, batch):
        maps = batch["reference_structure"]
        colours = torch.einsum("bkhw,bchw->bkc", maps, batch["reference"]) / maps.sum((2, 3)).clamp(min=1)[..., None]
        painted = torch.einsum("bkhw,bkc->bchw", batch["structure"], colours)
        night = -0.25 * (batch["domain"] - batch["reference_domain"]).view(-1, 1, 1, 1)
        return torch.where((batch["instances"] == 7)[:, None], 1.0, (painted + self.brighter + night).clamp(-1, 1))

    def shown(self, batch):
        return {"darker_exemplar": batch["reference"] / 2 - 0.5}


@hookimpl
def register_task_sources(register):
    register("blocks", Blocks)


@hookimpl
def register_translators(register):
    register("borrow", Borrow)
'''

RECIPE = """
name: borrowed
plugins: {plugins}
tasks: {{use: blocks}}
episodes: {{shots: 2, queries: 2}}
augment: null
translator: {{use: borrow}}
reference: {{rotate: 0, crop: 1, self_share: 0.25}}
objective: {{l1: 1, adversarial: 0, perceptual: 0}}
pretrain: {{iterations: 4, batch: 4, lr: 1e-3}}
adapt: {{iterations: 2, lr: 1e-3}}
evaluate: {{images: 1, tasks: 1, metrics: [mse]}}
compare: {{metric: mse}}
figures:
  Asked: {{columns: [structure, shown.darker_exemplar, Borrow]}}
rows:
  Borrow: {{strategy: {{use: finetune}}}}
"""

COLOURS = torch.tensor([[0.4, -0.6, -0.6], [-0.6, 0.4, -0.6], [-0.6, -0.6, 0.4]])


def photograph(classes: torch.Tensor, colours: torch.Tensor = COLOURS) -> Image.Image:
    return Image.fromarray(to_uint8(colours[classes].permute(2, 0, 1)).permute(1, 2, 0).numpy())


def grey(numbers: torch.Tensor, kind: type = np.uint8) -> Image.Image:
    return Image.fromarray(numbers.numpy().astype(kind))


def stripes(start: int) -> torch.Tensor:
    return (torch.arange(16) // 4 + start)[None].expand(16, -1)


def write_samples(folder: Path, count: int, *, photographs: bool = True, domain: str = "day") -> Path:
    """Writes a folder for each field; instances are in 16 bits of grey."""
    for name in ("structure", "instances", *(("target",) if photographs else ())):
        (folder / name).mkdir(parents=True)
    for n in range(count):
        grey(stripes(n) % 3).save(folder / "structure" / f"{n}.png")
        grey(stripes(n) + 1000, np.uint16).save(folder / "instances" / f"{n}.png")
        if photographs:
            photograph(stripes(n) % 3).save(folder / "target" / f"{n}.png")
    (folder / "domain.txt").write_text(domain)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a plugin, a finished run, and a model that was adapted to three samples."""
    folder = tmp_path_factory.mktemp("fields")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "borrow.py").write_text(PLUGIN)
    (folder / "borrowed.yaml").write_text(RECIPE.format(plugins=folder / "plugins"))
    registry, run = Registry(), folder / "runs" / "borrowed"
    recipe = load_recipe(folder / "borrowed.yaml", registry=registry)
    Runner(recipe, registry, run, StageStore(run.parent / ".stages"), torch.device("cpu")).run()
    assert adapt(folder, write_samples(folder / "support", 3), folder / "m.safetensors") == 0
    return folder


def adapt(folder: Path, support: Path, out: Path) -> int:
    words = ["adapt", str(folder / "runs" / "borrowed"), "--support", str(support), "--out", str(out)]
    return invoke([*words, "--plugins-dir", str(folder / "plugins")])


@pytest.fixture
def translate(trained, tmp_path, capsys):
    """Gives the exit code and stderr on one line."""

    def translate(inputs: Path, *more: str) -> tuple[int, str]:
        capsys.readouterr()
        words = ["translate", str(trained / "m.safetensors"), str(inputs), str(tmp_path / "out"), *more]
        code = invoke([*words, "--plugins-dir", str(trained / "plugins")])
        return code, " ".join(capsys.readouterr().err.split())

    return translate


def painted(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(path)).astype(np.int64))


def near(image: torch.Tensor, photo: Image.Image) -> bool:
    return int((image - torch.from_numpy(np.asarray(photo).astype(np.int64))).abs().max()) <= 3


def test_a_run_keeps_what_its_translator_was_shown_and_has_to_show(trained):
    run = load_run(trained / "runs" / "borrowed")
    (task,) = run.images.tasks
    assert {name: list(rows) for name, rows in task.shown.items()} == {
        name: ["Borrow"] for name in ("darker_exemplar", "instances", "reference_structure")
    }
    images = trained / "runs" / "borrowed" / "images" / task.dir
    exemplar = painted(images / task.reference["Borrow"] / "0.png")
    darker = painted(images / task.shown["darker_exemplar"]["Borrow"] / "0.png")
    assert (darker - exemplar // 2).abs().max() <= 1
    numbers = painted(images / task.shown["instances"]["Borrow"] / "1.png")
    assert len(numbers.reshape(-1, 3).unique(dim=0)) == 4  # stripes
    grey_levels = painted(images / task.shown["reference_structure"]["Borrow"] / "0.png")
    assert set(grey_levels.unique().tolist()) == {0, 127, 255}
    assert (exemplar[grey_levels[..., 0] == 0] == exemplar[grey_levels[..., 0] == 0][0]).all()


def test_figures_have_columns_of_what_is_shown(trained):
    run = load_run(trained / "runs" / "borrowed")
    (asked,) = figures(run)
    assert asked["headings"] == ["Input", "Darker exemplar", "Borrow"]
    assert [len(cell["images"]) for cell in asked["tasks"][0]["lines"][0]] == [1, 1, 1]


def test_the_model_keeps_what_its_exemplars_are_made_of(trained):
    with safe_open(trained / "m.safetensors", framework="pt") as file:
        shapes = {name: tuple(file.get_tensor(name).shape) for name in file.keys() if name.startswith("support.")}  # noqa: SIM118
        about = json.loads(file.metadata()["state"])
        assert file.get_tensor("support.instances").max() == 1005
    assert shapes == {"support.structure": (3, 16, 16), "support.target": (3, 3, 16, 16),
                      "support.instances": (3, 16, 16), "support.domain": (3,)}  # fmt: skip
    assert about["spec"]["also"]["domain"]["names"] == ["day", "night"]
    assert about["made"]["pairs"] == ["0", "1", "2"]


def test_it_paints_from_a_folder_for_each_field_with_the_colours_of_its_support(translate, tmp_path):
    inputs = write_samples(tmp_path / "in", 2, photographs=False)
    assert translate(inputs)[0] == 0
    for n in range(2):
        assert near(painted(tmp_path / "out" / f"{n}.png"), photograph(stripes(n) % 3))


def test_an_exemplar_and_its_map_can_be_named(translate, tmp_path):
    inputs = write_samples(tmp_path / "in", 2, photographs=False)
    other = COLOURS.flip(0) * 0.5
    photograph(stripes(1) % 3, other).save(tmp_path / "me.png")
    grey(stripes(1) % 3).save(tmp_path / "me_map.png")
    code, err = translate(inputs, "--reference", str(tmp_path / "me.png"))
    assert (code, "--reference-map names it" in err) == (2, True)
    named = ["--reference", str(tmp_path / "me.png"), "--reference-map", str(tmp_path / "me_map.png")]
    code, err = translate(inputs, *named)
    assert code == 2
    assert "the translator reads reference_domain, too" in err
    assert not (tmp_path / "out").exists()


def test_each_image_can_have_an_exemplar_of_its_own_in_folders(translate, tmp_path):
    inputs = write_samples(tmp_path / "in", 2, photographs=False)
    (inputs / "reference").mkdir()
    (inputs / "reference_structure").mkdir()
    (inputs / "reference_domain.txt").write_text("0,day\n1,night\n")
    other = [COLOURS * 0.5, COLOURS.flip(0) * 0.5]
    for n in range(2):
        photograph(stripes(2) % 3, other[n]).save(inputs / "reference" / f"{n}.png")
        grey(stripes(2) % 3).save(inputs / "reference_structure" / f"{n}.png")
    assert translate(inputs)[0] == 0
    assert near(painted(tmp_path / "out" / "0.png"), photograph(stripes(0) % 3, other[0]))
    assert near(painted(tmp_path / "out" / "1.png"), photograph(stripes(1) % 3, other[1] + 0.25))


def test_ids_and_labels_reach_the_translator_as_they_are_in_the_files(translate, tmp_path):
    inputs = write_samples(tmp_path / "in", 1, photographs=False, domain="night")
    colours = np.zeros((16, 16, 3), np.uint8)
    colours[..., 0] = stripes(5).numpy()  # COCO's R + 256 G + 65536 B
    Image.fromarray(colours).save(inputs / "instances" / "0.png")
    assert translate(inputs)[0] == 0
    image = painted(tmp_path / "out" / "0.png")
    assert (image[:, 8:12] == 255).all()
    assert near(image[:, :8], photograph((stripes(0) % 3)[:, :8], COLOURS - 0.25))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda d: (d / "instances" / "0.png").unlink(), "this sample has no instances"),
        (lambda d: (d / "domain.txt").write_text("dusk"), "domain.txt:1: no label is called 'dusk', expected a number "
                                                          "from 0 to 1 (known: 0 day, 1 night)"),
        (lambda d: (d / "domain.txt").write_text("0,day\n9,day"), "domain.txt:2: expected NAME,LABEL with the name"),
        (lambda d: (d / "domain.txt").unlink(), "domain.txt: the labels cannot be read"),
        (lambda d: (d / "instances").rename(d / "ids"), "there is no folder instances/ here"),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_and_nothing_is_painted(translate, tmp_path, harm, why):
    inputs = write_samples(tmp_path / "in", 2, photographs=False)
    harm(inputs)
    code, err = translate(inputs)
    assert code == 2
    assert why in err
    assert not (tmp_path / "out").exists()


def jpeg(path: Path) -> None:
    grey(stripes(0) + 1).save(path, format="JPEG")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (jpeg, "instances/0.png: "),
        (lambda p: grey(stripes(0) // 2).save(p), "instances/0.png: the ids do not refine the classes"),
        (lambda p: grey(stripes(0)).resize((16, 8)).save(p), "they do not show the same view"),
        (lambda p: grey(stripes(0)).convert("P").save(p), "expected ids in grey or in colours, got a palette"),
    ],
)
def test_a_sample_with_ids_that_are_none_is_told_and_the_others_are_painted(translate, tmp_path, harm, why):
    inputs = write_samples(tmp_path / "in", 2, photographs=False)
    harm(inputs / "instances" / "0.png")
    code, err = translate(inputs)
    assert code == 1
    assert why in err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.png", "contact.png"]


def test_pairs_do_not_give_what_a_translator_of_more_fields_needs(trained, tmp_path, capsys):
    photograph(stripes(0) % 3).save(tmp_path / "a.jpg")
    grey(stripes(0) % 3).save(tmp_path / "a.png")
    assert adapt(trained, tmp_path, tmp_path / "x.safetensors") == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "the translator needs domain, instances, which pairs of photographs and label maps do not give" in err
    assert "make a folder for each field: instances/, structure/, target/" in err
    assert not (tmp_path / "x.safetensors").exists()


def test_a_model_is_replaced_by_one_of_the_same_samples_only(trained, tmp_path, capsys):
    samples = write_samples(tmp_path / "support", 3)
    out = tmp_path / "x.safetensors"
    assert adapt(trained, samples, out) == 0
    assert adapt(trained, samples, out) == 0
    (samples / "domain.txt").write_text("night")
    assert adapt(trained, samples, out) == 2
    assert "is of other pairs (3 of them)" in " ".join(capsys.readouterr().err.split())
