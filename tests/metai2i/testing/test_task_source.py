"""Each contract of task sources catches the plugin that breaks it, and a good one keeps them all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from metai2i import Batch, Randomness, Task, TaskSource, TaskSpec
from metai2i.data.digests import content_digest
from metai2i.tasks import Episode
from metai2i.testing import contracts_of, run_contracts

SIZE = (8, 8)


class Good(TaskSource):
    """Scenes of random maps."""

    def spec(self):
        return TaskSpec(structure_channels=3, size=SIZE, classes=("a", "b", "c"))

    def tasks(self, split):
        return [Scene(f"{split}-{n}") for n in range(3)]


class Scene(Task):
    def __init__(self, name) -> None:
        self.id = name

    def __len__(self) -> int:
        return 6

    def load(self, indices):
        ids = torch.stack([self.ids(int(i)) for i in indices])
        maps = torch.nn.functional.one_hot(ids, 3).permute(0, 3, 1, 2).float()
        return Batch(structure=maps, target=maps - 0.5)

    def ids(self, index):
        return torch.randint(3, SIZE, generator=Randomness((self.id, index)).generator())


def with_scenes(scene: type[Scene]):
    """A source of such scenes."""

    class Source(Good):
        def tasks(self, split):
            return [scene(f"{split}-{n}") for n in range(3)]

    Source.__name__ = scene.__name__
    return Source


class Empty(Good):
    def tasks(self, split):
        return [] if split == "train" else super().tasks(split)


class TwoNames(Good):
    """Names for two of three classes."""

    def spec(self):
        return TaskSpec(structure_channels=3, size=SIZE, classes=("a", "b"))


class Leaks(Good):
    """A scene to test on is one to train on."""

    def tasks(self, split):
        return [Scene("train-0"), *super().tasks(split)[1:]] if split == "test" else super().tasks(split)


class TwoClasses(Scene):
    """Pixels of several classes."""

    def load(self, indices):
        batch = super().load(indices)
        return batch.replace(structure=(batch["structure"] + batch["structure"].roll(1, 1)).clamp(max=1))


class Bytes(Scene):
    """Photographs in 0..255."""

    def load(self, indices):
        batch = super().load(indices)
        return batch.replace(target=255 * batch["structure"])


class Varies(Scene):
    """Draws at each call."""

    def fingerprint(self):
        return self.id

    def load(self, indices):
        batch = super().load(indices)
        return batch.replace(target=batch["target"] + 0.01 * torch.rand(len(indices), 3, 1, 1))

    def episode(self, shots, queries, rng, augment=None):
        with rng.scope():
            return super().episode(shots, queries, rng, augment)


class DrawsAnew(Scene):
    """Episodes whatever the address."""

    draws = 0

    def episode(self, shots, queries, rng, augment=None):
        DrawsAnew.draws += 1
        return super().episode(shots, queries, rng.at(DrawsAnew.draws), augment)


class Overlaps(Scene):
    """The first query is in the support."""

    def episode(self, shots, queries, rng, augment=None):
        drawn = super().episode(shots, queries, rng, augment)
        return Episode(drawn.task, Batch.cat([drawn.query.select([0]), drawn.support.select([1])]), drawn.query)


class FloatMaps(Scene):
    def maps(self, limit=16):
        return super().maps(limit).float()


class Addressed(Good):
    """Its place in memory is part of the fingerprint."""

    def fingerprint(self, split):
        return f"{id(self)}"


class Counted(Good):
    calls = 0

    def fingerprint(self, split):
        Counted.calls += 1
        return f"{Counted.calls}"


class Misspelt(Good):
    test_options = frozenset({"tset"})


class Filed(Scene):
    """Its samples lie in a file."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name)
        self.path = folder / name
        self.path.write_text(name)

    def load(self, indices):
        assert self.path.read_text() == self.id
        return super().load(indices)


def filed(fingerprint: Callable[[Filed], object]) -> type[Good]:
    """A source of such scenes, whose fingerprint is made of what is told of each."""

    class Source(Good):
        folder = Path(tempfile.mkdtemp())

        def tasks(self, split):
            return [Filed(f"{split}-{n}", self.folder) for n in range(3)]

        def fingerprint(self, split):
            return repr([fingerprint(task) for task in self.tasks(split)])

    return Source


BySize = filed(lambda task: (task.id, task.path.stat().st_size, task.path.stat().st_mtime_ns // 10**15))
BySize.__name__ = "BySize"


class PairsAnew(Scene):
    """Pairs its samples by what no address decides."""

    def draw(self, index, rng):
        return self.load([index]).replace(target=self.load([torch.randint(6, ()).item()])["target"])


class Paired(Scene):
    """Pairs its samples by chance, as the address has it."""

    def draw(self, index, rng):
        other = torch.randint(6, (), generator=rng.generator()).item()
        return self.load([index]).replace(target=self.load([other])["target"])


BREAKS = {
    Empty: "it is made and has scenes to train on",
    TwoNames: "its spec fits together",
    Leaks: "no scene is in two splits",
    with_scenes(TwoClasses): "its batches have what it provides",
    with_scenes(Bytes): "its batches have what it provides",
    with_scenes(Varies): "its samples are the same at every call",
    with_scenes(PairsAnew): "what it pairs by chance is decided by its address",
    with_scenes(DrawsAnew): "an episode is decided by its address",
    with_scenes(Overlaps): "no query is in its support",
    with_scenes(FloatMaps): "its maps are class ids",
    Addressed: "its fingerprint stays",
    Counted: "its fingerprint stays",
    BySize: "its fingerprint tells by content",
    Misspelt: "its test options are its own",
}


def test_a_good_task_source_keeps_all_contracts():
    for good in (Good, with_scenes(Paired)):
        assert {outcome.status for outcome in run_contracts("task source", good)} == {"ok"}


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.__name__)
def test_exactly_the_contract_that_is_broken_fails(broken):
    failed = [outcome for outcome in run_contracts("task source", broken) if outcome.status == "failed"]
    assert [outcome.contract.name for outcome in failed] == [BREAKS[broken]]
    assert failed[0].error.read.startswith("docs/")


@pytest.mark.parametrize("fingerprint", [lambda task: content_digest(task.path), lambda task: task.path.read_text()])
def test_a_fingerprint_of_what_is_in_files_keeps_them(fingerprint):
    assert {outcome.status for outcome in run_contracts("task source", filed(fingerprint))} == {"ok"}


def test_the_default_fingerprint_keeps_them_too():
    class Default(filed(lambda task: None)):  # type: ignore[misc]
        fingerprint = TaskSource.fingerprint

    assert {outcome.status for outcome in run_contracts("task source", Default)} == {"ok"}


def test_every_contract_has_a_plugin_that_breaks_it():
    assert {contract.name for contract in contracts_of("task source")} == set(BREAKS.values())


def test_scenes_of_one_pair_are_not_asked_for_a_query_of_their_own():
    class Pair(Scene):
        def __len__(self) -> int:
            return 1

    statuses = {outcome.contract.name: outcome.status for outcome in run_contracts("task source", with_scenes(Pair))}
    assert statuses["no query is in its support"] == "skipped"
    assert set(statuses.values()) == {"ok", "skipped"}


def test_a_map_that_is_continuous_need_not_be_one_hot():
    class Soft(Scene):
        def load(self, indices):
            batch = super().load(indices)
            return batch.replace(structure=batch["structure"] * 0.7 + 0.1)

    assert {outcome.status for outcome in run_contracts("task source", with_scenes(Soft))} == {"ok"}
