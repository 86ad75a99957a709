"""`extra_command`: what brings the packages of an extra, whether or not its distribution is published anywhere."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires


def extra_command(distribution: str, extra: str) -> str:
    """Return the command that installs what an extra of an installed distribution asks for.

    It names the packages themselves: the distribution may be a checkout, of which pip knows no extra by its name.

    >>> extra_command("metai2i", "mlflow")
    'pip install "mlflow>=2.14"'

    Args:
        distribution: the name of the package, such as "metai2i-faces".
        extra: one of its optional dependencies in pyproject.toml.
    """
    try:
        known = requires(distribution) or []
    except PackageNotFoundError:
        known = []
    wanted = [re.fullmatch(rf"""([^;]+);\s*extra\s*==\s*['"]{re.escape(extra)}['"]\s*""", each) for each in known]
    packages = " ".join(f'"{each[1].strip()}"' for each in wanted if each)
    return f"pip install {packages}" if packages else f'pip install "{distribution}[{extra}]"'
