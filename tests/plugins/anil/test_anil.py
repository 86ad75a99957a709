"""ANIL against hand-written unrolls, and against the bilevel strategy where the part is everything."""

from __future__ import annotations

import pytest
import torch
from metai2i_anil import Anil, later_half, part_of
from metai2i_bil import Bil
from metai2i_pix2pix import Pix2pix
from strategy_laws import check_ordinary, check_untouched, short_run
from torch import nn
from torch.nn.functional import conv2d

from metai2i import Adaptation, Augment, Episode, Objective, Step, TaskSpec, Translator, UserError
from metai2i.meta.inner_loop import support_batches

SGD = Adaptation(optimizer="sgd", lr=0.1, iterations=3)


class Stack(Translator):
    """A generator of a body and a head."""

    def __init__(self, spec: TaskSpec) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Conv2d(spec.structure_channels, 4, 1), nn.Conv2d(4, 3, 1))

    def players(self):
        return {"generator": self.generator.parameters()}

    def training_step(self, batch, step):
        yield "generator", {"l2": (self.translate(batch) - batch["target"]).square().mean()}

    def translate(self, batch):
        return self.generator(batch["structure"])


@pytest.fixture
def stack(spec) -> Stack:
    torch.manual_seed(0)
    return Stack(spec)


def meta_gradients(strategy, gp, episode):
    gp.zero_grad(set_to_none=True)
    strategy.meta_gradient(gp, episode, Step().at("episode", 0))
    return {name: p.grad.clone() for name, p in gp.named_parameters()}


def loss_of(parameters, batch):
    body = conv2d(batch["structure"], parameters["generator.0.weight"], parameters["generator.0.bias"])
    fake = conv2d(body, parameters["generator.1.weight"], parameters["generator.1.bias"])
    return (fake - batch["target"]).square().mean()


def hand_written_unroll(gp, episode, second: bool):
    """SGD on the head alone; the query gradient with respect to where everything started."""
    start = {name: p.detach().clone().requires_grad_() for name, p in gp.named_parameters()}
    now = dict(start)
    here = Step().at("episode", 0).at("inner").rng
    for batch in support_batches(episode.support, SGD.for_training(3), here):
        head = [name for name in now if name.startswith("generator.1.")]
        grads = torch.autograd.grad(loss_of(now, batch), [now[name] for name in head], create_graph=second)
        now |= {name: now[name] - 0.1 * g for name, g in zip(head, grads, strict=True)}
    return dict(zip(start, torch.autograd.grad(loss_of(now, episode.query), list(start.values())), strict=True))


@pytest.mark.parametrize("order", ["first", "second"])
def test_the_meta_gradient_is_that_of_an_unroll_of_the_head_alone_and_reaches_the_body(stack, episode, order):
    stack, episode = stack.double(), doubled(episode)
    grads = meta_gradients(Anil(inner=SGD, steps=3, order=order), stack, episode)
    expected = hand_written_unroll(stack, episode, order == "second")
    assert grads.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(grads[name], gradient, rtol=1e-6, atol=1e-9)
        assert gradient.abs().sum() > 0


