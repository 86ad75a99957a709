"""A run's folder may be anybody's: what does not fit is told, and nothing of it leads out of the folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metai2i.errors import UserError
from metai2i.run_folder.record import ImageIndex, Provenance, read_record, read_run_recipe

NESTED = "[" * 100_000 + "]" * 100_000
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
ADAPTING = {"seconds": 1.0, "aux_seconds": 0, "scene_seconds": [1, 2, 3], "numbers": 5, "bytes": None}


def refused(folder: Path, text: str, kind: type = Provenance) -> str:
    (folder / "file.json").write_text(text)
    with pytest.raises(UserError) as caught:
        read_record(folder / "file.json", kind)
    assert caught.value.where == folder / "file.json"
    return caught.value.what


def test_what_a_run_writes_is_read_and_all_that_it_says_is_kept(tmp_path):
    provenance = {"metai2i": "0.1.0", "seconds": 3.5, "stages": [{"name": "evaluate", "key": "ab", "rows": ["Line"],
            "adapting": ADAPTING, "seconds": 2}], "of a plugin": {"anything": [1]}}  # fmt: skip
    (tmp_path / "file.json").write_text(json.dumps(provenance))
    record, everything = read_record(tmp_path / "file.json", Provenance)
    assert everything == provenance
    assert (record.seconds, record.stages[0].rows, record.files) == (3.5, ["Line"], None)


@pytest.mark.parametrize(
    ("provenance", "place"),
    [
        ({"seconds": []}, "seconds"),
        ({"seconds": float("inf")}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"seconds": 10**400}, "seconds"),
        ({"seconds": True}, "seconds"),
        ({"seconds": -1}, "seconds"),
        ({"command": {}}, "command"),
        ({"stages": {}}, "stages"),
        ({"stages": [3]}, "stages.0"),
        ({"stages": [{"rows": True}]}, "stages.0.rows"),
        ({"stages": [{"key": "../../elsewhere"}]}, "stages.0.key"),
        ({"stages": [{"peak_memory_mib": "much"}]}, "stages.0.peak_memory_mib"),
        ({"stages": [{"adapting": ADAPTING | {"seconds": "3"}}]}, "stages.0.adapting.seconds"),
        ({"stages": [{"adapting": ADAPTING | {"scene_seconds": [1]}}]}, "stages.0.adapting.scene_seconds"),
        ({"stages": [{"adapting": ADAPTING | {"numbers": {}}}]}, "stages.0.adapting.numbers"),
        ({"stages": [{"adapting": {}}]}, "stages.0.adapting: key 'seconds' is missing"),
        ({"stages": [{"chosen": {"lr": "fast"}}]}, "stages.0.chosen.lr"),
        ({"metrics": {"ink": {"title": 3, "higher_is_better": True}}}, "metrics.ink.title"),
        ({"metrics": {"ink": {"title": "ink", "higher_is_better": True, "digits": 10**9}}}, "metrics.ink.digits"),
        ({"data": {"test_tasks": "all"}}, "data.test_tasks"),
        ({"measured": {"Line": {"tasks": 1, "queries": 3}}}, "measured.Line: key 'numbers' is missing"),
        ({"files": {"../notes.txt": "ab"}}, "files"),
        ({"files": {"/etc/passwd": "ab"}}, "files"),
        ([], ""),
    ],
)
def test_a_provenance_that_no_run_writes_is_told_by_its_place(tmp_path, provenance, place):
    assert refused(tmp_path, json.dumps(provenance)).startswith(place)


@pytest.mark.parametrize(
    ("task", "place"),
    [
        ({"dir": ".."}, "tasks.0.dir"),
        ({"dir": "../.."}, "tasks.0.dir"),
        ({"dir": "/etc"}, "tasks.0.dir"),
        ({"dir": ""}, "tasks.0.dir"),
        ({"dir": "a\0"}, "tasks.0.dir"),
        ({"dir": 3}, "tasks.0.dir"),
        ({"support": 5}, "tasks.0.support"),
        ({"queries": ["../../secret"]}, "tasks.0.queries.0"),
        ({"rows": {"Line": "../truth"}}, "tasks.0.rows.Line"),
        ({"general": {"Line": "general/../.."}}, "tasks.0.general.Line"),
        ({"rows": True}, "tasks.0.rows"),
        ({"aux": {"Line": "scene"}}, "tasks.0.aux.Line"),
        ({"id": None}, "tasks.0.id"),
    ],
)
def test_an_index_of_images_that_no_run_writes_is_told_by_its_place(tmp_path, task, place):
    assert refused(tmp_path, json.dumps({"tasks": [{"id": "a", "dir": "a"} | task]}), ImageIndex).startswith(place)


def test_what_is_nested_without_end_is_told(tmp_path):
    assert "nested more than 100 deep" in refused(tmp_path, NESTED)
    assert "nested more than 100 deep" in refused(tmp_path, '{"a": ' * 101 + "1" + "}" * 101)
    (tmp_path / "file.json").write_text('{"a": ' * 100 + "1" + "}" * 100)
    assert read_record(tmp_path / "file.json", Provenance)[0].stages == []


def test_a_file_that_is_too_large_or_no_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("metai2i.run_folder.record.LARGEST_RECORD", 100)
    assert "the file has 1,000 bytes, more than 100" in refused(tmp_path, "1" * 1000)
    with pytest.raises(UserError, match="this is no ordinary file"):
        read_record(Path("/dev/zero"), Provenance)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "it is nested more than 50 deep"),
        ("- " * 60 + "x", "it is nested more than 50 deep"),
        ("a: &a [x]\nrows: {<<: {b: *a}}\n", "it has a merge key"),
        ("a: &a [x, *a]\n", "its aliases stand for more than 1,000,000 values"),
        (BOMB, "its aliases stand for more than 1,000,000 values"),
        ("name: [", "expected a value, got the end of the text"),
        ("- list", "this is no recipe"),
        ("when: 2001-99-99", "month must be in 1..12"),
        ("!!python/object/apply:os.system [id]", "could not determine a constructor"),
    ],
)
def test_a_recipe_that_no_run_writes_is_told(tmp_path, text, message):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_run_recipe(tmp_path / "recipe.yaml")
    assert str(error.value.where).startswith(str(tmp_path / "recipe.yaml"))


def test_a_recipe_with_few_aliases_is_read(tmp_path):
    (tmp_path / "recipe.yaml").write_text("a: &a [x, {y: 1}]\nb: *a\n")
    assert read_run_recipe(tmp_path / "recipe.yaml")[0] == {"a": ["x", {"y": 1}], "b": ["x", {"y": 1}]}
