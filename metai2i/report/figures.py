"""Figures as a paper has them: a line for each query, a column for each thing that is shown of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from metai2i.report.gallery import InlinedImage, inline_image, kept_image
from metai2i.report.supports import shots_of, supports_of
from metai2i.report.wording import LEAKS, support_name
from metai2i.run_folder.reader import Run, mapping
from metai2i.run_folder.record import TaskImages
from metai2i.training.file_names import SIDE_BY_SIDE

_TASKS = 4  # unless the recipe says how many
SHOTS = 9  # support photographs in one cell
ROWS = 6  # more of them make no figure unless the recipe asks for it
HEIGHT = 144  # pixels, as shown, where the page is wide enough
PAGE, LEAST = 1200, 128  # pixels: of the page's width, and of an image's
SHOWN_COLUMN = "shown."  # before the name of what else a translator is shown or has to show
DRAWN = ("structure", f"{SHOWN_COLUMN}instances", f"{SHOWN_COLUMN}reference_structure")
SHOWN_HEADINGS = {"instances": "Instances", "reference_structure": "Exemplar's map"}
HEADINGS = {"structure": "Input", "support": "Support", "reference": "Exemplar", "truth": "Truth"}


class Column(NamedTuple):
    """What a column shows: a `kind` of `HEADINGS`, or a row's output ("row") or unadapted general model ("general").

    Of supports `shots` says which one, where rows have different ones.
    """

    kind: str
    row: str = ""
    shots: int | None = None


class FigureCell(TypedDict):
    """A cell: several images for the support, which stands in a task's first line only, for all (`span`) of them."""

    images: list[InlinedImage]
    span: int


class FigureTask(TypedDict):
    """A task: a line for each query."""

    id: str
    lines: list[list[FigureCell]]


class ShownFigure(TypedDict):
    """A figure.

    `width`: of an image, in pixels as shown; `lossy`: whether an image was recompressed or scaled down; `shared`:
    what is left out behind the names of all rows; `left_out`: baselines of its rows that it does not show.
    """

    title: str
    tasks: list[FigureTask]
    width: int
    lossy: bool
    headings: list[str]
    shared: str
    left_out: list[str]


def figures(run: Run, leaking: Iterable[str] = ()) -> list[ShownFigure]:
    """Return the figures that the recipe asks for, or else those that its rows suggest.

    Args:
        run: with the images that its folder has.
        leaking: rows that are shown what they are to predict, which are marked.

    Returns:
        those with images; none where the run has no images.
    """
    asked = run.recipe.get("figures")
    wanted = _asked(asked) if isinstance(asked, Mapping) else suggested(run)
    marked, every = set(leaking), []
    for title, (columns, tasks, count) in wanted.items():
        figure = _figure(run, title, columns, run.images.tasks[:tasks], count, marked)
        if not isinstance(asked, Mapping):
            figure["left_out"] = _left_out(run, columns)
        every.append(figure)
    return [figure for figure in every if figure["tasks"]]


def suggested(run: Run) -> dict[str, tuple[list[Column], int, int]]:
    """Return a figure for every translator and number of shots with rows that meta-train: what goes in, their
    baselines, those of them without and those with a retriever, the truth, and the general model of the first, as the
    paper's Fig. 3 has it last.

    Where the baselines of these rows have other shots, they are shown too, and before them the rows of the group's own
    shots that are trained as these baselines are.
    """
    trained, referring = _meta_trained(run), set(run.provenance.references)
    has_maps = not any("source" in task.shown for task in run.images.tasks)
    kept = [run.path / "images" / task.dir / "truth" for task in run.images.tasks]
    has_truths = not kept or any(folder.is_dir() for folder in kept)
    groups: dict[tuple[str, int | None], list[str]] = {}
    for row in run.rows:
        if row in trained:
            groups.setdefault(_group(run, row), []).append(row)
    suggestions = {}
    for (translator, shots), rows in groups.items():
        same_shots, elsewhere = _plain_rows(run, rows, (translator, shots))
        compared = sorted(rows, key=lambda row: bool(run.section(row).get("retriever")))
        shown = [*elsewhere, *same_shots, *compared]
        if len(shown) > ROWS:
            shown = [*same_shots, *compared]
        if len(shown) <= ROWS:
            given = [Column("structure")] if has_maps else []
            given += [Column("reference")] if referring & set(shown) else []
            given += [Column(f"{SHOWN_COLUMN}{name}") for name in _shown_of(run, shown)]
            truths = [Column("truth")] if has_truths else []
            columns = [*given, *(Column("row", row) for row in shown), *truths, Column("general", rows[0])]
            suggestions[f"{translator}, {shots}-shot" if shots else translator] = (columns, _TASKS, 1)
    return suggestions


