"""metai2i from Python: the same runs and models as at the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_run import PLUGINS, RECIPE, forget_digests, make_run, write_scene

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


def test_an_opened_run_adapts_as_it_was_scored(here):
    """The query's images are those that the run has kept, and the general model's those before adapting."""
    assert invoke(["run", "small.yaml", "evaluate.images=1"]) == 0
    run = metai2i.open_run("runs/small", plugins_dirs=[PLUGINS])
    (entry,) = json.loads(Path("runs/small/images/index.json").read_text())["tasks"]
    assert run.tasks == [entry["id"]]
    for row in ("Line (2-shot)", "Reptile (2-shot)", "Aux"):
        query = run.episode(row, entry["id"]).query
        for model, folder in ((run.adapted(row, entry["id"]), "rows"), (run.general(row), "general")):
            images = to_uint8(model.paint(query))
            for n, image in enumerate(images):
                kept = Image.open(Path("runs/small/images") / entry["dir"] / entry[folder][row] / f"{n}.png")
                assert torch.equal(image, torch.from_numpy(np.array(kept)).permute(2, 0, 1))


def test_an_opened_run_says_what_it_has_and_names_what_is_near(here):
    make_run(here)
    run = metai2i.open_run("runs/small", plugins_dirs=[PLUGINS])
    assert run.rows == ["Copy", "Line", "Line (2-shot)", "Aux", "Reptile (2-shot)"]
    assert {record.row for record in run.records} == set(run.rows)
    (task,) = run.tasks
    with pytest.raises(UserError, match=re.escape("the run has no row 'line (2-shot)' (did you mean 'Line (2-shot)'")):
        run.general("line (2-shot)")
    with pytest.raises(UserError, match=f"was not scored on a scene 'nowhere'.*{task}"):
        run.adapted("Line", "nowhere")
    with pytest.raises(UserError, match="has no draw 1, expected a number from 0 to 0"):
        run.adapted("Line", task, draw=1)


def test_an_opened_run_leaves_its_general_model_alone(here):
    make_run(here)
    run = metai2i.open_run("runs/small", plugins_dirs=[PLUGINS])
    before = run.general("Line (2-shot)")
    adapted = run.adapted("Line (2-shot)", run.tasks[0])
    after, query = run.general("Line (2-shot)"), run.episode("Line (2-shot)", run.tasks[0]).query
    assert torch.equal(before.paint(query), after.paint(query))
    assert not torch.equal(before.paint(query), adapted.paint(query))


def test_a_run_whose_data_have_changed_is_warned_of(here):
    make_run(here)
    forget_digests(here / "runs" / "small")
    provenance = json.loads((here / "runs/small/provenance.json").read_text())
    provenance["data"]["fingerprint"] = "0" * 16
    (here / "runs/small/provenance.json").write_text(json.dumps(provenance))
    run = metai2i.open_run("runs/small", plugins_dirs=[PLUGINS])
    with pytest.warns(UserWarning, match="the data have changed since the run"):
        run.adapted("Line", run.tasks[0])


def test_a_run_without_its_stages_says_where_it_looked(here):
    make_run(here)
    run = metai2i.open_run("runs/small", plugins_dirs=[PLUGINS], stages="elsewhere")
    with pytest.raises(UserError, match="not in the stage store, looked in elsewhere"):
        run.general("Line")
