"""How a package is installed into the environment that metai2i runs in, which may have no pip."""

from __future__ import annotations

import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path


def install_command(package: Path) -> str:
    """Return the command that installs a new plugin's folder here, editable: by pip, or by uv where pip is not there.

    In an environment without either, Python itself brings pip first. All that a new plugin needs is metai2i, which is
    here, so that nothing else is looked up (`--no-deps`).
    """
    python, install = _python(), ["install", "--no-deps", "-e", str(package)]
    by_pip = shlex.join([python, "-m", "pip", *install])
    if find_spec("pip") is not None:
        return by_pip
    if shutil.which("uv") is not None:
        return shlex.join(["uv", "pip", install[0], "--python", sys.executable, *install[1:]])
    return f"{shlex.join([python, '-m', 'ensurepip'])} && {by_pip}"


def _python() -> str:
    """Return what this environment's Python is called at a prompt."""
    first = shutil.which("python")
    same = first is not None and Path(first).absolute() == Path(sys.executable).absolute()
    return "python" if same else sys.executable
