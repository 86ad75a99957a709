"""Finding a data set under the root folder, and saying what was looked for when it is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from metai2i import UserError
from metai2i.data import entries
from metai2i_street.layouts import LAYOUTS, Layout
from metai2i_street.records import DatasetName

TITLES: dict[DatasetName, str] = {"camvid": "CamVid", "cityscapes": "Cityscapes", "bdd100k": "BDD100K"}
CUSTOMARY: dict[DatasetName, tuple[str, ...]] = {
    "camvid": ("camvid",),
    "cityscapes": ("cityscapes",),
    "bdd100k": ("bdd100k", "bdd"),
}
"""How the folder of a data set may be called, in any case and with - or _ anywhere."""


def find(dataset: DatasetName, root: Path) -> tuple[Path, Layout]:
    """Return the folder and the layout of a data set: in `root`, or one or two folders down under a customary name.

    The nearest folder wins, and in it the first layout of `LAYOUTS`.

    Raises:
        UserError: listing, for each layout, what was looked for and where.
    """
    layouts = [layout for layout in LAYOUTS if layout.dataset == dataset]
    folders = list(candidates(dataset, root))
    for folder in folders:
        for layout in layouts:
            if layout.detect(folder):
                return folder, layout
    names = " or ".join(f"{name}/" for name in CUSTOMARY[dataset])
    here = "here" if root.is_dir() else "here, this is a file" if root.exists() else "here, the folder does not exist"
    lines = [f"no {TITLES[dataset]} {here}; looked for"]
    for layout in layouts:
        folder = max(folders, key=lambda folder: sum(layout.signs(folder).values()))
        signs = [f"{sign} ({'there' if there else 'not there'})" for sign, there in layout.signs(folder).items()]
        lines.append(f"  layout {layout.name!r}: {', '.join(signs)} in {folder}")
    lines.append(f"and for the same one or two folders down in {names}")
    raise UserError("\n".join(lines), where=root, hint=f"give its folder by tasks.root or tasks.{dataset}")


def candidates(dataset: DatasetName, root: Path) -> Iterator[Path]:
    """Yield `root`, and the customarily named folders in it and in its folders."""
    yield root
    below = _folders(root)
    yield from (folder for folder in below if _customary(dataset, folder))
    for folder in below:
        yield from (inner for inner in _folders(folder) if _customary(dataset, inner))


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in entries(folder) if path.is_dir()]
    except OSError:
        return []


def _customary(dataset: DatasetName, folder: Path) -> bool:
    return folder.name.lower().replace("-", "").replace("_", "") in CUSTOMARY[dataset]
