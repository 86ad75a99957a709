from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from metai2i.cli import invoke
from metai2i.data.contact_sheet import cell
from metai2i.data.images import to_uint8
from metai2i.data_tools.episode_sheet import drawn_episodes
from metai2i.pipeline.assemble import Assembler
from metai2i.recipe import load_recipe
from metai2i.registry import Registry

STRIPES = Path(__file__).parents[2] / "downstream" / "one_file" / "stripes.py"

RECIPE = """
plugins: mine
tasks: {use: stripes, scenes: 2, pairs: 5}
episodes: {shots: 2, queries: 3}
translator: {use: line}
objective: {l1: 1, adversarial: 0, perceptual: 0}
strategy: {use: finetune}
"""

COMMAND = """
import click
import metai2i

@click.command(epilog="\\b\\nExamples:\\n  metai2i data faces")
@click.argument("film")
def prepare(film):
    "Cut faces out of films."
    click.echo(f"cut {film}")

@metai2i.hookimpl
def register_data_commands(register):
    register("faces", prepare)
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working directory with a recipe of drawn stripes, of which every pair is a photograph of its own."""
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    text = STRIPES.read_text()
    shifting = "torch.arange(self.size) // 4 + i) % 3 for i in indices"
    assert shifting in text
    text = text.replace(shifting, "torch.arange(self.size) // (1 + i)) % 3 for i in indices")
    Path("mine/stripes.py").write_text(text)
    Path("my.yaml").write_text(RECIPE)
    return tmp_path


def test_good_data_is_told_in_tables_with_exit_code_0(here, capsys):
    assert invoke(["data", "check", "my.yaml"]) == 0
    out = capsys.readouterr().out
    assert ["train", "2", "10", "5", "32x32", "0"] in [line.split() for line in out.splitlines()]
    shares = [float(share) for _, share in re.findall(r"^([012]) +\1 +(\d+\.\d+) ", out, re.MULTILINE)]
    assert sum(shares) == pytest.approx(100, abs=0.02)
    assert out.endswith("\n0 errors, 0 warnings\n")


