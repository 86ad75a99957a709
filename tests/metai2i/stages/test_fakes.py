"""What the general model makes of scenes, as retrievers see it."""

from __future__ import annotations

import pytest
import torch
from toys import LastTasks, Toy, ToyTask, toy_row

from metai2i import Match, Randomness, Reference, Step
from metai2i.data.sampling import Sampling
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


def looking(gp, retriever=None, sampling=None):
    retriever = retriever or Looking()
    row = toy_row(retriever={"use": "last", "k": 2})
    return retriever, shown_fakes(retriever, gp, row, sampling or Sampling(), CPU)


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


def test_references_are_other_photographs_of_the_same_scene_and_the_same_at_every_call(spec):
    with Randomness((1,)).scope():
        gp = WithReference(spec=spec)
    sampling = Sampling(reference=Reference(rotate=0.0, crop=1.0))
    seen = []
    for _ in range(2):
        inside, retriever = looking(gp, sampling=sampling)
        retriever.index([ToyTask("a", 4)])
        seen.append(inside.shown[0])
    fakes, photographs = seen[0]["fake"], seen[0]["target"]
    which = [[torch.equal(fake, photograph) for photograph in photographs] for fake in fakes]
    assert all(sum(row) == 1 and not row[n] for n, row in enumerate(which))
    assert torch.equal(fakes, seen[1]["fake"])
    assert set(seen[0]) == {"structure", "target", "fake"}


class Lying(Looking):
    """Gives no scenes."""

    def query(self, support, k):
        return [Match("a name", 1.0)]


def test_what_is_wrong_with_its_answer_is_told_under_its_own_name(toy):
    _, retriever = looking(toy, Lying())
    retriever.index([ToyTask("a", 4)])
    with pytest.raises(UserError, match="Lying"):
        retriever.query(ToyTask("new", 3).load(range(3)), 2)