def _shown_of(run: Run, rows: Sequence[str]) -> list[str]:
    """Return the names of what else is shown of some rows, in the order of their names; but for their outputs side by
    side, of which each row has its own.
    """
    tasks = run.images.tasks
    names = {name for task in tasks for name, folders in task.shown.items() if set(rows) & set(folders)}
    return sorted(names - {SIDE_BY_SIDE})


def _plain_rows(run: Run, rows: Sequence[str], group: tuple[str, int | None]) -> tuple[list[str], list[str]]:
    """Return the rows that some of a group stand beside: of its own shots, and baselines that have others."""
    baselines = [row for row in run.rows if _is_baseline(run, row, rows) and _group(run, row)[0] == group[0]]
    elsewhere = [row for row in baselines if _group(run, row) != group]
    alike = [_told_to_train(run, row) for row in elsewhere]
    same_shots = [
        row
        for row in run.rows
        if _group(run, row) == group and row not in rows and (row in baselines or _told_to_train(run, row) in alike)
    ]
    return same_shots, elsewhere


def _left_out(run: Run, columns: Sequence[Column]) -> list[str]:
    """Return rows with which rows of a figure are compared, and which it does not show though their translator is the
    same.
    """
    shown = [column.row for column in columns if column.kind == "row"]
    translators = {_group(run, row)[0] for row in shown}
    return [
        row
        for row in run.rows
        if row not in shown and _group(run, row)[0] in translators and _is_baseline(run, row, shown)
    ]


def headings(
    columns: Sequence[Column], leaking: Iterable[str], shots: Mapping[str, int | None] | None = None
) -> tuple[list[str], str]:
    """Return what stands above the columns, and what is left out there because it stands behind every row: "(5-shot)".

    Args:
        shots: of each row; where they differ, a row whose name does not say its own gets it.
    """
    named = [column.row for column in columns if column.row]
    endings = {ending[1] if (ending := re.search(r"( \([^()]*\))$", name)) else "" for name in named}
    shared = endings.pop() if len(endings) == 1 and len(named) > 1 else ""
    labels = []
    for kind, row, of_support in columns:
        name = row.removesuffix(shared) + _shots_behind(row, shots or {}) + (f" {LEAKS}" if row in leaking else "")
        titles = HEADINGS | {"row": name, "general": f"{name}, not adapted", "support": support_name(of_support)}
        name = kind.removeprefix(SHOWN_COLUMN)
        titles[f"{SHOWN_COLUMN}{name}"] = shown_heading(name)
        labels.append(titles[kind])
    return labels, shared.strip()


def shown_heading(name: str) -> str:
    """Return what else is shown in words: "skip16" is Skip 16."""
    return SHOWN_HEADINGS.get(name, re.sub(r"(?<=[a-z])(?=\d)", " ", name.replace("_", " ")).capitalize())


def _shots_behind(row: str, shots: Mapping[str, int | None]) -> str:
    shots_here = shots.get(row)
    said = shots_here is None or len(set(shots.values())) < 2 or f"{shots_here}-shot" in row
    return "" if said else f" ({shots_here}-shot)"


def _asked(figures: Mapping[object, object]) -> dict[str, tuple[list[Column], int, int]]:
    asked_figures = {}
    for title, figure in figures.items():
        settings = mapping(figure)
        columns = settings.get("columns")
        shown = [_column(column) for column in columns] if isinstance(columns, list) else []
        asked_figures[str(title)] = (shown, _count(settings.get("tasks"), _TASKS), _count(settings.get("queries"), 1))
    return asked_figures