def test_a_structure_that_is_no_label_map_is_said_to_have_channels(here, capsys):
    path = Path("mine/stripes.py")
    text = path.read_text()
    spec = next(line for line in text.splitlines() if "TaskSpec(" in line and "return" in line)
    mapped = spec.replace("TaskSpec(", "TaskSpec(also={'structure': metai2i.Field('map', 3)}, ")
    path.write_text("import metai2i\n" + text.replace(spec, mapped).replace("from __future__ import annotations\n", ""))
    assert invoke(["data", "check", "my.yaml"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("stripes: 3 channels, 32x32")
    assert "share of all pixels" not in out


def test_a_contact_sheet_of_every_split_is_written(here, capsys):
    assert invoke(["data", "check", "my.yaml", "--out", "sheets"]) == 0
    assert sorted(path.name for path in Path("sheets").iterdir()) == ["test.png", "train.png", "val.png"]
    assert np.asarray(Image.open("sheets/train.png")).std() > 10
    assert "sheets/train.png" in capsys.readouterr().out


def test_a_sheet_may_be_written_again_but_over_no_other_file(here, capsys):
    Path("sheets").mkdir()
    Path("sheets/val.png").write_text("mine")
    assert invoke(["data", "check", "my.yaml", "--out", "sheets"]) == 2
    assert "sheets/val.png: a contact sheet would be written over this file" in capsys.readouterr().err
    assert [path.read_text() for path in Path("sheets").iterdir()] == ["mine"]
    Path("sheets/val.png").unlink()
    for _ in range(2):
        assert invoke(["data", "check", "my.yaml", "--out", "sheets"]) == 0


def test_a_split_of_which_there_is_no_sheet_is_told(here, capsys, monkeypatch):
    monkeypatch.setattr(
        "metai2i.data_tools.dataset_check.note", lambda *args, **more: None
    )  # no sample has anything to show
    invoke(["data", "check", "my.yaml", "--out", "sheets"])
    assert "no sheet of train: no sample has an image or a structure of the wanted size" in capsys.readouterr().out
    assert not Path("sheets").exists()


def test_a_sheet_shows_support_and_queries_as_a_run_draws_them(here, capsys):
    assert invoke(["data", "check", "my.yaml", "--sheet", "episodes.png"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:-1] == ["episodes.png", ""]
    registry = Registry([Path("mine")])
    recipe = load_recipe(Path("my.yaml"), (), registry)
    (row,) = recipe.rows.values()
    assembler = Assembler(registry, recipe.seed, torch.device("cpu"))
    episodes = drawn_episodes(row, assembler)
    sheet = np.asarray(Image.open("episodes.png"))
    spec = assembler.source(row).spec()
    assert [(e.support.size, e.query.size) for e in episodes] == [(2, 3)] * 2
    high, wide, head, gap, between = 64, 32, 18, 4, 24  # a map above its photograph, and what is left between
    assert sheet.shape[:2] == (2 * (head + high + gap) + gap, gap + 5 * (wide + gap) + between)
    for n, episode in enumerate(episodes):
        top = gap + n * (head + high + gap) + head
        for batch, left in ((episode.support, gap), (episode.query, gap + 2 * (wide + gap) + between)):
            for place in range(batch.size):
                image = cell(batch["structure"][place], batch["target"][place], spec).permute(1, 2, 0).numpy()
                at = left + place * (wide + gap)
                assert (sheet[top : top + high, at : at + wide] == image).all()


def test_a_sheet_of_unpaired_data_shows_exemplars_and_inputs(here, capsys):
    draw = np.random.default_rng(0)
    for split, domain, n in itertools.product(("train", "test"), "ab", range(4)):
        Path(f"domains/{split}/{domain}").mkdir(parents=True, exist_ok=True)
        noise = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(f"domains/{split}/{domain}/{n}.png")
    translator = {"use": "stargan2", "width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4}
    recipe = {
        "tasks": {"use": "domains", "root": "domains", "size": [32, 32]},
        "episodes": {"shots": 2, "queries": 2},
        "translator": translator,
        "objective": {"l1": 0, "adversarial": 1, "perceptual": 0},
        "pretrain": {"iterations": 1, "batch": 2},
        "strategy": {"use": "none"},
        "evaluate": {"metrics": ["swd"]},
        "compare": {"metric": "swd"},
    }
    Path("unpaired.yaml").write_text(yaml.safe_dump(recipe))
    assert invoke(["data", "check", "unpaired.yaml", "--sheet", "sheet.png"]) == 0
    assert "samples per scene" in capsys.readouterr().out
    registry = Registry([])
    (row,) = load_recipe(Path("unpaired.yaml"), (), registry).rows.values()
    episodes = drawn_episodes(row, Assembler(registry, 0, torch.device("cpu")))
    sheet = np.asarray(Image.open("sheet.png")).transpose(2, 0, 1)
    size, head, gap, between = 32, 18, 4, 24
    assert sheet.shape[1:] == (2 * (head + size + gap) + gap, gap + 4 * (size + gap) + between)
    for n, episode in enumerate(episodes):
        top = gap + n * (head + size + gap) + head
        for photos, left in (
            (episode.support["reference"], gap),
            (episode.query["source"], 3 * gap + 2 * size + between),
        ):
            for place, photo in enumerate(photos):
                begin = left + place * (size + gap)
                assert (sheet[:, top : top + size, begin : begin + size] == to_uint8(photo).numpy()).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jpg", "a sheet is written to a .png file, got 'a.jpg'"),
        ("mine.png", "mine.png: a contact sheet would be written over this"),
        ("nowhere/a.png", "nowhere: there is no such folder"),
    ],
)
def test_a_sheet_that_cannot_be_written_is_told_before_data_is_read(here, capsys, name, message):
    Path("mine.png").write_bytes(b"a photograph")
    assert invoke(["data", "check", "my.yaml", "--sheet", name]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert Path("mine.png").read_bytes() == b"a photograph"


def test_no_sheet_is_written_of_data_with_errors(here, capsys):
    assert invoke(["data", "check", "my.yaml", "episodes.queries=9", "--sheet", "a.png"]) == 2
    assert "no sheet is written to a.png: the data has errors" in capsys.readouterr().out
    assert not Path("a.png").exists()


def test_warnings_are_exit_code_1_only_when_they_are_asked_to_be(here, capsys):
    shutil.copy(STRIPES, "mine/stripes.py")  # three shifts only: the fourth pair is the first again
    assert invoke(["data", "check", "my.yaml"]) == 0
    assert invoke(["data", "check", "my.yaml", "--strict"]) == 1
    assert "warning: 12 photographs are there again in one scene" in capsys.readouterr().out


def test_errors_are_exit_code_2(here, capsys):
    assert invoke(["data", "check", "my.yaml", "tasks.pairs=4"]) == 2
    out = capsys.readouterr().out
    assert "error: test: 2 scenes have fewer pairs than 5, shots and queries together" in out
    assert "'test-0' has 4" in out
    assert "1 errors, 2 warnings" in out  # training and validation scenes are not drawn episodes from


def test_training_scenes_are_too_short_for_rows_that_meta_train(here, capsys):
    assert invoke(["data", "check", "my.yaml", "tasks.pairs=4", "strategy.use=reptile"]) == 2
    assert "error: train: 2 scenes have fewer pairs" in capsys.readouterr().out


def test_it_is_told_how_many_rows_an_override_changes(here, capsys):
    (here / "my.yaml").write_text(RECIPE + "rows: {A: {}, B: {tasks: {scenes: 3}}}\n")
    assert invoke(["data", "check", "my.yaml", "tasks.scenes=4", "tasks.pairs=5"]) == 0
    err = capsys.readouterr().err
    assert "tasks.scenes=4 changes 1 of 2 rows ('B': 3, of its own)" in err
    assert "warning: tasks.pairs=5 changes 0 of 2 rows" in err


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        (("episodes.queries=1",), 0),
        (("episodes.queries=1", "evaluate.queries=3"), 1),
        (("evaluate.queries=1",), 0),
        (("evaluate.queries=1", "strategy.use=reptile"), 1),
        (("evaluate.queries=1", "tune.lr=[0.1]"), 0),
        (("tune.lr=[0.1]",), 2),
    ],
)
def test_each_split_is_asked_for_what_is_drawn_from_it(here, capsys, changes, errors):
    Path("mine/stripes.py").write_text(STRIPES.read_text())
    assert invoke(["data", "check", "my.yaml", "tasks.pairs=3", *changes]) == (2 if errors else 0)
    out = capsys.readouterr().out
    assert sum(line.startswith("error: ") for line in out.splitlines()) == errors


def test_rows_with_sources_of_their_own_are_checked_apart(here, capsys):
    Path("my.yaml").write_text(RECIPE + "rows:\n  A: {}\n  B: {tasks: {pairs: 4}}\n  C: {}\n")
    assert invoke(["data", "check", "my.yaml", "--out", "sheets"]) == 2
    out = capsys.readouterr().out
    assert "stripes (rows A, C): 3 classes, 32x32" in out
    assert "stripes (rows B): 3 classes, 32x32" in out
    assert Path("sheets/2-test.png").exists()


def test_a_recipe_that_is_wrong_is_told_before_data_is_read(here, capsys):
    assert invoke(["data", "check", "my.yaml", "tasks.pears=4"]) == 2
    assert "unknown option 'pears'" in capsys.readouterr().err


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """A plugin that hands over a command, beside nothing else."""
    from metai2i.registry.discovery import plugins_in_folder

    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "faces.py").write_text(COMMAND)
    monkeypatch.setattr("metai2i.registry.discovery.installed_plugins", lambda: plugins_in_folder(tmp_path / "plugin"))


