"""Images on disk, and the names of their folders."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from metai2i import TaskSpec, UserError
from metai2i.cli import invoke as metai2i
from metai2i.data.images import save_map, save_photo, slug, slugs
from metai2i.metrics import builtin as metrics


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Pix2pix (5-shot)", "pix2pix-5-shot"),
        ("BiL-Pix2pix w/o Aux (5-shot)", "bil-pix2pix-w-o-aux-5-shot"),
        ("0006R0_f00930", "0006r0_f00930"),
        ("../../etc", "etc"),
        ("人物", "x"),
        ("", "x"),
    ],
)
def test_a_slug_is_safe(name, expected):
    assert slug(name) == expected


@given(st.lists(st.text(max_size=300)))
def test_every_name_has_a_folder_of_its_own_that_every_file_system_takes(names):
    folders = slugs(names, taken=["truth"])
    assert folders.keys() == set(names)
    assert len(set(folders.values())) == len(folders)
    assert "truth" not in folders.values()
    assert all(re.fullmatch(r"[a-z0-9._-]{1,120}", folder) and folder not in (".", "..") for folder in folders.values())


def test_ordinary_names_keep_their_slug_and_only_the_later_ones_are_told_apart():
    folders = slugs(["Pix2pix (5-shot)", "pix2pix 5 shot", "Truth", "BiL"], taken=["truth"])
    assert (folders["Pix2pix (5-shot)"], folders["BiL"]) == ("pix2pix-5-shot", "bil")
    assert re.fullmatch("pix2pix-5-shot-[0-9a-f]{8}", folders["pix2pix 5 shot"])
    assert re.fullmatch("truth-[0-9a-f]{8}", folders["Truth"])


@pytest.mark.parametrize("name", ["caf\udce9", "\ud800", "\x00", "A" * 254, "🙂" * 80, "..", "CON\n"])
def test_odd_names_have_folders_of_their_own_on_file_systems_without_capitals(name):
    folders = slugs([name, f"{name}!", name.swapcase() + "?"])
    assert len({folder.lower() for folder in folders.values()}) == 3
    assert all(len(folder.encode()) <= 120 for folder in folders.values())


def test_a_name_that_another_would_be_told_apart_by_is_no_clash():
    (_, short) = slugs(["a b", "a-b"]).values()
    assert len(set(slugs(["a b", short, "a-b"]).values())) == 3


def test_a_photo_is_saved_to_the_nearest_level_and_clipped(tmp_path):
    photo = torch.tensor([-2.0, -1.0, 0.0, 0.001, 1.0, 3.0]).expand(3, 2, 6).clone().requires_grad_()
    save_photo(tmp_path / "a" / "photo.png", photo)
    assert pixels(tmp_path / "a" / "photo.png")[0, :, 0].tolist() == [0, 0, 128, 128, 255, 255]


def test_an_image_read_back_measures_as_the_one_that_was_saved(tmp_path):
    photo, real = torch.rand(2, 1, 3, 40, 40) * 2.2 - 1.1
    save_photo(tmp_path / "photo.png", photo[0])
    saved = torch.tensor(pixels(tmp_path / "photo.png")).permute(2, 0, 1)[None] / 127.5 - 1
    # Only nearly: the order in which a mean is summed follows the layout in memory.
    assert metrics.mse(saved, real).tolist() == pytest.approx(metrics.mse(photo, real).tolist(), rel=1e-12)


def one_hot(ids: torch.Tensor, classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(ids, classes).permute(2, 0, 1).float()


def test_a_map_has_the_colours_of_its_source(tmp_path):
    palette = ((128, 64, 128), (0, 0, 0), (70, 130, 180))
    ids = torch.tensor([[0, 1], [2, 0]])
    save_map(tmp_path / "map.png", one_hot(ids, 3), TaskSpec(structure_channels=3, size=(2, 2), palette=palette))
    assert pixels(tmp_path / "map.png").tolist() == [[list(palette[i]) for i in row] for row in ids.tolist()]


@pytest.mark.parametrize(("classes", "levels"), [(2, [0, 255]), (3, [0, 127, 255]), (1, [0])])
def test_a_map_without_colours_is_grey(tmp_path, classes, levels):
    save_map(tmp_path / "map.png", one_hot(torch.arange(classes)[None], classes), TaskSpec(classes, (1, classes)))
    assert pixels(tmp_path / "map.png").tolist() == [[[level] * 3 for level in levels]]


def test_a_continuous_structure_is_shown_and_not_taken_for_labels(tmp_path):
    sketch = torch.tensor([[[0.0, 0.5, 1.0]]])
    save_map(tmp_path / "map.png", sketch, TaskSpec(structure_channels=1, size=(1, 3)))
    assert pixels(tmp_path / "map.png").tolist() == [[0, 128, 255]]


def test_an_image_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "images").write_text("a file")
    with pytest.raises(UserError, match="cannot write"):
        save_photo(tmp_path / "images" / "0.png", torch.zeros(3, 2, 2))


PLUGIN = '''
"""Two scenes whose names differ only in what a file name cannot hold."""
import torch
from metai2i import Batch, Task, TaskSource, TaskSpec, Translator, hookimpl


class Flat(Task):
    def __init__(self, name, level):
        self.id, self.level = name, level

    def __len__(self):
        return 6

    def load(self, indices):
        ones = torch.ones(len(indices), 1, 32, 32)
        return Batch(structure=ones, target=(ones * self.level).expand(-1, 3, -1, -1))


class Flats(TaskSource):
    def __init__(self) -> None:
        pass

    def spec(self):
        return TaskSpec(structure_channels=1, size=(32, 32))

    def tasks(self, split):
        return [Flat("人物", -1.0), Flat("風景", 1.0)]


class Grey(Translator):
    def __init__(self, *, spec, objective, level: float = 0.0) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(level))

    def players(self):
        return {"generator": [self.level]}

    def training_step(self, batch, step):
        yield "generator", {"zero": 0 * self.level}

    def translate(self, batch):
        return self.level.expand(len(batch["structure"]), 3, 32, 32)


@hookimpl
def register_task_sources(register):
    register("flats", Flats)


@hookimpl
def register_translators(register):
    register("grey", Grey)
'''
RECIPE = """
plugins: plugins
tasks: {use: flats}
episodes: {shots: 1, queries: 3}
translator: {use: grey}
pretrain: {iterations: 0}
objective: {l1: 1, adversarial: 0, perceptual: 0}
strategy: {use: none}
rows:
  a b: {}
  a-b: {translator: {use: grey, level: 1.0}}
  Truth: {translator: {use: grey, level: -1.0}}
  Copy: {strategy: {use: copy}}
"""


def test_no_scene_and_no_row_overwrites_the_images_of_another(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "flats.py").write_text(PLUGIN)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    out = tmp_path / "run"
    arguments = ["run", str(tmp_path / "recipe.yaml"), "--out", str(out), "--stages", str(tmp_path / "stages")]
    assert metai2i(arguments) == 0
    tasks = json.loads((out / "images" / "index.json").read_text())["tasks"]
    shown = {}
    for task in tasks:
        for row, folder in {**task["rows"], "its truth": "truth"}.items():
            shown[task["id"], row] = int(pixels(out / "images" / task["dir"] / folder / "0.png")[0, 0, 0])
    for scene, level in (("人物", 0), ("風景", 255)):
        levels = {row: value for (name, row), value in shown.items() if name == scene}
        assert levels == {"a b": 128, "a-b": 255, "Truth": 0, "Copy": level, "its truth": level}
