"""Meta-training: the outer step, its episodes, what it watches and what it saves."""

from __future__ import annotations

import json

import pytest
import torch
from metai2i_bil import Bil
from torch import nn
from toys import Toy, ToySource, ToyTask

from metai2i import Adaptation, Augment, MetaStrategy, Randomness, Step, UserError
from metai2i.data.sampling import Sampling
from metai2i.meta.inner_loop import adapted
from metai2i.meta.outer_step import as_module, meta_step, outer_optimizer
from metai2i.metrics import own_metrics
from metai2i.recipe.schema import Episodes, Metatrain
from metai2i.stages.metatrain import metatrain, probe
from metai2i.training import loop
from metai2i.training.checkpoint import digest, load, part
from metai2i.training.stage_context import StageContext

SIZE = (32, 32)  # LPIPS takes no smaller images
CPU = torch.device("cpu")
EPISODES = Episodes(shots=2, queries=2)


class Stepping(MetaStrategy):
    """Learns a number as well; its name is one that torch modules do not take."""

    def __init__(self, *, inner):
        self.inner = inner

    def prepare(self, gp):
        self.learned = {"generator.weight": nn.Parameter(torch.zeros(2)), "train": nn.Parameter(torch.zeros(()))}

    def meta_parameters(self):
        return self.learned

    def meta_gradient(self, gp, episode, step):
        for parameter in [*gp.parameters(), *self.learned.values()]:
            parameter.grad = torch.full_like(parameter, 1.0)
        return {"query/x": torch.zeros(())}

    def adapt(self, gp, support, step):
        return adapted(gp, support, self.inner, step)


class Stopping(Bil):
    """Stops before an outer step."""

    stop_at: int | None = None

    def meta_gradient(self, gp, episode, step):
        if step.index == self.stop_at:
            raise KeyboardInterrupt
        return super().meta_gradient(gp, episode, step)


def trained(folder, spec, strategy=None, *, settings=None, stop_at=None):
    with Randomness((1,)).scope():
        toy = Toy(spec=spec)
    strategy = strategy or Stopping(inner=Adaptation(iterations=2, lr=1e-2), steps=2)
    strategy.stop_at = stop_at
    strategy.prepare(toy)
    tasks = ToySource(size=SIZE).tasks
    metatrain(
        StageContext(folder, "metatrain", torch.device("cpu")), toy, strategy, tasks("train"), tasks("val"),
        settings or Metatrain(iterations=5, tasks=2, lr=1e-2, probe=100), EPISODES, Sampling(),
        Randomness((0, "metatrain")),
    )  # fmt: skip
    return toy


def test_an_interrupted_meta_training_resumed_ends_bit_for_bit_as_it_would_have(tmp_path, spec, monkeypatch):
    whole = trained(tmp_path / "whole", spec)
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    for stop in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "parts", spec, stop_at=stop)
    assert digest(trained(tmp_path / "parts", spec)) == digest(whole)


def test_watching_for_drift_changes_nothing_but_the_log(tmp_path, spec):
    settings = [Metatrain(iterations=4, tasks=2, lr=1e-2, probe=every) for every in (1, 99)]
    often, seldom = (trained(tmp_path / str(each.probe), spec, settings=each) for each in settings)
    assert digest(often) == digest(seldom)
    lines = [json.loads(line) for line in (tmp_path / "1" / "log.jsonl").read_text().splitlines()]
    assert all({"probe/unadapted_lpips", "probe/adapted_lpips"} <= line["losses"].keys() for line in lines)
    lines = [json.loads(line) for line in (tmp_path / "99" / "log.jsonl").read_text().splitlines()]
    assert ["probe/adapted_lpips" in line["losses"] for line in lines] == [True, False, False, False]


def test_the_probe_looks_at_the_same_images_every_time(spec, toy):
    strategy = Bil(inner=Adaptation(iterations=1))
    before = digest(toy)
    probes = [
        probe(toy, strategy, ToySource(size=SIZE).tasks("val"), EPISODES, Sampling(), Randomness(), "train", CPU)
        for _ in range(2)
    ]
    assert probes[0] == probes[1]
    assert digest(toy) == before


