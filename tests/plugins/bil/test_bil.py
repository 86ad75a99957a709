"""The bilevel strategy against closed forms and hand-written unrolls."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch
from metai2i_bil import Bil
from strategy_laws import short_run
from toys import Toy, ToyTask

from metai2i import Adaptation, Augment, Step, UserError
from metai2i.meta.inner_loop import adapt_in_graph, support_batches
from metai2i.meta.instance import instance_of
from metai2i.meta.outer_step import meta_step, outer_optimizer
from metai2i.training.checkpoint import digest
from metai2i.training.driving import descend, drive, gradients, parameter_groups, parameters_of

HERE = Step().at("episode", 0)


def meta_gradients(strategy, gp, episode):
    gp.zero_grad(set_to_none=True)
    losses = strategy.meta_gradient(gp, episode, HERE)
    return {name: p.grad for name, p in gp.named_parameters()}, losses


def functional_losses(parameters, batch):
    """The toy's two objectives as plain functions of its parameters, written without the framework."""
    gw, gb, dw, db = (
        parameters[n] for n in ("generator.weight", "generator.bias", "discriminator.weight", "discriminator.bias")
    )
    conv = torch.nn.functional.conv2d
    fake = conv(batch["structure"], gw, gb)
    d_loss = (conv(batch["target"], dw, db) - 1).square().mean() + conv(fake.detach(), dw, db).square().mean()
    g_loss = (fake - batch["target"]).square().mean() + (conv(fake, dw, db) - 1).square().mean()
    return d_loss, g_loss


def hand_written_unroll(gp, episode, batches, lr):
    """Two-player SGD, D before G in every step, differentiated through; the textbook way."""
    start = {name: p.detach().clone().requires_grad_() for name, p in gp.named_parameters()}
    now = dict(start)
    for batch in batches:
        for player in ("discriminator", "generator"):
            d_loss, g_loss = functional_losses(now, batch)
            names = [n for n in now if n.startswith(player)]
            grads = torch.autograd.grad(
                d_loss if player == "discriminator" else g_loss, [now[n] for n in names], create_graph=True
            )
            now |= {n: now[n] - lr * g for n, g in zip(names, grads, strict=True)}
    d_loss, g_loss = functional_losses(now, episode.query)
    result = {}
    for player, loss in (("discriminator", d_loss), ("generator", g_loss)):
        names = [n for n in start if n.startswith(player)]
        grads = torch.autograd.grad(loss, [start[n] for n in names], retain_graph=True)
        result |= dict(zip(names, grads, strict=True))
    return result


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_second_order_with_sgd_equals_a_hand_written_unroll(toy, episode, steps):
    toy, episode = toy.double(), _double(episode)
    inner = Adaptation(optimizer="sgd", lr=0.1, batch=5)
    grads, _ = meta_gradients(Bil(inner=inner, steps=steps, order="second"), toy, episode)
    address = Step().at("episode", 0).at("inner").rng
    expected = hand_written_unroll(
        toy, episode, list(support_batches(episode.support, inner.for_training(steps), address)), 0.1
    )
    for name, gradient in expected.items():
        torch.testing.assert_close(grads[name], gradient, rtol=1e-6, atol=1e-9)


def test_first_order_gradient_is_the_gradient_at_the_adapted_parameters(toy, episode):
    inner = Adaptation(optimizer="sgd", lr=0.1)
    strategy = Bil(inner=inner, steps=3)
    grads, _ = meta_gradients(strategy, toy, episode)
    at_test = Bil(inner=Adaptation(optimizer="sgd", lr=0.1, iterations=3))
    adapted = at_test.adapt(toy, episode.support, Step().at("episode", 0).at("inner"))
    d_loss, g_loss = functional_losses(dict(adapted.named_parameters()), episode.query)
    for player, loss in (("discriminator", d_loss), ("generator", g_loss)):
        adapted_grads = gradients(loss, parameters_of(adapted, [player]), retain=True)
        for (name, _), gradient in zip(getattr(toy, player).named_parameters(), adapted_grads, strict=True):
            torch.testing.assert_close(grads[f"{player}.{name}"], gradient)


