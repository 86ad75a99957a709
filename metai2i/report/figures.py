"""Figures as a paper has them: a line for each query, a column for each thing that is shown of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from metai2i.report.gallery import picture
from metai2i.report.run_folder import Run, items, mapping
from metai2i.report.wording import LEAKS

TASKS = 4  # unless the recipe says how many
SHOTS = 9  # support photographs in one cell
ROWS = 6  # more of them make no figure unless the recipe asks for it
HEIGHT = 144  # pixels, as shown, where the page is wide enough
PAGE, LEAST = 1200, 128  # pixels: of the page's width, and of a picture's
HEADINGS = {"structure": "Input map", "support": "Support", "reference": "Reference", "truth": "Ground truth"}


class Column(NamedTuple):
    """What a column shows: a `kind` of `HEADINGS`, or a row's output ("row") or unadapted general model ("general")."""

    kind: str
    row: str = ""


def figures(run: Run, leaking: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The figures that the recipe asks for, or else those that its rows suggest.

    Args:
        run: with the pictures that its folder has.
        leaking: rows that are shown what they are to predict, which are marked.

    Returns:
        Per figure `title`, `headings`, `width` (of a picture, in pixels as shown), `tasks`: per task `id` and `lines`,
        per line the cells, each with `pictures` and `span` (the support stands in a task's first line only, for all of
        them), `shared`: what is left out behind the names of all rows, and `lossy`: whether a picture was recompressed
        or scaled down. None of it where the run has no pictures.
    """
    listed = items(run.images.get("tasks"))
    asked = run.recipe.get("figures")
    wanted = _asked(asked) if isinstance(asked, Mapping) else suggested(run)
    made = [_figure(run, title, columns, listed[:tasks], count) for title, (columns, tasks, count) in wanted.items()]
    for figure in made:
        figure["headings"], figure["shared"] = headings(figure.pop("columns"), set(leaking))
    return [figure for figure in made if figure["tasks"]]


def suggested(run: Run) -> dict[str, tuple[list[Column], int, int]]:
    """A figure for every translator and number of shots with rows that meta-train: what goes in, their baselines, those
    of them without and those with a retriever, the truth, and the general model of the first, as the paper's Fig. 3 has
    it last."""
    trained, told = _meta_trained(run), run.provenance.get("references")
    referring = set(map(str, told)) if isinstance(told, list) else set()
    groups: dict[tuple[str, object], list[str]] = {}
    for row in run.rows:
        if row in trained:
            groups.setdefault(_group(run, row), []).append(row)
    found = {}
    for (translator, shots), rows in groups.items():
        plain = [row for row in run.rows if _is_baseline(run, row, rows) and _group(run, row) == (translator, shots)]
        shown = [*plain, *sorted(rows, key=lambda row: bool(_row(run, row).get("retriever")))]
        if len(shown) <= ROWS:
            given = [Column("structure"), *([Column("reference")] if referring & set(shown) else [])]
            columns = [*given, *(Column("row", row) for row in shown), Column("truth"), Column("general", rows[0])]
            found[f"{translator}, {shots}-shot" if shots else translator] = (columns, TASKS, 1)
    return found


def headings(columns: Sequence[Column], leaking: Iterable[str]) -> tuple[list[str], str]:
    """What stands above the columns, and what is left out there because it stands behind every row: "(5-shot)"."""
    named = [column.row for column in columns if column.row]
    endings = {found[1] if (found := re.search(r"( \([^()]*\))$", name)) else "" for name in named}
    shared = endings.pop() if len(endings) == 1 and len(named) > 1 else ""
    told = []
    for kind, row in columns:
        name = row.removesuffix(shared) + (f" {LEAKS}" if row in leaking else "")
        told.append({"row": name, "general": f"{name}, not adapted"}.get(kind) or HEADINGS[kind])
    return told, shared.strip()


def _asked(figures: Mapping[str, Any]) -> dict[str, tuple[list[Column], int, int]]:
    found = {}
    for title, figure in figures.items():
        told = mapping(figure)
        columns = told.get("columns")
        shown = [_column(column) for column in columns] if isinstance(columns, list) else []
        found[str(title)] = (shown, _count(told.get("tasks"), TASKS), _count(told.get("queries"), 1))
    return found


def _count(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and value > 0 else otherwise


def _column(column: object) -> Column:
    if isinstance(column, Mapping):
        return Column("general", str(column.get("general")))
    return Column(str(column)) if str(column) in HEADINGS else Column("row", str(column))


def _figure(
    run: Run, title: str, columns: Sequence[Column], listed: Sequence[Mapping[str, Any]], queries: int
) -> dict[str, Any]:
    images, rows = run.path / "images", [column.row for column in columns if column.row]
    tasks: list[dict[str, Any]] = []
    for task in listed:
        names = [str(query) for query in task.get("queries") or []][:queries]
        places = [(column, _folder(task, column, rows)) for column in columns]
        lines = []
        for query in names:
            here = places if query == names[0] else [place for place in places if place[0].kind != "support"]
            spans = [len(names) if column.kind == "support" else 1 for column, _ in here]
            found = [_pictures(images, task, query, *place) for place in here]
            lines.append([{"pictures": p, "span": s} for p, s in zip(found, spans, strict=True)])
        if lines:
            tasks.append({"id": str(task.get("id")), "lines": lines})
    shown = [one for task in tasks for line in task["lines"] for cell in line for one in cell["pictures"]]
    widest = max((HEIGHT * one["width"] // one["height"] for one in shown), default=HEIGHT)
    fitting = PAGE // max(1, len(columns)) - 4
    return {
        "title": title,
        "columns": columns,
        "tasks": tasks if columns else [],
        "width": min(widest, max(LEAST, fitting)),
        "lossy": any(one["lossy"] for one in shown),
    }


def _folder(task: Mapping[str, Any], column: Column, rows: Sequence[str]) -> str | None:
    """The folder of a column's pictures; references are those of the first of `rows` that has any."""
    if column.kind in ("structure", "support", "truth"):
        return column.kind
    known = mapping(task.get("rows" if column.kind == "row" else column.kind))
    candidates = rows if column.kind == "reference" else [column.row]
    return next((str(known[row]) for row in candidates if row in known), None)


def _pictures(
    images: Path, task: Mapping[str, Any], query: str, column: Column, folder: str | None
) -> list[dict[str, Any]]:
    """The pictures of a cell: several for the support, otherwise one; none where the run has not kept it."""
    if folder is None:
        return []
    place, name = images / str(task.get("dir")) / folder, str(task.get("id"))
    if column.kind == "support":
        shots = [str(shot) for shot in task.get("support") or []][:SHOTS]
        found = [picture(place / f"{shot}.png", f"{name}, support {shot}") for shot in shots]
    else:
        (what,), _ = headings([column], ())
        found = [picture(place / f"{query}.png", f"{name}, query {query}: {what}", drawn=column.kind == "structure")]
    return [one for one in found if one]


def _meta_trained(run: Run) -> set[str]:
    stages = items(run.provenance.get("stages"))
    return {str(row) for stage in stages if stage.get("name") == "metatrain" for row in stage.get("rows") or []}


def _row(run: Run, row: str) -> Mapping[str, Any]:
    return mapping(mapping(run.recipe.get("rows")).get(row))


def _group(run: Run, row: str) -> tuple[str, object]:
    told = _row(run, row)
    shots = mapping(told.get("evaluate")).get("shots") or mapping(told.get("episodes")).get("shots")
    return str(mapping(told.get("translator")).get("use") or "All rows"), shots


def _is_baseline(run: Run, row: str, compared: Sequence[str]) -> bool:
    """Whether one of these rows is compared with that one: by the recipe, or because it is trained for as long."""
    if row in compared:
        return False
    named = {run.baselines.get(other, run.baseline) for other in compared}
    return row in named or mapping(_row(run, row).get("further")).get("match") in compared
