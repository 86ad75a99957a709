"""Each contract of metrics catches the plugin that breaks it, and a good one keeps them all."""

from __future__ import annotations

import pytest
import torch

from metai2i import Metric, TaskSpec, UserError
from metai2i.testing import contracts_of, run_contracts


class Good(Metric):
    """The mean absolute difference."""

    label = "L1 ↓"
    higher_is_better = False

    def __call__(self, images, query):
        return (images - query["target"]).abs().mean((1, 2, 3))


class NoLabel(Good):
    label = ""


class OneForAll(Good):
    """A mean over the batch."""

    def __call__(self, images, query):
        return super().__call__(images, query).mean()


class LooksAway(Good):
    """NaN where the image is bad."""

    def __call__(self, images, query):
        values = super().__call__(images, query)
        return values.where(images.flatten(1).std(1) > 1e-3, torch.nan)


class PrefersSmooth(Good):
    """A little noise is better than the photograph."""

    def __call__(self, images, query):
        return (super().__call__(images, query) - 0.05).abs()


class Saturates(Good):
    """From some noise on, everything is equally bad."""

    def __call__(self, images, query):
        return super().__call__(images, query).clamp(max=0.1)


class Compared(Good):
    """Beside what the others have."""

    def __call__(self, images, query):
        values = super().__call__(images, query)
        return values + 0.1 * values.max()


class Draws(Good):
    """Some pixels, drawn anew each time, which make little difference."""

    def __call__(self, images, query):
        return super().__call__(images, query) * (1 + 1e-7 * torch.rand(()).double())


BREAKS = {
    NoLabel: "it says how tables call it",
    OneForAll: "it gives one number for each image",
    LooksAway: "the query alone decides on nan",
    PrefersSmooth: "equal images get the best value",
    Saturates: "more noise is worse",
    Compared: "a number does not depend on its neighbours",
    Draws: "the same image gets the same number",
}


def outcomes(metric: type, **given):
    return run_contracts("metric", metric, **given)


def test_a_good_metric_keeps_all_contracts():
    assert {outcome.status for outcome in outcomes(Good)} == {"ok"}


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.__name__)
def test_the_contract_that_is_broken_fails(broken):
    failed = [outcome.contract.name for outcome in outcomes(broken) if outcome.status == "failed"]
    # One number for a whole batch has no neighbours and no queries either: nothing that takes it apart can do so.
    assert failed == [BREAKS[broken]] or (broken is OneForAll and BREAKS[broken] in failed)


def test_every_contract_has_a_plugin_that_breaks_it():
    assert {contract.name for contract in contracts_of("metric")} == set(BREAKS.values())


def test_a_metric_the_wrong_way_round_is_caught():
    class Upside(Good):
        higher_is_better = True

    failed = {outcome.contract.name for outcome in outcomes(Upside) if outcome.status == "failed"}
    assert failed == {"equal images get the best value", "more noise is worse"}


def test_a_metric_that_measures_nothing_here_says_so():
    class Nothing(Good):
        def __call__(self, images, query):
            return torch.full((len(images),), torch.nan)

    statuses = {outcome.contract.name: outcome.status for outcome in outcomes(Nothing)}
    assert statuses["more noise is worse"] == "skipped"
    assert set(statuses.values()) == {"ok", "skipped"}


def test_a_metric_that_does_not_fit_the_data_is_the_users_to_put_right():
    class Eyes(Good):
        def __init__(self, *, spec) -> None:
            if "eyes" not in spec.classes:
                raise UserError("needs eyes")

    with pytest.raises(UserError, match="needs eyes"):
        outcomes(Eyes)
    spec = TaskSpec(structure_channels=1, size=(16, 16), classes=("eyes",))
    assert {outcome.status for outcome in outcomes(Eyes, spec=spec)} == {"ok"}
