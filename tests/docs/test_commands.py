"""Every `metai2i ...` of README, docs/ and CONTRIBUTING: it is called as written there, as far as it can be without its
data, and those that docs/use.md starts with are run, as far as a small run can stand for theirs."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import click
import fake_run
import pytest
import small_run

from metai2i.cli import COMMANDS, invoke, module_of
from metai2i.errors import UserError
from metai2i.inference.adapt import check_model_path
from metai2i.recipe import load_recipe, select
from metai2i.recipe.bundled import recipe_path
from metai2i.recipe.overrides import is_override
from metai2i.registry import Registry

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
}
CALL = rf"metai2i ((?:{'|'.join(COMMANDS)})\b[^\n`]*)"


class Call(NamedTuple):
    """A command line of a page: the subcommand and the words behind it, and whether it stands in a fenced block.

    In a sentence a call may leave arguments out.
    """

    page: str
    name: str
    words: tuple[str, ...]
    fenced: bool = True

    def __str__(self) -> str:
        return f"{self.page}: metai2i {shlex.join([self.name, *self.words])}"


def calls(page: str, text: str) -> Iterator[Call]:
    """The calls in fenced blocks, line by line, and those between backticks that have words behind the subcommand."""
    fence = r"^```\w*\n.*?^```$"
    blocks = re.findall(fence, text, re.MULTILINE | re.DOTALL)
    lines = [
        line
        for block in blocks
        for line in re.findall(rf"^(?:\$ |# .*: )?(?:uv run )?(?:.*-m )?{CALL}", block, re.MULTILINE)
    ]
    spans = re.findall(r"`([^`]+)`", re.sub(fence, "", text, flags=re.MULTILINE | re.DOTALL))
    inline = [match[1] for span in spans if (match := re.match(rf"(?:uv run )?{CALL}$", " ".join(span.split())))]
    for line, fenced in [*((line, True) for line in lines), *((line, False) for line in inline if " " in line)]:
        words = shlex.split(re.split(r"\s+#|\s*;|\s+&|\s+\|", line)[0])
        yield Call(page, words[0], tuple(words[1:]), fenced)


CALLS = list(dict.fromkeys(call for page, text in PAGES.items() for call in calls(page, text)))


def placeholder(word: str) -> bool:
    """Whether a reader is to put something of their own there: RECIPE, DIR, NAME.yaml, MODEL."""
    return re.fullmatch(r"…?/?[A-Z_]+(\.yaml)?|.*…", Path(word).name) is not None


def parsed(name: str, words: list[str]) -> tuple[click.Command, click.Context]:
    """What click makes of the words: the command, or the one of a group, and its parameters."""
    command: click.Command = import_module(module_of(name)).command
    if isinstance(command, click.Group):
        context = command.make_context(name, [words[0]], resilient_parsing=True)
        command = command.get_command(context, words[0])
        assert command is not None, f"metai2i {name} has no {words[0]}"
        words = words[1:]
    return command, command.make_context(name, list(words))


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with the checkout's recipes, as the current one."""
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_files(text: str) -> None:
    """Writes the files that a page shows, by the names in their first lines."""
    for name, content in re.findall(
        r"^```\w+\n# (\S+\.(?:py|yaml))\b[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)


def test_the_calls_on_the_pages_are_seen():
    assert len(CALLS) > 50
    assert {call.page for call in CALLS} >= {"README.md", "CONTRIBUTING.md", "docs/use.md", "docs/results.md"}
    assert any(call.page.startswith("docs/studies/") for call in CALLS)
    assert Call("docs/use.md", "compare", ("runs/a", "runs/b")) in CALLS
    assert Call("docs/use.md", "translate", ("my_street.safetensors", "maps", "images")) in CALLS
    assert any(call.page == "docs/use.md" and "--nnodes" not in call.words and call.words[-2:] == ("--stages", "DIR")
               for call in CALLS)  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_call_has_the_options_and_arguments_that_the_command_takes(call, here):
    if call.name == "schema" and "--markdown" in call.words:
        (here / "docs").symlink_to(ROOT / "docs")
    if all(placeholder(word) for word in call.words):
        return
    try:
        parsed(call.name, list(call.words))
    except click.MissingParameter:
        assert not call.fenced


def bundled(name: str) -> str:
    """The file of a recipe that comes with metai2i, when it is called by its name."""
    return name if Path(name).suffix or placeholder(name) else str(recipe_path(name))


def recipes_in(call: Call) -> list[str]:
    """The recipes that a call names; none where a reader is to name one."""
    if call.name == "data" and call.words[0] != "check":
        return []
    try:
        _, context = parsed(call.name, list(call.words))
    except click.MissingParameter:  # in a sentence; in a block it is refused above
        return []
    values = context.params["recipes"] if call.name == "validate" else [context.params["recipe"]]
    names = [str(name) for name in values if not is_override(str(name))]
    paths = [str(path) for name in names for path in (sorted(Path().glob(name)) if "*" in name else [bundled(name)])]
    return [name for name in paths if not placeholder(name) and name not in ("recipe.yaml", "my.yaml")]


@pytest.mark.parametrize("call", [call for call in CALLS if call.name in ("run", "validate", "data")], ids=str)
def test_a_recipe_that_a_call_names_is_there_and_takes_its_overrides_and_rows(call, here):
    for page in (*re.findall(r"\]\((write-[\w-]+\.md)", PAGES[call.page]), Path(call.page).name):
        write_files(PAGES.get(f"docs/{page}", ""))
    overrides = [re.sub(r"=S$", "=0", word) for word in call.words if is_override(word) and not word.startswith("-")]
    folders = [
        Path(word) for before, word in zip(call.words, call.words[1:], strict=False) if before == "--plugins-dir"
    ]
    patterns = [word for before, word in zip(call.words, call.words[1:], strict=False) if before == "--rows"]
    folders_here = [Path("my_plugins")] if Path("my_plugins").is_dir() and not folders else folders
    registry = Registry(folders_here)
    for name in recipes_in(call):
        recipe = select(load_recipe(Path(name), overrides, registry), tuple(patterns))
        assert recipe.rows


@pytest.mark.parametrize("call", [call for call in CALLS if call.name == "adapt"], ids=str)
def test_a_model_that_a_call_writes_may_be_called_so(call, here):
    out = call.words[call.words.index("--out") + 1]
    if not placeholder(out):
        check_model_path(Path(out))


def test_a_model_of_another_ending_is_refused_with_the_name_that_would_do(here):
    with pytest.raises(UserError, match=r"got 'my\.model', expected .* \(for instance 'my\.safetensors'\)"):
        check_model_path(Path("my.model"))


RUNS_HERE = {"validate", "plugins", "report", "compare", "adapt", "translate"}


@pytest.fixture(scope="module")
def worked_in(tmp_path_factory) -> Path:
    """A folder with runs, pairs and maps under the names that README and docs/use.md have."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    small_run.make_run(folder).rename(folder / "runs" / "quickstart")
    small_run.write_scene(folder, pairs=2, maps=3)
    (folder / "pairs").rename(folder / "DIR")
    (folder / "maps").rename(folder / "MAPS")
    for name, seed in (("a", 0), ("b", 0), ("s0", 0), ("s1", 1), ("s2", 2)):
        fake_run.make_run(folder / "runs" / name, tasks=6, queries=1, images=False, seed=seed)
    return folder


def at_a_glance() -> list[Call]:
    """The calls that docs/use.md starts with."""
    return list(calls("docs/use.md", PAGES["docs/use.md"].partition("\n## ")[0]))


def test_the_commands_at_a_glance_run_one_after_the_other(worked_in, monkeypatch, capsys):
    monkeypatch.chdir(worked_in)
    ours = [call for call in at_a_glance() if call.name in RUNS_HERE and call.words]
    assert {call.name for call in ours} == RUNS_HERE
    readme = [call for call in CALLS if call.page == "README.md" and call.name in RUNS_HERE]
    assert {call.words for call in readme} <= {call.words for call in ours}  # what the README has runs here, too
    for call in ours:
        plugins = ["--plugins-dir", str(small_run.PLUGINS)] if call.name in ("adapt", "translate") else []
        words = [
            path for word in call.words for path in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
        ]
        assert invoke([call.name, *words, *plugins]) == 0, f"{call}\n{capsys.readouterr().err}"
    assert {path.name for path in Path("OUT").iterdir()} == {"0.png", "1.png", "2.png", "contact.png"}
    assert os.path.getsize("my.safetensors") > 0
