"""Copies of the general model have buffers of their own, tied where the general model's are."""

from __future__ import annotations

import torch
from torch import nn
from toys import Toy

from metai2i.meta.instance import buffer_places, detach, instance_of


class TwiceNormed(Toy):
    """One normalisation under two names, and one buffer in two modules."""

    def __init__(self, **given):
        super().__init__(**given)
        self.norm = nn.BatchNorm2d(3)
        self.heads = nn.ModuleList([self.norm, nn.Identity(), nn.Identity()])
        scale = torch.ones(2)
        for head in self.heads[1:]:
            head.register_buffer("scale", scale)


def test_what_is_tied_in_the_general_model_is_tied_in_a_copy(spec):
    gp = TwiceNormed(spec=spec)
    for copy in (instance_of(gp), detach(instance_of(gp)), instance_of(gp, share=False)):
        assert copy.norm is copy.heads[0]
        assert copy.heads[1].scale is copy.heads[2].scale
        copy.norm(torch.randn(4, 3, 2, 2))
        assert (int(copy.heads[0].num_batches_tracked), int(gp.norm.num_batches_tracked)) == (1, 0)


def test_a_tied_buffer_stands_in_several_places(spec):
    copy = instance_of(TwiceNormed(spec=spec))
    places = {id(standing[0][0]._buffers[standing[0][1]]): len(standing) for standing in buffer_places(copy)}
    assert places[id(copy.heads[1].scale)] == 2
    assert places[id(copy.norm.running_mean)] == 1
