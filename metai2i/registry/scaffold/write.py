"""Writes a small working plugin: one file, or a package with its tests."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from pathlib import Path
from string import Template

import metai2i
from metai2i.errors import UserError
from metai2i.files import reason
from metai2i.registry.discovery import core_plugins, installed_plugins, may_be_plugin
from metai2i.registry.loading import KINDS

TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _check_name(kind: str, name: str) -> None:
    """Refuse names that recipes or Python could not use, and those of installed plugins.

    Args:
        kind: a key of `metai2i.registry.loading.KINDS`.
        name: as recipes are to write it.

    Raises:
        UserError: with a name that would do, where there is one near.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        near = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_").lstrip("0123456789_")
        near = f"{near}_{KINDS[kind].key}" if keyword.iskeyword(near) else near
        hint = f"for instance {near!r}" if near else "for instance 'my_plugin'"
        raise UserError(f"got the name {name!r}, expected lower-case letters, digits and _, a letter first", hint=hint)
    if not may_be_plugin(name):
        what = f"got the name {name!r}, by which pytest knows tests, so that its file would be no plugin"
        raise UserError(what, hint=f"another name, such as 'my_{name.removeprefix('test_')}'")
    for plugin in (*core_plugins(), *installed_plugins()):
        if {name, f"{KINDS[kind].key}.{name}"} & set(plugin.names):
            raise UserError(f"{name!r} is in {plugin.label} already", hint=f"another name, such as 'my_{name}'")


def write_plugin(kind: str, name: str, folder: Path, *, single_file: bool = False) -> Path:
    """Write a new plugin; nothing that is there is overwritten.

    Args:
        kind: a key of `metai2i.registry.loading.KINDS`.
        name: as recipes are to write it.
        folder: where the package's folder, or the file, is put; made where it is not there.
        single_file: one file for `--plugins-dir` instead of a package.

    Returns:
        the file, or the package's folder `metai2i-NAME`.

    Raises:
        UserError: when the name cannot be used, or when there is something of that name already.
    """
    _check_name(kind, name)
    files = plugin_files(kind, name)
    target = folder / (f"{name}.py" if single_file else project_of(name))
    if target.exists():
        raise UserError("this is there already", where=target, hint="nothing is overwritten: take another name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}.") as draft:
            written = Path(draft) / target.name
            if single_file:
                written.write_text(files[f"{_module_of(name)}/__init__.py"], encoding="utf-8")
            else:
                for path, text in files.items():
                    (written / path).parent.mkdir(parents=True, exist_ok=True)
                    (written / path).write_text(text, encoding="utf-8")
            shutil.move(written, target)
    except OSError as error:
        raise UserError(f"cannot write: {reason(error)}", where=folder) from error
    return target


def plugin_files(kind: str, name: str) -> dict[str, str]:
    """Return the files of a package, by their paths in it."""
    module = _module_of(name)
    words = {
        "name": name,
        "Class": "".join(part.capitalize() for part in name.split("_") if part),
        "module": module,
        "project": project_of(name),
        "kind": kind,
        "hook": KINDS[kind].hook,
        "sources": sources(),
        "versions": versions(),
    }
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}/__init__.py": f"{kind.replace(' ', '_')}.py",
        f"tests/test_{name}.py": "test.py",
    }
    return {
        path: Template((TEMPLATES / f"{template}.template").read_text(encoding="utf-8")).substitute(words)
        for path, template in templates.items()
    }


def project_of(name: str) -> str:
    """Return what the package is called: `metai2i-my-unet` for `my_unet`."""
    return f"metai2i-{name.replace('_', '-')}"


def _module_of(name: str) -> str:
    """Return what is imported: `metai2i_my_unet` for `my_unet`."""
    return f"metai2i_{name}"


def versions() -> str:
    """Return the cores that a plugin is written for: this one, up to the next in which interfaces may change."""
    major, minor = metai2i.__version__.split(".")[:2]
    following = f"0.{int(minor) + 1}" if major == "0" else f"{int(major) + 1}"
    return f">={major}.{minor},<{following}"


def sources() -> str:
    """Return where uv finds metai2i, when it runs from a checkout; empty when it is installed."""
    root = Path(metai2i.__file__).parents[1]
    if not (root / "pyproject.toml").is_file():
        return ""
    return f'\n[tool.uv.sources]\nmetai2i = {{ path = "{root.as_posix()}", editable = true }}\n'
