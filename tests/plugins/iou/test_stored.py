"""The index on the disk: it answers as the one in memory does, is added to, and is never stale or half-written."""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metai2i_iou import IoU, building, index
from metai2i_iou.on_disk import OnDisk
from metai2i_iou.packed import pack
from torch.nn.functional import one_hot

from metai2i import Batch, Task, UserError

CLASSES = 4
SIZE = (18, 33)


class Scene(Task):
    """A task of label maps that counts how often they are read.

    Args:
        fingerprint: None for a task that has none.
    """

    def __init__(self, name: str, maps: np.ndarray, fingerprint: str | None = "1") -> None:
        self.id, self._maps, self._fingerprint, self.reads = name, maps, fingerprint, 0

    def __len__(self) -> int:
        return len(self._maps)

    def load(self, indices: Sequence[int]) -> Batch:
        return support(self._maps[list(indices)])

    def maps(self, limit: int = 16) -> torch.Tensor:
        self.reads += 1
        return torch.from_numpy(self._maps[:limit])

    def fingerprint(self) -> str | None:
        return self._fingerprint


def support(maps: np.ndarray) -> Batch:
    return Batch(structure=one_hot(torch.from_numpy(maps), CLASSES).movedim(-1, 1).float())


def blocks(rng: np.random.Generator, count: int, classes: int = CLASSES) -> np.ndarray:
    """(count, H, W) int64 maps of a few rectangles; few enough kinds that ties are common."""
    maps = np.zeros((count, *SIZE), np.int64)
    for label_map in maps:
        for _ in range(2):
            top, left = rng.integers(0, 3, 2) * (6, 11)
            label_map[top : top + 6, left : left + 11] = rng.integers(classes)
    return maps


def scenes(seed: int, count: int, **more: object) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [
        Scene(f"s{n}", blocks(rng, int(rng.integers(1, 4)), int(rng.integers(1, CLASSES + 1))), **more)  # type: ignore[arg-type]
        for n in range(count)
    ]


def ranked(retriever: IoU, tasks: Sequence[Task], asked: Batch, k: int) -> list[tuple[str, float]]:
    retriever.index(tasks)
    return [(match.task.id, match.score) for match in retriever.query(asked, k)]


def reads(tasks: Sequence[Scene]) -> list[int]:
    return [task.reads for task in tasks]


