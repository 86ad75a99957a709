"""A small translator without pairs, from the command line: run, check, adapt to a new domain, translate, data check."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metai2i.cli import invoke
from metai2i.pipeline.runner import Runner
from metai2i.pipeline.stage_store import StageStore
from metai2i.recipe import load_recipe
from metai2i.registry import Registry
from metai2i.report import build_report
from metai2i.run_folder.reader import load_run

PLUGIN = '''
import torch
from torch import nn

import metai2i
from metai2i import SetMetric, Translator


class Tint(Translator):
    """Gives the source the mean colour of the exemplar, by as much as it has learned."""

    needs = frozenset({"source", "domain", "reference", "reference_domain"})

    def __init__(self, *, spec, objective):
        super().__init__()
        self.much = nn.Parameter(torch.full((1,), 0.5))
        self.judge = nn.Conv2d(3, 1, 1)
        assert spec.field("domain").channels >= spec.domains

    def players(self):
        return {"judge": self.judge.parameters(), "generator": [self.much]}

    def training_step(self, batch, step):
        fake = self.translate(batch)
        real, faked = self.judge(batch["reference"]), self.judge(fake.detach())
        yield "judge", {"real": (real - 1).square().mean(), "fake": faked.square().mean()}
        apart = fake.mean((2, 3)) - batch["reference"].mean((2, 3))
        yield "generator", {"colour": apart.square().mean()}

    def translate(self, batch):
        source = batch["source"]
        towards = (batch["reference"] - source).mean((2, 3), keepdim=True)
        away = (batch["reference_domain"] != batch["domain"]).view(-1, 1, 1, 1)
        return (source + self.much * towards * away).clamp(-1, 1)


class Colours(SetMetric):
    """How far the mean colours of two sets are apart."""

    label, higher_is_better = "colours ↓", False

    def features(self, images):
        return images.mean((2, 3))

    def score(self, outputs, real):
        return float((outputs.mean(0) - real.mean(0)).norm())


@metai2i.hookimpl
def register_translators(register):
    register("tint", Tint)


@metai2i.hookimpl
def register_metrics(register):
    register("colours", Colours)
'''
RECIPE = """
name: tinted
plugins: {plugins}
tasks: {{use: domains, root: {root}, unseen: [wild], size: [16, 16]}}
episodes: {{shots: 2, queries: 4}}
augment: null
translator: {{use: tint}}
objective: {{l1: 1, adversarial: 0, perceptual: 0}}
pretrain: {{iterations: 2, batch: 2, lr: 1e-3}}
metatrain: {{iterations: 2, tasks: 2, lr: 1e-3}}
adapt: {{iterations: 30, lr: 2e-2}}
evaluate: {{images: 1, metrics: [colours], grid: {{sources: 2, references: 4}}}}
rows:
  as it is: {{strategy: {{use: none}}}}
  fine-tuned: {{strategy: {{use: finetune}}}}
  reptile: {{strategy: {{use: reptile, steps: 2}}}}
