"""Meta-SGD against learn2learn's own implementation, and the bilevel strategy that it extends."""

from __future__ import annotations

import copy
import warnings
from types import MappingProxyType

import pytest
import torch
from metai2i_bil import Bil
from metai2i_metasgd import MetaSGD
from strategy_laws import check_ordinary, check_untouched, short_run
from toys import Toy

from metai2i import Adaptation, Augment, Episode, Step, UserError
from metai2i.meta.clones import learn2learn_utils
from metai2i.meta.inner_loop import adapted, support_batches
from metai2i.meta.outer_step import meta_step, outer_optimizer

SGD = Adaptation(optimizer="sgd", lr=0.1, iterations=3)


def prepared(gp, **options) -> MetaSGD:
    strategy = MetaSGD(**{"inner": SGD, "steps": 3, **options})
    strategy.prepare(gp)
    return strategy


def scattered(strategy: MetaSGD) -> MetaSGD:
    """With step sizes that differ from element to element, some of them negative."""
    with torch.no_grad():
        for alpha in strategy.meta_parameters().values():
            alpha.copy_(torch.rand(alpha.shape, dtype=alpha.dtype) * 0.3 - 0.05)
    return strategy


def meta_gradients(strategy, gp, episode):
    gp.zero_grad(set_to_none=True)
    strategy.meta_gradient(gp, episode, Step().at("episode", 0))
    return {name: p.grad.clone() for name, p in gp.named_parameters()}


def doubled(episode):
    return Episode(episode.task, episode.support.map(torch.Tensor.double), episode.query.map(torch.Tensor.double))


@pytest.mark.parametrize("order", ["first", "second"])
def test_the_meta_gradients_are_those_of_learn2learn(spec, episode, order):
    """One player, which is all that its MetaSGD can adapt."""
    learn2learn_utils()  # imports learn2learn quietly
    from learn2learn.algorithms.meta_sgd import MetaSGD as Reference

    gp, episode = Toy(spec=spec, adversarial=False).double(), doubled(episode)
    strategy = scattered(prepared(gp, order=order))
    grads = meta_gradients(strategy, gp, episode)

    def loss_of(model, batch):
        return (model(batch["structure"]) - batch["target"]).square().mean()

    generator = copy.deepcopy(gp.generator)
    lrs = [torch.nn.Parameter(alpha.detach().clone()) for alpha in strategy.meta_parameters().values()]
    reference = Reference(generator, lrs=torch.nn.ParameterList(lrs), first_order=order == "first")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it keeps gradients at tensors that are no leaves
        learner = reference.clone()
        for batch in support_batches(episode.support, SGD.for_training(3), Step().at("episode", 0).at("inner").rng):
            learner.adapt(loss_of(learner, batch))
    origin = [*generator.parameters(), *reference.lrs]
    expected = torch.autograd.grad(loss_of(learner, episode.query), origin)
    ours = [*grads.values(), *(alpha.grad for alpha in strategy.meta_parameters().values())]
    assert len(ours) == len(expected) == 4
    for our, their in zip(ours, expected, strict=True):
        torch.testing.assert_close(our, their)
        assert their.abs().sum() > 0


def test_in_first_order_the_gradient_of_a_step_size_is_minus_the_query_gradient_times_the_sum_of_inner_gradients(
    spec, episode
):
    gp, episode = Toy(spec=spec, adversarial=False).double(), doubled(episode)
    strategy = prepared(gp, order="first")
    query = meta_gradients(strategy, gp, episode)
    there = strategy.adapt(gp, episode.support, Step().at("episode", 0).at("inner"))
    for name, alpha in strategy.meta_parameters().items():
        travelled = (there.get_parameter(name) - gp.get_parameter(name)) / -0.1  # the sum of three inner gradients
        torch.testing.assert_close(alpha.grad, -query[name] * travelled)


@pytest.mark.parametrize("order", ["first", "second"])
def test_with_equal_step_sizes_it_is_the_bilevel_strategy_with_sgd(toy, episodes, order):
    ours = meta_gradients(prepared(toy, order=order), toy, episodes[0])
    theirs = meta_gradients(Bil(inner=SGD, steps=3, order=order), toy, episodes[0])
    torch.testing.assert_close(ours, theirs)


