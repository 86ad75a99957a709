"""The wheels as a stranger installs them: plain pip, an empty environment, no compiler.

`uv run pytest -m packages` builds them and tries each Python that is to be found here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
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


def removed_afterwards(folder: Path) -> Iterator[Path]:
    yield folder
    shutil.rmtree(folder)  # torch for GPUs has more than 6 GB


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Iterator[Path]:
    """The wheels of the core and of every plugin, each made from its source distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    called(interpreter("3.11") or sys.executable, "-m", "venv", "builder", cwd=folder)
    python = folder / "builder" / "bin" / "python"
    called(python, "-m", "pip", "install", "build", "hatchling", cwd=folder)
    packages = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
    for package in packages:
        called(python, "-m", "build", "--no-isolation", "--outdir", folder / "dist", package, cwd=folder)
    assert len(list((folder / "dist").glob("*.whl"))) == len(packages)
    yield from removed_afterwards(folder / "dist")


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    yield from removed_afterwards(tmp_path)


@pytest.mark.packages
@pytest.mark.parametrize("version", PYTHONS)
def test_pip_installs_everything_without_a_compiler_and_the_quickstart_runs(version, wheels, folder):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    called(python, "-m", "venv", "env", cwd=folder)
    there = folder / "env" / "bin"
    called(there / "pip", "install", "--find-links", wheels, "metai2i[all]", cwd=folder)
    assert "learn2learn" not in called(there / "pip", "list", cwd=folder)
    assert called(there / "python", "-VV", cwd=folder).startswith(f"Python {version}.")
    metai2i = there / "metai2i"
    assert "cpu/face_5shot" in called(metai2i, "recipes", cwd=folder)
    called(metai2i, "recipes", "quickstart", "--copy", "copied", cwd=folder)
    assert (folder / "copied" / "quickstart.yaml").read_bytes() == (ROOT / "recipes" / "quickstart.yaml").read_bytes()
    called(metai2i, "run", "quickstart", *SMALL, "--out", "out", cwd=folder)
    (folder / "out" / "report.html").unlink()
    called(metai2i, "report", "out", cwd=folder)
    assert "Pix2pix" in (folder / "out" / "report.html").read_text()
