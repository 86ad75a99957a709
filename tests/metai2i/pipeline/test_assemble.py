"""From a row to live objects."""

from __future__ import annotations

import copy

import pytest
import torch
from metai2i_bil import Bil
from toys import LastTasks, ToyRegistry, ToyTask, toy_row

from metai2i import Augment, Randomness, TaskSource, TaskSpec, Translator, UserError
from metai2i.meta.instance import instance_of
from metai2i.pipeline.assemble import Assembler, construct
from metai2i.training.checkpoint import digest


def assembler(seed: int = 0) -> Assembler:
    return Assembler(ToyRegistry(bil=Bil), seed, torch.device("cpu"))


def test_a_translator_is_initialised_by_the_seed_alone():
    row = toy_row()
    state = torch.get_rng_state()
    digests = [digest(assembler(seed).translator(row)) for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_a_seed_gives_the_same_start_to_translators_of_all_rows():
    built = assembler()
    assert digest(built.translator(toy_row())) == digest(built.translator(toy_row(adapt={"lr": 1.0})))


def test_a_translator_and_its_copies_compute_in_the_precision_of_the_row():
    for precision in ("fp32", "bf16"):
        translator = assembler().translator(toy_row(precision=precision))
        assert {model.precision for model in (translator, copy.deepcopy(translator), instance_of(translator))} == {
            precision
        }


def test_rows_that_name_the_same_source_share_it():
    built = assembler()
    first, same, other = toy_row(), toy_row(adapt={"lr": 1.0}), toy_row(tasks={"options": {"pairs": 7}})
    assert built.source(first) is built.source(same)
    assert built.source(first) is not built.source(other)
    assert len(built.source(other).tasks("train")[0]) == 7


def test_the_strategy_is_handed_the_inner_loop_with_its_augmentation():
    strategy = assembler().strategy(toy_row(adapt={"iterations": 9}, augment={"flip": False}))
    assert strategy.inner.iterations == 9
    assert isinstance(strategy.inner.augment, Augment)
    assert strategy.inner.augment.flip is False
    assert assembler().strategy(toy_row()).inner.augment is None


def test_the_retriever_knows_the_training_tasks(toy):
    assert assembler().retriever(toy_row(), toy) is None
    retriever = assembler().retriever(toy_row(retriever={"use": "last"}), toy)
    assert [task.id for task in retriever.known] == [f"train-{n}" for n in range(4)]


class Fakes(LastTasks):
    """Asks for what the model makes."""

    needs = frozenset({"fake"})


def test_a_retriever_that_asks_for_fakes_sees_them_by_the_seed_of_the_run(toy):
    built = assembler()
    built.registry.known["retriever", "fakes"] = Fakes  # type: ignore[attr-defined]
    retriever = built.retriever(toy_row(retriever={"use": "fakes"}), toy)
    (first, *_) = retriever.retriever.known
    assert "fake" in first.load([0])
    assert retriever._rng == Randomness((built.seed, "retrieval"))


def test_what_a_constructor_raises_is_told_as_the_plugins_own():
    with pytest.raises(UserError, match="the translator 'x' raised KeyError in its constructor: 'width'"):
        construct(lambda: {}["width"], "translator", "x")


class Deaf:
    def __init__(self, *, objective): ...


def test_a_constructor_that_does_not_take_what_the_host_hands_over_is_told_with_its_place():
    with pytest.raises(UserError) as caught:
        construct(Deaf, "translator", "deaf", spec=None, objective=None)
    assert caught.value.what == "the constructor of the translator 'deaf' takes no 'spec'"
    assert str(caught.value.where).startswith(f"{__file__}:")
    assert caught.value.hint == "the host hands over spec, objective, each by its name"


class Silent:
    __signature__ = "none"

    def __init__(self, *, spec): ...


def test_a_class_that_does_not_say_what_it_takes_is_called_and_tells_itself():
    assert isinstance(construct(Silent, "translator", "silent", spec=None), Silent)
    with pytest.raises(UserError, match="the translator 'silent' raised TypeError in its constructor"):
        construct(Silent, "translator", "silent", objective=None)


def test_what_a_constructor_refuses_is_told_as_it_is():
    def refuse():
        raise UserError("width must be positive")

    with pytest.raises(UserError, match=r"^width must be positive$"):
        construct(refuse, "translator", "x")


class Referring(Translator):
    """Needs a reference; never built here."""

    needs = frozenset({"structure", "target", "reference"})


class Plain(TaskSource):
    """Gives pairs."""

    def spec(self):
        return TaskSpec(3, (16, 16), self.provides)

    def tasks(self, split):
        return []


class OwnReference(Plain):
    """Gives a reference with each pair."""

    provides = frozenset({"structure", "target", "reference"})


class Unreferring:
    """Needs no exemplar: a translator, or a strategy."""

    needs = frozenset({"structure"})


class Recolouring:
    """A strategy that hands back inputs in the colours of an exemplar."""

    needs = frozenset({"structure", "reference"})


class TwoSources:
    """A registry of two sources, one translator and one strategy."""

    def __init__(self, translator, strategy):
        self.known = {"translator": translator, "strategy": strategy, "plain": Plain, "own": OwnReference}

    def get(self, kind, name):
        return self.known[name if kind == "task source" else kind]


class Scene(ToyTask):
    """Whose samples have a reference of level 0.5."""

    def load(self, indices):
        batch = super().load(indices)
        return batch.replace(reference=torch.full_like(batch["target"], 0.5))


@pytest.mark.parametrize(
    ("translator", "strategy", "expected"),
    [(Unreferring, Unreferring, False), (Unreferring, Recolouring, True), (Referring, Unreferring, True)],
)
def test_the_host_makes_references_for_translators_and_strategies_that_need_them(translator, strategy, expected):
    assembling = Assembler(TwoSources(translator, strategy), 0, torch.device("cpu"))
    assert (assembling.reference(toy_row(tasks={"use": "plain"})) is not None) is expected


def test_the_host_makes_references_only_where_the_source_gives_none():
    assembling = Assembler(TwoSources(Referring, Unreferring), 0, torch.device("cpu"))
    sampled, left = (assembling.sampling(toy_row(tasks={"use": name})) for name in ("plain", "own"))
    assert sampled.reference is not None
    scene, rng = Scene("a", 6), Randomness((0,))
    assert (left.mixed([scene], 4, rng)["reference"] == 0.5).all()
    assert (left.episode(scene, 2, 2, rng).query["reference"] == 0.5).all()
    assert not (sampled.mixed([scene], 4, rng)["reference"] == 0.5).all()
