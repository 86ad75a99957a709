"""The tables of `docs/data.md` name tests that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "data.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.endswith("| test |")]


def test_every_row_names_tests_that_there_are():
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert ROWS
    for row in ROWS:
        named = re.findall(r"`(test_\w+)`", row.rstrip(" |").rpartition("|")[2])
        assert named, row
        assert set(named) <= tests, row


@pytest.mark.parametrize("name", re.findall(r"`(metai2i\.\w+)\.(\w+)`", PAGE))
def test_every_function_that_is_named_is_there(name):
    module, function = name
    assert callable(getattr(__import__(module, fromlist=[function]), function))
