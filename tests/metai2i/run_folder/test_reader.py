"""A folder that was damaged, mixed with another run's or made by somebody else is told, and shows nothing of others."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from fake_run import counted, make_run
from PIL import Image

from metai2i import __version__
from metai2i.cli import invoke
from metai2i.errors import UserError
from metai2i.inference.trained_run import read_trained_run
from metai2i.registry import Registry
from metai2i.report import build_report, compare_runs, load_run
from metai2i.run_folder.files import holdings, write_signed_page
from metai2i.run_folder.record import NewerRun

ROWS = {"Pix2pix": ("none", 1.0, 0.0), "BiL": ("bil", 0.85, 0.03)}
SMALL = {"rows": ROWS, "tasks": 2, "queries": 1, "size": 16}


@pytest.fixture
def run(tmp_path) -> Path:
    """A run that lists its files."""
    return counted(make_run(tmp_path / "run", **SMALL), digests=True)


def refused(run: Path) -> str:
    """What is told of a folder; nothing in it may have been written."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as caught:
        build_report(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    return str(caught.value)


def test_a_whole_run_has_a_report_again_and_again(run):
    pages = [build_report(run).read_bytes() for _ in range(2)]
    assert pages[0] == pages[1]
    assert load_run(run).notes == ()


@pytest.mark.parametrize("name", ["recipe.yaml", "results.csv", "log.jsonl", "images/index.json"])
def test_a_file_of_another_run_is_refused(run, tmp_path, name):
    other = counted(make_run(tmp_path / "other", seed=1, **SMALL), digests=True)
    shutil.copy(other / name, run / name)
    with (run / name).open("a") as file:
        file.write("\n" if name != "results.csv" else "")
    assert f"{name} is not the file that this run wrote: changed since, or of another run" in refused(run)


def test_a_provenance_of_another_run_is_refused_with_all_that_is_not_its_own(run, tmp_path):
    other = counted(make_run(tmp_path / "other", seed=1, **SMALL), digests=True)
    shutil.copy(other / "provenance.json", run / "provenance.json")
    assert "recipe.yaml, results.csv are not the files that this run wrote" in refused(run).replace("log.jsonl, ", "")


def test_an_image_of_another_run_is_refused_in_the_report(run):
    image = next((run / "images").glob("*/truth/0.png"))
    Image.new("RGB", (16, 16), "red").save(image)
    assert f"{image.relative_to(run)} is not the file that this run wrote" in refused(run)


def test_a_run_that_was_stopped_while_it_was_put_here_is_refused(run):
    provenance = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps({**provenance, "next": {}}))
    assert "so the files are of two runs" in refused(run)


def test_missing_images_and_log_are_told_and_the_rest_is_shown(run):
    shutil.rmtree(run / "images")
    (run / "log.jsonl").unlink()
    page = build_report(run).read_text()
    for name in ("images/index.json", "log.jsonl"):
        assert f"There is no {name} in the folder of the run." in page


@pytest.mark.parametrize("name", ["report.html", "summary.json"])
def test_a_file_in_the_place_of_the_report_that_is_not_its_own_is_kept(run, name):
    (run / name).write_text("mine")
    assert f"{name} here was not written by metai2i, or changed since, and would be lost" in refused(run)


def test_a_report_that_was_edited_is_kept(run):
    page = build_report(run)
    page.write_text(page.read_text().replace("<h1>", "<h1>My remark: "))
    assert "report.html here was not written by metai2i, or changed since" in refused(run)


def test_the_report_of_an_older_version_is_written_anew(tmp_path):
    """It has no digest of itself, but it begins as all reports do."""
    run = make_run(tmp_path / "run", **SMALL)
    page = build_report(run)
    whole = page.read_text()
    page.write_text(whole[: whole.index("<!-- metai2i report")])
    assert build_report(run).read_text() == whole
    page.write_text("<!DOCTYPE html>\n<p>mine")
    assert "report.html here was not written by metai2i" in refused(run)


