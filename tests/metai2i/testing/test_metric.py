"""Each contract of metrics catches the plugin that breaks it, and a good one keeps them all."""

from __future__ import annotations

import pytest
import torch

from metai2i import Metric, SetMetric, TaskSpec, UserError
from metai2i.registry import Registry
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


class LooksFurther(Good):
    """Reads the label map, which it does not name."""

    needs = frozenset({"target", "domain"})

    def __call__(self, images, query):
        return super().__call__(images, query) * query["structure"].sum((1, 2, 3)).sign()


class Parted(SetMetric):
    """How far mean colours are apart."""

    label, higher_is_better = "means ↓", False

    def features(self, images):
        return images.mean((2, 3))

    def score(self, outputs, real):
        return float((outputs.mean(0) - real.mean(0)).norm())


class Nameless(Parted):
    label = ""


class OneRow(Parted):
    def features(self, images):
        return images.mean((2, 3)).mean(0, keepdim=True)


class Centred(Parted):
    """Features beside what the others have."""

    def features(self, images):
        return images.mean((2, 3)) + images.mean()


class Undecided(Parted):
    def score(self, outputs, real):
        return float("nan") if len(outputs) < 4 else super().score(outputs, real)


class Reversed(Parted):
    higher_is_better = True


class Drawing(Parted):
    def score(self, outputs, real):
        return super().score(outputs, real) * (1 + 1e-7 * float(torch.rand(())))


OF_SETS = {
    Nameless: "it says how tables call it",
    OneRow: "it gives features of each image",
    Centred: "features do not depend on neighbours",
    Undecided: "a score is a finite number",
    Reversed: "a set has the best score against itself",
    Drawing: "the same sets get the same score",
}

BREAKS = {
    LooksFurther: "of the query it reads what it needs",
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


def test_a_good_set_metric_keeps_all_contracts():
    assert {outcome.status for outcome in outcomes(Parted)} == {"ok"}


@pytest.mark.parametrize("broken", OF_SETS, ids=lambda broken: broken.__name__)
def test_the_contract_of_set_metrics_that_is_broken_fails(broken):
    failed = [outcome.contract.name for outcome in outcomes(broken) if outcome.status == "failed"]
    assert failed == [OF_SETS[broken]] or (broken is OneRow and OF_SETS[broken] in failed)


def test_every_contract_of_set_metrics_has_a_plugin_that_breaks_it():
    assert {contract.name for contract in contracts_of("metric", Parted)} == set(OF_SETS.values())


def test_a_metric_of_several_outputs_without_photographs_keeps_what_speaks_of_it():
    class Spread(Good):
        higher_is_better, needs, several = True, frozenset(), True

        def __call__(self, images, query):
            return images.std(1).mean((1, 2, 3))

    statuses = {outcome.contract.name: outcome.status for outcome in outcomes(Spread)}
    assert [name for name, status in statuses.items() if status != "ok"] == [
        "equal images get the best value",
        "more noise is worse",
    ]
    assert set(statuses.values()) == {"ok", "skipped"}


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


def test_contracts_of_a_metric_whose_weights_are_nowhere_are_skipped_with_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("metai2i.losses.backbone_weights._download", refuse_to_download)
    monkeypatch.delenv("METAI2I_WEIGHTS", raising=False)
    by_status = {}
    for outcome in run_contracts("metric", Registry().get("metric", "fid")):
        by_status.setdefault(outcome.status, []).append(outcome.why)
    assert "failed" not in by_status
    (missing,) = set(by_status["skipped"])
    assert missing.startswith("no weights for the network 'inception-fid'")
    assert missing.endswith("; METAI2I_WEIGHTS names a folder with the file")


def refuse_to_download(address, folder):
    raise OSError("no network")
