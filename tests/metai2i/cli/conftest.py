"""A folder with small one-file plugins, and a command line that knows nothing else."""

from pathlib import Path
from textwrap import dedent

import pytest

from metai2i import cli

GOOD = '''
from typing import Literal

import metai2i
from metai2i.strategy import MetaStrategy
from metai2i.tasks import TaskSource
from metai2i.translator import Translator


class Line(Translator):
    """Paints [bold] lines.

    It has a second paragraph.

    Args:
        width: of the lines.
    """

    def __init__(self, *, spec, objective, width: int = 8, norm: Literal["instance", "batch"] = "instance") -> None: ...
    def players(self): ...
    def training_step(self, batch, step): ...
    def translate(self, batch): ...


class Stripes(TaskSource):
    def spec(self): ...
    def tasks(self, split): ...


class Plain(MetaStrategy):
    meta = False
    def __init__(self, *, inner) -> None: ...
    def adapt(self, gp, support, step): ...


@metai2i.hookimpl
def register_translators(register):
    register("line", Line)


@metai2i.hookimpl
def register_task_sources(register):
    register("a-task-source-with-a-name-that-is-much-longer-than-any-terminal-is-wide-which-must-not-be-cut", Stripes)
    register("stripes", Stripes)


@metai2i.hookimpl
def register_strategies(register):
    register("plain", Plain)
'''

RECIPE = """
tasks: {use: stripes}
translator: {use: line}
rows:
  "[red] Plain": {strategy: {use: plain}}
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working directory with a good plugin, a broken one and a good recipe."""
    monkeypatch.setattr("metai2i.registry.registry.installed_plugins", lambda: [])
    monkeypatch.chdir(tmp_path)
    for name, text in {"mine/good.py": GOOD, "mine/bad.py": "raise ValueError('boom')\n", "good.yaml": RECIPE}.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(dedent(text))
    return tmp_path


@pytest.fixture
def run(here, capsys):
    """Runs a command; gives the exit code, stdout and stderr."""

    def run(*args: str) -> tuple[int, str, str]:
        code = cli.invoke(args)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
