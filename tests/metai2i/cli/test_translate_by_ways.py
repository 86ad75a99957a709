"""`metai2i translate` by a model that can be asked in two ways: from an exemplar, or from a domain and noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from two_ways import RECIPE, write_two_ways

import metai2i
from metai2i.cli import invoke
from metai2i.inference.model_file import read_adapted
from metai2i.registry import Registry

GREYS = {"a": 40, "b": 90, "c": 200}
COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


def saved(path: Path, colour) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), colour if isinstance(colour, tuple) else (colour,) * 3).save(path)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory) -> Path:
    """A folder with a model that was adapted to two photographs of spring and one of autumn, and three photographs."""
    folder = tmp_path_factory.mktemp("adapted")
    recipe = write_two_ways(folder, RECIPE.replace("evaluate: {metrics: [mse], images: 1}",
                                                   "evaluate: {metrics: [mse], images: 0, tasks: 1}"))  # fmt: skip
    metai2i.run(recipe, out=folder / "runs" / "looks", device="cpu")
    for name, colour in (("x", (200, 0, 0)), ("y", (200, 0, 0)), ("z", (0, 0, 200))):
        saved(folder / "support" / "target" / f"{name}.png", colour)
        saved(folder / "support" / "source" / f"{name}.png", 128)
    (folder / "support" / "domain.txt").write_text("x,spring\ny,spring\nz,autumn\n")
    for name, grey in GREYS.items():
        saved(folder / "photos" / f"{name}.png", grey)
    for name, colour in COLOURS.items():
        saved(folder / "snows" / f"{name}.png", colour)
    words = [str(folder / "runs" / "looks"), "--support", str(folder / "support"), "--plugins-dir",
             str(folder / "plugins"), "--iterations", "0"]  # fmt: skip
    for row in ("exemplar", "latent"):
        assert invoke(["adapt", *words, "--row", row, "--out", str(folder / f"{row}.safetensors")]) == 0
    return folder


@pytest.fixture
def translate(adapted, tmp_path, monkeypatch, capsys):
    """Gives exit code and stderr; the outputs go to `out`."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "snows", "plugins"):
        (tmp_path / name).symlink_to(adapted / name)

    def run(*words: str, model: str = "exemplar", inputs: str = "photos") -> tuple[int, str]:
        command = ["translate", str(adapted / f"{model}.safetensors"), inputs, "out", *words]
        code = invoke([*command, "--plugins-dir", "plugins"])
        return code, " ".join(capsys.readouterr().err.split())

    return run


def colour_of(path: Path) -> list[float]:
    return np.asarray(Image.open(path)).mean((0, 1)).round().tolist()


def test_a_way_is_handed_the_exemplar_that_is_named(translate):
    assert translate("--reference", "snows/blue.png")[0] == 0
    assert colour_of(Path("out/c.png")) == pytest.approx([100, 100, 228], abs=2)
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png", "c.png", "contact.png"]


def test_an_option_for_images_alone_can_be_set(adapted, translate):
    assert translate("--reference", "snows/blue.png", "--set", "darker=0.4")[0] == 0
    assert colour_of(Path("out/c.png")) == pytest.approx([49, 49, 177], abs=2)  # 0.4 of 127.5 below
    model = metai2i.load_adapted(
        adapted / "exemplar.safetensors", painting={"darker": 0.4}, plugins_dirs=[adapted / "plugins"]
    )
    assert model.translator.darker == 0.4


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("daker=1", "two_ways has no option 'daker' (did you mean 'darker'?)"),
        ("mixed=1", "its networks were trained with 'mixed' as it was (what can be set: darker)"),
        ("darker=very", "darker: got the string 'very', expected a number"),
        ("darker", "command line: darker: expected NAME=VALUE"),
        ("looks=1", "two_ways has no option 'looks' (known: darker)"),
        ("extends=1", "two_ways has no option 'extends' (known: darker)"),
    ],
)
def test_another_option_or_a_value_that_it_cannot_have_is_refused_and_nothing_is_written(translate, setting, message):
    code, err = translate("--set", setting)
    assert code == 2
    assert message in err
    assert not Path("out").exists()


def test_the_model_knows_the_way_of_its_row(adapted, translate):
    registry = Registry([adapted / "plugins"])
    ways = {row: read_adapted(adapted / f"{row}.safetensors", registry, torch.device("cpu")).about.get("way")
            for row in ("exemplar", "latent")}  # fmt: skip
    assert ways == {"exemplar": None, "latent": "latent"}
    assert translate("--samples", "2", model="latent")[0] == 0
    assert translate("--samples", "2", "--overwrite", model="exemplar")[0] == 2


