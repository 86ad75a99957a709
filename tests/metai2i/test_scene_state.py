"""What of an adapted model is a scene's own, and the model made of it again."""

from __future__ import annotations

import copy

import pytest
import torch
from metai2i_anil import Anil
from metai2i_baselines import Copy, FineTune, NoAdaptation
from metai2i_bil import Bil
from metai2i_joint import Joint
from metai2i_lora import Lora
from metai2i_mamlpp import MamlPlusPlus
from metai2i_metasgd import MetaSGD
from metai2i_pix2pix import Pix2pix
from metai2i_reptile import Reptile
from torch import nn
from toys import Toy

from metai2i import Adaptation, Augment, Objective, Randomness, Step, TaskSpec
from metai2i.scene_state import bytes_in, differing, numbers_in, overlaid, same_kind, state_of
from metai2i.training.checkpoint import digest

INNER = Adaptation(lr=1e-2, iterations=2, augment=Augment())
STRATEGIES = (Anil, Bil, FineTune, Joint, Lora, MamlPlusPlus, MetaSGD, NoAdaptation, Reptile)


class Tied(nn.Module):
    """Two layers that share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
        self.second.weight = self.first.weight
        self.register_buffer("scratch", torch.zeros(3), persistent=False)


@pytest.fixture
def pix2pix() -> Pix2pix:
    spec = TaskSpec(structure_channels=3, size=(16, 16))
    with Randomness((3,)).scope():
        return Pix2pix(spec=spec, objective=Objective(perceptual=0), width=4, downs=3, d_layers=1, norm="batch")


@pytest.mark.parametrize("strategy_class", STRATEGIES)
def test_what_every_strategy_keeps_makes_its_model_again_bit_for_bit(strategy_class, pix2pix, episode):
    strategy, before = strategy_class(inner=INNER), digest(pix2pix)
    strategy.prepare(pix2pix)
    adapted = strategy.adapt(pix2pix, episode.support, Step())
    again = strategy_class.restored(pix2pix, strategy.kept(pix2pix, adapted))
    assert digest(again) == digest(adapted)
    assert (digest(adapted) == before) == (strategy_class is NoAdaptation)
    assert digest(pix2pix) == before
    assert not {p.data_ptr() for p in pix2pix.parameters()} & {p.data_ptr() for p in again.parameters()}


def test_only_what_differs_is_a_scenes_own(pix2pix, episode):
    kept_names = {}
    for strategy_class in (FineTune, Anil, NoAdaptation):
        adapted = strategy_class(inner=INNER).adapt(pix2pix, episode.support, Step())
        kept_names[strategy_class] = set(strategy_class(inner=INNER).kept(pix2pix, adapted))
    assert kept_names[NoAdaptation] == set()
    assert kept_names[FineTune] >= {name for name, _ in pix2pix.named_parameters()}
    part = {name for name in kept_names[Anil] if name in dict(pix2pix.named_parameters())}
    assert 0 < len(part) < len(list(pix2pix.parameters()))


def test_a_tied_parameter_counts_once_and_buffers_that_are_not_saved_do_not():
    tied = Tied()
    other = copy.deepcopy(tied)
    nn.init.constant_(other.first.weight, 7)
    other.scratch += 1
    assert set(state_of(tied)) == {"first.weight", "first.bias", "second.bias"}
    assert set(differing(tied, other)) == {"first.weight"}
    again = overlaid(tied, differing(tied, other))
    assert again.second.weight is again.first.weight
    assert torch.equal(again.second.weight, other.second.weight)


def test_numbers_and_bytes_are_counted():
    tensors = {"a": torch.zeros(2, 3), "b": torch.zeros(5, dtype=torch.uint8)}
    assert (numbers_in(tensors), bytes_in(tensors)) == (11, 29)


def test_a_name_that_the_general_model_has_not_is_an_error(toy):
    with pytest.raises(ValueError, match=r"the network has no generator\.scale"):
        overlaid(toy, {"generator.scale": torch.zeros(1)})


def test_a_copier_is_no_network_of_the_general_models_kind(toy, episode):
    assert not same_kind(toy, Copy(inner=INNER).adapt(toy, episode.support, Step()))
    assert same_kind(toy, Toy(spec=TaskSpec(structure_channels=3, size=(16, 16))))
