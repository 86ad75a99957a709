"""The images of a run, inlined: the support, and per query the structure, every row's output and the truth."""

from __future__ import annotations

import base64
import io
import logging
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from metai2i.data.photographs import read_photograph
from metai2i.errors import UserError
from metai2i.metrics.display import Measure
from metai2i.report.supports import Support, supports_of
from metai2i.report.wording import LEAKS, number, support_name
from metai2i.run_folder.reader import items, mapping
from metai2i.run_folder.results import Record

log = logging.getLogger("metai2i")

TASKS = 8
QUERIES = 4
SUPPORT = 8
SIDE = 384  # pixels; larger images are scaled down
SMALL = 160  # pixels; smaller images are shown enlarged, pixel by pixel
LOSSLESS = 24 * 1024  # bytes; larger photographs are inlined as JPEG
QUALITY = 90


def gallery(
    folder: Path,
    index: Mapping[str, Any],
    rows: Sequence[str],
    records: Iterable[Record],
    metric: Measure,
    leaking: Collection[str] = (),
) -> dict[str, Any]:
    """The grids of the first tasks, for the template.

    Args:
        folder: `images/` of the run.
        index: what `images/index.json` says.
        rows: the order of the columns; rows that only the index knows follow.
        records: where the value under an image is taken from.
        metric: which value stands under an image.
        leaking: rows that are shown what they are to predict: marked, and never the best of a line.

    Returns:
        `tasks`: per task `id`, `aux`, `supports`, `columns`, `lines`, `more_queries`; `more_tasks`: how many were left
        out; `lossy`: whether any image was recompressed or scaled down.
    """
    listed = items(index.get("tasks"))
    known = [str(row) for task in listed for row in mapping(task.get("rows"))]
    columns = [row for row in dict.fromkeys([*rows, *known]) if row in known]
    values = {(r.row, r.task, r.query): r.value for r in records if r.metric == metric.name}
    tasks = [_task(folder, task, columns, values, metric, leaking) for task in listed[:TASKS]]
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
    metric: Measure,
    leaking: Collection[str],
) -> dict[str, Any]:
    name, directory = str(task.get("id")), str(task.get("dir"))
    queries = [str(q) for q in task.get("queries") or []]
    directories = mapping(task.get("rows"))
    lines = []
    for query in queries[:QUERIES]:
        scores = {row: values.get((row, name, query)) for row in columns}
        best = _best({row: score for row, score in scores.items() if row not in leaking}, metric)
        cells = []
        for row in columns:
            path = kept_picture(folder, directory, str(directories[row]), query) if row in directories else None
            caption = _caption(scores[row], metric)
            cells.append(picture(path, f"{name}, query {query}: {row}", caption=caption, best=row in best))
        truth = picture(kept_picture(folder, directory, "truth", query), f"{name}, query {query}: truth")
        structure = picture(
            kept_picture(folder, directory, "structure", query), f"{name}, query {query}: structure", drawn=True
        )
        lines.append({"query": query, "structure": structure, "cells": [*cells, truth]})
    return {
        "id": name,
        "aux": {str(row): [str(match) for match in found] for row, found in mapping(task.get("aux")).items() if found},
        "supports": [_support(folder, directory, name, support) for support in supports_of(task)],
        "columns": [*(f"{row} {LEAKS}" if row in leaking else row for row in columns), "Truth"],
        "lines": lines,
        "more_queries": max(0, len(queries) - QUERIES),
    }


def _support(images: Path, directory: str, task: str, support: Support) -> dict[str, Any]:
    """A support for the template: `label`, `rows`, `pairs` with `structure` and `photo`, `more`."""
    label = support_name(support.shots)
    alt = f"{task}, {label[0].lower()}{label[1:]}"
    return {
        "label": label,
        "rows": support.rows,
        "pairs": [
            {
                "structure": picture(
                    kept_picture(images, directory, f"{support.folder}-structure", s),
                    f"{alt}, {s}: structure",
                    drawn=True,
                ),
                "photo": picture(kept_picture(images, directory, support.folder, s), f"{alt}, {s}"),
            }
            for s in support.pictures[:SUPPORT]
        ],
        "more": max(0, len(support.pictures) - SUPPORT),
    }


def kept_picture(images: Path, directory: str, kind: str, name: str) -> Path | None:
    """The file of a picture; None where links lead out of the run's folder, which is never left.

    Args:
        images: of the run.
        directory: of the task.
        kind: the folder in that.
        name: of the picture, without the suffix.
    """
    path = images / directory / kind / f"{name}.png"
    return path if path.resolve().is_relative_to(images.parent.resolve()) else None


def picture(
    path: Path | None, alt: str, *, drawn: bool = False, caption: str = "", best: bool = False
) -> dict[str, Any] | None:
    """An inlined image for the template; None where there is none or it cannot be read."""
    inlined = data_uri(path, drawn=drawn) if path is not None else None
    if inlined is None:
        return None
    uri, (width, height), lossy = inlined
    return {
        "uri": uri,
        "alt": alt,
        "small": width < SMALL,
        "width": width,
        "height": height,
        "lossy": lossy,
        "caption": caption,
        "best": best,
    }


def data_uri(path: Path, *, drawn: bool = False) -> tuple[str, tuple[int, int], bool] | None:
    """An image file as a `data:` address, its width and height, and whether pixels were changed to save space.

    Label maps (`drawn`) and small photographs stay PNG; large photographs become JPEG. None where there is no such
    file, it is no PNG or JPEG, or it is so large that no run can have made it.
    """
    try:
        image = read_photograph(path)
    except UserError as error:
        if path.exists():
            log.warning("left out of the report: %s", error)
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
    return address, image.size, scaled or recompressed


def _encoded(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def _caption(value: float | None, metric: Measure) -> str:
    if value is None:
        return ""
    return f"{metric.title} {number(value, metric.digits)}"


def _best(scores: Mapping[str, float | None], metric: Measure) -> set[str]:
    higher = metric.higher_is_better
    known = {row: value for row, value in scores.items() if value is not None and not math.isnan(value)}
    if higher is None or len(known) < 2:
        return set()
    best = max(known.values()) if higher else min(known.values())
    return {row for row, value in known.items() if value == best}