def parts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*/*") if path.is_dir())


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few tasks, and blocks of a few maps."""
    for module in ("building", "stored"):
        monkeypatch.setattr(f"metai2i_iou.{module}.PART_BYTES", 1500)
    monkeypatch.setattr(index, "BLOCK", 5)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    k=st.integers(1, 40),
    absent=st.sampled_from(["zero", "one", "mean_present"]),
    pool=st.sampled_from(["mean_max", "mean_mean", "medoid", "first"]),
)
def test_added_to_and_read_in_pieces_it_gives_the_naive_loops_scores_in_order(
    tmp_path_factory, seed, counts, k, absent, pool
):
    folder = tmp_path_factory.mktemp("store")
    every = scenes(seed, sum(counts))
    asked = support(blocks(np.random.default_rng(seed + 1), 2))
    for count in np.cumsum(counts):
        tasks = every[:count]
        retriever = IoU(absent=absent, pool=pool, store=folder)
        scores = ranked(retriever, tasks, asked, k)
        plain = [retriever.naive(asked, task) for task in tasks]
        # Scores that differ by rounding alone may stand in either order.
        number = {task.id: n for n, task in enumerate(tasks)}
        assert len(dict(scores)) == min(k, count)
        assert [score for _, score in scores] == pytest.approx(sorted(plain, reverse=True)[:k], abs=1e-12)
        assert [score for _, score in scores] == pytest.approx([plain[number[id]] for id, _ in scores], abs=1e-12)
        assert scores == ranked(IoU(absent=absent, pool=pool), tasks, asked, k)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 60), copies=st.integers(1, 4))
def test_bounds_in_blocks_leave_out_nobody_who_belongs_to_the_best(seed, k, copies):
    tasks = scenes(seed, 15) * copies  # equal maps: ties all over the index
    asked = support(blocks(np.random.default_rng(seed + 1), 1))
    everything = ranked(IoU(), tasks, asked, len(tasks))
    retriever = IoU()
    retriever.index(tasks)
    assert [(match.task.id, match.score) for match in retriever.query(asked, k)] == everything[:k]
    plain = [retriever.naive(asked, task) for task in tasks]
    order = sorted(range(len(tasks)), key=lambda n: (-round(plain[n], 9), n))
    assert [name for name, _ in everything] == [tasks[n].id for n in order]


def test_kept_tasks_are_not_read_again_and_new_ones_are_added(tmp_path):
    tasks = scenes(0, 20)
    IoU(store=tmp_path).index(tasks[:15])
    assert len(parts(tmp_path)) > 2
    before = {path: path.stat().st_mtime_ns for path in parts(tmp_path)}
    again = scenes(0, 20)
    IoU(store=tmp_path).index(again[:15])
    assert reads(again)[1:] == [0] * 19  # the first tells the size of the maps
    IoU(store=tmp_path).index(again)
    assert reads(again)[1:15] == [0] * 14
    assert reads(again)[15:] == [1] * 5
    kept = {path for path in parts(tmp_path) if before.get(path) == path.stat().st_mtime_ns}
    assert len(kept) >= len(before) - 1  # only the last one, which was not full, is written anew


def test_fewer_tasks_use_the_front_of_what_is_kept_and_leave_it_as_it_is(tmp_path):
    tasks, asked = scenes(1, 20), support(blocks(np.random.default_rng(9), 1))
    IoU(store=tmp_path).index(tasks)
    listed = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for count in (1, 7, 19):
        assert ranked(IoU(store=tmp_path), tasks[:count], asked, 20) == ranked(IoU(), tasks[:count], asked, 20)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == listed


@pytest.mark.parametrize("place", [0, 4, 19])
@pytest.mark.parametrize("fingerprint", ["2", None])
def test_a_task_whose_data_has_changed_is_packed_anew(tmp_path, place, fingerprint):
    asked = support(blocks(np.random.default_rng(9), 1))
    old = scenes(2, 20, fingerprint=None if fingerprint is None else "1")
    IoU(store=tmp_path).index(old)
    new = list(old)
    new[place] = Scene(old[place].id, asked["structure"].argmax(1).numpy(), fingerprint)
    scores = ranked(IoU(store=tmp_path), new, asked, 20)
    assert scores == ranked(IoU(), new, asked, 20)
    assert scores != ranked(IoU(), old, asked, 20)


def test_other_options_and_other_candidates_have_indexes_of_their_own(tmp_path):
    tasks, asked = scenes(3, 6), support(blocks(np.random.default_rng(9), 1))
    for options in ({}, {"frames": 1}, {"size": (9, 11)}, {"pool": "medoid"}, {"pool": "medoid", "ignore": (0,)}):
        assert ranked(IoU(store=tmp_path, **options), tasks, asked, 6) == ranked(IoU(**options), tasks, asked, 6)
    assert len(list(tmp_path.iterdir())) == 5
    IoU(store=tmp_path, absent="one", ignore=(1,)).index(tasks)  # what is packed does not depend on these
    assert len(list(tmp_path.iterdir())) == 5
    other = scenes(4, 6, fingerprint="other")
    assert ranked(IoU(store=tmp_path), other, asked, 6) == ranked(IoU(), other, asked, 6)
    assert ranked(IoU(store=tmp_path), tasks, asked, 6) == ranked(IoU(), tasks, asked, 6)


def damage(path: Path, how: str, other: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    if how == "one bit":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "of another part":
        path.write_bytes(other.read_bytes())
    elif how != "gone":
        path.write_bytes(content[:-3] if how == "cut short" else b"\x00noise")


@pytest.mark.parametrize("file", ["planes.npy", "cells.npy", "areas.npy", "counts.npy", "tasks.npy", "manifest.json"])
@pytest.mark.parametrize("how", ["cut short", "gone", "noise", "one bit", "of another part"])
def test_a_damaged_store_is_told_of_and_made_anew(tmp_path, caplog, file, how):
    tasks, asked = scenes(5, 12), support(blocks(np.random.default_rng(9), 1))
    IoU(store=tmp_path).index(tasks)
    path = sorted(tmp_path.rglob(file))[-1]
    damage(path, how, sorted(tmp_path.rglob("planes.npy" if file == "manifest.json" else file))[0])
    with caplog.at_level(logging.WARNING, logger="metai2i"):
        assert ranked(IoU(store=tmp_path), tasks, asked, 12) == ranked(IoU(), tasks, asked, 12)
    assert "damaged" in caplog.text or (file, how) == ("manifest.json", "gone")
    again = scenes(5, 12)
    IoU(store=tmp_path).index(again)
    assert reads(again)[1:] == [0] * 11


def killed_while_packing(folder: Path, count: int) -> None:
    tasks = scenes(6, 20)

    def die(limit: int = 16) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    tasks[count].maps = die  # type: ignore[method-assign]
    IoU(store=folder).index(tasks)


@pytest.mark.parametrize("count", [3, 14])
def test_a_killed_process_leaves_whole_parts_only_and_the_next_one_goes_on(tmp_path, count):
    process = multiprocessing.get_context("fork").Process(target=killed_while_packing, args=(tmp_path, count))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (folder,) = tmp_path.iterdir()
    (folder / ".draft.1.part").mkdir()  # as if it had been killed while writing
    manifest = folder / "manifest.json"
    done = sum(part["tasks"] for part in json.loads(manifest.read_text())["parts"]) if manifest.exists() else 0
    tasks, asked = scenes(6, 20), support(blocks(np.random.default_rng(9), 1))
    assert ranked(IoU(store=tmp_path), tasks, asked, 20) == ranked(IoU(), scenes(6, 20), asked, 20)
    assert reads(tasks)[1:done] == [0] * max(done - 1, 0)
    assert done > 5 or count == 3
    assert not (folder / ".draft.1.part").exists()


def test_an_index_in_use_outlives_its_replacement(tmp_path):
    tasks, asked = scenes(7, 12), support(blocks(np.random.default_rng(9), 1))
    first = IoU(store=tmp_path)
    scores = ranked(first, tasks, asked, 12)
    changed = [tasks[0], *scenes(8, 12, fingerprint="2")[1:]]
    IoU(store=tmp_path).index(changed)
    assert [(match.task.id, match.score) for match in first.query(asked, 12)] == scores


def test_planes_and_cells_stay_in_their_files(tmp_path):
    retriever = IoU(store=tmp_path)
    retriever.index(scenes(9, 12))
    assert all(isinstance(maps, OnDisk) for maps in retriever._index.parts)


@pytest.mark.parametrize("file", ["planes.npy", "cells.npy"])
@pytest.mark.parametrize("how", ["emptied", "halved", "written over"])
def test_a_file_that_changes_while_it_is_in_use_is_named_and_made_anew_by_the_next_one(tmp_path, file, how):
    tasks, asked = scenes(12, 12), support(blocks(np.random.default_rng(9), 1))
    retriever = IoU(store=tmp_path)
    before = ranked(retriever, tasks, asked, 12)
    for path in tmp_path.rglob(file):
        with path.open("r+b") as handle:
            if how == "written over":
                handle.seek(-1, os.SEEK_END)
                handle.write(b"\xff")
                os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
            else:
                handle.truncate(0 if how == "emptied" else path.stat().st_size // 2)
    with pytest.raises(UserError, match=rf"{file}: the index was changed while it was in use"):
        retriever.query(asked, 12)
    assert ranked(IoU(store=tmp_path), tasks, asked, 12) == before


@pytest.mark.parametrize("edit", ["a digest", "a size", "a name", "the number of maps", "no files", "another index"])
def test_an_edited_manifest_is_told_of_and_made_anew(tmp_path, caplog, edit):
    tasks, asked = scenes(13, 12), support(blocks(np.random.default_rng(9), 1))
    IoU(store=tmp_path).index(tasks)
    (manifest,) = tmp_path.rglob("manifest.json")
    listed = json.loads(manifest.read_text())
    part, other = listed["parts"][-1], listed["parts"][0]
    match edit:
        case "a digest":
            part["files"]["planes.npy"]["sha256"] = other["files"]["planes.npy"]["sha256"]
        case "a size":
            part["files"]["tasks.npy"]["size"] += 1
        case "a name":
            part["name"] = other["name"]
        case "the number of maps":
            part["maps"] += 1
        case "no files":
            del part["files"]
        case "another index":
            listed["options"]["frames"] += 1
    manifest.write_text(json.dumps(listed))
    with caplog.at_level(logging.WARNING, logger="metai2i"):
        assert ranked(IoU(store=tmp_path), tasks, asked, 12) == ranked(IoU(), tasks, asked, 12)
    assert "is damaged" in caplog.text


def test_files_are_let_go_with_the_index(tmp_path):
    def open_files() -> int:
        return len(os.listdir("/dev/fd"))

    tasks = scenes(14, 12)
    IoU(store=tmp_path).index(tasks)
    gc.collect()
    before = open_files()
    retriever = IoU(store=tmp_path)
    retriever.index(tasks)
    assert open_files() == before + 2 * len(parts(tmp_path))
    del retriever
    gc.collect()
    assert open_files() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file/\w+: cannot write the index: .*retriever.store names another folder"):
        IoU(store=tmp_path / "file").index(scenes(10, 2))


def test_parts_are_closed_at_their_size_and_none_is_empty():
    tasks = scenes(11, 15)
    parts = list(building.parts_of(tasks, lambda task: pack(task.maps().numpy())))
    assert sum(len(part.counts) for part in parts) == 15
    assert all(part.packed.nbytes >= 1500 for part in parts[:-1])
    assert all(len(part.counts) for part in parts)
