"""What a stage store keeps is listed, and what no run needs is deleted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from metai2i.cli import invoke as metai2i
from metai2i.locks import locked
from metai2i.pipeline.kept_stages import kept_stages

STRIPES = Path(__file__).parents[2] / "downstream" / "stripes.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with two finished runs of some rows, and their stage store."""
    folder = tmp_path_factory.mktemp("finished")
    for name, row in {"copy": "Copy", "line": "Line"}.items():
        asked = ["run", str(STRIPES), "compare.baseline=null", "--rows", row, "--out", str(folder / name)]
        assert metai2i([*asked, "--stages", str(folder / "stages")]) == 0
    return folder


@pytest.fixture
def here(finished, tmp_path) -> Path:
    """A copy of it."""
    shutil.copytree(finished, tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def call(here, capsys):
    """Runs `metai2i stages`; gives the exit code, stdout and stderr."""

    def call(*args: str) -> tuple[int, str, str]:
        code = metai2i(["stages", *args, "--stages", str(here / "stages")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def names(here: Path) -> list[str]:
    return sorted(f"{stage.name} {','.join(stage.rows)}" for stage in kept_stages(here / "stages"))


def test_stages_are_listed_with_their_rows_and_size(call, here):
    code, out, _ = call("list")
    assert code == 0
    assert out.splitlines()[-1].startswith("3 stages, ")
    sizes = sum(path.stat().st_size for path in (here / "stages").rglob("*") if path.is_file())
    assert sum(stage.bytes for stage in kept_stages(here / "stages")) == sizes
    assert names(here) == ["evaluate Copy", "evaluate Line", "pretrain Copy"]


def test_without_yes_nothing_goes(call, here):
    out = call("prune", "--keep", str(here / "copy"))[1]
    assert "evaluate  Line" in out
    assert out.splitlines()[-1].startswith("1 stage, ")
    assert "would go from" in out
    assert len(names(here)) == 3


def test_what_no_run_that_is_kept_was_made_of_goes(call, here):
    assert call("prune", "--keep", str(here / "copy"), "--yes")[0] == 0
    assert names(here) == ["evaluate Copy", "pretrain Copy"]


def test_a_stage_that_somebody_works_on_stays(call, here):
    (line,) = [stage for stage in kept_stages(here / "stages") if stage.rows == ("Line",)]
    with locked(here / "stages" / line.key / "lock", print, hint=""):
        out = call("prune", "--keep", str(here / "copy"), "--yes")[1]
    assert f"stayed, since somebody works on them: {line.key}" in out
    assert len(names(here)) == 3


def test_only_what_was_never_finished_goes_when_that_is_asked_for(call, here):
    (line,) = [stage for stage in kept_stages(here / "stages") if stage.rows == ("Line",)]
    (here / "stages" / line.key / "done.json").unlink()
    assert call("prune", "--unfinished", "--yes")[0] == 0
    assert names(here) == ["evaluate Copy", "pretrain Copy"]


def test_what_is_younger_than_the_days_that_are_named_stays(call, here):
    assert call("prune", "--older-than", "1", "--yes")[0] == 0
    assert len(names(here)) == 3
    assert call("prune", "--older-than", "0", "--yes")[0] == 0
    assert names(here) == []


def test_files_and_folders_of_others_are_left_alone(call, here):
    for name in ("notes", "0123456789abcdef"):
        (here / "stages" / name).mkdir()
        (here / "stages" / name / "mine.txt").write_text("mine")
    call("prune", "--older-than", "0", "--yes")
    assert sorted(path.name for path in (here / "stages").iterdir()) == ["0123456789abcdef", "notes"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["prune"], "got nothing that says what may go (--keep RUN, --older-than DAYS or --unfinished"),
        (["prune", "--keep", "gone"], "gone: there is no such folder (--keep names the folder of a run)"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_goes(call, here, args, message):
    code, _, error = call(*args, "--yes")
    assert code == 2
    assert message in error
    assert len(names(here)) == 3


def test_a_stage_that_was_finished_since_it_was_listed_stays(tmp_path):
    from metai2i.pipeline.kept_stages import kept_stages, removed
    from metai2i.pipeline.stage_store import Stage, StageStore
    from metai2i.training.stage_records import DoneRecord

    store, stage = StageStore(tmp_path / "stages"), Stage("pretrain", {"seed": 0})
    with store.lock(stage):
        store.begin(stage, resume=False)
    listed = kept_stages(store.root)
    with store.lock(stage):
        store.finish(stage, DoneRecord(iterations=1, seconds=1.0, peak_memory_mib=None))
    assert [gone for _, gone in removed(store.root, listed)] == [False]
    assert store.done(stage) is not None
    assert [gone for _, gone in removed(store.root, kept_stages(store.root))] == [True]
