"""Where scenes lie in a folder: which pairs are a scene, and in which split.

::

    train/SCENE/   test/SCENE/   val/SCENE/    a folder for each scene, whose name is the scene's
    train/         test/         val/          the pairs of a split: successive ones, by name, make a scene

In each of these folders pairs lie as `metai2i adapt` takes them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metai2i import SPLITS, Split, UserError, did_you_mean
from metai2i.data import (
    PHOTO_ENDINGS,
    Member,
    PairFiles,
    by_stem,
    check_name,
    expanded,
    has_folders_of_pairs,
    is_broken_link,
    pairs_in,
    refuse_same,
    subfolders,
)

log = logging.getLogger("metai2i")

EXPECTED = "expected train/SCENE/ and test/SCENE/ with pairs of photographs and maps, and val/SCENE/ if there are any"


@dataclass(frozen=True)
class SceneFiles:
    """The pairs of a scene.

    Args:
        id: the scene's.
        pairs: in the order of their names.
    """

    id: str
    pairs: tuple[PairFiles, ...]


@dataclass(frozen=True)
class Tree:
    """The scenes of a folder.

    Args:
        root: the folder.
        scenes: of each split, by name.
        errors: what is wrong with other folders and files.
    """

    root: Path
    scenes: Mapping[Split, Sequence[SceneFiles]]
    errors: Sequence[UserError]


def find_tree(root: Path, neighbours: int) -> Tree:
    """Return the scenes of a folder.

    Args:
        root: the folder, or one that has it as its only folder of that kind.
        neighbours: how many successive pairs make a scene where there are no folders of scenes.

    Raises:
        UserError: when there is no such folder or it has no splits, and when two scenes have one name or one folder.
    """
    root = find_root(expanded(root))
    scenes: dict[Split, list[SceneFiles]] = {}
    errors: list[UserError] = []
    named: dict[str, list[Member]] = {}
    for split in SPLITS:
        folder = root / split
        flat = has_pairs(folder)
        named[split] = [] if flat else [Member(path.name, path) for path in subfolders(folder)]
        if flat:
            pairs, wrong = pairs_in(folder)
            starts = range(0, len(pairs), neighbours)
            scenes[split] = [
                SceneFiles(f"{split}/{pairs[at].name}", tuple(pairs[at : at + neighbours])) for at in starts
            ]
            errors += wrong
            continue
        scenes[split] = []
        for member in named[split]:
            pairs, wrong = pairs_of(member)
            errors += wrong
            if pairs:
                scenes[split].append(SceneFiles(member.id, tuple(pairs)))
    refuse_same(named.items(), root)
    tell_misnamed(root)
    return Tree(root, scenes, errors)


def find_root(root: Path) -> Path:
    """Return the folder that has the splits: this one, or the only one in it that has them.

    Raises:
        UserError: when there is none.
    """
    if not root.is_dir():
        what = "this is a file, expected a folder" if root.exists() else "there is no such folder"
        raise UserError(what, where=root, hint=EXPECTED)
    within = [folder for folder in (root, *subfolders(root)) if (folder / "train").is_dir()]
    if len(within) > 1 and within[0] != root:
        raise UserError(f"{' and '.join(path.name for path in within[:2])} both have a train/", where=root,
                        hint="tasks.root names one of them")  # fmt: skip
    if not within:
        near = did_you_mean("train", [path.name for path in subfolders(root)])
        hint = near if near and near.startswith("did") else None
        raise UserError(f"there is no train/ here; {EXPECTED}", where=root, hint=hint)
    if not (within[0] / "test").is_dir():
        raise UserError(f"there is no test/ here; {EXPECTED}", where=within[0],
                        hint="move some scenes from train/ into it: training must not see what tests")  # fmt: skip
    return within[0]


def has_pairs(folder: Path) -> bool:
    """Return whether a split's folder has pairs, rather than folders of scenes.

    Raises:
        UserError: when it has both.
    """
    files = by_stem(folder, PHOTO_ENDINGS)
    parts = ("photos", "maps") if has_folders_of_pairs(folder) else ()
    others = [path.name for path in subfolders(folder) if path.name not in parts]
    if (files or parts) and others:
        what = "images" if files else "photos/ and maps/"
        raise UserError(
            f"there are {what} and folders of scenes here, such as {others[0]!r}",
            where=folder,
            hint="put all pairs into folders of scenes, or none",
        )
    return bool(files or parts)


def pairs_of(scene: Member) -> tuple[list[PairFiles], list[UserError]]:
    """Return the pairs of a scene's folder, and what is wrong with it."""
    try:
        check_name(scene.path)
    except UserError as error:
        return [], [error]
    if is_broken_link(scene.path):
        return [], [UserError("this link leads nowhere", where=scene.path)]
    return pairs_in(scene.path)


def tell_misnamed(root: Path) -> None:
    """Warn of a folder from which nothing is taken, and whose name is nearly that of a split which is not there."""
    folders = [path.name for path in subfolders(root)]
    for name in (name for name in folders if name not in SPLITS):
        hint = did_you_mean(name, [split for split in SPLITS if split not in folders])
        if hint is not None and hint.startswith("did"):
            log.warning("pairs: nothing is taken from %s, which is no split; %s", root / name, hint)
