"""The command that installs a new plugin."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from metai2i.cli import invoke
from metai2i.registry.scaffold import install
from metai2i.registry.scaffold.install import install_command

PACKAGE = Path("my plugins/metai2i-x")


@pytest.fixture
def environment(monkeypatch):
    """Says which of pip and uv are there, and where `python` is."""

    def say(pip: bool, **programs: str) -> None:
        monkeypatch.setattr(install, "find_spec", lambda name: object() if pip else None)
        monkeypatch.setattr(install.shutil, "which", programs.get)

    return say


def test_pip_installs_where_it_is_there(environment):
    environment(pip=True, python=sys.executable, uv="/bin/uv")
    assert install_command(PACKAGE) == "python -m pip install --no-deps -e 'my plugins/metai2i-x'"


def test_a_python_that_is_another_one_at_the_prompt_is_named_in_full(environment):
    environment(pip=True, python="/usr/bin/python")
    assert shlex.split(install_command(PACKAGE))[0] == sys.executable


def test_uv_installs_where_there_is_no_pip(environment):
    environment(pip=False, uv="/bin/uv")
    words = ["uv", "pip", "install", "--python", sys.executable, "--no-deps", "-e", str(PACKAGE)]
    assert shlex.split(install_command(PACKAGE)) == words


def test_without_either_python_brings_pip(environment):
    environment(pip=False, python=sys.executable)
    assert install_command(PACKAGE).startswith("python -m ensurepip && python -m pip install --no-deps -e ")


def test_new_plugin_says_it(environment, tmp_path, capsys):
    environment(pip=False, uv="/bin/uv")
    assert invoke(["new-plugin", "translator", "thing", str(tmp_path)]) == 0
    assert f"`{install_command(tmp_path / 'metai2i-thing')}` makes it known" in capsys.readouterr().out
