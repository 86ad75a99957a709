from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small_run import PLUGINS, colours, forget_digests, make_run, write_scene

from metai2i.cli import invoke
from metai2i.inference.pair_folders import read_photo


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory) -> Path:
    """A folder with a finished run, five pairs and three maps; tests write beside it."""
    folder = tmp_path_factory.mktemp("made")
    make_run(folder)
    write_scene(folder, pairs=2, maps=3)
    return folder


@pytest.fixture
def adapt(trained_once, tmp_path, capsys):
    """Adapts; gives the exit code, stdout, stderr on one line, and the file's header."""

    def adapt(
        *more: str,
        run: Path | None = None,
        support: Path | None = None,
        out: Path | None = None,
        plugins: Path | None = PLUGINS,
    ):
        out = out or tmp_path / "mine.safetensors"
        where = [
            str(run or trained_once / "runs" / "small"),
            "--support",
            str(support or trained_once / "pairs"),
            "--out",
            str(out),
        ]
        code = invoke(["adapt", *where, *(["--plugins-dir", str(plugins)] if plugins else []), *more])
        printed = capsys.readouterr()
        return code, printed.out, " ".join(printed.err.split()), about(out) if out.is_file() else {}

    return adapt


def about(model: Path) -> dict:
    with safe_open(model, framework="pt") as file:
        return json.loads(file.metadata()["state"])


def refused(outcome: tuple) -> str:
    """What is told; nothing may have been written."""
    code, _, err, header = outcome
    assert code == 2, err
    assert "Traceback" not in err
    assert header == {}
    return err


def test_a_run_says_for_which_data_its_rows_were_trained(trained_once):
    (spec,) = json.loads((trained_once / "runs" / "small" / "provenance.json").read_text())["spec"]
    assert spec["rows"] == ["Copy", "Line", "Line (2-shot)", "Aux", "Reptile (2-shot)"]
    assert (spec["structure_channels"], spec["size"]) == (3, [32, 32])


def test_five_lines_and_the_next_command_are_told(adapt, tmp_path):
    code, out, err, header = adapt()
    assert code == 0
    assert "row: 'Reptile (2-shot)' of" in err
    assert "the last row that meta-trains and does not retrieve (reptile)" in err
    assert "support: 2 pairs of" in err
    assert "adapting: 10 steps at 0.1: " in err
    assert err.index("loading what adapting needs, by a step that is thrown away: ") < err.index("adapting: 10 steps")
    assert out == f"now: metai2i translate {tmp_path / 'mine.safetensors'} MAPS OUT --plugins-dir {PLUGINS}\n"
    assert header["made"]["row"] == "Reptile (2-shot)"
    assert header["made"]["pairs"] == ["0", "1"]
    assert header["translator"] == {"use": "line", "options": {"gain": 1.5}}


