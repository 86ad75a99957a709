"""Images of every input with every exemplar, one for each row and task."""

from __future__ import annotations

from typing import TypedDict

from metai2i.report.gallery import InlinedImage, inline_image, kept_image
from metai2i.run_folder.reader import Run

_TASKS = 4
_SIDE = 1400
"""Pixels; larger ones are scaled down."""
_WIDTHS = 420, 1100
"""Between which width they are shown, in pixels."""


class RowGrid(TypedDict):
    """The grid of a row; `width`: as shown, in pixels."""

    row: str
    image: InlinedImage
    width: int


class TaskGrids(TypedDict):
    """The grids of a task."""

    id: str
    rows: list[RowGrid]


def exemplar_grids(run: Run) -> list[TaskGrids]:
    """Return the grids of the first tasks that have some, in the order of the run's rows."""
    tasks: list[TaskGrids] = []
    for task in run.images.tasks:
        rows: list[RowGrid] = []
        for row in [row for row in run.rows if row in task.grid]:
            folder, _, name = task.grid[row].rpartition("/")
            path = kept_image(run.path / "images", task.dir, folder, name)
            image = inline_image(path, f"{task.id}: {row}, every input with every exemplar", side=_SIDE)
            if image is not None:
                rows.append(RowGrid(row=row, image=image, width=min(max(image["width"], _WIDTHS[0]), _WIDTHS[1])))
        if rows:
            tasks.append(TaskGrids(id=task.id, rows=rows))
    return tasks[:_TASKS]
