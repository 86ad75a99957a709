"""What a class says of itself by attributes of a wrong type is refused where the plugin is opened."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from metai2i import TaskSource, Translator, UserError
from metai2i.cli import invoke
from metai2i.registry import KINDS, Registry
from metai2i.registry.declared import RULES, check_declared

STRIPES = Path(__file__).parents[2] / "downstream" / "stripes.yaml"
FIELDS = "a set of names of fields"

WRONG = {
    "needs in a list": ("translator", "needs", ["structure"], f"['structure'], expected {FIELDS}"),
    "needs of numbers": ("translator", "needs", frozenset({1}), f"{{1}}, expected {FIELDS}"),
    "needs as a text": ("retriever", "needs", "structure", f"'structure', expected {FIELDS}"),
    "needs of nothing": ("strategy", "needs", None, f"None, expected {FIELDS}"),
    "a computed need": (
        "strategy",
        "needs",
        property(lambda s: {"target"}),
        "a property, which has no value on the class",
    ),
    "phases as a text": ("translator", "phases", "train", "'train', expected a tuple of different names"),
    "no phases": ("translator", "phases", (), "(), expected a tuple of different names"),
    "a phase twice": ("translator", "phases", ("a", "a"), "('a', 'a'), expected a tuple of different names"),
    "rates in a list": ("translator", "rates", [1.0], "[1.0], expected a mapping from players"),
    "an infinite rate": ("translator", "rates", {"all": float("inf")}, "{'all': inf}, expected a mapping from players"),
    "a flag as a text": ("translator", "replayable", "no", "'no', expected True or False"),
    "provides in a list": ("task source", "provides", ["target"], f"['target'], expected {FIELDS}"),
    "provides as a text": ("task source", "provides", "target", f"'target', expected {FIELDS}"),
    "test options": ("task source", "test_options", "split", "'split', expected a set of names of options"),
    "meta as a number": ("strategy", "meta", 1, "1, expected True or False"),
    "an unknown order": ("strategy", "order", "third", "'third', expected 'first' or 'second'"),
    "a label of bytes": ("metric", "label", b"mine", "b'mine', expected a text on one line"),
    "an empty label": ("metric", "label", " ", "' ', expected a text on one line"),
    "a label on two lines": ("metric", "label", "a\nb", r"'a\nb', expected a text on one line"),
    "a direction in words": ("metric", "higher_is_better", "yes", "'yes', expected True or False"),
    "a unit as a number": ("metric", "unit", 3, "3, expected a text on one line"),
    "digits as a text": ("metric", "digits", "3", "'3', expected a whole number from 0 to 100"),
    "negative digits": ("metric", "digits", -1, "-1, expected a whole number from 0 to 100"),
    "networks in a list": ("metric", "feature_networks", ["alex"], "['alex'], expected a set of names of feature"),
    "a file in a folder": ("network", "files", ("a/b.pth",), "('a/b.pth',), expected a tuple of names of files"),
    "files as a text": ("network", "files", "a.pth", "'a.pth', expected a tuple of names of files"),
    "an origin that is empty": ("network", "origin", " ", "' ', expected a text on one line"),
    "a table to take": ("exporter", "takes", "table", "'table', expected 'run' or 'model'"),
    "modules as a text": ("exporter", "modules", "onnx", "'onnx', expected a tuple of names of modules"),
    "an ending in a folder": ("exporter", "ending", "a/b.txt", "'a/b.txt', expected the end of a file's name"),
    "an ending that is empty": ("exporter", "ending", "", "'', expected the end of a file's name"),
    "licences in a list": ("task source", "licences", ["MIT"], "['MIT'], expected a mapping from names to texts"),
    "an address of bytes": ("network", "address", b"a", "b'a', expected an address, or None"),
}


@pytest.mark.parametrize(("kind", "attribute", "value", "words"), WRONG.values(), ids=WRONG)
def test_an_attribute_of_a_wrong_type_is_named_with_what_would_be_right(kind, attribute, value, words):
    right = {
        "metric": {"label": "Mine", "higher_is_better": True},
        "network": {"files": ("a.pth",), "origin": "there"},
        "exporter": {"takes": "run"},
    }.get(kind, {})
    check_declared(kind, type("Mine", (KINDS[kind].base(),), right))
    with pytest.raises(UserError, match=re.escape(f"{attribute} of class Mine is {words}")):
        check_declared(kind, type("Mine", (KINDS[kind].base(),), {**right, attribute: value}))


def test_what_is_never_asked_of_the_class_may_be_a_property():
    check_declared("translator", type("Mine", (Translator,), {"replayable": property(lambda self: 3)}))


def test_sets_of_any_kind_and_other_sequences_will_do():
    check_declared("task source", type("Mine", (TaskSource,), {"provides": {"target"}}))
    check_declared("translator", type("Mine", (Translator,), {"phases": ["a", "b"], "rates": {"all": 2}}))


def test_all_components_that_are_installed_are_right():
    assert [status.cause for status in Registry().all() if status.status != "ok"] == []
    assert RULES.keys() == KINDS.keys()


PLUGIN = """
    import metai2i

    class Raising(type(metai2i.Retriever)):
        @property
        def needs(cls):
            raise ZeroDivisionError("nothing to divide")

    class Near(metai2i.Retriever{meta}):
        {attribute}
        def index(self, tasks): ...
        def query(self, support, k): ...

    @metai2i.hookimpl
    def register_retrievers(register):
        register("near", Near)
"""


@pytest.mark.parametrize(
    ("attribute", "meta", "words"),
    [
        (
            'needs = ["structure"]',
            "",
            "PLUGIN:9: needs of class Near is ['structure'], expected a set of names of fields",
        ),
        ("", ", metaclass=Raising", "ZeroDivisionError: nothing to divide (near.py:7)"),
    ],
    ids=["of a wrong type", "that raises"],
)
@pytest.mark.parametrize("command", ["validate", "run"])
def test_validate_and_run_refuse_a_component_with_an_attribute(tmp_path, capsys, command, attribute, meta, words):
    (tmp_path / "plugins").mkdir()
    text = dedent(PLUGIN).replace("{attribute}", attribute).replace("{meta}", meta)
    (tmp_path / "plugins" / "near.py").write_text(text)
    more = ["--out", str(tmp_path / "run"), "--stages", str(tmp_path / "stages")] if command == "run" else []
    arguments = [command, str(STRIPES), "--plugins-dir", str(tmp_path / "plugins"), "rows.*.retriever.use=near", *more]
    assert invoke(arguments) == 2
    err = " ".join(capsys.readouterr().err.split())
    file = str(tmp_path / "plugins" / "near.py")
    assert f"retriever 'near' cannot be used, its plugin {file} is broken: {words.replace('PLUGIN', file)}" in err
    assert "Traceback" not in err
    assert not (tmp_path / "stages").exists()
