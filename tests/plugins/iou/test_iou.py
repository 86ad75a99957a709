"""The retriever against pixel sets in plain Python, over every option."""

import copy
import time
from collections.abc import Sequence
from itertools import product

import metai2i_iou
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metai2i_iou import IoU, packed
from metai2i_iou.index import CHUNK
from torch.nn.functional import interpolate, one_hot

from metai2i import Batch, Retriever, Task, UserError

ABSENT = ("zero", "one", "mean_present")
POOL = ("mean_max", "mean_mean", "medoid", "first")


class Scene(Task):
    """A task made of label maps (N, H, W)."""

    def __init__(self, name: str, maps: np.ndarray, classes: int) -> None:
        self.id = name
        self._maps = torch.from_numpy(np.array(maps, np.int64))
        self._classes = classes

    def __len__(self) -> int:
        return len(self._maps)

    def load(self, indices: Sequence[int]) -> Batch:
        return support(self._maps[list(indices)], self._classes)


def support(maps, classes: int) -> Batch:
    return Batch(structure=one_hot(torch.as_tensor(maps).long(), classes).movedim(-1, 1).float())


def scenes(maps, classes: int) -> list[Scene]:
    return [Scene(f"scene{i}", each, classes) for i, each in enumerate(maps)]


def similarity(a, b, classes, absent="zero", ignore=()) -> float:
    """Eq. 3 with Python sets of pixels."""
    total, present = 0.0, 0
    counted = [c for c in range(classes) if c not in ignore]
    for c in counted:
        left = {tuple(p) for p in np.argwhere(a == c)}
        right = {tuple(p) for p in np.argwhere(b == c)}
        if left | right:
            present += 1
            total += len(left & right) / len(left | right)
    if absent == "one":
        return total + len(counted) - present
    if absent == "mean_present":
        return total / max(present, 1)
    return total


def score(mine, theirs, classes, pool="mean_max", **options) -> float:
    """The score between several support maps and a candidate's maps, by loops."""

    def sim(a, b):
        return similarity(a, b, classes, **options)

    if pool == "first":
        theirs = theirs[:1]
    if pool == "medoid":
        theirs = [max(theirs, key=lambda a: sum(sim(a, b) for b in theirs))]
    reduce = np.mean if pool == "mean_mean" else np.max
    return float(np.mean([reduce([sim(a, b) for b in theirs]) for a in mine]))


def patches(generator: np.random.Generator, frames: int, classes: int, size=(6, 11)) -> np.ndarray:
    """Label maps of rectangles, of which most lack some classes."""
    maps = np.full((frames, *size), generator.integers(classes))
    for label_map, _ in product(maps, range(3)):
        top, left = generator.integers(size[0]), generator.integers(size[1])
        label_map[top : top + 4, left : left + 5] = generator.integers(classes)
    return maps


def ranked(retriever: Retriever, tasks, batch: Batch, k: int) -> list[tuple[str, float]]:
    retriever.index(tasks)
    return [(match.task.id, match.score) for match in retriever.query(batch, k)]


@pytest.mark.parametrize(("absent", "pool", "ignore"), list(product(ABSENT, POOL, [(), (0,), (1, 3)])))
def test_scores_and_order_are_those_of_plain_loops_over_pixel_sets(absent, pool, ignore):
    generator = np.random.default_rng(3)
    classes = 5
    candidates = [patches(generator, int(frames), classes) for frames in generator.integers(1, 4, 9)]
    candidates += candidates[2:4]  # ties
    mine = patches(generator, 2, classes)
    options = {"absent": absent, "pool": pool, "ignore": ignore}
    expected = [score(mine, theirs, classes, **options) for theirs in candidates]

    scores = ranked(IoU(**options), scenes(candidates, classes), support(mine, classes), len(candidates))

    order = sorted(range(len(candidates)), key=lambda i: -round(expected[i], 9))  # stable: ties as they come
    assert scores == [(f"scene{i}", pytest.approx(expected[i], abs=1e-12)) for i in order]


@pytest.mark.parametrize("size", [(1, 1), (5, 13), (8, 8), (15, 15), (16, 31), (3, 67)])
def test_sizes_that_fill_neither_words_nor_cells_are_counted_exactly(size):
    generator = np.random.default_rng(0)
    maps = generator.integers(0, 4, (12, 1, *size))
    mine = generator.integers(0, 4, (1, *size))
    scores = dict(ranked(IoU(), scenes(maps, 4), support(mine, 4), 12))
    assert scores == {
        f"scene{i}": pytest.approx(similarity(mine[0], label_map[0], 4)) for i, label_map in enumerate(maps)
    }