def _count(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and value > 0 else otherwise


def _column(column: object) -> Column:
    if isinstance(column, Mapping):
        return Column("general", str(column.get("general")))
    name = str(column)
    return Column(name) if name in HEADINGS or name.startswith(SHOWN_COLUMN) else Column("row", name)


def _figure(
    run: Run, title: str, columns: Sequence[Column], listed: Sequence[TaskImages], queries: int, leaking: set[str]
) -> ShownFigure:
    images, rows = run.path / "images", [column.row for column in columns if column.row]
    columns = [each for column in columns for each in _with_shots(column, listed, rows)]
    tasks: list[FigureTask] = []
    for task in listed:
        names = task.queries[:queries]
        places = [(column, _folder(task, column, rows)) for column in columns]
        lines = []
        for query in names:
            here = places if query == names[0] else [place for place in places if place[0].kind != "support"]
            spans = [len(names) if column.kind == "support" else 1 for column, _ in here]
            by_column = [_images(images, task, query, *place) for place in here]
            lines.append([FigureCell(images=p, span=s) for p, s in zip(by_column, spans, strict=True)])
        if lines:
            tasks.append(FigureTask(id=task.id, lines=lines))
    shown = [image for task in tasks for line in task["lines"] for cell in line for image in cell["images"]]
    widest = max((HEIGHT * image["width"] // image["height"] for image in shown), default=HEIGHT)
    fitting = PAGE // max(1, len(columns)) - 4
    above, shared = headings(columns, leaking, {row: shots_of(run, row) for row in rows})
    return ShownFigure(
        title=title,
        tasks=tasks if columns else [],
        width=min(widest, max(LEAST, fitting)),
        lossy=any(image["lossy"] for image in shown),
        headings=above,
        shared=shared,
        left_out=[],
    )


def _folder(task: TaskImages, column: Column, rows: Sequence[str]) -> str | None:
    """Return the folder of a column's images; references are those of the first of `rows` that has any."""
    if column.kind in ("structure", "truth"):
        return column.kind
    if column.kind == "support":
        return next((support.folder for support in supports_of(task) if support.shots == column.shots), None)
    if column.kind.startswith(SHOWN_COLUMN):
        folders = task.shown.get(column.kind.removeprefix(SHOWN_COLUMN), {})
        return next((folders[row] for row in rows if row in folders), None)
    known = {"row": task.rows, "general": task.general, "reference": task.reference}[column.kind]
    candidates = rows if column.kind == "reference" else [column.row]
    return next((known[row] for row in candidates if row in known), None)


def _images(images: Path, task: TaskImages, query: str, column: Column, folder: str | None) -> list[InlinedImage]:
    """Return the images of a cell: several for the support, otherwise one; none where the run has not kept it."""
    if folder is None:
        return []
    directory, name = task.dir, task.id
    if column.kind == "support":
        shown = [shot for support in supports_of(task) if support.folder == folder for shot in support.images]
        paths = {shot: kept_image(images, directory, folder, shot) for shot in shown[:SHOTS]}
        inlined = [inline_image(path, f"{name}, support {shot}") for shot, path in paths.items()]
    else:
        (what,), _ = headings([column], ())
        path = kept_image(images, directory, folder, query)
        inlined = [inline_image(path, f"{name}, query {query}: {what}", drawn=column.kind in DRAWN)]
    return [image for image in inlined if image]


def _with_shots(column: Column, listed: Sequence[TaskImages], rows: Sequence[str]) -> list[Column]:
    """Return a column; for the support one for each number of shots that `rows` have, or all rows if none of these is
    here.
    """
    if column.kind != "support":
        return [column]
    known = [support for task in listed for support in supports_of(task)]
    wanted = [support for support in known if set(support.rows) & set(rows)] or known
    return [column._replace(shots=shots) for shots in dict.fromkeys(s.shots for s in wanted)] or [column]


def _meta_trained(run: Run) -> set[str]:
    return {row for stage in run.provenance.stages if stage.name == "metatrain" for row in stage.rows}


def _group(run: Run, row: str) -> tuple[str, int | None]:
    return str(mapping(run.section(row).get("translator")).get("use") or "All rows"), shots_of(run, row)


def _told_to_train(run: Run, row: str) -> object:
    """Return what a row's recipe says of how it adapts and goes on training, but for the row it follows."""
    continued = mapping(run.section(row).get("continued"))
    return mapping(run.section(row).get("strategy")), {name: v for name, v in continued.items() if name != "match"}


def _is_baseline(run: Run, row: str, compared: Sequence[str]) -> bool:
    """Return whether one of these rows is compared with that one: by the recipe, or because it is trained
    for as long.
    """
    if row in compared:
        return False
    named = {run.baselines.get(other, run.baseline) for other in compared}
    return row in named or mapping(run.section(row).get("continued")).get("match") in compared
