"""The images of a run, inlined: the support, and per query the structure, every row's output and the truth."""

from __future__ import annotations

import base64
import io
import logging
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from PIL import Image

from metai2i.data.photographs import read_photograph
from metai2i.errors import UserError
from metai2i.metrics.display import MetricInfo
from metai2i.report.supports import Support, supports_of
from metai2i.report.wording import LEAKS, number, support_name
from metai2i.run_folder.record import ImageIndex, TaskImages
from metai2i.run_folder.results import Record
from metai2i.training.on_the_way import INPUT_STRIP, ON_THE_WAY, said_of, strip_files

log = logging.getLogger("metai2i")

_TASKS = 8
QUERIES = 4
MORE_BYTES = 1_000_000
"""How many bytes the first queries of further tasks may take; those that do not fit are left out."""
SUPPORT = 8
SIDE = 384  # pixels; larger images are scaled down
SMALL = 160  # pixels; smaller images are shown enlarged, pixel by pixel
LOSSLESS = 24 * 1024  # bytes; larger photographs are inlined as JPEG
QUALITY = 90
REPORTED_STEPS = 6  # of a training, whose images on the way are in the report
STRIP_SIDE = 1024  # pixels; several images stand side by side


class InlinedImage(TypedDict):
    """An inlined image, with its size in pixels; `small`: shown enlarged; `lossy`: recompressed or scaled down."""

    uri: str
    alt: str
    small: bool
    width: int
    height: int
    lossy: bool
    caption: str
    best: bool


class ShownPair(TypedDict):
    """A pair of a support."""

    structure: InlinedImage | None
    photo: InlinedImage | None


class ShownSupport(TypedDict):
    """A support; `rows`: that have adapted to it, none for all; `more`: how many pairs are left out."""

    label: str
    rows: tuple[str, ...]
    pairs: list[ShownPair]
    more: int


class GalleryLine(TypedDict):
    """A query: what goes in, every column's output, and the truth if there is one."""

    query: str
    input: InlinedImage | None
    cells: list[InlinedImage | None]


class GalleryTask(TypedDict):
    """A task; `input`: what goes in, in words, none where nothing is shown of it; `aux`: row -> the scenes that were
    retrieved; `more_queries`: how many are left out.

    `place`: where links to it lead; to a cell of its first line, that with `-N` behind it, counted from 1.
    """

    id: str
    place: str
    input: str
    aux: dict[str, list[str]]
    supports: list[ShownSupport]
    columns: list[str]
    lines: list[GalleryLine]
    more_queries: int


class Gallery(TypedDict):
    """The first tasks, and the first queries of further ones; `more_tasks`: how many are left out; `scored`: whether
    outputs have values under them; `lossy`: whether any image is; `places`: (task, row) -> where links to its images
    lead.
    """

    tasks: list[GalleryTask]
    further: list[GalleryTask]
    more_tasks: int
    scored: bool
    lossy: bool
    places: dict[tuple[str, str], str]


NO_GALLERY = Gallery(tasks=[], further=[], more_tasks=0, scored=False, lossy=False, places={})


def gallery(
    folder: Path,
    index: ImageIndex,
    rows: Sequence[str],
    records: Iterable[Record],
    metric: MetricInfo,
    leaking: Collection[str] = (),
) -> Gallery:
    """Return the grids of the first tasks.

    Args:
        folder: `images/` of the run.
        index: what `images/index.json` says.
        rows: the order of the columns; rows that only the index knows follow.
        records: where the value under an image is taken from.
        metric: which value stands under an image.
        leaking: rows that are shown what they are to predict: marked, and never the best of a line.
    """
    listed = index.tasks
    known = [row for task in listed for row in task.rows]
    columns = [row for row in dict.fromkeys([*rows, *known]) if row in known]
    values = {(r.row, r.task, r.query): r.value for r in records if r.metric == metric.name}

    def drawn(task: TaskImages, place: int, queries: int) -> GalleryTask:
        return _task(folder, task, columns, values, metric, leaking, queries=queries, place=f"images-{place}")

    tasks = [drawn(task, place, QUERIES) for place, task in enumerate(listed[:_TASKS], start=1)]
    further: list[GalleryTask] = []
    left = MORE_BYTES
    for place, task in enumerate(listed[_TASKS:], start=_TASKS + 1):
        each = drawn(task, place, 1)
        left -= sum(len(image["uri"]) for image in _images([each]))
        if left < 0 or each["columns"] != tasks[0]["columns"] or each["input"] != tasks[0]["input"]:
            break
        further.append({**each, "supports": []})
    shown, measured = [*tasks, *further], {query for _, _, query in values}
    return Gallery(
        tasks=tasks,
        further=further,
        more_tasks=len(listed) - len(shown),
        scored=any(line["query"] in measured for task in shown for line in task["lines"]),
        lossy=any(image["lossy"] for image in _images(shown)),
        places={
            (task["id"], row): f"{task['place']}-{number}"
            for task in shown
            if task["lines"]
            for number, row in enumerate(columns, start=1)
        },
    )


def _images(tasks: Iterable[GalleryTask]) -> list[InlinedImage]:
    """Return the images of the lines of tasks."""
    cells = [cell for task in tasks for line in task["lines"] for cell in [line["input"], *line["cells"]]]
    return [cell for cell in cells if cell is not None]


