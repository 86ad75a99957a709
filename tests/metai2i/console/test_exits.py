"""A process does not end with exit code 0 before its work is done."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from metai2i.console.exits import no_way_out


def ended(code: str) -> tuple[int, str]:
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return found.returncode, found.stderr


@pytest.mark.parametrize(("status", "code"), [(0, 2), (1, 1), (7, 7)])
def test_leaving_by_the_back_door_is_no_success(status, code):
    text = f"import os\nfrom metai2i.console.exits import no_way_out\nwith no_way_out(2):\n    os._exit({status})"
    found, said = ended(text)
    assert found == code
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
