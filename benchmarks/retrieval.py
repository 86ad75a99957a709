"""What a retrieval by label-map IoU costs: against the naive loop, on real maps, and among a million of them.

    python benchmarks/retrieval.py --quick
    python benchmarks/retrieval.py --street DIR --million --json retrieval.json

`times` is how often a query fits into what it is held against; `counted %` are the candidates that the bounds could not
rule out and that were compared pixel by pixel (the median query's share, and the `worst`). The naive loop is timed on a
sample and scaled. Times are CPU times. The index of a million maps is packed once, kept on the disk (some 6 GiB, and
removed afterwards unless --store names a folder) and read from there.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import measure, report
from metai2i_iou import IoU, plain
from torch.nn.functional import interpolate, one_hot

from metai2i import Batch, Task
from metai2i.randomness import Randomness

CLASSES, K, EVERY = 20, 5, 2**31
LARGE, SMALL = (128, 256), (64, 128)
COMMON = 2.0
BANK = 512
"""Layouts that the million maps are made of."""


class Map(Task):
    """A scene of one label map, made when it is asked for.

    Args:
        name: of the scene; the map depends on nothing else.
        make: gives the map (H, W).
    """

    def __init__(self, name: str, make: Callable[[], np.ndarray]) -> None:
        self.id, self._make = name, make

    def __len__(self) -> int:
        return 1

    def load(self, indices: Sequence[int]) -> Batch:
        """Load the structure alone."""
        return support(self._make())

    def maps(self, limit: int = 16) -> torch.Tensor:
        """Return the map."""
        return torch.from_numpy(self._make().astype(np.int64))[None]

    def fingerprint(self) -> str:
        """Return the name, which decides the map."""
        return self.id


def support(labels: np.ndarray) -> Batch:
    """Return a support of one map."""
    ids = torch.from_numpy(labels.astype(np.int64))[None]
    return Batch(structure=one_hot(ids, CLASSES).movedim(-1, 1).float())


def layouts(count: int, size: tuple[int, int], seed: int, common: float = 0.0) -> np.ndarray:
    """Return (count, H, W) uint8: smooth regions of all classes.

    Args:
        common: how much all maps have in common (as streets have the sky above and the road below); 0 for nothing.
    """
    maps = []
    shared = common * torch.randn(CLASSES, 5, 9, generator=Randomness(("common",)).generator())
    for start in range(0, count, 250):
        generator = Randomness((seed, "layouts", start)).generator()
        rough = torch.randn(min(250, count - start), CLASSES, 5, 9, generator=generator)
        small = interpolate(rough + shared, (size[0] // 4, size[1] // 4), mode="bilinear").argmax(1).to(torch.uint8)
        maps.append(small.repeat_interleave(4, 1).repeat_interleave(4, 2))
    return torch.cat(maps).numpy()


def querying(*, count: int) -> Callable[[], object]:
    """Return a query among generated maps."""
    retriever = IoU()
    retriever.index(
        [Map(str(n), lambda label_map=label_map: label_map) for n, label_map in enumerate(layouts(count, LARGE, 0))]
    )
    asked = support(layouts(1, LARGE, 1)[0])
    return lambda: retriever.query(asked, K)


def looping(*, sample: int) -> Callable[[], object]:
    """Return the naive loop over some of the same maps."""
    maps, mine, eq3 = layouts(sample, LARGE, 0), layouts(1, LARGE, 1)[0], IoU().measure
    return lambda: [plain.similarity(mine, label_map, CLASSES, eq3) for label_map in maps]


def street_index(root: str) -> tuple[IoU, list[Batch]]:
    """Return all training scenes of the street photographs, and a support of one pair of each test scene."""
    from metai2i_street.street import Street

    source = Street(root=Path(root), test_sequences=())
    retriever = IoU()
    retriever.index(source.tasks("train"))
    return retriever, [task.load([0]) for task in source.tasks("test")]


def on_streets(*, root: str, queries: int) -> Callable[[], object]:
    """Return queries by real supports."""
    retriever, supports = street_index(root)
    return lambda: [retriever.query(support, K) for support in supports[:queries]]


def on_streets_in_full(*, root: str, queries: int) -> Callable[[], object]:
    """Return the same, with every candidate counted."""
    retriever, supports = street_index(root)
    return lambda: [retriever.query(support, EVERY) for support in supports[:queries]]


def ruled_out(root: str, queries: int) -> list[float]:
    """Return the share of the candidates, in percent, that is compared pixel by pixel, for each query."""
    retriever, supports = street_index(root)
    shares = []
    for support in supports[:queries]:
        every = len(retriever.query(support, EVERY))
        retriever.query(support, K)
        shares.append(100 * retriever.counted / every)
    return shares


def many(count: int) -> list[Map]:
    """Make each a layout of the bank, moved a little to the side, with two blocks of its own."""
    bank = layouts(BANK, SMALL, 0, COMMON)

    def make(n: int) -> np.ndarray:
        rng = np.random.default_rng(n)
        label_map = np.roll(bank[n % BANK], int(rng.integers(-8, 9)), axis=1)
        for top, left, label in rng.integers((0, 0, 0), (SMALL[0] - 16, SMALL[1] - 32, CLASSES), (2, 3)):
            label_map[top : top + 16, left : left + 32] = label
        return label_map

    return [Map(str(n), lambda n=n: make(n)) for n in range(count)]


def opening(*, count: int, store: str) -> Callable[[], object]:
    """Pack the maps, or open what is packed."""
    candidates = many(count)

    def work() -> None:
        IoU(store=Path(store)).index(candidates)

    return work


def querying_many(*, count: int, store: str) -> Callable[[], object]:
    """Return a query among maps on the disk."""
    retriever = IoU(store=Path(store))
    retriever.index(many(count))
    asked = support(layouts(1, SMALL, 1, COMMON)[0])
    return lambda: retriever.query(asked, K)


def reading(*, store: str) -> Callable[[], object]:
    """Read the arrays of the index once, to the last byte."""
    files = [file for name in ("planes", "cells", "areas") for file in Path(store).glob(f"*/*/{name}.npy")]

    def work() -> None:
        for file in files:
            with file.open("rb", buffering=0) as handle:
                while handle.read(2**24):
                    pass

    return work


def among_generated(sample: int) -> dict[str, Any]:
    """Compare 5,000 maps of 128x256 with the naive loop."""
    count = 5000
    ours = measure(querying, count=count).seconds
    naive = measure(looping, sample=sample, repeats=1, warm=0).seconds * count / sample
    return row(f"{count:,} generated, 128x256", ours, f"naive loop ({sample} maps, scaled)", naive, "150 x")


def among_streets(root: str, queries: int) -> dict[str, Any]:
    """Count, on real maps, how many the bounds rule out."""
    shares = ruled_out(root, queries)
    ours = measure(on_streets, root=root, queries=queries).seconds / queries
    full = measure(on_streets_in_full, root=root, queries=queries, repeats=1).seconds / queries
    streets = row(f"street photographs, {queries} queries", ours, "all counted", full, "counted 50 % at most")
    return {**streets, "counted %": float(np.median(shares)), "worst": max(shares)}


def among_a_million(count: int, store: Path, notes: list[str]) -> dict[str, Any]:
    """Compare a query of maps on the disk with reading the index once."""
    case = {"count": count, "store": str(store)}
    packing = measure(opening, **case, repeats=1, warm=0).wall
    again = measure(opening, **case, repeats=1, warm=0).wall
    read = measure(reading, store=str(store), repeats=1)
    ours = measure(querying_many, **case, repeats=3)
    retriever = IoU(store=store)
    retriever.index(many(count))
    retriever.query(support(layouts(1, SMALL, 1, COMMON)[0]), K)
    size = sum(file.stat().st_size for file in store.rglob("*.npy")) / 2**30
    notes.append(f"{count:,} maps of 64x128: {size:.2f} GiB, packed in {packing:.0f} s, opened again in {again:.1f} s;")
    notes.append(f"by the clock a query took {ours.wall:.3f} s, reading the index {read.wall:.3f} s")
    million = row(
        f"{count:,} generated, 64x128, on the disk", ours.seconds, "reading the index once", read.seconds, None
    )
    return {**million, "counted %": 100 * retriever.counted / count}


def row(what: str, ours: float, against: str, theirs: float, target: str | None) -> dict[str, Any]:
    """Return a line of the table, of times in seconds."""
    record = {"candidates": what, "query ms": 1000 * ours, "against": against, "its ms": 1000 * theirs}
    return {**record, "times": theirs / ours, "target": target}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small samples (under three minutes)")
    parser.add_argument("--street", metavar="ROOT", help="the folder of street photographs (tasks.root)")
    parser.add_argument("--million", action="store_true", help="an index of a million maps (30,000 with --quick)")
    parser.add_argument("--store", type=Path, metavar="DIR", help="where that index is kept  [default: removed again]")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the table there")
    asked = parser.parse_args()
    notes: list[str] = []
    rows = [among_generated(100 if asked.quick else 500)]
    if asked.street:
        rows.append(among_streets(asked.street, 5 if asked.quick else 54))
    if asked.million:
        count = 30_000 if asked.quick else 1_000_000
        store = asked.store or Path(tempfile.mkdtemp(prefix="metai2i-index-"))
        try:
            store.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(store).free < count * 8192:
                parser.error(f"{store} has not the {count * 8192 / 2**30:.1f} GiB free that the index may take")
            rows.append(among_a_million(count, store, notes))
        finally:
            if asked.store is None:
                shutil.rmtree(store, ignore_errors=True)
    report("retrieval by label-map IoU, one thread", rows, asked.json, notes=notes)


if __name__ == "__main__":
    main()
