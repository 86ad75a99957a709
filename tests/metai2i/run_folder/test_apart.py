"""What a run reads is known by its recipe, whatever its components call it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toys import toy_row

from metai2i.errors import UserError
from metai2i.recipe import Component, RetrieverComponent
from metai2i.run_folder.apart import Apart, check_apart, is_in, needed


def places(recipe: Path, out: Path, **sections: Any) -> dict[str, Path]:
    row = toy_row().model_copy(
        update={
            name: (RetrieverComponent if name == "retriever" else Component)(**fields)
            for name, fields in sections.items()
        }
    )
    run = SimpleNamespace(source_path=recipe, rows={"X": row})
    paths = needed(run, out, Path("stages"), None)  # type: ignore[arg-type]
    return {thing.what: thing.path for thing in paths}


def test_the_recipe_the_store_and_every_option_that_is_a_path_are_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("data", "more", "index"):
        (tmp_path / name).mkdir()
    options = {"root": Path("data"), "others": [Path("more"), "none/such"], "size": [32, 32], "layout": "index"}
    paths = places(
        Path("my.yaml"),
        Path("out"),
        tasks={"use": "toy", "options": options},
        retriever={"use": "iou", "options": {"store": str(tmp_path / "index")}},
    )
    assert paths == {
        "the stage store": Path("stages"),
        "the recipe": Path("my.yaml"),
        "tasks.root": Path("data"),
        "tasks.others": Path("more"),
        "tasks.layout": Path("index"),
        "retriever.store": tmp_path / "index",
    }


def test_a_runs_own_recipe_may_be_run_in_its_folder(tmp_path):
    assert "the recipe" not in places(tmp_path / "run" / "recipe.yaml", tmp_path / "run")
    assert "the recipe" in places(tmp_path / "run" / "mine.yaml", tmp_path / "run")


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b", "~no_such_user_at_all/x", ""])
def test_a_text_that_is_no_path_is_none(tmp_path, text):
    paths = places(tmp_path / "my.yaml", tmp_path / "out", tasks={"use": "toy", "options": {"text": text}})
    assert "tasks.text" not in paths


def test_a_home_folder_is_meant_by_its_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = places(tmp_path / "my.yaml", tmp_path / "out", tasks={"use": "toy", "options": {"root": Path("~/data")}})
    assert paths["tasks.root"] == tmp_path / "data"


def test_a_folder_is_known_by_any_of_its_names(tmp_path):
    (tmp_path / "run" / "data").mkdir(parents=True)
    (tmp_path / "link").symlink_to("run")
    assert is_in(tmp_path / "run" / "data", tmp_path / "run")
    assert is_in(tmp_path / "link" / "data", tmp_path / "run")
    assert not is_in(tmp_path / "run", tmp_path / "run" / "data")
    assert not is_in(tmp_path / "run-2", tmp_path / "run")


def test_what_is_in_the_folder_is_named_with_its_place(tmp_path):
    with pytest.raises(UserError) as caught:
        check_apart(tmp_path, Apart("tasks.root", tmp_path / "data"))
    assert caught.value.what == f"tasks.root is in this folder ({tmp_path / 'data'}), which a run would replace"
    check_apart(tmp_path / "run", Apart("tasks.root", tmp_path))
