"""Lay out what each system makes, for the table of systems in the README, from finished runs.

    metai2i run systems/drawn_streets
    python docs/images/make_systems.py runs docs/images/systems

An image for each system whose run lies in the folder: what it was shown and, at the right, what it made of it, for the
first test scenes in the run's own order, or the first queries of the only one. Nothing is picked.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from metai2i.errors import UserError
from metai2i.files import check_folder, write_atomically

SIDE, GAP, APART = 64, 2, 12
"""Pixels of an image's height, between what belongs together, and between two examples."""
EXAMPLES = 3


@dataclass(frozen=True)
class System:
    """What is shown of a system.

    Args:
        run: the name of its run's folder.
        row: the row of the run.
        shown: from left to right what it is shown: structure, reference, or shown.NAME.
        output: what follows: its output, or shown.NAME.
    """

    run: str
    row: str
    shown: tuple[str, ...] = ("structure",)
    output: str = "output"


SYSTEMS = {
    "pix2pix": System("systems-drawn-streets", "Pix2pix"),
    "pg2": System("systems-drawn-streets", "PG2", ("structure", "reference")),
    "spade": System("systems-drawn-streets", "SPADE"),
    "panoptic": System("systems-drawn-streets", "Panoptic", ("structure", "shown.instances")),
    "cocosnet": System("systems-drawn-streets", "CoCosNet", ("structure", "reference")),
    "flow": System("systems-drawn-streets", "Flow"),
    "stargan2": System("stargan2-emoji", "By an exemplar", ("shown.source", "reference")),
    "gpunit": System("gpunit-prior-emoji", "Prior", ("shown.source", "shown.twin"), "shown.swapped"),
    "edgegan": System("edgegan-emoji", "EdgeGAN"),
}


def examples_of(run: Path, system: System) -> list[list[Path]]:
    """Return the files of each example, from left to right."""
    check_folder(run, "expected the folder of a finished run")
    tasks = json.loads((run / "images" / "index.json").read_text(encoding="utf-8"))["tasks"]
    if system.row not in tasks[0]["rows"]:
        raise UserError(f"{run}: no row is called {system.row!r}", hint=f"there are {', '.join(tasks[0]['rows'])}")
    places = [(task, query) for task in tasks for query in task["queries"]]
    if len(tasks) >= EXAMPLES:
        places = [(task, task["queries"][0]) for task in tasks]
    return [
        [run / "images" / task["dir"] / folder_of(task, column, system.row) / f"{query}.png"
         for column in (*system.shown, system.output)]
        for task, query in places[:EXAMPLES]
    ]  # fmt: skip


def folder_of(task: dict[str, Any], column: str, row: str) -> str:
    """Return the folder of a column's images within the scene's."""
    if column == "output":
        return str(task["rows"][row])
    if column == "structure":
        return column
    kind, _, name = column.partition(".")
    folders = task[kind][name] if name else task[kind]
    return str(folders[row])


def sheet(examples: list[list[Path]]) -> Image.Image:
    """Return the examples beside each other, all images equally high."""
    images = [[Image.open(file).convert("RGB") for file in files] for files in examples]
    scaled = [
        [each.resize((round(SIDE * each.width / each.height), SIDE), Image.Resampling.NEAREST) for each in example]
        for example in images
    ]
    width = sum(each.width + GAP for example in scaled for each in example) + (APART - GAP) * len(scaled) - APART
    image = Image.new("RGBA", (width, SIDE), (0, 0, 0, 0))
    left = 0
    for example in scaled:
        for each in example:
            image.paste(each, (left, 0))
            left += each.width + GAP
        left += APART - GAP
    return image


def main(words: list[str] | None = None) -> int:
    """Write the sheets; return the exit code."""
    parser = argparse.ArgumentParser(description="Lay out what each system makes.")
    parser.add_argument("runs", type=Path, help="the folder that holds the runs")
    parser.add_argument("out", type=Path, help="the folder to write PNG files to")
    given = parser.parse_args(words)
    there = {name: system for name, system in SYSTEMS.items() if (given.runs / system.run).is_dir()}
    try:
        check_folder(given.runs, "expected a folder of runs")
        if not there:
            names = ", ".join(dict.fromkeys(system.run for system in SYSTEMS.values()))
            raise UserError(f"{given.runs}: none of the runs is here", hint=f"one or more of {names}")
        sheets = {name: sheet(examples_of(given.runs / system.run, system)) for name, system in there.items()}
        given.out.mkdir(parents=True, exist_ok=True)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, image in sheets.items():
        buffer = BytesIO()
        image.save(buffer, format="PNG", optimize=True)
        content = buffer.getvalue()
        write_atomically(given.out / f"{name}.png", lambda draft, content=content: draft.write_bytes(content))
    print(f"{len(sheets)} of {len(SYSTEMS)} sheets in {given.out}: {', '.join(sheets)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
