"""`docs/hooks.md`: every hook is on it as the code has it, with a link to a plugin that uses it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from metai2i import hookspecs
from metai2i.data_tools.data_commands import DataCommands
from metai2i.registry.discovery import plugins_in_folder
from metai2i.registry.loading import KINDS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "hooks.md").read_text()
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL))
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("register_")}
EXAMPLES = {
    name: re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for name, text in SECTIONS.items()
}


def test_the_hooks_on_the_page_are_those_of_the_code_in_their_order():
    assert list(SECTIONS) == list(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_the_signature_on_the_page_is_that_of_the_code(name):
    (signature,) = re.findall(r"^```python\n(def .*)\n```", SECTIONS[name], re.MULTILINE)
    parameters = inspect.signature(HOOKS[name])
    assert signature == f"def {name}{parameters}".replace("'", "")


@pytest.mark.parametrize("name", HOOKS)
def test_the_page_says_when_a_hook_is_called_and_what_it_hands_over(name):
    assert "\nCalled " in SECTIONS[name]
    assert "Hands\nover" in SECTIONS[name] or "Hands over" in SECTIONS[name]


def test_every_hook_of_a_component_names_its_interface():
    for kind in KINDS.values():
        assert f"`metai2i.{kind.base().__name__}`" in SECTIONS[kind.hook]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_links_to_the_shortest_plugin_of_the_kind(kind):
    ((page, heading),) = re.findall(r"\]\(([\w-]+\.md)#([\w-]+)\)", SECTIONS[KINDS[kind].hook])
    sections = re.split(r"^## (.*)$", (DOCS / page).read_text(), flags=re.MULTILINE)
    text = dict(zip(sections[1::2], sections[2::2], strict=True))[heading.replace("-", " ").capitalize()]
    assert f"def {KINDS[kind].hook}(register):" in text


def test_the_example_of_a_data_command_runs(tmp_path):
    ((stem, text),) = EXAMPLES["register_data_commands"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / f"{stem}.py").write_text(text)
    (tmp_path / "a.png").write_text("")
    command = DataCommands(plugins_in_folder(tmp_path / "mine")).get("count")
    assert CliRunner().invoke(command, [str(tmp_path)]).output == "1 images\n"