@pytest.mark.parametrize("pool", ["mean_max", "mean_mean"])
@pytest.mark.parametrize("absent", ABSENT)
@pytest.mark.parametrize("kind", ["patches", "noise", "copies"])
def test_leaving_candidates_uncounted_changes_no_match(kind, absent, pool):
    generator = np.random.default_rng(5)
    count, classes, size = 400, 6, (20, 34)
    if kind == "noise":  # the bounds are of no use here
        maps = generator.integers(0, classes, (count, 1, *size))
    else:
        maps = np.stack([patches(generator, 2, classes, size) for _ in range(count)])
    if kind == "copies":  # the best score many times over, beyond one chunk
        maps[generator.permutation(count)[:200]] = maps[7]
    mine = maps[7] if kind == "copies" else patches(generator, 2, classes, size)
    retriever = IoU(absent=absent, pool=pool)
    everything = ranked(retriever, scenes(maps, classes), support(mine, classes), count)
    for k in (1, 5, 70, 399):
        assert [(m.task.id, m.score) for m in retriever.query(support(mine, classes), k)] == everything[:k]


def test_most_candidates_are_never_counted(monkeypatch):
    generator = np.random.default_rng(1)
    maps = np.stack([patches(generator, 1, 8, (40, 60)) for _ in range(1000)])
    counted = []
    monkeypatch.setattr(
        packed.Query,
        "overlaps",
        lambda self, planes, classes, old=packed.Query.overlaps: (
            counted.append(len(planes)) or old(self, planes, classes)
        ),
    )
    scores = ranked(IoU(), scenes(maps, 8), support(maps[11], 8), 3)
    assert scores[0][0] == "scene11"
    assert sum(counted) < 300


def test_bounds_are_the_smaller_counts_in_cells_and_never_below_the_shared_pixels():
    generator = np.random.default_rng(2)
    maps = np.concatenate([patches(generator, 40, 5, (33, 47)), generator.integers(0, 5, (10, 33, 47))])
    index = packed.pack(maps)
    for labels in maps[::7]:
        query = packed.Query.of(labels)
        shared = query.overlaps(index.planes, 5)
        bounds = query.cell_bounds(index, 5)
        assert (bounds >= shared).all()
        tops, lefts = range(0, 33, packed.CELL), range(0, 47, packed.CELL)
        cells = [(slice(top, top + packed.CELL), slice(left, left + packed.CELL)) for top, left in product(tops, lefts)]
        for label, i in product(range(5), range(len(maps))):
            counts = [((labels[cell] == label).sum(), (maps[i][cell] == label).sum()) for cell in cells]
            assert bounds[label, i] == sum(min(pair) for pair in counts)


def test_equal_scores_stand_in_the_order_of_the_index():
    generator = np.random.default_rng(8)
    label_map = generator.integers(0, 7, (1, 9, 9))
    scores = ranked(IoU(), scenes(np.stack([label_map] * 150), 7), support(patches(generator, 3, 7, (9, 9)), 7), 100)
    assert [name for name, _ in scores] == [f"scene{i}" for i in range(100)]


def test_a_tie_that_comes_first_is_found_behind_candidates_of_higher_bounds():
    mine = np.ones((15, 30), np.int64)  # two cells
    mine[:5, :15] = 0
    within, across = mine.copy(), mine.copy()
    # Both trade ten pixels of the two classes: the one within a cell, which no histogram shows, so that its bound is
    # too high; the other across cells, so that its bound is its score.
    within[0, :10], within[10, :10] = 1, 0
    across[0, :10], across[10, 15:25] = 1, 0
    maps = np.stack([across] + [within] * CHUNK)[:, None]
    scores = ranked(IoU(), scenes(maps, 2), support(mine[None], 2), 1)
    assert scores == [("scene0", pytest.approx(65 / 85 + 365 / 385))]


def test_all_candidates_come_when_there_are_fewer_than_k_and_none_when_there_are_none():
    maps = np.zeros((3, 1, 4, 4))
    assert len(ranked(IoU(), scenes(maps, 2), support(maps[0], 2), 5)) == 3
    assert ranked(IoU(), [], support(maps[0], 2), 5) == []
    assert ranked(IoU(), scenes(maps, 2), support(maps[0], 2), 0) == []


def test_a_new_index_replaces_the_old_one():
    retriever = IoU()
    retriever.index(scenes(np.zeros((2, 1, 4, 4)), 2))
    assert ranked(retriever, scenes(np.ones((1, 1, 6, 6)), 2), support(np.ones((1, 6, 6)), 2), 5) == [("scene0", 1.0)]


