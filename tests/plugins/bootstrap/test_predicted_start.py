"""The predicted start against autograd, and scenes that need opposite starts."""

from __future__ import annotations

import copy

import pytest
import torch
from metai2i_bootstrap import Bootstrap
from metai2i_bootstrap.predicted_start import PredictedStart

from metai2i import Adaptation, Batch, Episode, Step, UserError
from metai2i.meta.inner_loop import adapted
from metai2i.meta.outer_step import meta_step, outer_optimizer
from metai2i.training.checkpoint import digest
from metai2i.training.driving import parameters_of

INNER = Adaptation(lr=1e-2, iterations=4)


def prepared(gp, **options) -> Bootstrap:
    strategy = Bootstrap(**{"inner": INNER, "steps": 4, "further": 2, "rates": "fixed", "directions": 3, **options})
    strategy.prepare(gp)
    return strategy


def drawn(start: PredictedStart) -> None:
    """Give the directions lengths."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for directions in start.directions.values():
            for direction in directions:
                direction.copy_(torch.randn(direction.shape, generator=generator) * 0.1)


def test_all_scenes_begin_at_the_general_model(toy, episodes):
    strategy = prepared(toy)
    for episode in episodes:
        theirs = adapted(toy, episode.support, INNER, Step())
        assert digest(strategy.adapt(toy, episode.support, Step())) == digest(theirs)


def test_a_start_is_the_general_model_and_the_directions_by_the_code(toy, episode):
    start = PredictedStart(toy, INNER, 3, 0.5)
    drawn(start)
    code = torch.tensor([0.6, 0.0, -0.8])
    ours = start.of(toy, code)
    for player, directions in start.directions.items():
        triples = zip(parameters_of(ours, [player]), parameters_of(toy, [player]), directions, strict=True)
        for moved, origin, direction in triples:
            torch.testing.assert_close(moved, origin + 0.6 * direction[0] - 0.8 * direction[2])


def test_a_code_has_length_one_and_is_the_same_for_shots_in_any_order(toy, episode):
    start = PredictedStart(toy, INNER, 3, 0.5)
    code = start.code(episode.support)
    assert code.shape == (3,)
    assert code.norm().item() == pytest.approx(1, rel=1e-5)
    turned = episode.support.select([*range(episode.support.size)][::-1])
    torch.testing.assert_close(start.code(turned), code)


def test_without_targets_a_code_is_of_the_exemplars(toy, episode):
    start, support = PredictedStart(toy, INNER, 3, 0.5), episode.support
    unpaired = Batch(source=support["target"].flip(3), reference=support["target"])
    torch.testing.assert_close(start.code(unpaired), start.code(support))
    with pytest.raises(UserError, match="bootstrap predicts starts by target or reference, and this data has neither"):
        start.code(Batch(source=support["target"]))


def test_what_is_learned_descends_on_the_squared_distance_of_the_start_to_where_the_copy_went(toy, episode):
    start = PredictedStart(toy, INNER, 3, 1.0)
    drawn(start)
    players = list(start.directions)
    goal = {player: [torch.randn_like(p) for p in parameters_of(toy, [player])] for player in players}
    code, loss = start.code(episode.support), torch.zeros(())
    for player, directions in start.directions.items():
        for p, direction, end in zip(parameters_of(toy, [player]), directions, goal[player], strict=True):
            begin = p.detach() + torch.tensordot(code, direction, dims=1)
            loss = loss + (begin - end).square().sum() / 2
    learned = list(start.parameters().values())
    expected = dict(zip(start.parameters(), torch.autograd.grad(loss, learned, retain_graph=True), strict=True))
    begin = start.of(toy, code)
    steps = {
        player: [(p - end).detach() for p, end in zip(parameters_of(begin, [player]), goal[player], strict=True)]
        for player in players
    }
    start.learn(code, steps)
    for name, parameter in start.parameters().items():
        if name.startswith("direction."):
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-5)
    ours = torch.cat([p.grad.flatten() for n, p in start.parameters().items() if n.startswith("code.")])
    theirs = torch.cat([expected[n].flatten() for n in start.parameters() if n.startswith("code.")])
    assert torch.cosine_similarity(ours, theirs, dim=0).item() == pytest.approx(1, abs=1e-4)


def test_scenes_that_look_unlike_get_starts_of_their_own(toy, episode):
    """Two scenes with the same maps and photographs of opposite colours: what both begin at can only be grey."""
    target = torch.ones_like(episode.support["target"])
    query = torch.ones_like(episode.query["target"])
    scenes = [
        Episode(f"{sign}", episode.support.replace(target=sign * target), episode.query.replace(target=sign * query))
        for sign in (-0.7, 0.7)
    ]

    def error_without_steps(directions: int) -> float:
        gp = copy.deepcopy(toy)
        strategy = prepared(gp, directions=directions, steps=10, inner=Adaptation(lr=2e-2, iterations=0))
        optimizer = outer_optimizer(gp, strategy, 1e-4)
        for index in range(40):
            meta_step(gp, strategy, optimizer, [scenes[index % 2]], Step(index=index, total=40))
        wrong = 0.0
        for scene in scenes:
            images = strategy.adapt(gp, scene.support, Step()).translate(scene.query)
            wrong += (images - scene.query["target"]).square().mean().item() / 2
        return wrong

    assert error_without_steps(2) < 0.5 * error_without_steps(0)


def test_what_is_frozen_has_no_directions_and_stays(toy, episode):
    strategy = prepared(toy, inner=Adaptation(lr=1e-2, iterations=3, freeze=("discriminator",)))
    assert {name.split(".")[1] for name in strategy.meta_parameters() if name.startswith("direction.")} == {"generator"}
    strategy.meta_gradient(toy, episode, Step())
    ours = strategy.adapt(toy, episode.support, Step())
    for p, q in zip(ours.discriminator.parameters(), toy.discriminator.parameters(), strict=True):
        assert torch.equal(p, q)


def test_the_network_of_codes_moves_by_a_rate_of_its_own(toy, episodes):
    strategy = prepared(toy, code_lr=0.0)
    assert strategy.start is not None
    drawn(strategy.start)
    before = {name: parameter.detach().clone() for name, parameter in strategy.meta_parameters().items()}
    meta_step(toy, strategy, outer_optimizer(toy, strategy, 1e-4), episodes, Step(total=10))
    for name, parameter in strategy.meta_parameters().items():
        assert torch.equal(parameter, before[name]) == name.startswith("code."), name