def _task(
    folder: Path,
    task: TaskImages,
    columns: Sequence[str],
    values: Mapping[tuple[str, str, str], float],
    metric: MetricInfo,
    leaking: Collection[str],
    *,
    queries: int,
    place: str,
) -> GalleryTask:
    name, directory, directories = task.id, task.dir, task.rows
    lines: list[GalleryLine] = []
    truth_kept = (folder / directory / "truth").exists()  # else the data has no photographs
    heading, inputs = _inputs(folder, task)
    for query in task.queries[:queries]:
        scores = {row: values.get((row, name, query)) for row in columns}
        best = _best({row: score for row, score in scores.items() if row not in leaking}, metric)
        cells = []
        for row in columns:
            path = kept_image(folder, directory, directories[row], query) if row in directories else None
            caption = _caption(scores[row], metric)
            cells.append(inline_image(path, f"{name}, query {query}: {row}", caption=caption, best=row in best))
        truth = inline_image(kept_image(folder, directory, "truth", query), f"{name}, query {query}: truth")
        shown = inline_image(
            kept_image(folder, directory, inputs, query) if inputs else None,
            f"{name}, query {query}: {heading.lower()}",
            drawn=inputs == "structure",
        )
        lines.append(GalleryLine(query=query, input=shown, cells=[*cells, *([truth] if truth_kept else [])]))
    return GalleryTask(
        id=name,
        place=place,
        input=heading,
        aux={row: matches for row, matches in task.aux.items() if matches},
        supports=[_support(folder, directory, name, support) for support in supports_of(task)],
        columns=[*(f"{row} {LEAKS}" if row in leaking else row for row in columns), *(["Truth"] if truth_kept else [])],
        lines=lines,
        more_queries=max(0, len(task.queries) - queries),
    )


def _inputs(images: Path, task: TaskImages) -> tuple[str, str]:
    """Return what goes in, in words, and the folder of its images: label maps, else sources; empty for neither."""
    if (images / task.dir / "structure").exists():
        return "Input", "structure"
    sources = list(task.shown.get("source", {}).values())
    return ("Input", sources[0]) if sources else ("", "")


def _support(images: Path, directory: str, task: str, support: Support) -> ShownSupport:
    label = support_name(support.shots)
    alt = f"{task}, {label[0].lower()}{label[1:]}"
    return ShownSupport(
        label=label,
        rows=support.rows,
        pairs=[
            ShownPair(
                structure=inline_image(
                    kept_image(images, directory, f"{support.folder}-structure", s),
                    f"{alt}, {s}: structure",
                    drawn=True,
                ),
                photo=inline_image(kept_image(images, directory, support.folder, s), f"{alt}, {s}"),
            )
            for s in support.images[:SUPPORT]
        ],
        more=max(0, len(support.images) - SUPPORT),
    )


def kept_image(images: Path, directory: str, kind: str, name: str) -> Path | None:
    """Return the file of an image; None where links lead out of the run's folder, which is never left.

    Args:
        images: of the run.
        directory: of the task.
        kind: the folder in that.
        name: of the image, without the suffix.
    """
    path = images / directory / kind / f"{name}.png"
    return path if path.resolve().is_relative_to(images.parent.resolve()) else None


def images_on_the_way(run: Path, key: str) -> list[InlinedImage]:
    """Return the images that were made while a stage trained, one for each step, with what goes in and the truth.

    Args:
        run: its folder.
        key: of the stage.
    """
    if not re.fullmatch("[0-9a-f]{16}", key):
        return []
    names = strip_files(run / "images" / ON_THE_WAY / key, REPORTED_STEPS)
    paths = [kept_image(run / "images", ON_THE_WAY, key, name.removesuffix(".png")) for name in names]
    strips = [
        inline_image(path, said_of(name), drawn=name == INPUT_STRIP, side=STRIP_SIDE)
        for name, path in zip(names, paths, strict=True)
    ]
    return [strip for strip in strips if strip is not None]


def inline_image(
    path: Path | None, alt: str, *, drawn: bool = False, caption: str = "", best: bool = False, side: int = SIDE
) -> InlinedImage | None:
    """Return an inlined image; None where there is none or it cannot be read.

    Args:
        side: larger ones are scaled down to this, in pixels.
    """
    inlined = data_uri(path, drawn=drawn, side=side) if path is not None else None
    if inlined is None:
        return None
    uri, (width, height), lossy = inlined
    return InlinedImage(
        uri=uri,
        alt=alt,
        small=width < SMALL,
        width=width,
        height=height,
        lossy=lossy,
        caption=caption,
        best=best,
    )


def data_uri(path: Path, *, drawn: bool = False, side: int = SIDE) -> tuple[str, tuple[int, int], bool] | None:
    """Return an image file as a `data:` address, its width and height, and whether pixels were changed to save space.

    Label maps (`drawn`) and small photographs stay PNG; large photographs become JPEG. None where there is no such
    file, it is no PNG or JPEG, or it is so large that no run can have made it.
    """
    try:
        image = read_photograph(path)
    except UserError as error:
        if path.exists():
            log.warning("left out of the report: %s", error)
        return None
    scaled = max(image.size) > side
    if scaled:
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.NEAREST if drawn else Image.Resampling.LANCZOS)
    kind, content = "png", _encoded(image, format="PNG", optimize=True)
    recompressed = len(content) > LOSSLESS and not drawn
    if recompressed:
        kind, content = "jpeg", _encoded(image, format="JPEG", quality=QUALITY, subsampling=0)
    address = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return address, image.size, scaled or recompressed


def _encoded(image: Image.Image, format: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def _caption(value: float | None, metric: MetricInfo) -> str:
    if value is None:
        return ""
    return f"{metric.title} {number(value, metric.digits)}"


def _best(scores: Mapping[str, float | None], metric: MetricInfo) -> set[str]:
    higher = metric.higher_is_better
    known = {row: value for row, value in scores.items() if value is not None and not math.isnan(value)}
    if higher is None or len(known) < 2:
        return set()
    best = max(known.values()) if higher else min(known.values())
    return {row for row, value in known.items() if value == best}
