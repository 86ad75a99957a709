"""What translators have to show besides their outputs (skip masks, codes, strips, warped exemplars), and the exemplars
that they were shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from metai2i.report.figures import shown_heading
from metai2i.report.gallery import InlinedImage, inline_image, kept_image
from metai2i.run_folder.reader import Run
from metai2i.run_folder.record import TaskImages

_TASKS = 4
_QUERIES = 3
_SIDE = 768
"""Pixels; strips are several images wide."""
_INPUT = "source"
"""What is there already as the input of a line."""


class ShownLine(TypedDict):
    """One thing that is shown of some rows, in the order of the queries; `rows` have the same images of it."""

    what: str
    rows: list[str]
    images: list[InlinedImage]


def also_shown(run: Run) -> dict[str, list[ShownLine]]:
    """Return task -> what is shown of it besides inputs, outputs and truth; of the first tasks and queries."""
    lines = {task.id: _lines(run.path / "images", task, run.rows) for task in run.images.tasks[:_TASKS]}
    return {task: of_task for task, of_task in lines.items() if of_task}


def _lines(images: Path, task: TaskImages, rows: list[str]) -> list[ShownLine]:
    kinds = {name: folders for name, folders in sorted(task.shown.items()) if name != _INPUT}
    named = {shown_heading(name): folders for name, folders in kinds.items()}
    lines: list[ShownLine] = []
    for what, folders in ({"Exemplar": task.reference} | named).items():
        for row in [row for row in rows if row in folders]:
            inlined = [
                inline_image(
                    kept_image(images, task.dir, folders[row], query),
                    f"{task.id}, query {query}: {what}, {row}",
                    side=_SIDE,
                )
                for query in task.queries[:_QUERIES]
            ]
            known = [image for image in inlined if image is not None]
            same = next((line for line in lines if line["what"] == what and _alike(line["images"], known)), None)
            if same is not None:
                same["rows"].append(row)
            elif known:
                lines.append(ShownLine(what=what, rows=[row], images=known))
    return lines


def _alike(first: list[InlinedImage], second: list[InlinedImage]) -> bool:
    return [image["uri"] for image in first] == [image["uri"] for image in second]
