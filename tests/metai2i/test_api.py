"""metai2i from Python: the same runs and models as at the command line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from small_run import PLUGINS, RECIPE, make_run, write_scene

import metai2i
from metai2i import UserError
from metai2i.cli import invoke
from metai2i.data.images import to_uint8


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(RECIPE)
    return tmp_path


def test_a_run_from_python_gives_the_numbers_of_the_command(here):
    assert invoke(["run", "small.yaml", "adapt.iterations=3", "--out", "a"]) == 0
    run = metai2i.run("small.yaml", adapt={"iterations": 3}, out="b", stages="others")
    assert (here / "a/results.csv").read_bytes() == (here / "b/results.csv").read_bytes()
    assert run.path == here / "b"
    assert run.provenance.command == ["metai2i", "run", "small.yaml", "adapt.iterations=3"]


def test_keys_are_set_by_sections_or_dotted_and_rows_by_their_names(here):
    rows = {"Line (2-shot)": {"adapt": {"lr": 0.25}}}
    run = metai2i.run("small.yaml", only=["Line (2-shot)"], rows=rows, **{"adapt.iterations": 2})
    assert run.rows == ["Line (2-shot)"]
    adapt = run.recipe["rows"]["Line (2-shot)"]["adapt"]
    assert (adapt["iterations"], adapt["lr"]) == (2, 0.25)


def test_a_key_that_changes_no_row_is_warned_of(here):
    with pytest.warns(UserWarning, match="changes 0 of 1 row"):
        metai2i.run("small.yaml", only=["Copy"], strategy={"use": "bil"})


def test_wrong_input_raises_what_the_command_tells(here):
    with pytest.raises(UserError, match="no translator is called 'lime'"):
        metai2i.run("small.yaml", translator={"use": "lime"})
    assert not (here / "runs").exists()


def test_an_adapted_model_paints_as_translate_does(here):
    make_run(here)
    write_scene(here, pairs=2, maps=2)
    plugins = ["--plugins-dir", str(PLUGINS)]
    assert invoke(["adapt", "runs/small", "--support", "pairs", "--out", "m.safetensors", *plugins]) == 0
    assert invoke(["translate", "m.safetensors", "maps", "out", *plugins]) == 0
    model = metai2i.load_adapted("m.safetensors", plugins_dirs=[PLUGINS])
    image = model.paint(model.read_map("maps/0.png")[None])
    saved = torch.from_numpy(np.array(Image.open("out/0.png"))).permute(2, 0, 1)
    assert torch.equal(to_uint8(image[0]), saved)