def test_classes_that_only_one_side_has_count_as_not_shared():
    low, high = np.zeros((1, 5, 5)), np.full((1, 5, 5), 9)
    half = np.zeros((1, 5, 5))
    half[:, 1:] = 9
    assert dict(ranked(IoU(), scenes([low], 10), support(high, 10), 1)) == {"scene0": 0.0}
    assert dict(ranked(IoU(), scenes([low], 10), support(half, 10), 1)) == {"scene0": 0.2}
    assert dict(ranked(IoU(), scenes([high], 10), support(low, 10), 1)) == {"scene0": 0.0}
    assert dict(ranked(IoU(), scenes([half], 10), support(low, 10), 1)) == {"scene0": 0.2}
    assert dict(ranked(IoU(absent="one"), scenes([low], 10), support(half, 10), 1)) == {"scene0": 8.2}
    assert dict(ranked(IoU(absent="mean_present"), scenes([low], 10), support(half, 10), 1)) == {"scene0": 0.1}


def test_ids_beyond_a_byte_are_exact():
    generator = np.random.default_rng(4)
    maps = generator.choice([0, 3, 256, 259, 300], (4, 1, 8, 8))
    scores = dict(ranked(IoU(), scenes(maps, 301), support(maps[1], 301), 4))
    assert scores == {
        f"scene{i}": pytest.approx(similarity(maps[1, 0], label_map[0], 301)) for i, label_map in enumerate(maps)
    }


def test_at_most_frames_evenly_spaced_frames_are_looked_at():
    clip = np.zeros((8, 4, 4))
    clip[4] = 1
    mine = support(np.ones((1, 4, 4)), 2)
    assert ranked(IoU(frames=2), scenes([clip], 2), mine, 1) == [("scene0", 1.0)]  # frames 0 and 4
    assert ranked(IoU(frames=1), scenes([clip], 2), mine, 1) == [("scene0", 0.0)]  # frame 0


def test_a_size_compares_the_pixels_under_the_centres_and_takes_candidates_of_any_size():
    generator = np.random.default_rng(6)
    large = generator.integers(0, 3, (1, 9, 15))
    small = large[:, 1::3, 1::3]
    other = generator.integers(0, 3, (1, 3, 5))
    scores = dict(ranked(IoU(size=(3, 5)), scenes([large, small, other], 3), support(small, 3), 3))
    assert scores["scene0"] == scores["scene1"] == 3.0
    assert scores["scene2"] == pytest.approx(similarity(small[0], other[0], 3))


def test_continuous_structures_take_part_by_their_greatest_channel():
    labels = torch.randint(0, 4, (2, 6, 6), generator=torch.Generator().manual_seed(0))
    hard = support(labels, 4)
    soft = Batch(structure=hard["structure"] * 0.4 + 0.3)
    retriever = IoU()
    retriever.index(scenes(np.random.default_rng(0).integers(0, 4, (5, 1, 6, 6)), 4))
    assert retriever.query(soft, 5) == retriever.query(hard, 5)


def test_inputs_and_answers_are_never_changed():
    generator = np.random.default_rng(9)
    tasks = scenes(patches(generator, 6, 4)[:, None], 4)
    batch = support(patches(generator, 2, 4), 4)
    before = copy.deepcopy([task._maps for task in tasks]), batch["structure"].clone()
    retriever = IoU()
    retriever.index(tasks)
    first = retriever.query(batch, 4)
    assert retriever.query(batch, 4) == first
    assert [match.task in tasks for match in first] == [True] * 4
    assert all(torch.equal(task._maps, old) for task, old in zip(tasks, before[0], strict=True))
    assert torch.equal(batch["structure"], before[1])


def test_without_numpy_2_the_counts_are_the_same(monkeypatch):
    generator = np.random.default_rng(10)
    maps = generator.integers(0, 5, (6, 1, 13, 21))
    expected = ranked(IoU(), scenes(maps, 5), support(maps[3], 5), 6)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert ranked(IoU(), scenes(maps, 5), support(maps[3], 5), 6) == expected


MAPS = st.integers(0, 2**32 - 1).map(lambda seed: patches(np.random.default_rng(seed), 1, 5))


def sim(a, b, **options) -> float:
    return ranked(IoU(**options), scenes([a], 6), support(b, 6), 1)[0][1]


@settings(max_examples=50, deadline=None)
@given(MAPS)
def test_a_map_is_as_similar_to_itself_as_it_has_classes(a):
    assert sim(a, a) == len(np.unique(a))
    assert sim(a, a, absent="one") == 6
    assert sim(a, a, absent="mean_present") == 1


@settings(max_examples=50, deadline=None)
@given(MAPS, MAPS, st.sampled_from(ABSENT))
def test_similarity_is_symmetric_and_bounded(a, b, absent):
    value = sim(a, b, absent=absent)
    assert value == sim(b, a, absent=absent)
    most = {"zero": len(np.intersect1d(a, b)), "one": 6, "mean_present": 1}[absent]
    assert 0 <= value <= most