def test_a_sealed_page_is_known_by_its_text(tmp_path):
    write_signed_page(tmp_path / "report.html", "<p>ü</p>\n")
    assert (tmp_path / "report.html").read_text().startswith("<p>ü</p>\n<!-- metai2i report ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("provenance.json", {"seconds": []}, "seconds: got [], expected a number"),
        ("provenance.json", {"stages": [{"rows": True}]}, "stages.0.rows: got true, expected a list"),
        ("images/index.json", {"tasks": [{"id": "a", "dir": "../.."}]}, "tasks.0.dir: '../..' is no name"),
        ("images/index.json", {"tasks": [{"id": "a", "dir": "a", "support": 5}]}, "tasks.0.support"),
        ("images/index.json", "[" * 100_000, "it is nested more than 100 deep"),
        ("recipe.yaml", "name: &a [x, *a]\n", "its aliases stand for more than 1,000,000 values"),
    ],
)
def test_a_damaged_file_of_an_older_run_is_told_and_left_out(tmp_path, capsys, name, content, message):
    run = make_run(tmp_path / "run", **SMALL)
    (run / name).write_text(content if isinstance(content, str) else json.dumps(content))
    assert invoke(["report", str(run)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"{name} cannot be read and is left out: " in said
    assert message in said


@pytest.mark.parametrize("command", ["report", "compare", "adapt"])
def test_a_run_in_the_format_of_a_newer_version_is_refused_with_the_version_that_wrote_it(command, run, tmp_path):
    other = counted(make_run(tmp_path / "other", **SMALL), digests=True)
    read = {
        "report": lambda: build_report(run),
        "compare": lambda: compare_runs([other, run]),
        "adapt": lambda: read_trained_run(run, Registry(), []),
    }
    provenance = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps({**provenance, "metai2i": "9.1.0", "format": 2}))
    with pytest.raises(NewerRun) as error:
        read[command]()
    assert error.value.what == (
        f"metai2i 9.1.0 wrote this run in format 2, and metai2i {__version__} reads formats up to 1"
    )
    assert error.value.where == run / "provenance.json"


def test_a_provenance_that_does_not_fit_names_the_version_that_wrote_it(tmp_path):
    run = make_run(tmp_path / "run", **SMALL)
    (run / "provenance.json").write_text(json.dumps({"metai2i": "9.1.0", "seconds": "3 hours"}))
    by = f"metai2i 9.1.0 wrote it, and this is metai2i {__version__}"
    assert load_run(run).notes[0].endswith(f" ({by}).")
    with pytest.raises(UserError, match="this is no provenance of a run") as error:
        read_trained_run(run, Registry(), [])
    assert error.value.hint == by


def test_a_recipe_that_does_not_fit_names_the_version_that_wrote_it(run):
    provenance = json.loads((run / "provenance.json").read_text())
    (run / "recipe.yaml").write_text("name: small\nnew_key: 3\n")
    (run / "provenance.json").write_text(json.dumps({**provenance, "metai2i": "9.1.0", "files": {}}))
    with pytest.raises(UserError, match="new_key") as error:
        read_trained_run(run, Registry(), [])
    by = f"metai2i 9.1.0 wrote it, and this is metai2i {__version__}"
    assert f"this version cannot read the recipe of the run ({by})" in str(error.value)


def test_a_run_does_not_take_the_place_of_one_in_a_newer_format(run):
    provenance = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps({**provenance, "metai2i": "9.1.0", "format": 2}))
    with pytest.raises(NewerRun, match=r"metai2i 9\.1\.0 wrote this run in format 2"):
        holdings(run)


def test_lines_of_the_log_may_say_anything(tmp_path):
    run = make_run(tmp_path / "run", **SMALL)
    odd = ["[" * 100_000, '{"step": true, "losses": {"a": "b"}}', '{"step": 1e999, "losses": {"a": 1}}', "[1]", "3",
           '{"step": 2, "losses": {"a": 1e308}, "rows": 3, "rate": []}']  # fmt: skip
    with (run / "log.jsonl").open("a") as file:
        file.write("".join(f"{line}\n" for line in odd))
    assert "Lines of log.jsonl that cannot be read and are left out: " in build_report(run).read_text()


def bomb(side: int) -> bytes:
    """A PNG that says it is `side` pixels high and wide."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("content", [bomb(11_000), bomb(60_000), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_an_image_that_no_run_can_have_made_is_left_out(tmp_path, content):
    run = make_run(tmp_path / "run", **SMALL)
    for image in (run / "images").glob("*/truth/0.png"):
        image.write_bytes(content)
    assert "no image" in build_report(run).read_text()


def test_no_image_from_outside_of_the_run_is_shown(tmp_path):
    run = make_run(tmp_path / "run", **SMALL)
    Image.fromarray(np.full((16, 16, 3), 77, np.uint8)).save(tmp_path / "private.png")
    for image in (run / "images").glob("*/truth/0.png"):
        image.unlink()
        image.symlink_to(tmp_path / "private.png")
    without = build_report(run).read_text()
    for image in (run / "images").glob("*/truth/0.png"):
        image.unlink()
    assert without == build_report(run).read_text()
