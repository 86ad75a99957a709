import errno
import os
import subprocess
import sys
from importlib.util import find_spec

import click
import pytest

import metai2i
from metai2i import cli
from metai2i.errors import UserError, UserErrors


@pytest.fixture
def failing(monkeypatch):
    """Lets `metai2i run` raise what it is given."""

    def failing(error: BaseException) -> int:
        @click.command()
        def command() -> None:
            raise error

        module = type(sys)("metai2i.cli.run")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "metai2i.cli.run", module)
        return cli.invoke(["run"])

    return failing


def test_help_names_every_command_and_imports_neither_torch_nor_plugins():
    code = (
        "import sys; from metai2i.cli import invoke; assert invoke(['--help']) == 0;"
        "heavy = {'torch', 'pydantic', 'pluggy', 'metai2i.cli.run', 'metai2i_pix2pix'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    for name, line in cli.COMMANDS.items():
        assert f" {name} " in done.stdout
        assert line in done.stdout
    assert "   metai2i validate recipes/quickstart.yaml" in done.stdout


def test_every_command_has_a_module():
    assert [name for name in cli.COMMANDS if find_spec(cli.module_of(name)) is None] == []


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_help_of_every_command_has_an_example(name, capsys):
    assert cli.invoke([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"metai2i {name}" in out.split("Examples:")[1]


def test_the_version(capsys):
    assert cli.invoke(["--version"]) == 0
    assert metai2i.__version__ in capsys.readouterr().out


def test_an_unknown_command_is_told_with_the_nearest(capsys):
    assert cli.invoke(["valdate"]) == 2
    assert capsys.readouterr().err == "error: no command is called 'valdate' (did you mean 'validate'?)\n"


def test_an_unknown_option_is_told(capsys):
    assert cli.invoke(["plugins", "--plugin-dir", "x"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: No such option")
    assert err.endswith("`metai2i plugins --help` shows how it is called\n")


def test_a_user_error_has_no_traceback_and_exit_code_2(failing, capsys):
    assert failing(UserError("no", where="file", hint="do")) == 2
    assert capsys.readouterr().err == "error: file: no (do)\n"


def test_several_errors_are_told_one_a_line(failing, capsys):
    assert failing(UserErrors([UserError("a"), UserError("b")])) == 2
    assert capsys.readouterr().err == "error: a\nerror: b\n"


def test_a_current_folder_that_is_gone_is_told(failing, capsys):
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory")  # as os.getcwd() raises it
    assert failing(gone) == 2
    assert capsys.readouterr().err == "error: the current folder: No such file or directory\n"


def test_ctrl_c_is_one_line_and_exit_code_130(failing, capsys):
    assert failing(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.strip() == "interrupted (the same command goes on)"


def test_a_mistake_in_the_program_keeps_its_traceback(failing):
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())


def test_python_m_is_the_same_program():
    done = subprocess.run([sys.executable, "-m", "metai2i", "--version"], capture_output=True, text=True, check=True)
    assert metai2i.__version__ in done.stdout


@pytest.mark.parametrize("command", ["recipes", "recipes quickstart", "check copy", "--help", "run --help"])
def test_a_pipe_that_has_seen_enough_ends_it_without_a_traceback(command):
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "metai2i", *command.split()]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