def test_several_samples_differ_are_named_by_their_numbers_and_come_again(translate):
    words = ("--way", "latent", "--domain", "summer", "--samples", "3")
    assert translate(*words)[0] == 0
    names = [f"{name}_{n}.png" for name in GREYS for n in range(3)]
    assert sorted(path.name for path in Path("out").iterdir()) == [*names, "contact.png"]
    colours = [tuple(colour_of(Path("out") / f"c_{n}.png")) for n in range(3)]
    assert len(set(colours)) == 3
    assert translate(*words, "--overwrite")[0] == 0
    assert colours == [tuple(colour_of(Path("out") / f"c_{n}.png")) for n in range(3)]


def test_one_sample_is_the_first_of_several(translate):
    translate("--way", "latent", "--domain", "summer", "--samples", "2")
    first = Path("out/b_0.png").read_bytes()
    translate("--way", "latent", "--domain", "summer", "--overwrite")
    assert Path("out/b.png").read_bytes() == first


@pytest.mark.parametrize(("domain", "brightest"), [("spring", 0), ("summer", 1), ("2", 2)])
def test_a_domain_is_chosen_by_its_name_or_its_number(translate, domain, brightest):
    assert translate("--way", "latent", "--domain", domain)[0] == 0
    assert int(np.argmax(colour_of(Path("out/c.png")))) == brightest


def test_a_grid_has_the_inputs_with_the_photographs_of_a_folder(translate):
    code, _ = translate("--reference", "snows", "--grid")
    assert code == 0
    sheet = np.asarray(Image.open("out/grid.png")).astype(int)
    assert sheet.shape == (4 + 16 + 12 + 3 * 20 + 4, 4 + 16 + 12 + 2 * 20 + 4, 3)
    for row, grey in enumerate(GREYS.values()):
        for column, exemplar in enumerate(("blue", "red")):
            there = sheet[36 + 20 * row + 8, 36 + 20 * column + 8]
            assert there.tolist() == pytest.approx([(grey + channel) / 2 for channel in COLOURS[exemplar]], abs=2)


def test_a_grid_has_the_photographs_of_the_support_unless_others_are_named(translate):
    assert translate("--grid")[0] == 0
    sheet = np.asarray(Image.open("out/grid.png"))
    assert [sheet[8, 36 + 20 * column + 8].tolist() for column in range(3)] == [[200, 0, 0], [200, 0, 0], [0, 0, 200]]


@pytest.mark.parametrize(("words", "message"), [
    (("--way", "latnet"), "--way: the translator 'two_ways' has no way 'latnet' (did you mean 'latent'?)"),
    (("--way", "latent", "--reference", "snows/red.png"), "--reference: the translator 'two_ways' in the way 'latent' "
     "is shown no exemplar (--way exemplar)"),
    (("--way", "latent", "--grid"), "--grid: the translator 'two_ways' in the way 'latent' is shown no exemplar "
     "(--way exemplar)"),
    (("--way", "latent", "--domain", "sumer"), "--domain: no label is called 'sumer', expected a number from 0 to 2 "
     "(did you mean 'summer'?)"),
    (("--domain", "summer"), "--domain: the translator 'two_ways' in the way 'exemplar' reads no domain"),
    (("--samples", "3"), "--samples 3: the translator 'two_ways' in the way 'exemplar' draws nothing, so its 3 images "
     "of an input would be the same (--way latent draws; --grid shows other exemplars)"),
    (("--reference", "snows"), "snows: --reference: this is a folder, expected a photograph (--grid shows every input"),
    (("--reference", "snows/white.png"), "snows/white.png"),
    (("--samples", "0"), "Invalid value for '--samples'"),
])  # fmt: skip
def test_what_does_not_go_together_is_told_in_one_message_and_nothing_is_written(translate, words, message):
    code, err = translate(*words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not Path("out").exists()


def test_a_name_that_gets_too_long_by_its_samples_is_refused(translate):
    saved(Path("one") / f"{'x' * 250}.png", 3)
    code, err = translate("--way", "latent", "--samples", "12", inputs="one")
    assert code == 2
    assert "the name is too long for 12 images of it, which end in _11.png (give it a shorter name)" in err
    assert not Path("out").exists()


def test_an_input_that_is_called_as_the_grid_is_refused_where_one_is_made(translate):
    saved(Path("grids") / "grid.png", 3)
    assert "a map may not be called grid.png, as the grid is" in translate("--grid", inputs="grids")[1]
    assert translate(inputs="grids")[0] == 0
