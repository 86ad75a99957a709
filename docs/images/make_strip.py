"""Lay out the strip of images at the top of the README from a finished run.

    metai2i run recipes/quickstart.yaml
    python docs/images/make_strip.py runs/quickstart docs/images/strip.png

A line for each of the first test scenes, in the run's own order, and the first query of each: nothing is picked.
"""

from __future__ import annotations

import argparse
import json
import sys
from io import BytesIO
from pathlib import Path

import yaml
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from metai2i.errors import UserError
from metai2i.files import check_folder, write_atomically

GAP, HEAD, SIZE = 12, 44, 22
"""Pixels between two cells, of the line of headings, and of its letters."""
ALONG_COPIES = ("reptile", "bootstrap")
"""Strategies whose outer step goes towards adapted copies."""
INK = (125, 133, 144, 255)
"""A grey that reads on white and on black; the ground is transparent."""


def default_row(run: Path) -> str:
    """Return the last row that meta-trains by an outer step along adapted copies."""
    rows = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))["rows"]
    trained = [str(name) for name, row in rows.items() if row["strategy"]["use"] in ALONG_COPIES]
    if not trained:
        raise UserError(
            f"no row of the run is meta-trained with {' or '.join(ALONG_COPIES)}",
            hint=f"--row is one of {', '.join(rows)}",
        )
    return trained[-1]


def count(text: str) -> int:
    """Return a whole number of at least 1, for argparse, which says what was wrong with another text."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def cells_of(run: Path, row: str | None, scenes: int) -> tuple[list[str], list[list[Path]]]:
    """Return the headings, and for each scene the image files of one line, from left to right.

    Args:
        run: the folder of a finished run that kept its images.
        row: the row that is shown; None for `default_row`.
        scenes: how many lines.
    """
    check_folder(run, "expected the folder of a finished run")
    tasks = json.loads((run / "images" / "index.json").read_text(encoding="utf-8"))["tasks"]
    if len(tasks) < scenes:
        raise UserError(f"{run}: images of {len(tasks)} test scenes, expected at least {scenes}")
    row = row or default_row(run)
    if row not in tasks[0]["rows"]:
        raise UserError(f"{run}: no row is called {row!r}", hint=f"--row is one of {', '.join(tasks[0]['rows'])}")
    shots = len(tasks[0]["support"])
    headings = ["map", f"support, 1 of {shots}", "before adapting", "after adapting", "truth"]
    lines = []
    for task in tasks[:scenes]:
        folder, query = run / "images" / task["dir"], f"{task['queries'][0]}.png"
        support = folder / "support" / f"{task['support'][0]}.png"
        shown = [task["general"][row], task["rows"][row], "truth"]
        lines.append([folder / "structure" / query, support, *(folder / name / query for name in shown)])
    return headings, lines


def strip(headings: list[str], lines: list[list[Path]], scale: int) -> Image.Image:
    """Return the images of `lines` in even columns below their headings, every pixel `scale` pixels wide and high."""
    first = Image.open(lines[0][0]).size
    width, height = (side * scale for side in first)
    sheet = Image.new(
        "RGBA", (len(headings) * (width + GAP) - GAP, HEAD + len(lines) * (height + GAP) - GAP), (0, 0, 0, 0)
    )
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), SIZE)
    draw = ImageDraw.Draw(sheet)
    for column, heading in enumerate(headings):
        draw.text((column * (width + GAP) + width // 2, HEAD // 2), heading, font=font, fill=INK, anchor="mm")
        for line, files in enumerate(lines):
            image = Image.open(files[column]).convert("RGB")
            if image.size != first:
                raise UserError(f"{files[column]}: an image of {image.size}, expected {first} like the others")
            place = (column * (width + GAP), HEAD + line * (height + GAP))
            sheet.paste(image.resize((width, height), Image.Resampling.NEAREST), place)
    return sheet


def main(words: list[str] | None = None) -> int:
    """Write the strip; return the exit code."""
    parser = argparse.ArgumentParser(description="Lay out the strip of images at the top of the README.")
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("out", type=Path, help="the PNG file to write")
    parser.add_argument("--row", help="the row to show (default: the last that meta-trains with reptile)")
    parser.add_argument("--scenes", type=count, default=3, help="how many test scenes (default: %(default)s)")
    parser.add_argument("--scale", type=count, default=3, help="pixels for each pixel (default: %(default)s)")
    given = parser.parse_args(words)
    try:
        image = strip(*cells_of(given.run, given.row, given.scenes), given.scale)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    buffer = BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    write_atomically(given.out, lambda draft: draft.write_bytes(buffer.getvalue()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
