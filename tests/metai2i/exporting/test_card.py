"""Model cards: field by field what the model's file and the run say."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from small_run import PLUGINS, make_run, write_scene

from metai2i.cli import invoke
from metai2i.report import load_run, summarise_run

WORDS = ("--plugins-dir", str(PLUGINS))
ROW = "Reptile (2-shot)"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run and a model that was adapted from it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("card")
        patch.chdir(folder)
        make_run(folder)
        write_scene(folder, pairs=2, maps=1)
        words = ["adapt", "runs/small", "--support", "pairs", "--out", "m.safetensors", "--row", ROW, *WORDS]
        assert invoke(words) == 0
    return folder


@pytest.fixture
def here(place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    yield place
    Path("README.md").unlink(missing_ok=True)


def parts(card: Path) -> tuple[dict, dict[str, str]]:
    """The front matter, and the text under each heading."""
    _, head, body = card.read_text().split("---\n", 2)
    sections = dict(part.split("\n", 1) for part in body.split("\n## ")[1:])
    return yaml.safe_load(head), {"": body.split("\n## ")[0], **sections}


def test_a_card_says_what_the_run_and_the_model_say(here):
    assert invoke(["card", "m.safetensors", "--license", "cc-by-4.0", *WORDS]) == 0
    head, sections = parts(here / "README.md")
    run = load_run(here / "runs" / "small")
    mean = summarise_run(run)["rows"][ROW]["mse"]
    assert head == {
        "library_name": "metai2i",
        "pipeline_tag": "image-to-image",
        "license": "cc-by-4.0",
        "tags": ["metai2i", "few-shot", "meta-learning", "line"],
        "model-index": [
            {
                "name": "m",
                "results": [
                    {
                        "task": {"type": "image-to-image", "name": "Few-shot image-to-image translation"},
                        "dataset": {"type": "stripes", "name": "stripes, test scenes"},
                        "metrics": [{"type": "mse", "name": "MSE, mean over 1 test task", "value": mean["mean"]}],
                    }
                ],
            }
        ],
    }
    assert "# m\n" in sections[""]
    assert "A `line` for images of 32x32 that reads structure" in sections[""]
    assert f"row “{ROW}” of the recipe “small”, adapted to 2 samples" in sections[""]
    assert "$ metai2i translate m.safetensors maps images\n" in sections["How to use it"]
    assert "the 2 samples that it was adapted to, photographs included" in sections["What is in the file"]
    stage = run.provenance.stages_of(ROW)[-2].key
    lines = dict(line.strip("| ").split(" | ") for line in sections["How it was made"].splitlines() if " | " in line)
    assert lines["row"] == ROW
    assert (lines["strategy"], lines["inner steps"], lines["inner rate"]) == ("reptile", "10", "0.1")
    assert lines["general model (stage)"] == stage
    assert (
        f"task source `stripes` (fingerprint of the run's data: `{run.provenance.data.fingerprint}`)"
        in sections["Data"]
    )
    assert "Their licence is not known to metai2i." in sections["Data"]
    assert f"| MSE ↓ | {mean['mean']:.4f} |" in sections["Metrics"] or f"{mean['mean']:.3f}" in sections["Metrics"]
    assert "not of this file's scene" in sections["Metrics"]
    assert sections["Licence"].strip() == "cc-by-4.0, as its owner says."
    recipe = yaml.safe_load(sections["Recipe of the row"].split("```")[1].removeprefix("yaml\n"))
    assert recipe["strategy"] == run.section(ROW)["strategy"]
    assert recipe["adapt"] == run.section(ROW)["adapt"]


def test_a_card_without_its_run_tells_nothing_of_metrics(here, capsys, monkeypatch, tmp_path):
    (tmp_path / "m.safetensors").write_bytes((here / "m.safetensors").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert invoke(["card", "m.safetensors", *WORDS]) == 0
    assert "the run is not here" in capsys.readouterr().err
    head, sections = parts(tmp_path / "README.md")
    assert "model-index" not in head
    assert "license" not in head
    assert "nothing is told of its row" in sections["Metrics"]
    assert "Recipe of the row" not in sections
    assert invoke(["card", "m.safetensors", "--run", str(here / "runs" / "small"), "--overwrite", *WORDS]) == 0
    assert "model-index" in parts(tmp_path / "README.md")[0]


def test_a_readme_that_is_there_is_kept(here, capsys):
    Path("README.md").write_text("mine")
    assert invoke(["card", "m.safetensors", *WORDS]) == 2
    assert "README.md: this is there already" in capsys.readouterr().err
    assert Path("README.md").read_text() == "mine"


def test_another_run_is_refused(here, capsys, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    from fake_run import make_run as fake

    fake(other / "run", tasks=3, images=False)
    assert invoke(["card", "m.safetensors", "--run", str(other / "run"), *WORDS]) == 2
    assert f"the model was not adapted from this run, which has no row {ROW!r}" in capsys.readouterr().err
    assert not Path("README.md").exists()


def test_a_licence_of_no_such_form_is_refused(here, capsys):
    assert invoke(["card", "m.safetensors", "--license", "CC BY 4.0", *WORDS]) == 2
    assert "--license: got 'CC BY 4.0', expected a name as the hub has it" in capsys.readouterr().err