def test_the_next_command_paints_the_scenes_colours(trained_once, adapt, tmp_path):
    _, out, _, _ = adapt("--iterations", "200", "--lr", "0.05")
    words = out.removeprefix("now: metai2i ").split()
    words = [{"MAPS": str(trained_once / "maps"), "OUT": str(tmp_path / "out")}.get(word, word) for word in words]
    assert invoke(words) == 0
    ids = (torch.arange(32) // 4 + 2) % 3
    expected = colours()[ids[None].expand(32, -1)].permute(2, 0, 1)
    assert (read_photo(tmp_path / "out" / "2.png", (32, 32)) - expected).abs().max() < 0.05


def test_adapting_brings_the_model_nearer_to_the_support(adapt):
    _, _, err, _ = adapt()
    words = err.split("of 255 levels: ")[1].split()
    before, after = float(words[0]), float(words[2])
    assert after < before / 2


def test_the_same_seed_gives_the_same_weights_and_another_does_not(adapt, tmp_path):
    weights = []
    for seed in ("3", "3", "4"):
        adapt("--row", "Aux", "--seed", seed)  # draws which training scenes it sees
        with safe_open(tmp_path / "mine.safetensors", framework="pt") as file:
            weights.append(file.get_tensor("model.generator.weight"))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_named_row_is_taken_and_iterations_and_rate_are_overridden(adapt):
    _, _, err, header = adapt("--row", "Line (2-shot)", "--iterations", "3", "--lr", "0.5")
    assert "'Line (2-shot)' of" in err
    assert "as asked (finetune)" in err
    assert (header["made"]["adapt"]["iterations"], header["made"]["adapt"]["lr"]) == (3, 0.5)


def test_a_row_with_a_retriever_is_fine_tuned_on_the_nearest_training_scenes(adapt):
    _, _, err, header = adapt("--row", "Aux")
    assert "fine-tuning, 2 steps on scenes drawn from up to 2 similar ones: " in err
    assert [name.partition("-")[0] for name, _ in header["made"]["aux"]] == ["train", "train"]
    assert len(adapt("--row", "Aux", "--k", "1")[3]["made"]["aux"]) == 1
    assert adapt("--row", "Aux", "--k", "0")[3]["made"]["aux"] == []


def test_a_tuned_row_adapts_with_what_was_chosen(trained_once, adapt, tmp_path):
    shutil.copytree(trained_once / "runs", tmp_path / "runs")
    run = tmp_path / "runs" / "small"
    provenance = json.loads((run / "provenance.json").read_text())
    tuned = {"name": "tune", "key": "0" * 16, "rows": ["Line (2-shot)"], "chosen": {"lr": 0.25, "iterations": 7}}
    (run / "provenance.json").write_text(json.dumps({**provenance, "stages": [*provenance["stages"], tuned]}))
    settings = adapt("--row", "Line (2-shot)", run=run)[3]["made"]["adapt"]
    assert (settings["lr"], settings["iterations"]) == (0.25, 7)
    settings = adapt("--row", "Line (2-shot)", "--lr", "0.5", run=run)[3]["made"]["adapt"]
    assert (settings["lr"], settings["iterations"]) == (0.5, 7)


def test_without_fine_tuning_no_data_is_needed(trained_once, adapt, tmp_path, monkeypatch):
    from metai2i.pipeline.assemble import Assembler

    def gone(self, row):
        raise FileNotFoundError("the data is not there")

    monkeypatch.setattr(Assembler, "source", gone)
    assert adapt()[0] == 0
    assert "the data is not there" in refused(adapt("--row", "Aux", out=tmp_path / "other.safetensors"))


def test_a_row_that_does_not_adapt_is_told_to_be_the_general_model(adapt):
    assert "'none' changed nothing: this is the general model as it is" in adapt("--row", "Line")[2]


@pytest.fixture
def without(trained_once, tmp_path):
    """A copy of the run with some rows only."""

    def without(*kept: str) -> Path:
        import yaml

        run = tmp_path / "runs" / "fewer"
        shutil.copytree(trained_once / "runs", tmp_path / "runs")
        (tmp_path / "runs" / "small").rename(run)
        recipe = yaml.safe_load((run / "recipe.yaml").read_text())
        recipe["rows"] = {name: recipe["rows"][name] for name in kept}
        (run / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
        forget_digests(run)
        return run

    return without


def test_where_no_row_meta_trains_the_last_that_adapts_is_taken(adapt, without):
    _, _, err, _ = adapt(run=without("Line (2-shot)", "Line", "Copy"))
    assert "row: 'Line (2-shot)' of" in err
    assert "the last row that adapts (finetune)" in err


def test_where_no_row_adapts_it_is_told(adapt, without):
    assert "no row of this run adapts to a scene" in refused(adapt(run=without("Line", "Copy")))


def test_a_row_that_copies_cannot_be_kept(adapt):
    error = refused(adapt("--row", "Copy"))
    assert "the strategy 'copy' makes a Copier of the support, which cannot be kept as an adapted 'line'" in error


def test_an_unknown_row_is_told_with_the_nearest(adapt):
    assert "the run has no row 'Line (3-shot)' (did you mean 'Line (2-shot)'?)" in refused(
        adapt("--row", "Line (3-shot)")
    )


def test_fine_tuning_without_a_retriever_names_the_rows_that_have_one(adapt):
    error = refused(adapt("--row", "Line (2-shot)", "--k", "3"))
    assert "--k 3: row 'Line (2-shot)' has no retriever (rows that have one: 'Aux')" in error


def test_a_run_whose_stages_are_gone_is_told_where_they_were_looked_for(trained_once, adapt, tmp_path):
    run = tmp_path / "elsewhere" / "small"
    shutil.copytree(trained_once / "runs" / "small", run)
    error = refused(adapt(run=run))
    assert "the weights of row 'Reptile (2-shot)' (metatrain" in error
    assert str(run.parent / ".stages") in error
    assert "--stages or METAI2I_STAGES names the store" in error
    assert adapt("--stages", str(trained_once / "runs" / ".stages"), run=run)[0] == 0


def test_a_run_without_training_is_told(trained_once, adapt, tmp_path):
    run = tmp_path / "runs" / "small"
    shutil.copytree(trained_once / "runs" / "small", run)
    provenance = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps({**provenance, "stages": []}))
    assert "no training stage of row 'Reptile (2-shot)' is in provenance.json" in refused(adapt(run=run))
    (run / "provenance.json").write_text(json.dumps({**provenance, "spec": []}))
    assert "does not say for which data row 'Reptile (2-shot)' was trained" in refused(adapt(run=run))
    (run / "provenance.json").unlink()
    assert "the folder has no provenance.json (expected the folder of a finished run)" in refused(adapt(run=run))
    assert "there is no such folder" in refused(adapt(run=tmp_path / "no"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "this is no provenance of a run"),
        ('{"stages": {}}', "this is no provenance of a run: stages: got an empty section, expected a list"),
        ('{"stages": [{"name": "tune", "key": "ab", "rows": 3}]}', "stages.0.rows: got 3, expected a list"),
        ('{"plugins": ["pix2pix"]}', "plugins.0: got the string 'pix2pix', expected a section (key: value)"),
    ],
)
def test_a_provenance_of_another_shape_is_told(trained_once, adapt, tmp_path, text, message):
    shutil.copytree(trained_once / "runs" / "small", tmp_path / "runs" / "small")
    (tmp_path / "runs" / "small" / "provenance.json").write_text(text)
    assert message in refused(adapt(run=tmp_path / "runs" / "small"))


