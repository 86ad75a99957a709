"""What the general model makes of scenes, as retrievers see it."""

from __future__ import annotations

import pytest
import torch
from toys import LastTasks, Toy, ToyTask, toy_row

from metai2i import Match, Randomness, Reference, Step
from metai2i.errors import UserError
from metai2i.stages.fakes import shown_fakes
from metai2i.training.checkpoint import digest
from metai2i.training.driving import translate

CPU = torch.device("cpu")


class Looking(LastTasks):
    """Keeps the samples that it was shown."""

    needs = frozenset({"target", "fake"})

    def index(self, tasks):
        super().index(tasks)
        self.shown = [task.load(range(len(task))) for task in tasks]

    def query(self, support, k):
        self.asked = support
        return super().query(support, k)


def looking(gp, retriever=None, reference=None, seed=0):
    retriever = retriever or Looking()
    row = toy_row(retriever={"use": "last", "k": 2})
    return retriever, shown_fakes(retriever, gp, row, reference, Randomness((seed, "retrieval")), CPU)


def test_candidates_and_support_come_with_what_the_general_model_makes_of_them(toy):
    inside, retriever = looking(toy)
    tasks, before = [ToyTask(name, 7) for name in "abc"], digest(toy)
    retriever.index(tasks)
    support = ToyTask("new", 3).load(range(3))
    retriever.query(support, 2)
    for samples, plain in [
        *zip(inside.shown, (task.load(range(7)) for task in tasks), strict=True),
        (inside.asked, support),
    ]:
        torch.testing.assert_close(samples["fake"], translate(toy, plain, Step()))
        assert torch.equal(samples["target"], plain["target"])
    assert digest(toy) == before


def test_what_it_finds_are_the_scenes_themselves(toy):
    _, retriever = looking(toy)
    tasks = [ToyTask(name, 4) for name in "abc"]
    retriever.index(tasks)
    found_scenes = [match.task for match in retriever.query(ToyTask("new", 3).load(range(3)), 2)]
    assert [id(task) for task in found_scenes] == [id(tasks[2]), id(tasks[1])]


def test_a_retriever_that_does_not_ask_is_left_as_it_is(toy):
    inside, retriever = looking(toy, LastTasks())
    assert retriever is inside


class WithReference(Toy):
    """Shows its reference."""

    needs = frozenset({"structure", "target", "reference"})

    def translate(self, batch):
        return batch["reference"]


AS_IT_IS = Reference(rotate=0.0, crop=1.0)


@pytest.fixture
def referring(spec):
    with Randomness((1,)).scope():
        return WithReference(spec=spec)


def test_references_are_other_photographs_of_the_same_scene(referring):
    inside, retriever = looking(referring, reference=AS_IT_IS)
    retriever.index([ToyTask("a", 4)])
    fakes, photographs = inside.shown[0]["fake"], inside.shown[0]["target"]
    which = [[torch.equal(fake, photograph) for photograph in photographs] for fake in fakes]
    assert all(sum(row) == 1 and not row[n] for n, row in enumerate(which))
    assert set(inside.shown[0]) == {"structure", "target", "fake"}
    support = ToyTask("new", 2).load(range(2))
    retriever.query(support, 1)
    assert torch.equal(inside.asked["fake"], support["target"].flip(0))


def test_a_sample_has_the_same_fake_whatever_comes_with_it_and_another_with_another_seed(referring):
    varied = Reference(rotate=10.0, crop=0.5)
    fakes = {}
    for seed in (0, 1):
        inside, retriever = looking(referring, Looking(), varied, seed)
        retriever.index([ToyTask("a", 6)])
        (task,) = inside.known
        fakes[seed] = inside.shown[0]["fake"]
        assert torch.equal(task.load([4, 2])["fake"], fakes[seed][[4, 2]])
    assert not torch.equal(fakes[0], fakes[1])


def test_what_a_scene_says_of_its_files_is_handed_on(toy):
    task, (inside, retriever) = ToyTask("a", 3), looking(toy)
    retriever.index([task])
    (faked,) = inside.known
    assert (faked.id, len(faked), faked.files, faked.support_only) == (task.id, 3, task.files, task.support_only)
    assert torch.equal(faked.maps(2), task.maps(2))


class Lying(Looking):
    """Gives no scenes."""

    def query(self, support, k):
        return [Match("a name", 1.0)]


def test_what_is_wrong_with_its_answer_is_told_under_its_own_name(toy):
    _, retriever = looking(toy, Lying())
    retriever.index([ToyTask("a", 4)])
    with pytest.raises(UserError, match="Lying"):
        retriever.query(ToyTask("new", 3).load(range(3)), 2)
