"""The figures of a run's report as files of their own, PNG and PDF."""

from __future__ import annotations

import base64
import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast

import matplotlib
import numpy as np
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure

from metai2i.console.legible import on_one_line
from metai2i.data.images import slugs
from metai2i.errors import UserError
from metai2i.exporter import RunContent, RunExporter
from metai2i.report.figures import FigureCell, FigureTask, ShownFigure, figures
from metai2i.report.page import run_context
from metai2i.report.plots import VARIABLES, keeping_plots
from metai2i.run_folder.reader import load_run
from metai2i.statistics import Summary

DPI = 200
CELL = 1.0
"""Inches of an image's height in a figure of images."""
LETTERS = 20
"""Of a heading, in an inch."""
FigureKind = Literal["png", "pdf"]


class Figures(RunExporter):
    """The plots of the report, and its figures of images, as PNG and PDF.

    Args:
        kinds: of files.
    """

    ending = "-figures/"

    def __init__(self, *, kinds: tuple[FigureKind, ...] = ("png", "pdf")) -> None:
        self.kinds = kinds

    def export(self, content: RunContent, out: Path) -> object:
        """Write a file of each kind for each figure."""
        run, summary = load_run(content.folder), cast(Summary, content.summary)
        with keeping_plots() as plots:
            run_context(run, summary)
        for _, plot in plots:
            in_print(plot)
        named = [(re.split(", for |: ", alt)[0], plot) for alt, plot in plots]
        named += [(shown["title"], image_figure(shown)) for shown in figures(run, summary["leaking"])]
        if not named:
            raise UserError("the run has no figure", where=content.folder, hint="it has no images, log or comparisons")
        names = slugs(f"{number:02} {title[:60]}" for number, (title, _) in enumerate(named, 1))
        for stem, (_, figure) in zip(names.values(), named, strict=True):
            for kind in self.kinds:
                save_figure(figure, out / f"{stem}.{kind}", kind)
        return None


def save_figure(figure: Figure, path: Path, kind: FigureKind) -> None:
    """Write a figure; without a date, so that the same figure is the same file."""
    nothing: dict[str, None] = {} if kind == "png" else dict.fromkeys(("CreationDate", "Creator", "Producer"))
    with matplotlib.rc_context({"pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(path, format=kind, dpi=DPI, bbox_inches="tight", metadata=nothing)


def colours_in_print() -> dict[str, str]:
    """Return the colours of paper for the stand-ins of the plots, as the report's style sheet has them."""
    css = (files("metai2i.report") / "templates" / "style" / "palette.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css))
    return {stand_in: light[name] for stand_in, name in VARIABLES.items()}


def in_print(figure: Figure) -> None:
    """Give a plot of the report the colours of paper."""
    known = colours_in_print()
    figure.set_facecolor("white")
    for artist in figure.findobj():
        for what in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            get, put = getattr(artist, f"get_{what}", None), getattr(artist, f"set_{what}", None)
            if get is not None and put is not None and (value := _printed(get(), known)) is not None:
                put(value)


def _printed(value: Any, known: Mapping[str, str]) -> Any:
    """Return a colour, or several, on paper; None for what is none of the stand-ins."""
    try:
        several = np.asarray(value).ndim == 2
        colours = [to_rgba(each) for each in (value if several else [value])]
    except (ValueError, TypeError):
        return None
    if not any(to_hex(each) in known for each in colours):
        return None
    printed = [to_rgba(known.get(to_hex(each), each), each[3]) for each in colours]
    return printed if several else printed[0]


def image_figure(shown: ShownFigure) -> Figure:
    """Return a figure of images: a line for each query, a column for each thing that is shown of it."""
    lines = [placed for task in shown["tasks"] for placed in placed_cells(task)]
    first = next(image for line in lines for cell in line.values() for image in cell["images"])
    wide, columns = CELL * first["width"] / first["height"], len(shown["headings"])
    letters = max(8, int(LETTERS * wide))
    headings = ["\n".join(textwrap.wrap(on_one_line(each), letters)) for each in shown["headings"]]
    figure = Figure(figsize=(columns * wide, len(lines) * CELL + 0.12 * max(each.count("\n") + 2 for each in headings)))
    axes = figure.subplots(len(lines), columns, squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
    for each in axes.flat:
        each.set_axis_off()
    for row, line in enumerate(lines):
        for column, cell in line.items():
            if cell["images"]:
                axes[row, column].imshow(np.concatenate(list(_pixels(cell["images"])), axis=1), aspect="equal")
    for column, heading in enumerate(headings):
        axes[0, column].set_title(heading, fontsize=6, parse_math=False)
    return figure


def placed_cells(task: FigureTask) -> Iterator[dict[int, FigureCell]]:
    """Yield the cells of each line of a task, by their columns: a support stands in the first line, for all."""
    first = task["lines"][0]
    yield dict(enumerate(first))
    free = [column for column, cell in enumerate(first) if cell["span"] == 1]
    for line in task["lines"][1:]:
        yield dict(zip(free, line, strict=True))


def _pixels(images: Any) -> Iterator[Any]:
    """Yield the images of a cell, all as high as the first."""
    from PIL import Image

    height = images[0]["height"]
    for image in images:
        data = base64.b64decode(image["uri"].partition(",")[2])
        with Image.open(io.BytesIO(data)) as opened:
            yield np.array(opened.convert("RGB").resize((image["width"] * height // image["height"], height)))