compare: {{baseline: as it is, metric: colours}}
"""
WILD, CAT = (60, 180, 60), (200, 120, 40)


def write_recipe(root: Path) -> Path:
    """Writes a plugin and a recipe beside domains."""
    (root.parent / "plugins").mkdir()
    (root.parent / "plugins" / "tint.py").write_text(PLUGIN)
    (root.parent / "recipe.yaml").write_text(RECIPE.format(plugins=root.parent / "plugins", root=root))
    return root.parent / "recipe.yaml"


@pytest.fixture(scope="module")
def run(lasting) -> Path:
    """The run of the recipe, without its report."""
    registry = Registry()
    recipe = load_recipe(write_recipe(lasting), registry=registry)
    folder = lasting.parent / "runs" / "tinted"
    return Runner(recipe, registry, folder, StageStore(folder.parent / ".stages"), torch.device("cpu")).run()


def called(*words: str | Path) -> int:
    return invoke([str(word) for word in words])


def mean_colour(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).mean((0, 1))


def test_outputs_are_held_against_photographs_of_the_domain_that_nobody_was_shown(run):
    numbers = {record.row: record.value for record in load_run(run).records if record.metric == "colours"}
    assert set(numbers) == {"as it is", "fine-tuned", "reptile"}
    assert numbers["fine-tuned"] < 0.5 * numbers["as it is"]


def test_a_grid_has_sources_beside_and_each_exemplar_once_above(run):
    (task,) = json.loads((run / "images" / "index.json").read_text())["tasks"]
    folder = run / "images" / task["dir"]
    with Image.open(folder / f"{task['grid']['as it is']}.png") as image:
        sheet = np.asarray(image.convert("RGB")).astype(float)
    # A gap of 4 around, cells of 16, the first row and column 12 further away.
    assert sheet.shape == (4 + 20 + 12 + 2 * 20, 4 + 20 + 12 + 2 * 20, 3)
    above = [sheet[4:20, left : left + 16].mean((0, 1)) for left in (36, 56)]
    beside = [sheet[top : top + 16, 4:20].mean((0, 1)) for top in (36, 56)]
    assert not np.array_equal(*above)
    assert all(np.abs(colour - WILD).max() < 6 for colour in above)
    assert all(np.abs(colour - WILD).max() > 60 for colour in beside)


def test_the_report_shows_what_goes_in_and_the_photographs_of_the_support(run):
    (task,) = json.loads((run / "images" / "index.json").read_text())["tasks"]
    folder = run / "images" / task["dir"]
    assert all(np.abs(mean_colour(folder / "support" / f"{n}.png") - WILD).max() < 6 for n in range(2))
    text = build_report(run).read_text()
    images = text[text.index('<section id="images">') : text.index('<section id="losses">')]
    assert "no image" not in images
    assert '<th scope="col"><span>Input</span></th>' in images


def test_it_keeps_the_contracts_of_a_translator(run, capsys):
    assert called("check", "tint", "--plugins-dir", plugins_of(run)) == 0
    assert "failed" not in capsys.readouterr().out


def plugins_of(run: Path) -> Path:
    return run.parent.parent / "plugins"


def adapt(run: Path, support: Path, out: Path) -> int:
    row = ("--row", "fine-tuned", "--plugins-dir", plugins_of(run), "--device", "cpu")
    return called("adapt", run, "--support", support, "--out", out / "model.safetensors", *row)


def translate(run: Path, inputs: Path, out: Path) -> int:
    return called("translate", out / "model.safetensors", inputs, out / "images", "--plugins-dir", plugins_of(run))


def write_support(afhq: Path, folder: Path) -> Path:
    """Writes photographs of wild animals, and cats as inputs."""
    shutil.copytree(afhq / "train" / "wild", folder / "reference")
    shutil.copytree(afhq / "train" / "cat", folder / "source")
    (folder / "domain.txt").write_text("cat")
    return folder


def write_inputs(afhq: Path, folder: Path) -> Path:
    """Writes cats that did not train."""
    shutil.copytree(afhq / "val" / "cat", folder / "source")
    (folder / "domain.txt").write_text("cat")
    return folder


def test_a_model_adapts_to_inputs_and_photographs_of_a_new_domain_and_translates_into_it(run, lasting, tmp_path):
    assert adapt(run, write_support(lasting, tmp_path / "support"), tmp_path) == 0
    inputs = write_inputs(lasting, tmp_path / "in")
    assert translate(run, inputs, tmp_path) == 0
    for path in (inputs / "source").iterdir():
        assert np.abs(mean_colour(tmp_path / "images" / path.name) - WILD).max() < 16


def test_exemplars_of_the_support_are_of_the_domain_that_is_asked_for_whatever_its_inputs_are(
    run, lasting, tmp_path, capsys
):
    assert adapt(run, write_support(lasting, tmp_path / "support"), tmp_path) == 0
    inputs, plain = write_inputs(lasting, tmp_path / "in"), ("--plugins-dir", plugins_of(run))
    for number, more in enumerate(((), ("--domain", "a new domain"))):
        model, out = tmp_path / "model.safetensors", tmp_path / str(number)
        assert called("translate", model, inputs, out, *more, *plain) == 0
    assert np.array_equal(mean_colour(tmp_path / "0" / "024.png"), mean_colour(tmp_path / "1" / "024.png"))
    capsys.readouterr()
    assert called("translate", tmp_path / "model.safetensors", inputs, tmp_path / "2", "--domain", "cat", *plain) == 2
    assert "--domain cat: no sample of the support is of this domain" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "2").exists()


def test_photographs_of_a_new_domain_alone_are_a_support(run, lasting, tmp_path, capsys):
    assert adapt(run, lasting / "train" / "wild", tmp_path) == 0
    assert "8 samples without pairs" in capsys.readouterr().err
    inputs = write_inputs(lasting, tmp_path / "in")
    assert translate(run, inputs, tmp_path) == 0
    first = mean_colour(tmp_path / "images" / "024.png")
    assert np.abs(first - (np.add(CAT, WILD) / 2)).max() < 15  # nothing to learn of images of the same domain


def test_an_exemplar_from_elsewhere_is_of_the_domain_of_the_support_where_nobody_says_otherwise(run, lasting, tmp_path):
    assert adapt(run, lasting / "train" / "wild", tmp_path) == 0
    inputs = write_inputs(lasting, tmp_path / "in")
    outputs = []
    for number, more in enumerate(((), ("--domain", "a new domain"), ("--domain", "cat"))):
        words = ["--reference", lasting / "train" / "dog" / "008.png", *more, "--plugins-dir", plugins_of(run)]
        assert called("translate", tmp_path / "model.safetensors", inputs, tmp_path / str(number), *words) == 0
        outputs.append(mean_colour(tmp_path / str(number) / "024.png"))
    assert np.array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (
            "domain.txt",
            "cow",
            "domain.txt:1: no label is called 'cow', expected a number from 0 to 3 (known: 0 cat, 1 dog, ",
        ),
        ("domain.txt", None, "domain.txt: the labels cannot be read"),
        ("reference_domain.txt", "wlid", "did you mean 'wild'?"),
    ],
)
def test_an_unknown_domain_of_a_support_is_told(run, lasting, tmp_path, capsys, name, text, why):
    support = write_support(lasting, tmp_path / "support")
    (support / name).unlink(missing_ok=True)
    if text is not None:
        (support / name).write_text(text)
    assert adapt(run, support, tmp_path) == 2
    assert why in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "model.safetensors").exists()


def test_a_reference_of_an_unknown_domain_is_told_while_translating(run, lasting, tmp_path, capsys):
    assert adapt(run, lasting / "train" / "wild", tmp_path) == 0
    inputs = write_inputs(lasting, tmp_path / "in")
    shutil.copytree(lasting / "val" / "cat", inputs / "reference")
    (inputs / "reference_domain.txt").write_text("dgo")
    capsys.readouterr()
    assert translate(run, inputs, tmp_path) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "reference_domain.txt:1: no label is called 'dgo'" in err
    assert "did you mean 'dog'?" in err
    assert not (tmp_path / "images").exists()


def test_data_check_finds_what_is_in_two_splits_or_domains(afhq, capsys):
    recipe = write_recipe(afhq)
    assert called("data", "check", recipe) == 0
    capsys.readouterr()
    Image.open(afhq / "train" / "cat" / "000.png").save(afhq / "val" / "wild" / "copy.bmp")  # equal pixels, other bytes
    assert called("data", "check", recipe) == 2
    text = " ".join("".join(capsys.readouterr()).split())
    assert "the same photograph is in several splits: train scene 'train/cat', sample 0; test scene 'test/wild'" in text
    shutil.copy(afhq / "train" / "cat" / "000.png", afhq / "train" / "dog" / "copy.png")
    assert called("data", "check", recipe) == 2
    assert "the same image is in several domains" in " ".join("".join(capsys.readouterr()).split())
