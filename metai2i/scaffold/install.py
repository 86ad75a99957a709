"""How a package is installed into the environment that metai2i runs in, which may have no pip."""

from __future__ import annotations

import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path


def install_command(package: Path) -> str:
    """Return the command that installs a package's folder here, editable: by pip, or by uv where pip is not there.

    In an environment without either, pip is brought first by Python itself.
    """
    python = _python()
    if find_spec("pip") is not None:
        return shlex.join([python, "-m", "pip", "install", "-e", str(package)])
    if shutil.which("uv") is not None:
        return shlex.join(["uv", "pip", "install", "--python", sys.executable, "-e", str(package)])
    return f"{shlex.join([python, '-m', 'ensurepip'])} && {shlex.join([python, '-m', 'pip', 'install', '-e', str(package)])}"


def _python() -> str:
    """What this environment's Python is called at a prompt."""
    first = shutil.which("python")
    return (
        "python" if first is not None and Path(first).absolute() == Path(sys.executable).absolute() else sys.executable
    )
