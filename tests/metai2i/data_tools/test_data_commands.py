from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import click
import pytest

from metai2i import UserError
from metai2i.data_tools.data_commands import DataCommands
from metai2i.registry.discovery import plugins_in_folder

FACES = """
import click
import metai2i

@click.command()
def prepare():
    "Cut faces."

@metai2i.hookimpl
def register_data_commands(register):
    register("faces", prepare)
"""


@pytest.fixture
def commands(tmp_path):
    """Writes one-file plugins and gives their commands."""

    def commands(**files: str) -> DataCommands:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(dedent(text))
        return DataCommands(plugins_in_folder(tmp_path), reserved=frozenset({"check"}))

    return commands


def refused(offered: DataCommands, name: str) -> str:
    with pytest.raises(UserError) as caught:
        offered.get(name)
    return str(caught.value)


def test_a_plugin_hands_over_a_command(commands):
    offered = commands(mine=FACES)
    assert offered.names() == ["faces"]
    command = offered.get("faces")
    assert isinstance(command, click.Command)
    assert command.name == "faces"  # as it is called, whatever its function is called


def test_a_function_that_makes_the_command_is_called_when_it_is_asked_for(commands):
    lazy = FACES.replace('register("faces", prepare)', 'register("faces", lambda: prepare)')
    assert commands(mine=lazy).get("faces").help == "Cut faces."


def test_the_plugin_of_the_commands_name_alone_is_imported(commands):
    offered = commands(faces=FACES, other="raise ValueError('boom')")
    assert offered.get("faces").help == "Cut faces."
    assert offered.broken == {}


def test_a_broken_plugin_is_told_with_a_name_that_nobody_has_and_harms_nobody(commands):
    offered = commands(mine=FACES, other="raise ValueError('boom')")
    error = refused(offered, "facse")
    assert "no command of `metai2i data` is called 'facse' (did you mean 'faces'?; broken plugin" in error
    assert "other.py: ValueError: boom" in error
    assert offered.get("faces").help == "Cut faces."


def test_a_command_that_two_plugins_offer_is_refused(commands, tmp_path: Path):
    error = refused(commands(a=FACES, b=FACES), "faces")
    assert error == (
        f"`metai2i data faces` is claimed by {tmp_path / 'a.py'} and {tmp_path / 'b.py'} (remove all but one)"
    )


def test_no_plugin_takes_the_name_of_the_cores_own_command(commands):
    offered = commands(mine=FACES.replace('"faces"', '"check"'))
    assert offered.names() == []
    assert list(offered.broken.values()) == ["metai2i has a command 'check' of its own"]


@pytest.mark.parametrize("command", ["3", "lambda: 3", "lambda: 1 / 0"])
def test_what_is_no_command_is_told_as_the_plugins_fault(commands, command):
    error = refused(commands(mine=FACES.replace("prepare)", f"{command})")), "faces")
    assert "mine.py is broken: " in error