def test_the_two_orders_differ_by_the_curvature_only(toy, episode):
    toy, episode = toy.double(), _double(episode)
    orders = {}
    for order in ("first", "second"):
        for lr in (1e-1, 1e-6):
            strategy = Bil(inner=Adaptation(optimizer="sgd", lr=lr), steps=2, order=order)
            orders[order, lr] = meta_gradients(strategy, toy, episode)[0]["generator.weight"].clone()
    assert not torch.allclose(orders["first", 1e-1], orders["second", 1e-1], rtol=1e-3)
    torch.testing.assert_close(orders["first", 1e-6], orders["second", 1e-6], rtol=1e-4, atol=1e-8)


def test_no_inner_steps_is_plain_training_step_for_step(spec, episodes):
    """One player: every Adam step with 0 inner steps equals a plain Adam step on the query, exactly."""
    torch.manual_seed(0)
    meta = Toy(spec=spec, adversarial=False)
    plain = copy.deepcopy(meta)
    strategy = Bil(inner=Adaptation(), steps=0)
    outer = outer_optimizer(meta, strategy, 1e-2)
    adam = torch.optim.Adam(parameter_groups(plain, 1e-2), betas=(0.5, 0.999))
    for i in range(5):
        meta_step(meta, strategy, outer, episodes[i % 2 :][:1], Step(index=i))
        drive(plain, episodes[i % 2].query, Step(index=i), descend(plain, adam))
    for ours, theirs in zip(meta.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("kwargs", [{"steps": 0}, {"steps": 4, "lr": 0.0}])
def test_no_inner_steps_or_no_inner_rate_gives_every_player_its_plain_gradient(toy, episode, kwargs):
    grads, _ = meta_gradients(Bil(inner=Adaptation(), **kwargs), toy, episode)
    grads = {name: gradient.clone() for name, gradient in grads.items()}
    d_loss, g_loss = functional_losses(dict(toy.named_parameters()), episode.query)
    for player, loss in (("discriminator", d_loss), ("generator", g_loss)):
        for (name, _), gradient in zip(
            getattr(toy, player).named_parameters(),
            gradients(loss, parameters_of(toy, [player]), retain=True),
            strict=True,
        ):
            torch.testing.assert_close(grads[f"{player}.{name}"], gradient)


def test_second_order_through_adam_is_finite(toy, episode):
    grads, _ = meta_gradients(Bil(inner=Adaptation(lr=1e-3), steps=5, order="second"), toy, episode)
    assert all(torch.isfinite(gradient).all() for gradient in grads.values())


def test_second_order_through_adam_equals_a_finite_difference(spec, episode):
    """One player: with two, the moves cut the fake off for the discriminator, and a finite difference does not."""
    torch.manual_seed(0)
    toy, episode = Toy(spec=spec, adversarial=False).double(), _double(episode)
    inner = Adaptation(lr=1e-2, eps=1e-2, iterations=3)
    strategy = Bil(inner=inner, steps=3, order="second")
    grads, _ = meta_gradients(strategy, toy, episode)
    here = HERE

    def query_loss(model):
        adapted = instance_of(model)
        adapt_in_graph(adapted, episode.support, inner, here.at("inner"), order="second")
        return (adapted.generator(episode.query["structure"]) - episode.query["target"]).square().mean().item()

    for index in [(0, 0), (2, 1)]:
        sides = []
        for sign in (1, -1):
            moved = copy.deepcopy(toy)
            with torch.no_grad():
                moved.generator.weight[index[0], index[1], 0, 0] += sign * 1e-5
            sides.append(query_loss(moved))
        assert grads["generator.weight"][index[0], index[1], 0, 0].item() == pytest.approx(
            (sides[0] - sides[1]) / 2e-5, rel=1e-4
        )


def test_a_frozen_player_is_not_adapted_but_still_meta_trained(toy, episode):
    inner = Adaptation(optimizer="sgd", lr=0.1)
    free, _ = meta_gradients(Bil(inner=inner, steps=3), toy, episode)
    free = {n: g.clone() for n, g in free.items()}
    frozen, _ = meta_gradients(Bil(inner=replace(inner, freeze=("discriminator",)), steps=3), toy, episode)
    assert not torch.allclose(free["discriminator.weight"], frozen["discriminator.weight"])
    assert frozen["discriminator.weight"].abs().sum() > 0


def test_the_general_model_and_its_buffers_are_untouched(toy, episodes):
    before = digest(toy)
    strategy = Bil(inner=Adaptation(lr=1e-2, augment=Augment()), steps=2)
    strategy.meta_gradient(toy, episodes[0], Step())
    adapted = strategy.adapt(toy, episodes[0].support, Step())
    assert digest(toy) == before
    assert toy.seen.item() == 0
    assert adapted.seen.item() == 20
    shared = {p.data_ptr() for p in toy.parameters()} & {p.data_ptr() for p in adapted.parameters()}
    assert not shared


def test_an_adapted_copy_is_an_ordinary_module(toy, episode):
    adapted = Bil(inner=Adaptation(iterations=2)).adapt(toy, episode.support, Step())
    assert all(isinstance(p, torch.nn.Parameter) and p.is_leaf and p.requires_grad for p in adapted.parameters())
    assert adapted.state_dict().keys() == toy.state_dict().keys()


def test_the_query_losses_are_told(toy, episode):
    _, losses = meta_gradients(Bil(inner=Adaptation(), steps=1), toy, episode)
    assert {"query/generator/l2", "query/generator/adversarial", "query/discriminator/real"} <= losses.keys()


def test_negative_steps_are_refused():
    with pytest.raises(UserError, match=r"strategy\.steps: got -1, expected at least 0"):
        Bil(inner=Adaptation(), steps=-1)


def test_the_cost_counts_inner_and_query_samples():
    assert Bil(inner=Adaptation(batch=5, augment=Augment()), steps=4).cost(shots=1, queries=3) == 4 * 5 + 3
    assert Bil(inner=Adaptation(batch=5), steps=4).cost(shots=1, queries=3) == 4 * 1 + 3  # equal copies are not taken


def _double(episode):
    from metai2i import Episode

    return Episode(episode.task, episode.support.map(torch.Tensor.double), episode.query.map(torch.Tensor.double))


def test_a_single_scene_of_one_pair_gives_augmented_queries():
    lone = ToyTask("lone", 1).episode(1, 3, Step().rng, Augment())
    assert lone.support.size == 1
    assert lone.query.size == 3
    assert not torch.equal(lone.query["target"][0], lone.support["target"][0])


def test_the_engine_is_chosen_by_the_order_and_told():
    assert Bil(inner=Adaptation()).choices() == {"engine": "inplace"}
    assert Bil(inner=Adaptation(), order="second").choices() == {"engine": "adjoint"}
    assert Bil(inner=Adaptation(), engine="learn2learn").choices() == {"engine": "learn2learn"}


def test_an_engine_that_has_not_the_order_is_refused_when_it_is_made():
    with pytest.raises(UserError, match=r"strategy\.engine: inplace has no order: second"):
        Bil(inner=Adaptation(), order="second", engine="inplace")


@pytest.mark.parametrize("order", ["first", "second"])
def test_learn2learns_engine_gives_the_same_gradient(toy, episodes, order):
    inner = Adaptation(optimizer="sgd", lr=0.1)
    grads, losses = meta_gradients(Bil(inner=inner, steps=3, order=order), toy, episodes[0])
    grads = {name: gradient.clone() for name, gradient in grads.items()}
    theirs, their_told = meta_gradients(Bil(inner=inner, steps=3, order=order, engine="learn2learn"), toy, episodes[0])
    for name, gradient in theirs.items():
        torch.testing.assert_close(grads[name], gradient, rtol=1e-4, atol=1e-6)
    assert losses.keys() == their_told.keys()


def test_a_run_records_the_engine_that_auto_stood_for(tmp_path):
    short_run(tmp_path, {"use": "bil", "steps": 1, "order": "second"})
    stages = json.loads((tmp_path / "run" / "provenance.json").read_text())["stages"]
    assert [stage["choices"] for stage in stages if stage["name"] == "metatrain"] == [{"engine": "adjoint"}]