def test_a_plugins_command_is_called(faces, capsys):
    assert invoke(["data", "faces", "film.mp4"]) == 0
    assert capsys.readouterr().out == "cut film.mp4\n"


def test_the_help_lists_the_commands_of_plugins(faces, capsys):
    assert invoke(["data", "--help"]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if "Cut faces out of films." in line]
    assert " faces " in line
    assert out.index(" check ") < out.index(line)


def test_the_help_of_a_plugins_command_keeps_its_lines(faces, capsys):
    assert invoke(["data", "faces", "--help"]) == 0
    assert "metai2i data faces" in capsys.readouterr().out


def test_an_unknown_command_is_told_with_the_nearest(faces, capsys):
    assert invoke(["data", "chekc"]) == 2
    assert capsys.readouterr().err == (
        "error: no command of `metai2i data` is called 'chekc' (did you mean 'check'?)\n"
    )


def test_a_bundled_recipe_is_checked_by_its_name(capsys):
    assert invoke(["data", "check", "quickstrat"]) == 2
    assert (
        "no file and no bundled recipe is called 'quickstrat' (did you mean 'quickstart'?)" in capsys.readouterr().err
    )
    assert invoke(["data", "check", "quickstart", "tasks.pears=4"]) == 2
    assert "tasks: unknown option 'pears'" in capsys.readouterr().err