def test_drift_is_watched_by_another_metric_where_lpips_is_not_measured(toy, monkeypatch):
    def nowhere(*_):
        raise AssertionError("no feature network is there")

    monkeypatch.setattr("metai2i.losses.lpips.lpips_distance", nowhere)
    scenes, strategy = ToySource(size=SIZE).tasks("val"), Bil(inner=Adaptation(iterations=1))
    losses = probe(toy, strategy, scenes, EPISODES, Sampling(), Randomness(), "train", CPU, own_metrics(["mse"]))
    assert set(losses) == {"probe/unadapted_mse", "probe/adapted_mse"}
    assert float(losses["probe/unadapted_mse"]) > 0


def test_the_query_of_a_watched_scene_of_one_pair_is_not_its_support(toy):
    seen = []

    class Seeing(Bil):
        def adapt(self, gp, support, step):
            seen.append(support["target"])
            return super().adapt(gp, support, step)

    class Drawn(Sampling):
        def episode(self, *args, **kwargs):
            drawn = super().episode(*args, **kwargs)
            seen.append(drawn.query["target"])
            return drawn

    scene = [ToyTask("lonely", 1, SIZE)]
    probe(toy, Seeing(inner=Adaptation()), scene, EPISODES, Drawn(Augment()), Randomness(), "train", CPU)
    query, support = seen
    assert not any(torch.equal(photo, support[0]) for photo in query)


def test_a_number_of_the_strategy_that_is_not_finite_is_refused(toy):
    class Broken(Stepping):
        def meta_gradient(self, gp, episode, step):
            super().meta_gradient(gp, episode, step)
            self.learned["train"].grad = torch.tensor(float("nan"))
            return {}

    strategy = Broken(inner=Adaptation())
    strategy.prepare(toy)
    before = strategy.learned["train"].clone()
    with pytest.raises(UserError, match="the gradient of 'strategy' is not finite"):
        meta_step(toy, strategy, outer_optimizer(toy, strategy, 1e-2), [None], Step())
    assert torch.equal(strategy.learned["train"], before)


def test_without_scenes_to_watch_nothing_is_told(toy):
    assert probe(toy, Bil(inner=Adaptation()), [], EPISODES, Sampling(), Randomness(), "train", CPU) == {}


def test_scenes_too_short_to_watch_are_not_watched(tmp_path, spec, monkeypatch):
    source = ToySource.tasks
    monkeypatch.setattr(
        ToySource, "tasks", lambda self, split: source(ToySource(pairs=3, size=SIZE) if split == "val" else self, split)
    )
    trained(tmp_path, spec)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert not any("probe/adapted_lpips" in line["losses"] for line in lines)


def test_what_the_strategy_learns_is_trained_saved_and_found_again(tmp_path, spec):
    strategy = Stepping(inner=Adaptation(iterations=1))
    trained(tmp_path, spec, strategy)
    assert all((parameter != 0).all() for parameter in strategy.learned.values())
    fresh = Stepping(inner=Adaptation())
    fresh.prepare(None)
    saved = part("strategy", load(tmp_path / "model.safetensors")[0])
    as_module(fresh.meta_parameters()).load_state_dict(saved)
    assert all(torch.equal(fresh.learned[name], parameter) for name, parameter in strategy.learned.items())


