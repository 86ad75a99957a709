"""The list of all messages has each once, with the test that provoked it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from list_errors import kind_of

TESTS = """
import pytest
from metai2i import UserError

@pytest.mark.parametrize("number", [1, 22])
def test_a_number(number, tmp_path):
    with pytest.raises(UserError):
        raise UserError(f"got {number}, expected 3", where=tmp_path / "a.yaml", hint="put 3")

def test_two_lines():
    with pytest.raises(UserError):
        raise UserError("one\\ntwo \\udce9")
"""


@pytest.mark.parametrize("processes", ["0", "2"])
def test_every_message_is_listed_once_with_its_test(processes, tmp_path):
    (tmp_path / "test_few.py").write_text(TESTS)
    script, out = Path(__file__).with_name("list_errors.py"), tmp_path / "errors.txt"
    command = [sys.executable, script, out, "-n", processes, "-o", "addopts=", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"2 messages: {out}" in done.stdout
    first, second = out.read_text().strip().split("\n\n")
    assert first.startswith("test_few.py::test_a_number[")
    assert first.endswith("a.yaml: got 1, expected 3 (put 3)") or first.endswith("a.yaml: got 22, expected 3 (put 3)")
    assert second == "test_few.py::test_two_lines\n    one\n    two \\udce9"


def test_messages_that_differ_by_numbers_and_places_alone_are_of_one_kind():
    assert kind_of("/tmp/a/b.yaml:3:7: got 5, expected 2.5") == "PLACE: got N, expected N"
    assert kind_of("/tmp/c: lr: got 17, expected 0.001") == kind_of("/x/y.yaml:1:1: lr: got 1, expected 2")
    assert kind_of("lr: got 1") != kind_of("lr: expected 1")
