"""The recipes that come with metai2i, by name: `quickstart`, `cpu/face_5shot`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import yaml

from metai2i.errors import UserError, did_you_mean
from metai2i.files import write_text

SUFFIX = ".yaml"
FIRST_WORDS = ("metai2i ", "python ")
"""How lines begin that say how a recipe is called."""
_SENTENCE = re.compile(r".*?[.?!](?=\s|$)")


@dataclass(frozen=True)
class BundledRecipe:
    """A recipe that comes with metai2i.

    Args:
        name: its path below the folder, without the suffix: `cpu/face_5shot`.
        path: the file.
        command: how it is called, as its first lines say; None for one that only others extend.
        about: what its opening comment says, on one line.
    """

    name: str
    path: Path
    command: str | None
    about: str

    @property
    def brief(self) -> str:
        """Return the first sentence of it."""
        sentence = _SENTENCE.match(self.about)
        return sentence[0] if sentence else self.about


def recipes_folder() -> Path:
    """Return the folder of the bundled recipes: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "recipes"
    return (inside if inside.is_dir() else package.parent / "recipes").resolve()


def bundled_recipes() -> list[BundledRecipe]:
    """Return all recipes that come with metai2i, by name; those of the top folder first."""
    folder = recipes_folder()
    paths = sorted(folder.rglob(f"*{SUFFIX}"), key=lambda path: (len(path.relative_to(folder).parts), path))
    return [_described(folder, path) for path in paths]


def _described(folder: Path, path: Path) -> BundledRecipe:
    name = path.relative_to(folder).with_suffix("").as_posix()
    comment: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    commands = list(takewhile(lambda line: line.startswith(FIRST_WORDS), comment))
    command = next((line for line in commands if line.startswith("metai2i ")), None)
    return BundledRecipe(name, path, command, " ".join(filter(None, comment[len(commands) :])))


def recipe_path(text: str) -> Path:
    """Return the file that a recipe argument means: a path, or the name of a bundled recipe.

    A file that exists is taken before a bundled recipe of that name. What is neither is returned as a path, whose
    reader says that it is missing.

    Raises:
        UserError: for a bare name that is no bundled recipe, with the nearest one.
    """
    path = Path(text)
    if path.exists() or path.suffix:
        return path
    known = {recipe.name: recipe.path for recipe in bundled_recipes()}
    if text in known:
        return known[text]
    if len(path.parts) == 1:
        hint = did_you_mean(text, known) or "`metai2i recipes` lists them"
        raise UserError(f"no file and no bundled recipe is called {text!r}", hint=hint)
    return path


def copy_recipes(recipes: Sequence[BundledRecipe], out: Path) -> list[Path]:
    """Copy recipes, with those that they extend, to the same places below `out`; return what has been written.

    A file that is there with the same text already is left alone.

    Raises:
        UserError: before anything is written, when another file is in the way.
    """
    folder = recipes_folder()
    sources = dict.fromkeys(path for recipe in recipes for path in _with_bases(recipe.path))
    targets = {path: out / path.relative_to(folder) for path in sources}
    missing = {source: target for source, target in targets.items() if not _is_copy(target, source)}
    for target in missing.values():
        if target.exists():
            raise UserError("this is there already", where=target, hint="nothing is overwritten: take another folder")
    for source, target in missing.items():
        write_text(target, source.read_text(encoding="utf-8"))
    return list(missing.values())


def _with_bases(path: Path) -> Iterator[Path]:
    """Yield a recipe and all that it extends."""
    yield path
    base = yaml.safe_load(path.read_text(encoding="utf-8")).get("extends")
    if base is not None:
        yield from _with_bases((path.parent / base).resolve())


def _is_copy(target: Path, source: Path) -> bool:
    return target.is_file() and target.read_bytes() == source.read_bytes()