def test_it_is_restored_with_a_checkpoint(tmp_path, spec, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    whole, parts = Stepping(inner=Adaptation(iterations=1)), Stepping(inner=Adaptation(iterations=1))
    trained(tmp_path / "whole", spec, whole)
    gradient = parts.meta_gradient

    def stops(gp, episode, step):
        if step.index == 3:
            raise KeyboardInterrupt
        return gradient(gp, episode, step)

    parts.meta_gradient = stops
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts", spec, parts)
    del parts.meta_gradient
    trained(tmp_path / "parts", spec, parts)
    assert all(torch.equal(parts.learned[name], parameter) for name, parameter in whole.learned.items())


def test_the_outer_optimiser_has_every_player_and_what_the_strategy_learns(toy, monkeypatch):
    monkeypatch.setattr(Toy, "rates", {"generator": 0.1})
    strategy = Stepping(inner=Adaptation())
    strategy.prepare(toy)
    adam = outer_optimizer(toy, strategy, 1e-2)
    groups = {g["name"]: (pytest.approx(g["lr"]), len(g["params"])) for g in adam.param_groups}
    assert groups == {"discriminator": (1e-2, 2), "generator": (1e-3, 2), "strategy": (1e-2, 2)}
    assert adam.defaults["betas"] == (0.5, 0.999)
    plain = outer_optimizer(toy, Bil(inner=Adaptation()), 1e-2)
    assert [g["name"] for g in plain.param_groups] == ["discriminator", "generator"]


def test_a_player_that_is_frozen_stays_and_the_others_learn_as_they_would(tmp_path, spec):
    with Randomness((1,)).scope():
        before = Toy(spec=spec)
    settings = Metatrain(iterations=3, tasks=2, lr=1e-2, probe=100)
    plain = trained(tmp_path / "plain", spec, settings=settings)
    frozen = settings.model_copy(update={"freeze": ("discriminator",)})
    after = trained(tmp_path / "frozen", spec, settings=frozen)
    same = {name: torch.equal(p, after.get_parameter(name)) for name, p in before.named_parameters()}
    assert same == {name: name.startswith("discriminator") for name in same}
    # The inner loop adapts it all the same, so the first outer step of the others is that of an unfrozen training.
    single = settings.model_copy(update={"iterations": 1})
    first = [
        trained(tmp_path / f"{n}", spec, settings=single.model_copy(update={"freeze": freeze}))
        for n, freeze in enumerate([(), ("discriminator",)])
    ]
    assert torch.equal(*(model.get_parameter("generator.weight") for model in first))
    assert not torch.equal(plain.get_parameter("generator.weight"), after.get_parameter("generator.weight"))


def test_what_is_frozen_must_be_a_player_and_leave_one(toy):
    strategy = Bil(inner=Adaptation())
    with pytest.raises(UserError, match=r"metatrain\.freeze names 'discriminatr', which is no player of Toy \(did you"):
        outer_optimizer(toy, strategy, 1e-2, ["discriminatr"])
    with pytest.raises(UserError, match=r"metatrain\.freeze leaves nothing to meta-train"):
        outer_optimizer(toy, strategy, 1e-2, ["generator", "discriminator"])


def test_a_meta_gradient_is_clipped_player_by_player(toy, episodes):
    strategy = Stepping(inner=Adaptation())
    strategy.prepare(toy)
    before = {name: p.detach().clone() for name, p in toy.named_parameters()}
    sgd = torch.optim.SGD(toy.parameters(), lr=1.0)
    meta_step(toy, strategy, sgd, episodes, Step(), clip=1e-2)
    for player in toy.players():
        moved = [(p - before[name]).flatten() for name, p in toy.named_parameters() if name.startswith(player)]
        assert torch.cat(moved).norm().item() == pytest.approx(1e-2, rel=1e-3)


def test_no_gradient_is_left_over_from_the_step_before(toy, episodes):
    strategy = Bil(inner=Adaptation(lr=0.0), steps=0)
    still = torch.optim.SGD(toy.parameters(), lr=0.0)
    meta_step(toy, strategy, still, episodes, Step())
    first = toy.generator.weight.grad.clone()
    meta_step(toy, strategy, still, episodes, Step())
    assert torch.equal(toy.generator.weight.grad, first)


@pytest.mark.parametrize(("count", "scenes"), [(4, 6), (6, 6), (9, 4), (1, 1), (3, 1)])
def test_scenes_are_drawn_without_replacement_as_long_as_there_are_any(count, scenes):
    tasks = ToySource(scenes=scenes, size=(2, 2)).tasks("train")
    for seed in range(5):
        drawn = Sampling().episodes(tasks, count, EPISODES.shots, EPISODES.queries, Randomness((seed,)))
        times = [[episode.task for episode in drawn].count(task.id) for task in tasks]
        assert sum(times) == count
        assert max(times) - min(times) <= 1


def test_a_scene_that_comes_twice_comes_with_other_pairs():
    tasks = ToySource(pairs=30, scenes=1, size=(2, 2)).tasks("train")
    first, two = Sampling().episodes(tasks, 2, EPISODES.shots, EPISODES.queries, Randomness())
    assert not torch.equal(first.support["target"], two.support["target"])


def test_another_step_draws_other_scenes():
    tasks = ToySource(scenes=30, size=(2, 2)).tasks("train")
    drawn = (Sampling().episodes(tasks, 3, 2, 2, Randomness().at(i)) for i in (0, 0, 1))
    names = [[episode.task for episode in episodes] for episodes in drawn]
    assert names[0] == names[1] != names[2]
