"""The folder of a run when somebody deletes the stages, or parts of them, while it is written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from metai2i.cli import invoke as metai2i
from metai2i.run_folder import writer

RECIPE = f"""
name: small
plugins: {Path(__file__).parents[2] / "downstream" / "one_file"}
tasks: {{use: stripes}}
episodes: {{shots: 2, queries: 3}}
translator: {{use: line}}
objective: {{l1: 1, adversarial: 0, perceptual: 0}}
pretrain: {{iterations: 2, batch: 4, lr: 1e-2}}
strategy: {{use: none}}
evaluate: {{images: 2, metrics: [mse]}}
rows: {{Line: {{}}}}
compare: {{metric: mse}}
"""


def run(folder: Path) -> int:
    (folder / "small.yaml").write_text(RECIPE)
    command = ["run", str(folder / "small.yaml"), "--out", str(folder / "run")]
    return metai2i([*command, "--stages", str(folder / "stages")])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    assert run(folder) == 0
    return folder


def delete_before(step: str, what: Callable[[Path], object], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has something deleted from the stage store right before a step of writing."""
    original = getattr(writer, step)

    def work(*arguments: object) -> None:
        what(folder / "stages")
        original(*arguments)

    monkeypatch.setattr(writer, step, work)


def only(pattern: str) -> Callable[[Path], object]:
    return lambda stages: [path.unlink() for path in stages.glob(pattern)]


def outputs(folder: Path) -> list[str]:
    """The images of a run that come from the stage store: all but the truth, the maps and the supports."""
    names = [path.relative_to(folder).as_posix() for path in (folder / "run" / "images").rglob("*.png")]
    return [name for name in sorted(names) if not re.search("/(truth|structure|support|support-structure)/", name)]


@pytest.mark.parametrize(
    ("what", "lost", "with_images"),
    [
        (shutil.rmtree, "2 of 2 stages", False),
        (only("*/images/**/*.png"), "1 of 2 stages", False),
        (only("*/done.json"), "2 of 2 stages", True),
    ],
    ids=["the store", "images", "markers"],
)
def test_what_vanishes_from_the_store_while_the_run_is_written_is_told(
    finished, tmp_path, monkeypatch, capsys, what, lost, with_images
):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    numbers = (finished / "run" / "results.csv").read_bytes()
    delete_before("write_images", what, tmp_path, monkeypatch)
    assert run(tmp_path) == 0
    printed = " ".join(capsys.readouterr().err.split())
    assert re.search(rf"{lost} have lost files while the run was written; images or log lines may be missing", printed)
    assert (tmp_path / "run" / "results.csv").read_bytes() == numbers
    assert len(outputs(finished)) > 2
    assert outputs(tmp_path) == (outputs(finished) if with_images else [])


def test_a_log_that_vanishes_is_told_and_the_images_stay(finished, tmp_path, monkeypatch, capsys):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    delete_before("write_log", only("*/log.jsonl"), tmp_path, monkeypatch)
    assert run(tmp_path) == 0
    assert "1 of 2 stages have lost files while the run was written" in " ".join(capsys.readouterr().err.split())
    assert outputs(tmp_path) == outputs(finished)


def test_nothing_is_said_of_a_store_that_is_whole(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    assert run(tmp_path) == 0
    assert "lost files" not in capsys.readouterr().err
    assert outputs(tmp_path) == outputs(finished)
