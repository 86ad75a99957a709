"""Where a recipe names players, which are known only when its translator is built."""

from __future__ import annotations

from small_run import RECIPE

from metai2i.cli import invoke
from metai2i.recipe import load_recipe
from metai2i.registry import Registry


def write(tmp_path, more: str):
    path = tmp_path / "small.yaml"
    path.write_text(f"{RECIPE}  Held:\n{more}")
    return path, len(path.read_text().splitlines())


def test_they_are_known_by_row_and_key_where_they_are_written(tmp_path):
    path, last = write(tmp_path, "    strategy: {use: finetune}\n    adapt: {freeze: [line]}\n")
    places = load_recipe(path, registry=Registry()).player_places
    assert {row: [*keys] for row, keys in places.items() if keys} == {"Held": ["adapt.freeze"]}
    assert str(places["Held"]["adapt.freeze"]) == f"{path}:{last}:21"


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
