"""The benchmark scripts can be called."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py") if path.name != "common.py")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_benchmark_tells_how_it_is_called_and_has_a_quick_way(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / name), run_name="__main__")
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "--quick" in printed
    assert "--json" in printed