def test_fewer_pairs_than_one_are_refused(adapt, tmp_path):
    (tmp_path / "empty").mkdir()
    message = refused(adapt(support=tmp_path / "empty"))
    assert "empty: there are no images here (looked for NAME.jpg with NAME.png" in message
    assert "for a model that learns without pairs, photographs of the domain alone" in message


def test_a_map_with_a_wrong_class_is_refused(trained_once, adapt, tmp_path):
    from PIL import Image

    shutil.copytree(trained_once / "pairs", tmp_path / "pairs")
    Image.new("L", (32, 32), 3).save(tmp_path / "pairs" / "1_map.png")
    error = refused(adapt(support=tmp_path / "pairs"))
    assert "1_map.png: 1,024 pixels (100 %) have class ids that the data has not (3), expected 0 to 2" in error


@pytest.mark.parametrize(
    ("name", "message"),
    [("mine.pt", "expected the name of a .safetensors file"), ("a.safetensors", "this is a folder")],
)
def test_a_model_that_could_not_be_written_is_told_before_anything_is_done(adapt, tmp_path, name, message):
    (tmp_path / "a.safetensors").mkdir()
    code, _, err, _ = adapt(out=tmp_path / name)
    assert code == 2
    assert message in err


def test_a_translator_with_state_that_no_file_holds_is_refused(trained_once, adapt, tmp_path):
    """Its images depend on a number that adapting changes and that is neither a parameter nor a buffer."""
    shutil.copytree(trained_once / "runs", tmp_path / "runs")
    run, plugins = tmp_path / "runs" / "small", tmp_path / "plugins"
    text = (PLUGINS / "stripes.py").read_text()
    text = text.replace(
        "objective, self.gain = objective, gain", "objective, self.gain, self.sign = objective, gain, 1"
    )
    text = text.replace('"""One move."""', '"""One move."""\n        self.sign = -1 if step.inner else 1')
    text = text.replace("return (self.gain *", "return self.sign * (self.gain *")
    plugins.mkdir()
    (plugins / "stripes.py").write_text(text)
    error = refused(adapt(run=run, plugins=plugins))
    assert "the source of the translator 'line' is not the one that the run was made with" in error
    assert "Line paints other images once it has been written to a file" in error
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_scenes_share_a_general_model_in_a_file_of_its_own(trained_once, adapt, tmp_path):
    general = tmp_path / "general.safetensors"
    whole = adapt()[3]
    for name in ("one", "two"):
        code, _, err, header = adapt("--general", str(general), out=tmp_path / f"{name}.safetensors")
        assert code == 0
        assert f"the general model: {general}" in err
        assert header["made"]["row"] == whole["made"]["row"]
        assert header["general"]["file"] == "general.safetensors"
    for model in ("one", "mine"):
        words = ["translate", str(tmp_path / f"{model}.safetensors"), str(trained_once / "maps"), str(tmp_path / model)]
        assert invoke([*words, "--plugins-dir", str(PLUGINS)]) == 0
    images = [(tmp_path / model / "1.png").read_bytes() for model in ("one", "mine")]
    assert images[0] == images[1]


def test_a_scene_does_not_take_the_place_of_the_general_model_of_others(adapt, tmp_path):
    general = tmp_path / "general.safetensors"
    assert adapt("--general", str(general))[0] == 0
    before = general.read_bytes()
    for more in ((), ("--overwrite",)):
        code, _, err, _ = adapt(*more, out=general)
        assert code == 2
        assert "this file holds something else than an adapted model, which would be lost" in err
        assert general.read_bytes() == before
    assert adapt()[0] == 0  # an adapted model is made anew


