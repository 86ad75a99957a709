"""Shell completion: names of recipes, rows and components, as click asks for them and as bash wants them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import fake_run
import pytest
from click.shell_completion import get_completion_class, split_arg_string

from metai2i.cli import group
from metai2i.cli.completion import as_typed, complete, in_quotes

RECIPE = """
tasks: {use: scenes}
translator: {use: pix2pix}
rows:
  Pix2pix: {strategy: {use: none}}
  Pix2pix (5-shot): {strategy: {use: finetune}}
  Reptile-Pix2pix (5-shot): {strategy: {use: reptile}}
grid: {axes: {adapt.lr: [1e-3, 2e-3]}, name: "at {adapt.lr}"}
"""


@pytest.fixture
def proposed(tmp_path, monkeypatch):
    """What the shell is told for the words that stand on the command line, the last of them unfinished."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    fake_run.make_run(tmp_path / "runs" / "mine", tasks=2, queries=1, images=False)

    def proposed(words: str, shell: str = "zsh") -> list[tuple[str, str]]:
        monkeypatch.setenv("_METAI2I_COMPLETE", f"{shell}_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(split_arg_string(words)) - 1))
        kind = get_completion_class(shell)
        assert kind is not None
        completion = kind(group, {}, "metai2i", "_METAI2I_COMPLETE")
        return [(item.type, item.value) for item in completion.get_completions(*completion.get_completion_args())]

    return proposed


def names(completions: list[tuple[str, str]]) -> list[str]:
    return [value for kind, value in completions if kind == "plain"]


def test_commands_and_their_options_complete(proposed):
    assert names(proposed("metai2i pl")) == ["plan", "plugins"]
    assert names(proposed("metai2i run mine.yaml --ro")) == ["--rows"]


def test_rows_of_the_recipe_complete_and_those_of_its_grid(proposed):
    assert names(proposed("metai2i run mine.yaml --rows Pix")) == ["Pix2pix", "Pix2pix (5-shot)"]
    assert names(proposed("metai2i run mine.yaml --rows Pix2pix --rows Rep")) == ["Reptile-Pix2pix (5-shot)"]
    assert names(proposed("metai2i run mine.yaml --rows at")) == ["at 0.001", "at 0.002"]


def test_rows_of_a_bundled_recipe_complete_by_its_name(proposed):
    assert "Pix2pix (5-shot)" in names(proposed("metai2i run quickstart --rows Pix"))


def test_rows_of_a_run_complete_where_it_is_adapted(proposed):
    assert names(proposed("metai2i adapt runs/mine --row Pix")) == ["Pix2pix", "Pix2pix (5-shot)"]


def test_components_complete_by_their_name_and_one_file_plugins_by_their_files(proposed):
    assert names(proposed("metai2i plugins pix")) == ["pix2pix"]
    assert names(proposed("metai2i check rept")) == ["reptile"]
    assert names(proposed("metai2i check lpi")) == ["lpips"]
    Path("my_plugins").mkdir()
    Path("my_plugins/maml.py").touch()
    assert names(proposed("metai2i check --plugins-dir my_plugins mam")) == ["maml", "mamlpp"]


def test_recipes_complete_by_name_and_else_the_shell_looks_for_files(proposed):
    assert names(proposed("metai2i run quick")) == ["quickstart", "quickstart_rates"]
    assert names(proposed("metai2i recipes cpu/street_1shot_")) == ["cpu/street_1shot_paper"]
    for words in ("metai2i run min", "metai2i validate min"):
        assert proposed(words) == [("file", "min")]


@pytest.mark.parametrize("words", ["run none.yaml --rows P", "run --rows P", "adapt none --row P", "run . --rows P"])
def test_nothing_is_proposed_where_nothing_can_be_looked_up(proposed, words):
    assert names(proposed(f"metai2i {words}")) == []


def test_a_recipe_with_a_fault_proposes_nothing(proposed):
    Path("bad.yaml").write_text("rows: {A: {}, A: {}}\n  - x")
    assert names(proposed("metai2i run bad.yaml --rows A")) == []


def test_names_with_spaces_are_quoted_for_bash_alone(proposed):
    assert names(proposed("metai2i run mine.yaml --rows Pix", "bash")) == ["'Pix2pix'", "'Pix2pix (5-shot)'"]
    assert names(proposed("metai2i run mine.yaml --rows 'Pix", "bash")) == ["Pix2pix", "Pix2pix (5-shot)"]
    assert names(proposed("metai2i run mine.yaml --rows Pix", "zsh")) == ["Pix2pix", "Pix2pix (5-shot)"]


def test_names_for_bash_are_words_of_its_own_that_mean_themselves(monkeypatch):
    monkeypatch.setenv("_METAI2I_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "metai2i run mine.yaml --rows ")
    awkward = ["it's", "a $HOME", "b `x`", 'say "so"', "plain"]
    assert [shlex.split(name) for name in as_typed(awkward)] == [[name] for name in awkward]
    assert as_typed(["plain", "pix2pix"]) == ["plain", "pix2pix"]


@pytest.mark.parametrize(
    ("words", "inside"),
    [("run 'a", True), ("run 'a'", False), ("run \"it's", True), ("run it\\'s", False), ("run", False)],
)
def test_open_quotes_are_seen(words, inside):
    assert in_quotes(words) is inside


def test_a_fault_while_looking_up_is_no_word_on_the_screen(monkeypatch, capsys):
    def fails():
        raise RuntimeError("metadata")

    monkeypatch.setattr("metai2i.registry.discovery.installed_plugins", fails)
    for name, value in {
        "_METAI2I_COMPLETE": "zsh_complete",
        "COMP_WORDS": "metai2i plugins p",
        "COMP_CWORD": "2",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="1"):
        complete(group)
    assert capsys.readouterr() == ("", "")


def call(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "metai2i"], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_the_program_prints_what_bash_asks_for_and_nothing_else():
    asked = call(_METAI2I_COMPLETE="bash_complete", COMP_WORDS="metai2i plugins pix", COMP_CWORD="2")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "plain,pix2pix\n", "")
    script = call(_METAI2I_COMPLETE="bash_source")
    assert (script.returncode, script.stderr) == (0, "")
    assert "complete -o nosort -F _metai2i_completion metai2i" in script.stdout
