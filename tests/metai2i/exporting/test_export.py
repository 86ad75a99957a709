"""`metai2i export`: wrong input, and files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_run import BASELINE, ROWS, make_run
from PIL import Image
from small_run import PLUGINS

from metai2i.cli import invoke
from metai2i.exporting.export import ExportRequest, export
from metai2i.exporting.figure_files import placed_cells
from metai2i.registry import Registry

MINE = """
from metai2i import RunExporter, hookimpl


class Half(RunExporter):
    \"\"\"It fails when half is written.\"\"\"

    ending = ".txt"

    def export(self, content, out):
        out.write_text("half")
        raise ValueError("the rest is missing")


class Elsewhere(RunExporter):
    \"\"\"Its library is nowhere.\"\"\"

    modules = ("no_such_library",)
    install = "pip install no-such-library"

    def export(self, content, out): ...


@hookimpl
def register_exporters(register):
    register("half", Half)
    register("elsewhere", Elsewhere)
"""


@pytest.fixture
def answer(tmp_path, monkeypatch, capsys):
    """Gives the exit code and stderr of `metai2i export` in a folder with a run and some exporters."""
    monkeypatch.chdir(tmp_path)
    make_run(Path("run"), tasks=2, images=False, rows={"Copy": ROWS["Copy"], BASELINE: ROWS[BASELINE]})
    Path("mine").mkdir()
    Path("mine/mine.py").write_text(MINE)

    def export(*words: str) -> tuple[int, str]:
        code = invoke(["export", *words, "--plugins-dir", "mine", "--plugins-dir", str(PLUGINS)])
        return code, capsys.readouterr().err

    return export


WRONG = {
    "an unknown exporter": (("run", "--to", "onxx"), "no exporter is called 'onxx' (did you mean 'onnx'?"),
    "a missing library": (("run", "--to", "elsewhere"),
                          "--to elsewhere needs no_such_library, which is not installed (pip install no-such-library)"),
    "a run as a model": (("run", "--to", "torch"), "this is the folder of a run, expected the file of a model"),
    "a model as a run": (("mine/mine.py", "--to", "markdown"),
                         "this is a file, and --to markdown takes the folder of a run"),
    "a folder that is not there": (("nowhere", "--to", "markdown"), "nowhere: there is no such folder"),
    "no model": (("mine/mine.py", "--to", "torch"), "this is no adapted model"),
    "another ending": (("run", "--to", "latex", "--out", "a.md"), "got 'a.md', expected the name of a .tex file"),
    "a way of a run": (("run", "--to", "latex", "--way", "x"), "--way is for models, and --to latex takes a run"),
    "an unknown option": (("run", "kind=png", "--to", "figures"), "kind"),
    "an option of a wrong type": (("run", "kinds=[gif]", "--to", "figures"), "'png' or 'pdf'"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_gets_one_message_and_writes_nothing(answer, words, message):
    code, errors = answer(*words)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert {path.name for path in Path().iterdir()} == {"run", "mine"}


def test_a_file_that_fails_halfway_is_not_there(answer):
    code, errors = answer("run", "--to", "half")
    assert code == 2
    assert "the exporter 'half': ValueError in export" in errors
    assert "the rest is missing" in errors
    assert {path.name for path in Path().iterdir()} == {"run", "mine"}


@pytest.mark.parametrize(("inside", "named"), [(".", "."), ("images", "..")])
def test_a_run_that_is_named_by_where_one_stands_has_its_own_name(answer, monkeypatch, tmp_path, inside, named):
    (tmp_path / "run" / "images").mkdir(exist_ok=True)
    before = sorted((tmp_path / "run").iterdir())
    monkeypatch.chdir(tmp_path / "run" / inside)
    assert invoke(["export", named, "--to", "markdown", "--plugins-dir", str(PLUGINS)]) == 0
    assert (tmp_path / "run.md").is_file()
    assert sorted((tmp_path / "run").iterdir()) == before


def test_a_file_that_is_there_is_kept(answer):
    Path("run.md").write_text("mine")
    code, errors = answer("run", "--to", "markdown")
    assert code == 2
    assert "run.md: this is there already (--overwrite writes it anew" in errors
    assert Path("run.md").read_text() == "mine"
    assert answer("run", "--to", "markdown", "--overwrite")[0] == 0
    assert Path("run.md").read_text().startswith("quickstart") or "row" in Path("run.md").read_text()


def test_figures_are_files_in_the_colours_of_paper(tmp_path):
    few = {name: ROWS[name] for name in (BASELINE, "BiL-Pix2pix (5-shot)")}
    run = make_run(tmp_path / "run", tasks=6, rows=few)
    place = export(ExportRequest(run, "figures", tmp_path / "out", {"kinds": ["png", "pdf"]}), Registry()).place
    assert place is not None
    names = {end: sorted(each.stem for each in place.glob(f"*{end}")) for end in (".png", ".pdf")}
    assert names[".png"] == names[".pdf"]
    (differences,) = place.glob("*differences-in-lpips*.png")
    with Image.open(differences) as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(2**24)}
    assert {(255, 255, 255), (27, 31, 36), (91, 100, 112)} <= colours  # paper, ink and what is muted
    assert (1, 1, 1) not in colours  # the ink's stand-in in a page
    assert all(file.read_bytes().startswith(b"%PDF") for file in place.glob("*.pdf"))


def test_a_support_that_stands_for_all_queries_leaves_its_column_free():
    image = {"images": [], "span": 1}
    task = {"id": "t", "lines": [[image, {"images": [], "span": 2}, image], [image, image]]}
    assert [sorted(line) for line in placed_cells(task)] == [[0, 1, 2], [0, 2]]
