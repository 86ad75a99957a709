"""`GPUnitLabelled`: GP-UNIT for distant domains, in which a few labels say what corresponds to what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metai2i import Batch, Losses, Move, Objective, Share, Step, TaskSpec, UserError, Weight
from metai2i_gpunit.content import Content
from metai2i_gpunit.losses import weighted_mean
from metai2i_gpunit.sizes import CODE
from metai2i_gpunit.translator import GPUnit


class GPUnitLabelled(GPUnit):
    """GP-UNIT that is told of a few images of both domains what they show, by labels that the domains share.

    A proposal after the abstract of the journal version, whose formulas are not known: a linear probe learns the
    labels from content codes, of inputs and exemplars alike, and what it says of an output's code is to be the
    input's label. An input without a label has the one that the probe says of its own code, where it is sure.

    Its other options are those of `gpunit`. The last of the labels' names stands for no label.

    Args:
        spec: the data's, from the host; it says how many labels there are.
        objective: the recipe's, from the host.
        labels: weight of the cross-entropy between an output's label and its input's.
        confidence: the probability from which the probe's word stands for a label.

    Raises:
        UserError: when there are fewer than two labels.
    """

    needs = GPUnit.needs | {"label", "reference_label"}

    def __init__(
        self,
        *,
        spec: TaskSpec,
        objective: Objective,
        labels: Weight = 1.0,
        confidence: Share = 0.9,
        **options: Any,
    ) -> None:
        super().__init__(spec=spec, objective=objective, **options)
        known = spec.known_field("label")
        self.count = max(0, known.channels - 1) if known is not None else 0
        if self.count < 2:
            raise UserError(f"gpunit_labelled needs two labels or more, and one that stands for none, got {self.count}")
        self.confidence = confidence
        self.weights["labels"] = labels
        self.probe = nn.Linear(CODE * CODE, self.count)

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return those of `gpunit`, and that of the probe."""
        return {**super().players(), "probe": self.probe.parameters()}

    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield the probe's move, and then those of `gpunit`, with what the probe says of outputs."""
        with torch.no_grad():
            codes = torch.cat([self.encoder(batch[name]).code for name in ("source", "reference")])
        labels = torch.cat([batch["label"], batch["reference_label"]])
        yield "probe", {"probe": self._wrong(codes, labels, labels < self.count)}
        yield from super().training_step(batch, step)

    def _further(self, batch: Batch, content: Content, code: Tensor) -> Losses:
        """Return how unlike its input's the label of an output is."""
        with torch.no_grad():
            sure, guess = self._said(content.code).softmax(1).max(1)
        given = batch["label"] < self.count
        labels = torch.where(given, batch["label"], guess)
        return {"labels": self.weights["labels"] * self._wrong(code, labels, given | (sure > self.confidence))}

    def _said(self, codes: Tensor) -> Tensor:
        """Return what the probe says of codes (N, 1, 8, 8), logits (N, labels)."""
        logits: Tensor = self.probe(codes.flatten(1))
        return logits

    def _wrong(self, codes: Tensor, labels: Tensor, counted: Tensor) -> Tensor:
        """Return the cross-entropy of codes (N, 1, 8, 8) and labels (N,), a mean over those that count (N,)."""
        losses = cross_entropy(self._said(codes), labels.clamp(max=self.count - 1), reduction="none")
        return weighted_mean(losses, counted.to(losses))
