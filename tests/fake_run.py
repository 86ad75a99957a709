"""A made-up run's folder: numbers with known effects, small drawn scenes, losses that fall."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml
from PIL import Image, ImageFilter

from metai2i.run_folder.files import list_files
from metai2i.run_folder.results import Record, read_results, write_results

Rows: TypeAlias = Mapping[str, tuple[str, float, float]]

ROWS: Rows = {
    "Copy": ("copy", 1.25, 0.06),
    "Pix2pix": ("none", 1.12, 0.05),
    "Pix2pix (5-shot)": ("finetune", 1.0, 0.0),
    "BiL-Pix2pix w/o Aux (5-shot)": ("bil", 0.97, 0.06),
    "BiL-Pix2pix (5-shot)": ("bil", 0.86, 0.05),
}
"""Row -> strategy, factor on the baseline's LPIPS, and the spread of that factor over tasks."""
BASELINE = "Pix2pix (5-shot)"
PALETTE = np.array([(128, 64, 128), (70, 70, 70), (107, 142, 35), (70, 130, 180), (0, 0, 142)], dtype=np.uint8)


def rng(*key: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def make_run(
    path: Path,
    *,
    tasks: int = 12,
    queries: int = 2,
    rows: Rows | None = None,
    size: int = 24,
    images: bool = True,
    seed: int = 0,
    test_hash: str = "5e1f",
    name: str | None = None,
    described: bool = False,
    **recipe_too: object,
) -> Path:
    """Write a run's folder as a finished run leaves it, but for summary.json and report.html.

    Args:
        described: whether results.csv says of every query how like the support its map is.
        recipe_too: further keys of the recipe.
    """
    rows = ROWS if rows is None else rows
    path.mkdir(parents=True)
    ids = [f"street/test-{n:03d}" for n in range(tasks)]
    names = [str(q) for q in range(queries)]
    likeness = [Record(row, task, q, "map_iou", alike(task, q)) for row in rows for task in ids for q in names]
    write_results(path / "results.csv", [*records(rows, ids, names, seed), *(likeness if described else [])])
    baseline = BASELINE if BASELINE in rows else next(iter(rows), None)
    recipe = {
        "name": name or path.name,
        "seed": seed,
        "tasks": {"use": "street", "root": "data/street"},
        "rows": {row: section(row, strategy) for row, (strategy, *_) in rows.items()},
        "compare": {"baseline": baseline, "metric": "lpips"},
        **recipe_too,
    }
    (path / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    (path / "provenance.json").write_text(json.dumps(provenance(rows, tasks, test_hash)))
    (path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log(rows)))
    if images:
        draw(path / "images", ids, names, rows, size)
    return path


def counted(path: Path, *, digests: bool = False) -> Path:
    """Makes a run one that has counted its numbers, and lists its files with their digests if that is asked for."""
    provenance, results = json.loads((path / "provenance.json").read_text()), read_results(path / "results.csv")
    provenance["measured"] = {
        row: {
            "tasks": len({r.task for r in results if r.row == row}),
            "queries": len({(r.task, r.query) for r in results if r.row == row}),
            "numbers": dict(Counter(r.metric for r in results if r.row == row)),
        }
        for row in dict.fromkeys(record.row for record in results)
    }
    provenance |= {"files": list_files(path)} if digests else {}
    (path / "provenance.json").write_text(json.dumps(provenance))
    return path


def uncounted(path: Path) -> Path:
    """Makes a run one that does not say how many test tasks it has, so that rows may lack some."""
    provenance = json.loads((path / "provenance.json").read_text())
    del provenance["data"]["test_tasks"]
    (path / "provenance.json").write_text(json.dumps(provenance))
    return path


def section(row: str, strategy: str) -> dict[str, Any]:
    aux = strategy == "bil" and "w/o Aux" not in row
    return {
        "strategy": {"use": strategy},
        "translator": {"use": "pix2pix"},
        "episodes": {"shots": 5},
        "retriever": {"use": "iou", "k": 5} if aux else None,
    }


def alike(task: str, query: str) -> float:
    """How like the nearest support map the map of a query is."""
    return float(rng("alike", task, query).uniform(0.2, 0.8))


def records(rows: Rows, ids: Sequence[str], queries: Sequence[str], seed: int) -> Iterator[Record]:
    for row, (_, factor, spread) in rows.items():
        for task in ids:
            level = factor * (1 + spread * rng(seed, row, task).standard_normal())
            for query in queries:
                base = 0.36 + 0.06 * rng(task).standard_normal() + 0.02 * rng(task, query).standard_normal()
                lpips = max(0.02, level * base)
                mse = 0.09 * lpips**1.5
                values = {"lpips": lpips, "ssim": 0.95 - lpips, "mse": mse, "psnr": -10 * np.log10(mse)}
                for metric, value in values.items():
                    yield Record(row, task, query, metric, float(value))


def provenance(rows: Rows, tasks: int, test_hash: str) -> dict[str, Any]:
    trained = [row for row, (strategy, *_) in rows.items() if strategy != "copy"]
    bil = [row for row, (strategy, *_) in rows.items() if strategy == "bil"]
    stage = {"peak_memory_mib": 812.4, "cache": "run"}
    return {
        "metai2i": "0.1.0",
        "command": ["metai2i", "run", "recipes/smoke/street_5shot.yaml", "tasks.root=DIR"],
        "started": "2026-03-01T10:00:00+00:00",
        "finished": "2026-03-01T11:05:12+00:00",
        "seconds": 3912.4,
        "python": "3.11.9",
        "torch": "2.8.0+cpu",
        "versions": {"metai2i-pix2pix": "0.1.0", "metai2i-bil": "0.1.0"},
        "commit": None,
        "device": {"type": "cpu", "name": "some processor", "threads": 2},
        "data": {"fingerprint": "9c0d", "test_tasks": tasks, "test_hash": test_hash},
        "plugins": [
            {"kind": "translator", "name": "pix2pix", "distribution": "metai2i-pix2pix", "version": "0.1.0"},
            {"kind": "strategy", "name": "bil", "distribution": "metai2i-bil", "version": "0.1.0"},
        ],
        "stages": [
            stage | {"name": "pretrain", "key": "4a4d2e9c01", "rows": trained, "seconds": 2411.0, "iterations": 2000},
            stage | {"name": "metatrain", "key": "b01f77aa90", "rows": bil, "seconds": 1300.5, "iterations": 400},
            {"name": "evaluate", "key": "cc12", "rows": ["Copy"], "seconds": 31.2, "cache": "hit"},
        ],
    }


def log(rows: Rows) -> Iterator[dict[str, Any]]:
    trained = [row for row, (strategy, *_) in rows.items() if strategy != "copy"]
    noise = rng("log")
    for step in range(10, 2001, 10):
        losses = {
            "discriminator/adversarial": 1.1 + 0.4 * np.exp(-step / 300) + 0.05 * noise.standard_normal(),
            "generator/adversarial": 0.8 + 0.1 * noise.standard_normal(),
            "generator/l1": 0.15 + 0.5 * np.exp(-step / 400) + 0.01 * noise.standard_normal(),
            "generator/perceptual": 1.2 + 2 * np.exp(-step / 700) + 0.05 * noise.standard_normal(),
        }
        yield {"stage": "pretrain", "key": "4a4d2e9c01", "rows": trained, "step": step, "losses": losses, "rate": 4.9}
    for step in range(10, 401, 10):
        losses = {"query/generator": 2 + np.exp(-step / 100), "query/discriminator": 1.2 + step / 4000}
        if step % 40 == 0:
            losses |= {"probe/unadapted_lpips": 0.40 + step / 4000, "probe/adapted_lpips": 0.37 - step / 8000}
        bil = [row for row, (strategy, *_) in rows.items() if strategy == "bil"]
        yield {"stage": "metatrain", "key": "b01f77aa90", "rows": bil, "step": step, "losses": losses, "rate": 0.31}
    yield {"stage": "evaluate", "key": "cc12", "rows": ["Copy"], "task": "street/test-000", "seconds": 2.6}


def scene(size: int, *key: object) -> tuple[np.ndarray, np.ndarray]:
    """A drawn street: label map (size, size) of 5 classes, and a photograph-like image (size, size, 3)."""
    random = rng(*key[:1])
    shift = rng(*key).integers(-size // 10, size // 10 + 1)
    labels = np.full((size, size), 3)
    horizon = size // 2
    for left in range(0, size, max(1, size // 6)):
        height = random.integers(size // 8, size // 2)
        labels[horizon - height : horizon, left : left + size // 6] = 1 + left // max(1, size // 6) % 2
    labels[horizon:] = 0
    car = np.clip(size // 2 + shift, 0, size - size // 4)
    labels[horizon + size // 8 : horizon + size // 3, car : car + size // 4] = 4
    tint = random.integers(-30, 30, size=(5, 3))
    photo = np.clip(PALETTE[labels].astype(int) * 0.7 + 60 + tint[labels], 0, 255)
    photo = photo + rng(*key, "grain").normal(0, 9, photo.shape) + np.linspace(30, -30, size)[:, None, None]
    return labels, np.clip(photo, 0, 255).astype(np.uint8)


def slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower())


def draw(folder: Path, ids: Sequence[str], queries: Sequence[str], rows: Rows, size: int) -> None:
    def save(array: np.ndarray, *parts: str) -> None:
        path = folder.joinpath(*parts).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)

    listed = []
    for task in ids:
        place = slug(task)
        for shot in range(5):
            labels, photo = scene(size, task, "support", shot)
            save(PALETTE[labels], place, "support-structure", str(shot))
            save(photo, place, "support", str(shot))
        for query in queries:
            labels, photo = scene(size, task, "query", query)
            save(PALETTE[labels], place, "structure", query)
            save(photo, place, "truth", query)
            for row, (_, factor, _) in rows.items():
                blurred = Image.fromarray(photo).filter(ImageFilter.GaussianBlur(max(0.3, (factor - 0.7) * size / 16)))
                save(np.asarray(blurred), place, slug(row), query)
                save(np.full_like(photo, 128), place, "general", slug(row), query)
        aux = {row: [f"{ids[0]} (0.71)", f"{ids[-1]} (0.66)"] for row in rows if "w/o" not in row and "BiL" in row}
        listed.append(
            {
                "id": task,
                "dir": place,
                "queries": list(queries),
                "support": [str(shot) for shot in range(5)],
                "rows": {row: slug(row) for row in rows},
                "general": {row: f"general/{slug(row)}" for row in rows},
                "aux": aux,
            }
        )
    (folder / "index.json").write_text(json.dumps({"tasks": listed}))
