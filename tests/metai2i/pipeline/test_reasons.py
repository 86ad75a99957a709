"""Why a stage is made anew is told in the words of what has changed."""

from __future__ import annotations

import logging
import os

import pytest

from metai2i.pipeline.reasons import about, differences, known_stages, tell_why
from metai2i.pipeline.stage_store import Stage, StageStore


class Scene:
    def __init__(self, id: str, samples: str | None) -> None:
        self.id, self.samples = id, samples

    def fingerprint(self) -> str | None:
        return self.samples


BASE = {
    "core": {
        "version": "1",
        "files": {"metai2i/training/driving.py": "a"},
        "packages": {"torch": "2.4", "numpy": "1.26"},
    },
    "translator": {"name": "mine", "files": {"stargan2.py": "a", "_helper.py": "a"}, "options": {"width": 8}},
    "networks": {"alex": "a"},
    "data": "a",
    "pretrain": {"lr": 0.1, "iterations": {"generator": 5}},
}


def put(value: dict, path: str, to: object) -> dict:
    """A copy with another value at a place; `...` takes it away."""
    first, _, rest = path.partition("/")
    if rest:
        return {**value, first: put(value.get(first, {}), rest, to)}
    return {name: each for name, each in value.items() if name != first} if to is ... else {**value, first: to}


def why(*changes: tuple[str, object], name: str = "pretrain", scenes=(), before=()) -> list[str] | None:
    """The differences of a stage from one that was trained before the changes."""
    after = BASE
    for path, to in changes:
        after = put(after, path, to)
    split = {"evaluate": "test"}.get(name, "train")
    old = Stage(name, BASE)
    known = {"name": name, "determines": BASE, **about(old, "table", ["A", "B"], {split: before})}
    new = Stage(name, after)
    return differences(new, about(new, "table", ["B"], {split: scenes}), [known])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("translator/files/stargan2.py", "b"), "stargan2.py has changed"),
        (("translator/files/new.py", "b"), "new.py is new"),
        (("translator/files/_helper.py", ...), "_helper.py is no longer used"),
        (("core/files/metai2i/training/driving.py", "b"), None),
        (("core/packages/torch", "2.5"), "torch 2.4 -> 2.5"),
        (("core/packages/numpy", None), "numpy 1.26 -> nothing"),
        (("core/version", "2"), "core.version 1 -> 2"),
        (("networks/alex", "b"), "the feature weights of alex have changed"),
        (("data", "b"), "the data of split train has changed"),
        (("pretrain/lr", 0.2), "pretrain.lr 0.1 -> 0.2"),
        (("pretrain/iterations/generator", 6), "pretrain.iterations.generator 5 -> 6"),
        (("translator/options/depth", [1, 2]), "translator.options.depth nothing -> [1, 2]"),
    ],
)
def test_one_change_is_told_by_its_name(change, words):
    if words is None:  # its name has a slash, so it is put in by hand
        after = {**BASE, "core": {**BASE["core"], "files": {"metai2i/training/driving.py": "b"}}}
        new, old = Stage("pretrain", after), Stage("pretrain", BASE)
        known = {"name": "pretrain", "determines": BASE, **about(old, "table", ["A"], {})}
        assert differences(new, about(new, "table", ["A"], {}), [known]) == ["metai2i/training/driving.py has changed"]
    else:
        assert why(change) == [words]


def test_a_file_of_two_components_is_told_once():
    both = {**BASE, "strategy": BASE["translator"]}
    changed = put(put(both, "translator/files/stargan2.py", "b"), "strategy/files/stargan2.py", "b")
    new = Stage("pretrain", changed)
    known = {"name": "pretrain", "determines": both, **about(Stage("pretrain", both), "table", ["A"], {})}
    assert differences(new, about(new, "table", ["A"], {}), [known]) == ["stargan2.py has changed"]