def test_a_model_of_the_same_run_and_scene_is_replaced(adapt, tmp_path):
    assert adapt("--iterations", "1")[3]["made"]["adapt"]["iterations"] == 1
    assert adapt("--row", "Line (2-shot)", "--iterations", "2")[3]["made"]["adapt"]["iterations"] == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("the pairs", "this adapted model is of other pairs (2 of them), and would be lost"),
        ("the run", "this adapted model is of another run (elsewhere, row 'Reptile (2-shot)'), and would be lost"),
        ("the file", "this adapted model was changed since it was written, and would be lost"),
    ],
)
def test_a_model_of_another_scene_or_run_or_one_that_was_changed_is_replaced_when_asked_only(
    trained_once, adapt, tmp_path, change, words
):
    path, support = tmp_path / "mine.safetensors", tmp_path / "support"
    shutil.copytree(trained_once / "pairs", support)
    adapt("--iterations", "1", support=support)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header = about(path)
    if change == "the pairs":
        for pair in support.glob("1*"):
            pair.unlink()
    elif change == "the run":
        header["made"] |= {"run": "elsewhere", "stage": "0" * 16}
    else:
        tensors["support.target"][0, 0, 0, 0] ^= 1
    save_file(tensors, path, metadata={"state": json.dumps(header)})
    before = path.read_bytes()
    code, _, err, _ = adapt("--iterations", "1", support=support)
    assert code == 2
    assert words in err
    assert "--overwrite replaces it" in err
    assert path.read_bytes() == before
    code, _, _, header = adapt("--iterations", "1", "--overwrite", support=support)
    assert code == 0
    assert header["made"]["run"] == str(trained_once / "runs" / "small")
    assert header["made"]["pairs"] == (["0"] if change == "the pairs" else ["0", "1"])


def test_a_rate_that_is_no_number_is_refused(adapt):
    assert "--lr: got .nan, expected a finite number" in refused(adapt("--lr", "nan"))


def test_what_is_a_scenes_own_is_told(adapt):
    assert "the scene's own: 12 numbers, 0.0 kB" in adapt()[2]


@pytest.mark.parametrize("name", ["mine.safetensors", "general.pt"])
def test_a_general_models_file_that_cannot_be_is_refused(adapt, tmp_path, name):
    assert "expected the name of another .safetensors file" in refused(adapt("--general", str(tmp_path / name)))


def test_no_plugin_is_taken_from_a_run(trained_once, adapt, tmp_path):
    """Its recipe names a folder of plugins, which may be somebody else's code."""
    run = tmp_path / "runs" / "small"
    shutil.copytree(trained_once / "runs", tmp_path / "runs")
    (run / "evil.py").write_text(f"open({str(tmp_path / 'was run')!r}, 'w')\n")
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace(f"plugins: {PLUGINS}", "plugins: ."))
    forget_digests(run)
    error = refused(adapt(run=run, plugins=None))
    assert "no translator is called 'line'" in error
    assert (
        "the run was made with the plugins in .; no plugin is taken from a run: --plugins-dir names the folder" in error
    )
    assert adapt(run=run)[0] == 0
    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize("line", ["extends: {}", '"extends": {}'])
def test_the_recipe_of_a_run_reads_no_other_file(trained_once, adapt, tmp_path, line):
    run = tmp_path / "runs" / "small"
    shutil.copytree(trained_once / "runs", tmp_path / "runs")
    (tmp_path / "other.yaml").write_text("plugins: .\n")
    with (run / "recipe.yaml").open("a") as file:
        file.write(f"{line.format(tmp_path / 'other.yaml')}\n")
    forget_digests(run)
    assert "extends: the recipe of a run has everything in it; no other file is read for it" in refused(adapt(run=run))


@pytest.mark.parametrize("name", ["recipe.yaml", "results.csv", "log.jsonl"])
def test_a_run_with_a_file_of_another_run_is_refused(trained_once, adapt, tmp_path, name):
    shutil.copytree(trained_once / "runs", tmp_path / "runs")
    with (tmp_path / "runs" / "small" / name).open("a") as file:
        file.write("\n")
    error = refused(adapt(run=tmp_path / "runs" / "small"))
    assert f"{name} is not the file that this run wrote: changed since, or of another run" in error


def test_a_fault_of_a_plugin_is_kept_beside_a_users_error_file(trained_once, adapt, tmp_path):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    text = (PLUGINS / "stripes.py").read_text()
    (plugins / "stripes.py").write_text(text.replace('"""One move."""', '"""One move."""\n        1 / 0'))
    (tmp_path / "error.txt").write_text("mine")
    error = refused(adapt(plugins=plugins))
    assert f"the traceback is in {tmp_path / 'error-2.txt'}" in error
    assert (tmp_path / "error.txt").read_text() == "mine"
    assert "ZeroDivisionError" in (tmp_path / "error-2.txt").read_text()