def test_the_two_orders_differ(stack, episode):
    first, second = (meta_gradients(Anil(inner=SGD, steps=3, order=o), stack, episode) for o in ("first", "second"))
    assert not torch.allclose(first["generator.0.weight"], second["generator.0.weight"], rtol=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_everything_but_the_part_stays_the_general_models_bit_for_bit(stack, episode, optimizer):
    inner = Adaptation(optimizer=optimizer, lr=0.1, iterations=3)
    adapted = Anil(inner=inner, part=("generator.1.*",)).adapt(stack, episode.support, Step())
    moved = {name for name, p in adapted.named_parameters() if not torch.equal(p, stack.get_parameter(name))}
    assert moved == {"generator.1.weight", "generator.1.bias"}


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_with_everything_as_its_part_it_is_the_bilevel_strategy(toy, episodes, optimizer):
    inner = Adaptation(optimizer=optimizer, lr=1e-2, augment=Augment(), iterations=4)
    ours, theirs = Anil(inner=inner, part=("*",), steps=3), Bil(inner=inner, steps=3)
    grads, expected = (meta_gradients(strategy, toy, episodes[0]) for strategy in (ours, theirs))
    torch.testing.assert_close(grads, expected)
    adapted, other = (strategy.adapt(toy, episodes[0].support, Step()) for strategy in (ours, theirs))
    torch.testing.assert_close(dict(adapted.named_parameters()), dict(other.named_parameters()))


def test_in_second_order_with_everything_as_its_part_it_is_the_bilevel_strategy(toy, episodes):
    ours = Anil(inner=SGD, part=("generator", "discriminator"), steps=2, order="second")
    theirs = Bil(inner=SGD, steps=2, order="second")
    torch.testing.assert_close(meta_gradients(ours, toy, episodes[0]), meta_gradients(theirs, toy, episodes[0]))


def test_a_part_may_be_a_player(toy, episode):
    adapted = Anil(inner=SGD, part=("generator",)).adapt(toy, episode.support, Step())
    assert not torch.equal(adapted.generator.weight, toy.generator.weight)
    assert torch.equal(adapted.discriminator.weight, toy.discriminator.weight)


def test_players_that_the_recipe_freezes_are_not_adapted(toy, episode):
    inner = Adaptation(lr=0.1, freeze=("discriminator",))
    adapted = Anil(inner=inner, part=("*",)).adapt(toy, episode.support, Step())
    assert not torch.equal(adapted.generator.weight, toy.generator.weight)
    assert torch.equal(adapted.discriminator.weight, toy.discriminator.weight)


def test_by_default_the_decoder_of_a_u_net_is_adapted():
    objective = Objective(l1=1, adversarial=1, perceptual=0)
    spec = TaskSpec(structure_channels=3, size=(32, 32))
    model = Pix2pix(spec=spec, objective=objective, width=2, norm="batch")
    inside = part_of(model, None)
    names = [name for name, _ in model.generator.named_parameters()]
    chosen = {name for name, is_in in zip(names, inside["generator"], strict=True) if is_in}
    assert chosen == {name for name in names if name.startswith("up")}
    assert 0 < sum(inside["discriminator"]) < len(inside["discriminator"])


def test_the_later_half_takes_whole_layers():
    assert later_half(["a.weight", "a.bias", "b.weight", "b.bias"]) == ["b.weight", "b.bias"]
    assert later_half(["a.weight", "a.bias"]) == ["a.weight", "a.bias"]
    assert later_half(["a.w", "b.w", "c.w"]) == ["b.w", "c.w"]


def test_a_part_that_is_nowhere_is_refused(toy, episode):
    with pytest.raises(UserError, match=r"'generatr' is no player of Toy, nor a parameter's name .*'generator'"):
        Anil(inner=SGD, part=("generatr",)).adapt(toy, episode.support, Step())
    inner = Adaptation(freeze=("generator",))
    with pytest.raises(UserError, match="leave nothing to adapt"):
        Anil(inner=inner, part=("generator",)).adapt(toy, episode.support, Step())


def test_a_diverging_adaptation_is_told(toy, episode):
    inner = Adaptation(optimizer="sgd", lr=1e25, iterations=5)
    with pytest.raises(UserError, match=r"not finite|is (nan|inf)"):
        Anil(inner=inner).adapt(toy, episode.support, Step())


def test_the_general_model_is_untouched_and_the_copy_an_ordinary_one(toy, episodes):
    strategy = Anil(inner=Adaptation(lr=1e-2, augment=Augment()), steps=2)
    check_untouched(strategy, toy, episodes)
    check_ordinary(strategy.adapt(toy, episodes[0].support, Step()), toy)


def test_the_cost_counts_inner_and_query_samples():
    assert Anil(inner=Adaptation(batch=5, augment=Augment()), steps=4).cost(shots=1, queries=3) == 4 * 5 + 3
    with pytest.raises(UserError, match=r"strategy\.steps: got -1, expected at least 0"):
        Anil(inner=Adaptation(), steps=-1)


def test_it_runs_from_a_recipe(tmp_path):
    short_run(tmp_path, {"use": "anil", "part": ["generator.up.*", "discriminator"], "steps": 2})


def doubled(episode):
    return Episode(episode.task, episode.support.map(torch.Tensor.double), episode.query.map(torch.Tensor.double))
