"""GP-UNIT with labels: what the probe learns, and what it asks of outputs."""

from __future__ import annotations

import pytest
import torch
from metai2i_gpunit import GPUnitLabelled
from torch.nn.functional import cross_entropy

from metai2i import Batch, Field, Objective, Step, TaskSpec, UserError

OBJECTIVE = Objective(l1=1, adversarial=1, perceptual=0)
NAMES = ("left", "right", "no label")


def labelled(names=NAMES, **options):
    also = {"label": Field("label", len(names), names)}
    spec = TaskSpec(0, (32, 32), GPUnitLabelled.needs, domains=2, also=also)
    return GPUnitLabelled(spec=spec, objective=OBJECTIVE, **{"width": 1, "sampler_epochs": 1, **options}).eval()


def batch(labels, theirs):
    rng = torch.Generator().manual_seed(0)
    source, reference = torch.rand(2, len(labels), 3, 32, 32, generator=rng) * 2 - 1
    numbers = {"label": torch.tensor(labels), "reference_label": torch.tensor(theirs)}
    return Batch(
        source=source, reference=reference, reference_domain=torch.zeros(len(labels), dtype=torch.long), **numbers
    )


def moves(translator, samples):
    return list(translator.training_step(samples.replace(**translator.draws(samples, Step())), Step()))


def test_the_probe_learns_the_labels_of_both_domains_from_codes_and_moves_first():
    translator, samples = labelled(), batch([0, 2], [1, 2])
    codes = torch.cat([translator.encoder(samples[name]).code.flatten(1) for name in ("source", "reference")])
    given = moves(translator, samples)
    assert [who for who, _ in given] == ["probe", ("generator", "style"), "discriminator"]
    expected = cross_entropy(translator.probe(codes[[0, 2]]), torch.tensor([0, 1]))  # the others have no label
    torch.testing.assert_close(given[0][1]["probe"], expected)


@pytest.mark.parametrize(("sure", "counts"), [(0.0, 2), (9.0, 3)])
def test_an_output_is_to_have_its_inputs_label_or_the_one_that_the_probe_is_sure_of(sure, counts):
    translator, samples = labelled(labels=3.0), batch([0, 1, 2], [2, 2, 2])
    torch.nn.init.zeros_(translator.probe.weight)
    translator.probe.bias.data = torch.tensor([sure, 0.0])  # says "left", more or less surely, whatever the code
    _, terms = moves(translator, samples)[1]
    losses = cross_entropy(translator.probe.bias.expand(3, 2), torch.tensor([0, 1, 0]), reduction="none")
    torch.testing.assert_close(terms["labels"], 3 * losses[:counts].mean())


def test_without_any_label_and_any_guess_nothing_is_asked():
    translator, samples = labelled(confidence=1.0), batch([2, 2], [2, 2])
    given = moves(translator, samples)
    assert float(given[0][1]["probe"].detach()) == 0
    assert float(given[1][1]["labels"].detach()) == 0


def test_data_with_a_single_label_is_refused():
    with pytest.raises(UserError, match="needs two labels or more, and one that stands for none, got 1"):
        labelled(("left", "no label"))
