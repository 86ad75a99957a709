"""The images of a run, inlined: the support, and per query the structure, every row's output and the truth."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from metai2i.report.run_folder import items, mapping
from metai2i.report.wording import number
from metai2i.results import Record
from metai2i.statistics import metric_named

TASKS = 8
QUERIES = 4
SUPPORT = 8
SIDE = 384  # pixels; larger images are scaled down
SMALL = 160  # pixels; smaller images are shown enlarged, pixel by pixel
LOSSLESS = 24 * 1024  # bytes; larger photographs are inlined as JPEG
QUALITY = 90


def gallery(
    folder: Path, index: Mapping[str, Any], rows: Sequence[str], records: Iterable[Record], metric: str
) -> dict[str, Any]:
    """The grids of the first tasks, for the template.

    Args:
        folder: `images/` of the run.
        index: what `images/index.json` says.
        rows: the order of the columns; rows that only the index knows follow.
        records: where the value under an image is taken from.
        metric: which value stands under an image.

    Returns:
        `tasks`: per task `id`, `aux`, `support`, `columns`, `lines`, `more_queries`, `more_support`; `more_tasks`: how
        many were left out; `lossy`: whether any image was recompressed or scaled down.
    """
    listed = items(index.get("tasks"))
    known = [str(row) for task in listed for row in mapping(task.get("rows"))]
    columns = [row for row in dict.fromkeys([*rows, *known]) if row in known]
    values = {(r.row, r.task, r.query): r.value for r in records if r.metric == metric}
    tasks = [_task(folder, task, columns, values, metric) for task in listed[:TASKS]]
    pictures = [cell for task in tasks for line in task["lines"] for cell in [line["structure"], *line["cells"]]]
    return {
        "tasks": tasks,
        "more_tasks": len(listed) - len(tasks),
        "lossy": any(picture and picture["lossy"] for picture in pictures),
    }


def _task(
    folder: Path,
    task: Mapping[str, Any],
    columns: Sequence[str],
    values: Mapping[tuple[str, str, str], float],
    metric: str,
) -> dict[str, Any]:
    name, place = str(task.get("id")), folder / str(task.get("dir"))
    queries, support = [str(q) for q in task.get("queries") or []], [str(s) for s in task.get("support") or []]
    directories = mapping(task.get("rows"))
    lines = []
    for query in queries[:QUERIES]:
        scores = {row: values.get((row, name, query)) for row in columns}
        best = _best(scores, metric)
        cells = []
        for row in columns:
            path = place / str(directories[row]) / f"{query}.png" if row in directories else None
            caption = _caption(scores[row], metric)
            cells.append(_picture(path, f"{name}, query {query}: {row}", caption=caption, best=row in best))
        truth = _picture(place / "truth" / f"{query}.png", f"{name}, query {query}: truth")
        structure = _picture(place / "structure" / f"{query}.png", f"{name}, query {query}: structure", drawn=True)
        lines.append({"query": query, "structure": structure, "cells": [*cells, truth]})
    return {
        "id": name,
        "aux": {str(row): [str(match) for match in found] for row, found in mapping(task.get("aux")).items() if found},
        "support": [
            {
                "name": s,
                "structure": _picture(
                    place / "support-structure" / f"{s}.png", f"{name}, support {s}: structure", drawn=True
                ),
                "photo": _picture(place / "support" / f"{s}.png", f"{name}, support {s}"),
            }
            for s in support[:SUPPORT]
        ],
        "columns": [*columns, "Truth"],
        "lines": lines,
        "more_queries": max(0, len(queries) - QUERIES),
        "more_support": max(0, len(support) - SUPPORT),
    }


def _picture(
    path: Path | None, alt: str, *, drawn: bool = False, caption: str = "", best: bool = False
) -> dict[str, Any] | None:
    """An inlined image for the template; None where there is none or it cannot be read."""
    inlined = data_uri(path, drawn=drawn) if path is not None else None
    if inlined is None:
        return None
    uri, width, lossy = inlined
    return {
        "uri": uri,
        "alt": alt,
        "small": width < SMALL,
        "width": width,
        "lossy": lossy,
        "caption": caption,
        "best": best,
    }


def data_uri(path: Path, *, drawn: bool = False) -> tuple[str, int, bool] | None:
    """An image file as a `data:` address, its width in pixels, and whether pixels were changed to save space.

    Label maps (`drawn`) and small photographs stay PNG; large photographs become JPEG. None where there is no such
    file or it is no image.
    """
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return None
    scaled = max(image.size) > SIDE
    if scaled:
        scale = SIDE / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.NEAREST if drawn else Image.Resampling.LANCZOS)
    kind, content = "png", _encoded(image, format="PNG", optimize=True)
    recompressed = len(content) > LOSSLESS and not drawn
    if recompressed:
        kind, content = "jpeg", _encoded(image, format="JPEG", quality=QUALITY, subsampling=0)
    address = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return address, image.width, scaled or recompressed


def _encoded(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def _caption(value: float | None, metric: str) -> str:
    if value is None:
        return ""
    kind = metric_named(metric)
    return f"{kind.title} {number(value, kind.digits)}"


def _best(scores: Mapping[str, float | None], metric: str) -> set[str]:
    higher = metric_named(metric).higher_is_better
    known = {row: value for row, value in scores.items() if value is not None and not math.isnan(value)}
    if higher is None or len(known) < 2:
        return set()
    best = max(known.values()) if higher else min(known.values())
    return {row for row, value in known.items() if value == best}
