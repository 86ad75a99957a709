"""`Task` and `Episode`: splits are disjoint, draws go by address, and what cannot be drawn is said."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import one_hot

from metai2i import Augment, Batch, Episode, Randomness, Task, TaskSource, TaskSpec, UserError

RNG = Randomness((0,))


class Numbered(Task):
    """A task whose sample i is an image of the number i."""

    def __init__(self, count: int, name: str = "clip") -> None:
        self.id = name
        self._count = count

    def __len__(self) -> int:
        return self._count

    def load(self, indices: Sequence[int]) -> Batch:
        number = torch.as_tensor(list(indices))
        labels = number.view(-1, 1, 1).expand(-1, 4, 6)
        return Batch(
            structure=one_hot(labels, 50).movedim(-1, 1).float(), target=labels[:, None].expand(-1, 3, -1, -1) / 50
        )


def numbers(batch: Batch) -> list[int]:
    return batch["structure"].argmax(1)[:, 0, 0].tolist()


@given(st.integers(1, 8), st.integers(0, 8), st.integers(0, 5), st.integers(0, 1000))
def test_support_and_query_are_disjoint_and_without_repetition(shots, queries, spare, seed):
    total = max(2, shots + queries + spare)
    episode = Numbered(total).episode(shots, queries, Randomness((seed,)))
    drawn = numbers(episode.support) + numbers(episode.query)
    assert episode.task == "clip"
    assert (episode.support.size, episode.query.size) == (shots, queries)
    assert len(set(drawn)) == shots + queries
    assert set(drawn) <= set(range(total))


def test_an_episode_depends_on_its_address_alone():
    task = Numbered(30)

    def drawn(rng: Randomness) -> list[int]:
        episode = task.episode(3, 4, rng)
        return numbers(episode.support) + numbers(episode.query)

    first = drawn(RNG.at(1))
    torch.rand(3)
    assert drawn(RNG.at(2)) != first
    assert drawn(RNG.at(1)) == first


def test_the_support_does_not_depend_on_how_many_queries_follow():
    task = Numbered(30)
    assert numbers(task.episode(3, 1, RNG).support) == numbers(task.episode(3, 9, RNG).support)


def test_every_pair_is_drawn_equally_often():
    drawn = Counter(numbers(Numbered(5).episode(1, 1, RNG.at(i)).support)[0] for i in range(2000))
    assert sorted(drawn) == [0, 1, 2, 3, 4]
    assert all(330 < count < 470 for count in drawn.values())  # 400 +- 4 standard deviations


def test_samples_of_several_pairs_are_not_augmented():
    task = Numbered(6)
    episode = task.episode(2, 2, RNG, Augment())
    for batch in (episode.support, episode.query):
        assert torch.equal(batch["target"], task.load(numbers(batch))["target"])


def test_a_clip_that_is_too_short_is_named_with_what_to_do():
    with pytest.raises(UserError) as caught:
        Numbered(5, "seq7").episode(3, 4, RNG)
    assert str(caught.value) == (
        "task 'seq7' has 5 pairs, but an episode takes 3 shots + 4 queries "
        "(lower episodes.shots or episodes.queries to 5 together, or leave the task out)"
    )


class Street(Task):
    """One pair, as on BDD100K."""

    id = "street"

    def __len__(self) -> int:
        return 1

    def load(self, indices: Sequence[int]) -> Batch:
        labels = torch.arange(16 * 24).view(1, 16, 24)[[0] * len(indices)] % 7
        return Batch(structure=one_hot(labels, 7).movedim(-1, 1).float(), target=labels[:, None].repeat(1, 3, 1, 1) / 7)


def test_a_scene_of_one_pair_gives_the_pair_as_support_and_augmented_copies_as_query():
    task = Street()
    pair = task.load([0])
    episode = task.episode(2, 5, RNG, Augment())
    assert (episode.support.size, episode.query.size) == (2, 5)
    assert torch.equal(episode.support["target"], pair.select([0, 0])["target"])
    copies = [*episode.query["target"], pair["target"][0]]
    assert all(not torch.equal(copies[i], copies[j]) for i in range(6) for j in range(i))
    again = task.episode(2, 5, RNG, Augment())
    assert torch.equal(again.query["target"], episode.query["target"])


def test_without_augmentation_a_scene_of_one_pair_gives_plain_copies():
    episode = Street().episode(1, 3, RNG)
    assert torch.equal(episode.query["structure"], Street().load([0, 0, 0])["structure"])


@pytest.mark.parametrize(
    ("count", "limit", "expected"),
    [(10, 16, list(range(10))), (16, 16, list(range(16))), (8, 4, [0, 2, 4, 6]), (10, 4, [0, 2, 5, 7]), (9, 1, [0])],
)
def test_maps_are_class_ids_of_evenly_spaced_samples(count, limit, expected):
    maps = Numbered(count).maps(limit)
    assert maps.dtype == torch.int64
    assert maps.shape == (len(expected), 4, 6)
    assert maps[:, 0, 0].tolist() == expected


@given(st.integers(1, 50), st.integers(1, 20))
def test_maps_never_repeat_a_sample_nor_exceed_the_limit(count, limit):
    drawn = Numbered(count).maps(limit)[:, 0, 0].tolist()
    assert len(drawn) == len(set(drawn)) == min(count, limit)
    gaps = {b - a for a, b in pairwise(drawn)}
    assert max(gaps, default=0) - min(gaps, default=0) <= 1


def test_an_episode_moves_as_a_whole():
    episode = Numbered(4).episode(1, 2, RNG).to("meta")
    assert isinstance(episode, Episode)
    assert {field.device.type for batch in (episode.support, episode.query) for field in batch.values()} == {"meta"}


class Listed(TaskSource):
    def __init__(self, train: Sequence[Task], test: Sequence[Task] = ()) -> None:
        self._tasks = {"train": train, "val": (), "test": test}

    def spec(self) -> TaskSpec:
        return TaskSpec(structure_channels=50, size=(4, 6))

    def tasks(self, split):
        return self._tasks[split]


def test_a_fingerprint_changes_with_ids_lengths_and_order_of_its_split():
    a, b = Numbered(3, "a"), Numbered(4, "b")
    sources = [
        Listed([a, b]),
        Listed([b, a]),
        Listed([Numbered(4, "a"), b]),
        Listed([Numbered(3, "c"), b]),
    ]
    assert len({source.fingerprint("train") for source in sources}) == len(sources)
    again = Listed([Numbered(3, "a"), Numbered(4, "b")], [a])
    assert Listed([a, b]).fingerprint("train") == again.fingerprint("train")


class Repainted(Numbered):
    """A scene whose last sample can be painted over."""

    paint = 0.0

    def load(self, indices):
        batch = super().load(indices)
        last = torch.tensor([index == len(self) - 1 for index in indices]).view(-1, 1, 1, 1)
        return batch.replace(target=torch.where(last, batch["target"] + self.paint, batch["target"]))


def test_a_fingerprint_changes_with_every_sample_where_a_scene_has_none_of_its_own(monkeypatch):
    source = Listed([Numbered(9, "a"), Repainted(20, "b")])
    before = source.fingerprint("train")
    assert source.fingerprint("train") == before
    monkeypatch.setattr(Repainted, "paint", 1e-3)
    assert source.fingerprint("train") != before


def test_a_scene_that_has_a_fingerprint_is_not_loaded_for_it(monkeypatch):
    class Told(Numbered):
        print = "1"

        def fingerprint(self):
            return self.print

        def load(self, indices):
            raise AssertionError

    source = Listed([Told(9, "a")])
    before = source.fingerprint("train")
    monkeypatch.setattr(Told, "print", "2")
    assert source.fingerprint("train") != before


def test_a_spec_provides_pairs_of_labels_and_photographs_unless_told():
    spec = Listed([]).spec()
    assert spec.fields == Listed.provides == {"structure", "target"}
    assert (spec.domains, spec.classes, spec.palette) == (0, (), ())


def test_a_task_must_say_its_length_and_load():
    with pytest.raises(TypeError, match="abstract"):
        type("Bare", (Task,), {"id": "bare"})()


def test_the_queries_do_not_depend_on_the_number_of_shots():
    task = Numbered(30)
    assert numbers(task.episode(1, 5, RNG).query) == numbers(task.episode(9, 5, RNG).query)
