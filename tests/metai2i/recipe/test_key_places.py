"""Where keys are written, for what is found wrong with their values when data and plugins are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from small_run import RECIPE

from metai2i.cli import invoke
from metai2i.errors import Location, UserError, UserErrors
from metai2i.recipe import load_recipe
from metai2i.recipe.key_places import told_with_places, with_place
from metai2i.registry import Registry


def write(tmp_path, more: str):
    path = tmp_path / "small.yaml"
    path.write_text(f"{RECIPE}  Held:\n{more}")
    return path, len(path.read_text().splitlines())


def test_they_are_known_by_row_and_key_where_they_are_written(tmp_path):
    path, last = write(tmp_path, "    strategy: {use: finetune}\n    adapt: {freeze: [line]}\n")
    places = load_recipe(path, registry=Registry()).key_places["Held"]
    assert {"adapt", "adapt.freeze", "strategy", "strategy.use"} < {*places}
    assert "adapt.betas" not in places
    assert str(places["adapt.freeze"]) == f"{path}:{last}:21"


def test_a_player_that_there_is_not_is_told_with_its_place(tmp_path, capsys):
    path, last = write(tmp_path, "    strategy: {use: finetune}\n    adapt: {freeze: [lien]}\n")
    more = ("--out", str(tmp_path / "out"), "--stages", str(tmp_path / "stages"), "--rows", "Held")
    assert invoke(["run", str(path), *more]) == 2
    assert f"error: {path}:{last}:21: adapt.freeze names 'lien', which is no player of" in capsys.readouterr().err
    assert invoke(["run", str(path), *more, "rows.Held.adapt.freeze=[lnie]"]) == 2
    error = capsys.readouterr().err
    assert "error: command line: " in error
    assert "adapt.freeze names 'lnie', which is no player of" in error
    assert not (tmp_path / "out").exists()


KEY, FOLDER = Location("a.yaml", 4, 12), Path("/data/faces")


@pytest.mark.parametrize(
    ("what", "where", "expected"),
    [
        ("tasks.val is 9, not 5", FOLDER, "a.yaml:4:12: tasks.val is 9, not 5, in /data/faces"),
        ("tasks.val: there is no domain 'cta'", None, "a.yaml:4:12: tasks.val: there is no domain 'cta'"),
        ("row 'Two words': tasks.val is 9", None, "a.yaml:4:12: row 'Two words': tasks.val is 9"),
        ("tasks.val names 'cta'", Location("a.yaml", 9, 1), "a.yaml:9:1: tasks.val names 'cta'"),
        ("tasks.val_share is 9", FOLDER, "/data/faces: tasks.val_share is 9"),
        ("tasks.val.a is 9", FOLDER, "/data/faces: tasks.val.a is 9"),
        ("there are too few people for tasks.val", FOLDER, "/data/faces: there are too few people for tasks.val"),
        ("tasks", FOLDER, "/data/faces: tasks"),
    ],
)
def test_what_begins_with_a_key_gets_its_place_and_all_else_stays(what, where, expected):
    error = UserError(what, where=where, hint="look again")
    assert str(with_place(error, {"tasks": KEY, "tasks.val": KEY})) == f"{expected} (look again)"


def test_of_several_errors_each_gets_its_own():
    errors = UserErrors([UserError("tasks.val is 9"), UserError("a file is damaged", where=FOLDER)])
    with pytest.raises(UserErrors) as caught, told_with_places({"tasks.val": KEY}):
        raise errors
    assert str(caught.value) == "a.yaml:4:12: tasks.val is 9\n/data/faces: a file is damaged"


def test_what_a_source_finds_in_a_value_is_told_with_the_recipes_place_and_the_folder(tmp_path, capsys):
    for name in ("cat", "dog"):
        for n in range(4):
            path = tmp_path / "data" / "train" / name / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (40 * n, 9, 90 if name == "cat" else 0)).save(path)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "tasks: {use: domains, root: data, val: [cta], size: [32, 32]}\n"
        "translator: {use: stargan2, width: 16}\n"
        "evaluate: {metrics: [swd]}\n"
        "rows: {A: {strategy: {use: none}}}\n"
    )
    assert invoke(["plan", str(recipe), f"tasks.root={tmp_path / 'data'}"]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert f"error: {recipe}:1:40: tasks.val: there is no domain 'cta', in {tmp_path / 'data'}" in error
    assert "did you mean 'cat'?" in error
