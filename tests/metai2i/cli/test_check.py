"""`metai2i check`: a line for each contract, and what the exit code says."""

from __future__ import annotations

from textwrap import dedent

import pytest

from metai2i.cli.check import parsed
from metai2i.errors import UserError
from metai2i.testing import contracts_of

METRICS = """
from metai2i import Metric, UserError, hookimpl


class Good(Metric):
    label = "L1 ↓"
    higher_is_better = False

    def __call__(self, images, query):
        return (images - query["target"]).abs().mean((1, 2, 3))


class Upside(Good):
    higher_is_better = True


class Eyes(Good):
    def __init__(self, *, spec):
        if "eyes" not in spec.classes or spec.size != (8, 16):
            raise UserError("no eyes of 8x16")


class Colouring(Good):
    def __call__(self, images, query):
        raise ValueError("red [/red] \\x1b[31m \\u202e first\\nsecond")


@hookimpl
def register_metrics(register):
    register("l1", Good)
    register("upside", Upside)
    register("eyes", Eyes)
    register("colouring", Colouring)
    register("stripes", Good)
"""


@pytest.fixture
def check(run, here):
    """Checks one of these metrics."""
    (here / "mine" / "metrics.py").write_text(dedent(METRICS))
    return lambda *args: run("check", *args, "--plugins-dir", "mine")


def test_all_contracts_of_a_good_component_are_ok(check):
    code, out, err = check("l1")
    assert (code, err) == (0, "")
    assert [line.split(maxsplit=1) for line in out.splitlines()] == [
        ["ok", contract.name] for contract in contracts_of("metric")
    ]


def test_a_broken_contract_is_told_with_what_was_expected_and_got(check):
    code, out, _ = check("upside")
    assert code == 1
    at = out.index("failed   more noise is worse\n")
    expected, got, read = [line.split(":", 1) for line in out[at:].splitlines()[1:4]]
    assert expected[0].strip() == "expected"
    assert expected[1].strip().startswith("lower means for noise of")
    assert got[0].strip() == "got"
    assert read[1].strip() == "docs/write-a-translator.md#metrics"


def test_a_name_that_a_broken_plugin_may_have_wanted_to_bring_is_told_with_what_broke_it(check, here):
    (here / "mine" / "late.py").write_text("raise ValueError('boom')\n")
    code, _, err = check("overdue")
    assert (code, err.count("\n")) == (2, 1)
    assert "late.py: ValueError: boom (late.py:1)" in err


def test_an_unknown_name_is_told_with_the_nearest(check):
    assert check("upsid")[::2] == (2, "error: no component is called 'upsid' (did you mean 'upside'?)\n")
    code, _, err = check("l1", "--kind", "strategy")
    assert code == 2
    assert err.startswith("error: no strategy is called 'l1'")


def test_a_name_of_two_kinds_needs_its_kind(check):
    code, _, err = check("stripes")
    assert code == 2
    assert "say which by --kind" in err
    assert check("stripes", "--kind", "metric")[0] == 0


def test_a_broken_plugin_is_told_with_its_cause(check):
    code, _, err = check("bad")
    assert code == 2
    assert "'bad' cannot be checked, it is broken: ValueError: boom (bad.py:1)" in err


def test_size_and_classes_are_those_of_the_scenes_that_it_is_tried_on(check):
    code, _, err = check("eyes")
    assert (code, err) == (2, "error: no eyes of 8x16\n")
    assert check("eyes", "--classes", "eyes,lips", "--size", "8", "16")[0] == 0


NEEDY = """
from metai2i import Retriever, hookimpl


class Needy(Retriever):
    def __init__(self, *, root: str) -> None: ...
    def index(self, tasks): ...
    def query(self, support, k): ...


@hookimpl
def register_retrievers(register):
    register("needy", Needy)
"""


def test_an_option_without_a_default_is_asked_for_with_the_command_that_gives_it(run, here):
    (here / "mine" / "needy.py").write_text(NEEDY)
    code, out, err = run("check", "needy", "--plugins-dir", "mine")
    assert (code, out) == (2, "")
    assert err == "error: 'needy' needs root, which has no default (`metai2i check needy root=ROOT`)\n"
    assert "did you mean 'root'?" in run("check", "needy", "rooot=data", "--plugins-dir", "mine")[2]


def test_wrong_options_are_told(check):
    code, _, err = check("l1", "widht=3")
    assert code == 2
    assert "widht" in err


def test_options_are_yaml():
    assert parsed(("width=8", "norm=batch", "size=[8, 16]")) == {"width": 8, "norm": "batch", "size": [8, 16]}
    assert parsed(()) == {}
    with pytest.raises(UserError, match=r"a\.b=c"):
        parsed(("width",))


def test_blocks_and_a_task_source_exclude_each_other(check):
    code, _, err = check("l1", "--tasks", "stripes", "--classes", "a,b")
    assert code == 2
    assert "drawn blocks" in err


def test_what_a_plugin_says_steers_no_terminal_and_keeps_to_its_line(check):
    code, out, _ = check("colouring")
    assert code == 1
    assert r"ValueError: red [/red] \x1b[31m \u202e first" in out
    assert not {"\x1b", "\u202e"} & set(out)
    heads = ("ok ", "failed ", "skipped ", "         expected:", "         got:", "         read:")
    assert [line for line in out.splitlines() if not line.startswith(heads)] == []
