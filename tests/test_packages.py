"""The wheels as a stranger installs them: plain pip, an empty environment, no compiler.

`uv run pytest -m packages` builds them and tries each Python that is to be found here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
NO_COMPILER = {"CC": "/bin/false", "CXX": "/bin/false", "OMP_NUM_THREADS": "1"}
SMALL = [
    "tasks.train=6", "tasks.val=2", "tasks.test=3", "pretrain.iterations=4", "metatrain.iterations=2",
    "adapt.iterations=2",
]  # fmt: skip


def interpreter(version: str) -> str | None:
    """The interpreter of a version, where there is one: this one, one of that name, or one of pyenv's."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return str(Path(sys.base_prefix) / "bin" / "python3")
    folders = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    named = shutil.which(f"python{version}")
    return str(folders[-1]) if folders else named


def called(*command: str | Path, cwd: Path, **more: str) -> str:
    ours = ("PYTHON", "VIRTUAL_ENV", "UV_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | NO_COMPILER | more
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    packages = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
    called(interpreter("3.11") or sys.executable, "-m", "venv", "builder", cwd=folder)
    called(folder / "builder" / "bin" / "pip", "wheel", "--no-deps", "--wheel-dir", folder, *packages, cwd=folder)
    return folder


@pytest.mark.packages
@pytest.mark.parametrize("version", PYTHONS)
def test_pip_installs_everything_without_a_compiler_and_the_quickstart_runs(version, wheels, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    called(python, "-m", "venv", "env", cwd=tmp_path)
    there = tmp_path / "env" / "bin"
    called(there / "pip", "install", "--find-links", wheels, "metai2i[all]", cwd=tmp_path)
    assert "learn2learn" not in called(there / "pip", "list", cwd=tmp_path)
    called(there / "metai2i", "run", "quickstart", *SMALL, "--out", "out", cwd=tmp_path)
    assert (tmp_path / "out" / "report.html").is_file()
    called(there / "metai2i", "report", "out", cwd=tmp_path)
    assert "cpu/face_5shot" in called(there / "metai2i", "recipes", cwd=tmp_path)