def test_scenes_that_have_changed_are_named_and_counted():
    before = [Scene(name, "x") for name in "abcdef"]
    after = [Scene("a", "y"), *before[2:], Scene("g", "x")]
    sentences = ["the data of split train has changed (3 of 7 scenes: a, g, b)"]
    assert why(("data", "b"), before=before, scenes=after) == sentences
    many = [Scene(name, "y") for name in "abcdef"]
    sentences = ["the data of split train has changed (6 of 6 scenes: a, b, c, ...)"]
    assert why(("data", "b"), before=before, scenes=many) == sentences


def test_scenes_that_do_not_tell_are_not_counted():
    silent = [Scene("a", None)]
    assert why(("data", "b"), before=silent, scenes=silent) == ["the data of split train has changed"]


def test_the_data_that_is_scored_on_is_that_of_the_test_split():
    assert why(("data", "b"), name="evaluate") == ["the data of split test has changed"]


def test_a_stage_that_only_builds_on_another_says_so():
    old, new = (Stage("metatrain", {"lr": 1}, Stage("pretrain", {"lr": lr})) for lr in (1, 2))
    known = {"name": "metatrain", "determines": {"lr": 1}, **about(old, "table", ["A"], {})}
    assert differences(new, about(new, "table", ["A"], {}), [known]) == ["it builds on another pretrain"]


def test_the_most_alike_is_what_it_is_held_against():
    near, far = {"a": 1, "b": 2, "c": 3}, {"a": 9, "b": 9, "c": 3}
    new = Stage("pretrain", {"a": 1, "b": 2, "c": 4})
    known = [{"name": "pretrain", "determines": each, **about(new, "table", ["A"], {})} for each in (far, near)]
    assert differences(new, about(new, "table", ["A"], {}), known) == ["c 3 -> 4"]


@pytest.mark.parametrize(
    "other",
    [{"name": "continued"}, {"recipe": "b"}, {"recipe": None}, {"rows": ["C"]}, {"rows": 5}, {"name": None}],
)
def test_stages_of_other_rows_recipes_or_names_are_no_measure(other):
    new = Stage("pretrain", {"a": 2})
    known = {"name": "pretrain", "determines": {"a": 1}, **about(new, "table", ["A"], {}), **other}
    assert differences(new, about(new, "table", ["A"], {}), [known]) is None


def test_another_experiment_is_no_measure():
    new = Stage("pretrain", {str(n): 1 for n in range(20)})
    known = {"name": "pretrain", "determines": {str(n): 2 for n in range(20)}, **about(new, "table", ["A"], {})}
    assert differences(new, about(new, "table", ["A"], {}), [known]) is None


def test_the_log_tells_the_first_differences_and_counts_the_rest(caplog):
    new = Stage("evaluate", {str(n): 1 for n in range(5)})
    record = about(new, "table", ["A"], {})
    known = [{"name": "evaluate", "determines": {str(n): 2 for n in range(5)}, **record}]
    with caplog.at_level(logging.INFO, "metai2i"):
        assert tell_why(new, record, known) == "0 2 -> 1, 1 2 -> 1, 2 2 -> 1, and 2 more"
    assert caplog.messages == ["evaluate: scored anew, 0 2 -> 1, 1 2 -> 1, 2 2 -> 1, and 2 more"]


def test_only_finished_stages_are_known_the_newest_first_and_damaged_ones_are_passed_over(tmp_path):
    store = StageStore(tmp_path)
    for n in range(4):
        stage = Stage("pretrain", {"lr": n})
        folder = store.begin(stage, resume=False, about=about(stage, "table", ["A"], {}))
        if n < 3:
            store.finish(stage, {})
            os.utime(folder / "done.json", (n, n))
        if n == 1:
            (folder / "stage.json").write_text("[" * 100_000)
    assert [each["determines"] for each in known_stages(tmp_path)] == [{"lr": 2}, {"lr": 0}]
    assert known_stages(tmp_path / "nowhere") == []
