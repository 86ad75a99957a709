"""A run's folder is the old run or the new one at every moment, and what others have put there stays."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metai2i.errors import UserError
from metai2i.files import write_json, write_text
from metai2i.run_folder.apart import Apart
from metai2i.run_folder.files import NAMES, check_one_run, list_files, write_signed_page
from metai2i.run_folder.place import claimed
from metai2i.run_folder.record import Provenance

IMAGES = ("a/truth/0.png", "a/line/0.png", "index.json")


def write_run(folder: Path, text: str, images: tuple[str, ...] = IMAGES) -> None:
    """Writes a run whose files say `text`, as `metai2i run` leaves it."""
    for name in ("recipe.yaml", "results.csv", "log.jsonl", *(f"images/{each}" for each in images)):
        write_text(folder / name, f"{name} of {text}\n")
    write_json(folder / "provenance.json", {"metai2i": "1", "run": text, "files": list_files(folder)})
    write_json(folder / "summary.json", {"rows": {}, "run": text})
    write_signed_page(folder / "report.html", f"<!DOCTYPE html>\n{text}\n")


def run(out: Path, text: str, images: tuple[str, ...] = IMAGES) -> None:
    with claimed(out, []) as place, place.draft() as draft:
        write_run(draft, text, images)


def tree(folder: Path) -> dict[str, str]:
    """Every file in a folder with its text."""
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def content(folder: Path) -> str:
    """Of which run a folder is: its text, or "refused" where it is a mixture."""
    provenance = json.loads((folder / "provenance.json").read_text())
    try:
        check_one_run(folder, Provenance.model_validate(provenance), images=True)
    except UserError:
        return "refused"
    return str(provenance["run"])


def refused(out: Path, *apart: Apart) -> str:
    """What is told of a folder that no run may take; it must stay as it is."""
    before = tree(out) if out.is_dir() else {}
    with pytest.raises(UserError) as error, claimed(out, apart):
        pass
    assert (tree(out) if out.is_dir() else {}) == before
    return str(error.value)


RENAMING = ("os.rename", "ctypes.call_function")
CHANGING = (*RENAMING, "os.remove", "os.mkdir", "os.rmdir", "open")


def killer(number: int, steps: tuple[str, ...]) -> Callable[[str, tuple[object, ...]], None]:
    """Ends its process before the step of this number."""
    left = [number]

    def kill(event: str, arguments: tuple[object, ...]) -> None:
        left[0] -= event in steps and (event != "open" or "w" in str(arguments[1]))
        if left[0] == 0:
            os._exit(9)

    return kill


def killed_at_every_step(work: Callable[[], None], look: Callable[[], object], steps: tuple[str, ...]) -> list[object]:
    """What `look` sees after `work` was killed before its first, second, ... step, and in the end.

    Each time it is done in a process of its own.
    """
    seen = []
    for number in range(1, 500):
        process = os.fork()
        if process == 0:
            sys.addaudithook(killer(number, steps))
            try:
                work()
                os._exit(0)
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert code in (0, 9)
        seen.append(look())
        if code == 0:
            return seen
    raise AssertionError("it never comes to an end")


def test_a_run_takes_a_folder_that_is_missing_or_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "below/two/levels"):
        run(tmp_path / name, "first")
        assert {path.name for path in (tmp_path / name).iterdir()} == set(NAMES)
        assert content(tmp_path / name) == "first"
        assert ".metai2i-draft" not in json.loads((tmp_path / name / "provenance.json").read_text())["files"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["below", "empty", "new"]


def test_a_run_takes_the_place_of_another_with_all_its_files(tmp_path):
    run(tmp_path / "run", "first", (*IMAGES, "b/truth/0.png"))
    run(tmp_path / "run", "second")
    run(tmp_path / "fresh", "second")
    assert tree(tmp_path / "run") == tree(tmp_path / "fresh")
    assert not (tmp_path / "run" / "images" / "b").exists()


@pytest.mark.parametrize(
    "names",
    [
        ["images/holiday.jpg"],
        ["recipe.yaml"],
        ["notes.txt"],
        ["results.csv", "provenance.json", "recipe.yaml", "report.html", "images/index.json"],
        [".hidden"],
        ["images/deep/er/a.png"],
    ],
)
def test_a_folder_with_files_that_no_run_lists_is_refused(tmp_path, names):
    for name in names:
        write_text(tmp_path / "mine" / name, "mine")
    assert "this folder holds files that no run of metai2i has written: " in refused(tmp_path / "mine")


@pytest.mark.parametrize("listing", ['{"files": {}}', '{"metai2i": 3, "files": {}}', '{"metai2i": "1"}', "[]", "{"])
def test_a_provenance_of_something_else_marks_no_run(tmp_path, listing):
    write_text(tmp_path / "mine" / "provenance.json", listing)
    write_text(tmp_path / "mine" / "notes.txt", "mine")
    assert "no run of metai2i" in refused(tmp_path / "mine")


def test_what_a_user_adds_to_a_run_stays_when_it_is_replaced(tmp_path):
    out = tmp_path / "run"
    run(out, "first", (*IMAGES, "b/truth/0.png"))
    (out / "empty").mkdir()
    (out / "link").symlink_to(tmp_path / "nothing")
    for name in ("notes.txt", "images/a/mine.png", "images/b/truth/mine.png", "papers/draft.tex"):
        write_text(out / name, "mine")
    run(out, "second")
    assert content(out) == "second"
    assert {name for name, text in tree(out).items() if text == "mine"} == {
        "notes.txt", "images/a/mine.png", "images/b/truth/mine.png", "papers/draft.tex",
    }  # fmt: skip
    assert (out / "empty").is_dir()
    assert (out / "link").is_symlink()
    assert not (out / "images" / "b" / "truth" / "0.png").exists()


@pytest.mark.parametrize("name", ["recipe.yaml", "results.csv", "report.html", "images/a/line/0.png"])
def test_a_file_of_a_run_that_was_changed_since_is_not_replaced(tmp_path, name):
    run(tmp_path / "run", "first")
    with (tmp_path / "run" / name).open("a") as file:
        file.write("my remark")
    assert f"{name} changed since the run in this folder was written, and would be lost" in refused(tmp_path / "run")


def test_what_stands_where_a_run_writes_and_is_not_its_own_is_not_replaced(tmp_path):
    out = tmp_path / "run"
    run(out, "first", ())
    (out / "images").symlink_to(tmp_path)
    assert "no run has written what is in this folder: images" in refused(out)


def test_a_file_that_comes_while_a_run_works_is_not_replaced(tmp_path):
    with claimed(tmp_path / "run", []) as place:
        write_text(tmp_path / "run" / "notes.txt", "mine")
        with pytest.raises(UserError, match=r"has written: notes\.txt"), place.draft() as draft:
            write_run(draft, "first")
    assert tree(tmp_path / "run") == {"notes.txt": "mine"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


OFTEN = pytest.mark.parametrize("steps", [RENAMING, pytest.param(CHANGING, marks=pytest.mark.slow)], ids=["few", "all"])


@OFTEN
@pytest.mark.parametrize("keeps", [False, True], ids=["exchanged", "replaced one by one"])
def test_a_run_that_is_killed_anywhere_leaves_the_old_one_or_the_new_one(tmp_path, keeps, steps):
    out = tmp_path / "run"
    run(out, "first", ("b/truth/0.png",))
    if keeps:
        write_text(out / "notes.txt", "mine")
    work, look = (lambda: run(out, "second", ("index.json",))), (lambda: content(out) if out.exists() else "nothing")
    seen = killed_at_every_step(work, look, steps)  # each comes after what the one before has left
    assert (seen[0], seen[-1]) == ("first", "second")
    assert set(seen) == ({"first", "refused", "second"} if keeps else {"first", "second"})
    run(out, "third", ())
    assert content(out) == "third"
    assert (out / "notes.txt").exists() == keeps
    assert not (out / "images").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@OFTEN
def test_a_first_run_that_is_killed_anywhere_leaves_nothing_or_all(tmp_path, steps):
    out = tmp_path / "run"
    work, look = (lambda: run(out, "first", ("index.json",))), (lambda: content(out) if out.exists() else "nothing")
    assert set(killed_at_every_step(work, look, steps)) == {"nothing", "first"}
    assert {path.name for path in out.iterdir()} == set(NAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_error_while_it_is_written_leaves_the_old_run_and_names_the_folder_it_is_for(tmp_path):
    run(tmp_path / "run", "first")
    before = tree(tmp_path / "run")
    with claimed(tmp_path / "run", []) as place:
        with pytest.raises(UserError) as error, place.draft() as draft:
            write_text(draft / "recipe.yaml" / "below", write_run(draft, "second") or "")
        with pytest.raises(UserError) as other, place.draft() as draft:
            (draft / "gone" / "file").read_text()
    assert error.value.where == str(tmp_path / "run" / "recipe.yaml" / "below")
    assert other.value.where == str(tmp_path / "run" / "gone" / "file")
    assert "No such file or directory" in other.value.what
    assert tree(tmp_path / "run") == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_current_folder_and_one_that_cannot_be_renamed_stay_what_they_are(tmp_path, monkeypatch):
    out = tmp_path / "run"
    out.mkdir()
    monkeypatch.chdir(out)
    for text in ("first", "second"):
        run(Path(), text)
        assert sorted(os.listdir(".")) == sorted(NAMES)
    monkeypatch.chdir(tmp_path)
    node = out.stat().st_ino
    monkeypatch.setattr("metai2i.run_folder.alone._may_be_moved", lambda folder: False)
    run(out, "third")
    assert out.stat().st_ino == node
    assert content(out) == "third"
    assert {path.name for path in out.iterdir()} == set(NAMES)


def test_where_names_cannot_be_exchanged_files_are_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("metai2i.run_folder.place._exchanged", lambda left, other: False)
    for text in ("first", "second"):
        run(tmp_path / "run", text)
    assert content(tmp_path / "run") == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for text in ("first", "second"):
        run(tmp_path / "link", text)
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == "second"


@pytest.mark.parametrize("below", ["", "x"])
def test_links_in_a_circle_are_refused(tmp_path, below):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(UserError, match="links lead to each other in a circle here"):
        run(tmp_path / "one" / below, "first")
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_where_nothing_can_be_written_the_folder_is_named_and_not_its_lock(tmp_path):
    with pytest.raises(UserError) as error, claimed(Path("/proc/run"), []):
        pass
    assert str(error.value) == "/proc/run: cannot write: No such file or directory (name another folder)"


def test_the_longest_names_will_do(tmp_path):
    for name in ("x" * 255, "[/red] 漢字 \n", "-dash"):
        for text in ("first", "second"):
            run(tmp_path / name, text)
        assert content(tmp_path / name) == "second"


def test_two_runs_do_not_work_in_one_folder(tmp_path):
    with claimed(tmp_path / "run", []):
        message = refused(tmp_path / "run")
        assert f"another run (process {os.getpid()} on " in message
        assert "works in this folder (wait for it, or --out names another folder)" in message
        with claimed(tmp_path / "other", []):
            pass
    run(tmp_path / "run", "first")


def test_rests_of_killed_runs_are_removed_and_those_of_others_are_not(tmp_path):
    out = tmp_path / "run"
    run(out, "first")
    for name in (".metai2i-draft", "images/half.png"):
        write_text(tmp_path / ".run.99999.part" / name, "")
    write_run(tmp_path / ".run.99998.part", "an old one that was replaced")
    write_text(tmp_path / ".run.99997.part" / "precious.txt", "mine")
    write_text(out / ".results.csv.99999.part", "half")
    run(out, "second")
    assert {path.name for path in tmp_path.iterdir()} == {"run", ".run.99997.part"}
    assert tree(tmp_path / ".run.99997.part") == {"precious.txt": "mine"}
    assert {path.name for path in out.iterdir()} == set(NAMES)


@pytest.mark.parametrize("where", ["run", "run/inside", "run/in/side"])
def test_a_folder_with_what_the_run_needs_is_refused(tmp_path, where):
    run(tmp_path / "run", "first")
    assert "the data (tasks.root) is " in refused(tmp_path / "run", Apart("the data (tasks.root)", tmp_path / where))
    (tmp_path / "link").symlink_to(tmp_path / where)
    assert "the data is " in refused(tmp_path / "run", Apart("the data", tmp_path / "link"))


def test_a_folder_in_the_stage_store_is_refused(tmp_path):
    stages = Apart("the stage store", tmp_path, both=True)
    assert "this folder is in the stage store" in refused(tmp_path / "run", stages)
    with claimed(tmp_path / "run", [Apart("the data", tmp_path)]):
        pass


def test_folders_that_were_made_for_nothing_are_taken_away(tmp_path):
    with claimed(tmp_path / "a" / "b" / "run", []):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_an_older_version_is_replaced_but_for_what_it_has_not_written(tmp_path):
    """Its provenance lists no files; they are known by their names."""
    out, stage = tmp_path / "run", {"name": "pretrain", "key": "ab", "rows": ["Line"]}
    task = {"id": "a", "dir": "a", "queries": ["0"], "support": ["0"], "rows": {"Line": "line"}}
    shots = [{"shots": n, "dir": f"support-{n}-shot", "rows": ["Line"], "pictures": ["0"]} for n in (1, 5)]
    several = {"id": "c", "dir": "c", "queries": ["0"], "supports": shots, "rows": {"Line": "line"}}
    given = [f"c/support-{n}-shot{kind}/0" for n in (1, 5) for kind in ("", "-structure")]
    files = {
        "recipe.yaml": "rows: {Line: {}}\n",
        "results.csv": "row,task,query,metric,value\nLine,a,0,mse,0.5\n",
        "log.jsonl": "",
        "provenance.json": json.dumps({"metai2i": "0.1.0", "stages": [stage]}),
        "images/index.json": json.dumps({"tasks": [task, several]}),
        **dict.fromkeys((f"images/{name}.png" for name in ("a/line/0", "a/truth/0", "a/support/0", *given)), "old"),
        **dict.fromkeys((f"images/{name}.png" for name in ("a/line/mine", "b", "c/support-1-shot/mine")), "mine"),
        "notes.txt": "mine",
    }
    for name, text in files.items():
        write_text(out / name, text)
    run(out, "second", ("b/truth/0.png",))
    assert content(out) == "second"
    assert {name for name, text in tree(out).items() if text == "mine"} == {
        "images/a/line/mine.png", "images/b.png", "images/c/support-1-shot/mine.png", "notes.txt",
    }  # fmt: skip
    assert "old" not in tree(out).values()