@settings(max_examples=50, deadline=None)
@given(MAPS, MAPS, st.sampled_from(ABSENT), st.integers(0, 2**32 - 1))
def test_an_ignored_class_changes_nothing_when_its_pixels_become_another_ignored_class(a, b, absent, seed):
    drawn = np.random.default_rng(seed).choice([0, 5], a.shape)  # 5 is in no map
    other = np.where(a == 0, drawn, a)
    assert sim(a, b, absent=absent, ignore=(0, 5)) == sim(other, b, absent=absent, ignore=(0, 5))


@settings(max_examples=50, deadline=None)
@given(MAPS, MAPS)
def test_ignoring_a_class_takes_its_own_term_from_the_sum_and_no_more(a, b):
    either = ((a == 2) | (b == 2)).sum()
    term = ((a == 2) & (b == 2)).sum() / max(either, 1)
    assert sim(a, b, ignore=(2,)) == pytest.approx(sim(a, b) - term)
    assert sim(a, b, ignore=(5,)) == sim(a, b)  # a class of neither map


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ignore": (-1,)}, "retriever.ignore.0: got -1, expected at least 0"),
        ({"size": (0, 4)}, "retriever.size.0: got 0, expected at least 1"),
        ({"frames": 0}, "retriever.frames: got 0, expected at least 1"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(UserError) as caught:
        IoU(**options)
    assert str(caught.value) == message


def test_maps_of_different_sizes_are_named():
    small, wide = Scene("small", np.zeros((1, 4, 4)), 2), Scene("wide", np.zeros((1, 4, 8)), 2)
    with pytest.raises(UserError, match=r"maps of task 'wide' are 4x8, but the first candidate's 4x4 .*retriever.size"):
        IoU().index([small, wide])
    retriever = IoU()
    retriever.index([small])
    with pytest.raises(UserError, match="the support's maps are 4x8, but the first candidate's 4x4"):
        retriever.query(support(np.zeros((1, 4, 8)), 2), 1)


def test_classes_that_do_not_fit_are_named():
    retriever = IoU(ignore=(6,))
    retriever.index([Scene("a", np.full((1, 4, 4), 3), 4)])
    with pytest.raises(UserError, match="candidates have class 3, but the support 2 channels"):
        retriever.query(support(np.zeros((1, 4, 4)), 2), 1)
    with pytest.raises(UserError, match=r"retriever\.ignore names class 6, but there are 4 classes"):
        retriever.query(support(np.zeros((1, 4, 4)), 4), 1)


def test_negative_labels_are_named(monkeypatch):
    scene = Scene("void", np.zeros((1, 4, 4)), 2)
    monkeypatch.setattr(scene, "maps", lambda limit: torch.full((1, 4, 4), -1))
    with pytest.raises(UserError, match="task 'void' must give label maps of class ids from 0 on"):
        IoU().index([scene])


def test_the_plugin_hands_over_iou():
    handed = {}
    metai2i_iou.register_retrievers(handed.__setitem__)
    assert handed == {"iou": IoU}


@pytest.mark.slow
def test_retrieval_among_5000_street_sized_maps_is_exact_and_its_time_is_printed():
    generator = torch.Generator().manual_seed(0)

    def layouts(count: int) -> np.ndarray:
        rough = interpolate(torch.randn(count, 20, 5, 9, generator=generator), (32, 64), mode="bilinear").argmax(1)
        return rough.repeat_interleave(4, 1).repeat_interleave(4, 2).to(torch.uint8).numpy()

    class Stored(Scene):
        def __init__(self, name: str, maps: np.ndarray) -> None:
            self.id, self._small = name, maps

        def maps(self, limit: int = 16) -> torch.Tensor:
            return torch.from_numpy(self._small.astype(np.int64))

    maps, mine = layouts(5000), layouts(1)
    retriever = IoU()
    retriever.index([Stored(str(i), label_map[None]) for i, label_map in enumerate(maps)])
    batch = support(mine, 20)
    start = time.process_time()
    matches = retriever.query(batch, 5)
    ours = time.process_time() - start
    start = time.process_time()
    scores = np.zeros(len(maps))
    for i, label_map in enumerate(maps):
        for c in range(20):
            a, b = label_map == c, mine[0] == c
            scores[i] += (a & b).sum() / max((a | b).sum(), 1)
    loop = time.process_time() - start
    print(f"\n5,000 maps of 128x256, 20 classes: {ours * 1e3:.0f} ms, naive loop {loop * 1e3:.0f} ms")
    best = np.argsort(-scores, kind="stable")[:5]
    assert [(int(match.task.id), match.score) for match in matches] == [(i, scores[i]) for i in best]