def test_with_the_step_sizes_it_starts_from_it_adapts_as_fine_tuning_by_sgd_does(toy, episode):
    inner = Adaptation(lr=0.1, iterations=6)  # Adam in the recipe: it is SGD all the same
    ours = prepared(toy, inner=inner).adapt(toy, episode.support, Step())
    theirs = adapted(toy, episode.support, Adaptation(optimizer="sgd", lr=0.1, iterations=6), Step())
    torch.testing.assert_close(dict(ours.named_parameters()), dict(theirs.named_parameters()))


def test_an_element_with_step_size_zero_stands_still(toy, episode):
    strategy = prepared(toy)
    with torch.no_grad():
        strategy.meta_parameters()["generator.weight"][1] = 0
    moved = strategy.adapt(toy, episode.support, Step()).generator.weight != toy.generator.weight
    assert not moved[1].any()
    assert moved[0].all()
    assert moved[2].all()


def test_there_is_a_step_size_for_every_element_at_its_players_multiple(spec):
    class Slow(Toy):
        rates = MappingProxyType({"discriminator": 0.5})

    gp = Slow(spec=spec)
    strategy = prepared(gp, rate_lr=0.02)
    alphas = strategy.meta_parameters()
    assert {name: a.shape for name, a in alphas.items()} == {name: p.shape for name, p in gp.named_parameters()}
    assert alphas["generator.weight"].unique().tolist() == pytest.approx([0.1])
    assert alphas["discriminator.bias"].unique().tolist() == pytest.approx([0.05])
    rates = {g["name"]: g["lr"] for g in outer_optimizer(gp, strategy, 1e-3).param_groups}
    assert rates == {
        "discriminator": pytest.approx(5e-4),
        "generator": pytest.approx(1e-3),
        "strategy/discriminator": pytest.approx(0.02 * 0.05),
        "strategy/generator": pytest.approx(0.02 * 0.1),
    }


def test_an_outer_step_moves_the_step_sizes_by_their_share(toy, episodes):
    strategy = prepared(toy, rate_lr=0.02)
    meta_step(toy, strategy, outer_optimizer(toy, strategy, 1e-3), episodes, Step())
    for alpha in strategy.meta_parameters().values():
        torch.testing.assert_close((alpha - 0.1).abs(), torch.full_like(alpha, 0.02 * 0.1), rtol=1e-2, atol=0)


def test_players_that_rest_have_no_step_sizes_and_are_not_adapted(toy, episode):
    strategy = prepared(toy, inner=Adaptation(lr=0.1, freeze=("discriminator",)))
    assert set(strategy.meta_parameters()) == {"generator.weight", "generator.bias"}
    assert torch.equal(strategy.adapt(toy, episode.support, Step()).discriminator.weight, toy.discriminator.weight)
    assert meta_gradients(strategy, toy, episode)["discriminator.weight"].abs().sum() > 0


@pytest.mark.parametrize("order", ["first", "second"])
def test_the_general_model_is_untouched_and_the_copy_an_ordinary_one(toy, episodes, order):
    strategy = MetaSGD(inner=Adaptation(lr=1e-2, augment=Augment()), steps=2, order=order)
    check_untouched(strategy, toy, episodes)
    check_ordinary(strategy.adapt(toy, episodes[0].support, Step()), toy)


def test_a_diverging_adaptation_is_told(toy, episode):
    strategy = prepared(toy, inner=Adaptation(lr=1e25, iterations=5))
    with pytest.raises(UserError, match=r"not finite|is (nan|inf)"):
        strategy.adapt(toy, episode.support, Step())


def test_the_cost_counts_inner_and_query_samples():
    assert MetaSGD(inner=Adaptation(batch=5, augment=Augment()), steps=4).cost(shots=1, queries=3) == 4 * 5 + 3


@pytest.mark.parametrize("options", [{"steps": 0}, {"rate_lr": -1.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UserError, match=r"^strategy\.(steps|rate_lr): got"):
        MetaSGD(inner=SGD, **options)


def test_it_runs_from_a_recipe(tmp_path):
    short_run(tmp_path, {"use": "metasgd", "steps": 2})
