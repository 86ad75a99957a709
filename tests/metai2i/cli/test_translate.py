from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_run import PLUGINS, write_scene
from toys import toy_row

from metai2i import Batch, Objective, TaskSpec
from metai2i.cli import invoke
from metai2i.inference.model_file import description, save_adapted
from metai2i.inference.pair_folders import find_pairs, read_pairs
from metai2i.registry import Registry

SPEC = TaskSpec(structure_channels=3, size=(32, 32))


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working directory with a model and five maps; the model paints each class in a grey of its own."""
    monkeypatch.chdir(tmp_path)
    write_scene(tmp_path, pairs=1, maps=5)
    registry = Registry([PLUGINS])
    line = registry.get("translator", "line")(spec=SPEC, objective=Objective(adversarial=0, perceptual=0))
    with torch.no_grad():
        line.generator.weight.copy_(torch.tensor([-0.5, 0.0, 0.5]).atanh()[None, :, None, None].expand(3, 3, 1, 1))
        line.generator.bias.zero_()
    row = toy_row(translator={"use": "line"}, objective={"adversarial": 0, "perceptual": 0})
    support: Batch = read_pairs(find_pairs(tmp_path / "pairs"), SPEC)
    save_adapted(tmp_path / "m.safetensors", line, support,
                 description(row, SPEC, registry.identity("translator", "line"), {}))  # fmt: skip
    return tmp_path


@pytest.fixture
def translate(here, capsys):
    """Gives the exit code, stdout and stderr."""

    def translate(*words: str) -> tuple[int, str, str]:
        code = invoke(["translate", *words, "--plugins-dir", str(PLUGINS)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return translate


def test_every_map_becomes_an_image_under_its_name(translate, here):
    code, out, _ = translate("m.safetensors", "maps", "out")
    assert code == 0
    assert out.startswith("5 images in out, ")
    assert sorted(path.name for path in Path("out").iterdir()) == [*(f"{n}.png" for n in range(5)), "contact.png"]
    greys = np.array([64, 128, 191])  # tanh gives -0.5, 0 and 0.5
    for n in range(5):
        ids = np.asarray(Image.open(here / "maps" / f"{n}.png"))
        image = np.asarray(Image.open(here / "out" / f"{n}.png")).astype(int)
        assert np.abs(image - greys[ids][..., None]).max() <= 1


def test_the_sheet_has_the_maps_above_the_images(translate):
    translate("m.safetensors", "maps", "out")
    width, height = Image.open("out/contact.png").size
    assert width * height >= 5 * 32 * 64


def test_the_images_do_not_depend_on_how_many_are_made_at_once(translate):
    translate("m.safetensors", "maps", "out")
    translate("m.safetensors", "maps", "single", "--batch", "1")
    for n in range(5):
        assert Path(f"out/{n}.png").read_bytes() == Path(f"single/{n}.png").read_bytes()


def test_one_map_can_be_translated(translate):
    assert translate("m.safetensors", "maps/3.png", "out")[0] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["3.png", "contact.png"]


def test_images_that_are_there_are_kept_unless_asked_for(translate):
    Path("out").mkdir()
    Path("out/3.png").write_text("mine")
    code, _, err = translate("m.safetensors", "maps", "out")
    assert code == 2
    assert "out: 1 of the files to write are there already, 3.png first (--overwrite writes them anew" in err
    assert [path.name for path in Path("out").iterdir()] == ["3.png"]
    assert Path("out/3.png").read_text() == "mine"
    assert translate("m.safetensors", "maps", "out", "--overwrite")[0] == 0
    assert Image.open("out/3.png").size == (32, 32)


def test_a_map_is_never_overwritten(translate, here):
    before = (here / "maps" / "0.png").read_bytes()
    code, _, err = translate("m.safetensors", "maps", "maps", "--overwrite")
    assert code == 2
    assert "the label maps are in this folder, and the outputs, which have their names, would replace them" in err
    assert (here / "maps" / "0.png").read_bytes() == before


def test_a_bad_map_does_not_stop_the_others_and_is_told_in_the_end(translate):
    Image.new("L", (32, 32), 9).save("maps/1.png")
    Path("maps/2.png").write_bytes(b"no image")
    code, out, err = translate("m.safetensors", "maps", "out", "--batch", "2")
    assert code == 1
    assert out.startswith("3 images in out")
    assert "error: maps/1.png: 1,024 pixels (100 %) have class ids that the data has not (9)" in err
    assert "error: maps/2.png: not an image that can be read" in err
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.png", "3.png", "4.png", "contact.png"]


def test_where_no_map_can_be_used_the_exit_code_is_2_and_nothing_is_written(translate):
    Image.new("L", (32, 32), 9).save("maps/1.png")
    assert translate("m.safetensors", "maps/1.png", "out")[0] == 2
    assert not Path("out").exists()


def test_maps_of_another_size_are_brought_to_the_models(translate):
    ids = np.zeros((100, 300), dtype=np.uint8)
    ids[:, 100:200] = 2
    Image.fromarray(ids).save("maps/wide.png")
    translate("m.safetensors", "maps/wide.png", "out")
    image = np.asarray(Image.open("out/wide.png"))
    assert image.shape == (32, 32, 3)
    assert np.abs(image.astype(int) - 191).max() <= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("pairs/0.png", "maps", "out"), "pairs/0.png: this is no adapted model"),
        (("none.safetensors", "maps", "out"), "none.safetensors: there is no such file"),
        (("runs/a b", "maps", "out"), "runs/a b: this is the folder of a run, expected the file of a model"),
        (("runs/a b", "maps", "out"), "(`metai2i adapt 'runs/a b' --support DIR --out MODEL.safetensors` makes one"),
        (("empty", "maps", "out"), "empty: this is a folder, expected the file of an adapted model (`metai2i adapt`"),
        ((".", "maps", "out"), "this is a folder, expected the file of an adapted model (did you mean m.safetensors?)"),
        (("m.safetensors", "none", "out"), "none: there is no such file or folder"),
        (("m.safetensors", "empty", "out"), "empty: no maps (.png) are in this folder"),
        (("m.safetensors", "maps", "m.safetensors"), "m.safetensors: this is a file, expected a folder"),
    ],
)
def test_wrong_input_is_told_and_nothing_is_written(translate, words, message):
    Path("empty").mkdir()
    Path("runs/a b").mkdir(parents=True)
    Path("runs/a b/results.csv").write_text("row,task,query,metric,value\n")
    code, _, err = translate(*words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["x" * 251, "人" * 83, "caf\udce9", "a\nb", "[red]"])
def test_a_map_of_any_name_that_a_file_may_have_becomes_an_image_like_the_others(translate, name):
    Path("maps/0.png").rename(f"maps/{name}.png")
    code, _, err = translate("m.safetensors", "maps", "out")
    assert (code, "error" in err) == (0, False)
    images = {f"{name}.png", *(f"{n}.png" for n in range(1, 5))}
    assert {path.name for path in Path("out").iterdir()} == {*images, "contact.png"}


def test_a_map_with_the_name_of_the_sheet_is_refused(translate):
    Path("maps/0.png").rename("maps/contact.png")
    assert "a map may not be called contact.png" in translate("m.safetensors", "maps", "out")[2]


def test_a_model_whose_plugin_is_missing_is_refused(here, capsys):
    assert invoke(["translate", "m.safetensors", "maps", "out"]) == 2
    err = capsys.readouterr().err
    assert "m.safetensors: it was made with the translator 'line' of a one-file plugin: no translator" in err
    assert "--plugins-dir names its folder" in err


def test_a_plugin_that_has_changed_is_told(here, capsys):
    source = (PLUGINS / "stripes.py").read_text()
    Path("other").mkdir()
    Path("other/stripes.py").write_text(source + "\n# changed\n")
    assert invoke(["translate", "m.safetensors", "maps", "out", "--plugins-dir", "other"]) == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "the source of the translator 'line' is not the one that the model was made with; images may differ" in err


def test_a_fault_of_the_plugin_is_told_with_its_traceback_in_a_file(here, capsys):
    source = (PLUGINS / "stripes.py").read_text()
    Path("other").mkdir()
    Path("other/stripes.py").write_text(source.replace("return (self.gain", "1 / 0\n        return (self.gain"))
    assert invoke(["translate", "m.safetensors", "maps", "out", "--plugins-dir", "other"]) == 2
    err = capsys.readouterr().err
    assert "ZeroDivisionError in translate" in err
    assert "ZeroDivisionError" in Path("out/error.txt").read_text()
