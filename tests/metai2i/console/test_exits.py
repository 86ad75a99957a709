"""A process does not end with exit code 0 before its work is done."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import pytest

from metai2i.console.exits import no_way_out


def ended(code: str) -> tuple[int, str]:
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return finished.returncode, finished.stderr


@pytest.mark.parametrize(("status", "code"), [(0, 2), (1, 1), (7, 7)])
def test_leaving_by_the_back_door_is_no_success(status, code):
    text = f"import os\nfrom metai2i.console.exits import no_way_out\nwith no_way_out(2):\n    os._exit({status})"
    exit_code, said = ended(text)
    assert exit_code == code
    assert ("os._exit(0) in <string>:4 has ended the process before its work was done" in said) == (status == 0)


def test_what_runs_at_the_end_does_not_make_a_failure_a_success():
    text = """
import atexit, os
from metai2i import cli
atexit.register(lambda: os._exit(0))
cli.main(["nothing"])
"""
    assert ended(text)[0] == 2


def test_a_child_that_was_forked_ends_as_it_likes():
    with no_way_out(2):
        child = os.fork()
        if child == 0:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_afterwards_all_is_as_it_was():
    real = os._exit
    with no_way_out(2):
        assert os._exit is not real
    assert os._exit is real


# --- streams that are closed, or that nobody reads


def program(*words: str, shell: str) -> subprocess.CompletedProcess[str]:
    """`metai2i WORDS` in a shell's command, where it is called $M."""
    command = shlex.join([sys.executable, "-m", "metai2i", *words])
    environment = {**os.environ, "M": command}
    return subprocess.run(
        ["bash", "-c", shell.replace("$M", command)], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("plugins",), ("validate", "quickstart"), ("--help",), ("run", "--help")], ids=" ".join
)
def test_a_reader_that_has_seen_enough_is_no_fault(words):
    done = program(*words, shell="$M | true; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) in {("1\n", ""), ("0\n", "")}  # 0 where all was written before the pipe broke


def test_a_console_whose_reader_is_gone_ends_quietly():
    code = (
        "import sys; from metai2i import cli; from metai2i.console.consoles import console;"
        "cli._invoke = lambda asked: [console().print('x' * 9000) for _ in range(99)]; cli.main(['run'])"
    )
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join([sys.executable, '-c', code])} 2> >(true); echo $?"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_gives_its_number_to_no_file(closed, tmp_path):
    code = (
        "import sys; from metai2i import cli; opened = [];"
        "cli.invoke = lambda args: opened.append(open(sys.argv[1], 'w')) or cli.say('results') or 7; cli.main([])"
    )
    path = tmp_path / "file"
    shell = f"{shlex.join([sys.executable, '-c', code, str(path)])} {closed}"
    assert subprocess.run(["bash", "-c", shell], capture_output=True, check=False).returncode == 7
    assert path.read_text() == ""


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_does_its_work_without_a_stream(closed, tmp_path):
    done = program("schema", "--out", str(tmp_path / "schema.json"), shell=f"$M {closed}")
    assert done.returncode == 0
    assert json.loads((tmp_path / "schema.json").read_text())["title"]


@pytest.mark.slow
def test_an_error_that_cannot_be_written_is_an_error_still():
    assert program("run", "nothing.yaml", shell="$M 2>/dev/full").returncode == 2
