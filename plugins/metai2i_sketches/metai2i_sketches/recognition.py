"""`ClassAccuracy`: whether a classifier that knows the training photographs alone recognises an output."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, pad, relu

from metai2i import Batch, Metric, Randomness, Task, TaskSpec, UserError, counted

log = logging.getLogger("metai2i")

WIDTHS = (24, 48, 96, 96)
STEPS, BATCH, RATE = 400, 64, 2e-3
AT_ONCE = 64
"""Photographs that are looked at together."""
HELD_BACK = 10
"""The last of so many photographs of a class show, instead of training it, how good the classifier is. They are a run,
for neighbours may show the same: one concept by several hands, one object in several frames.
"""

_fitted: dict[tuple[str, ...], Recogniser] = {}


@dataclass(frozen=True)
class ClassSpec(TaskSpec):
    """A spec of objects of classes that knows the scenes that train, for metrics that learn of their photographs.

    Args:
        training: these scenes.
    """

    training: Sequence[Task] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(cls, spec: TaskSpec, training: Sequence[Task]) -> ClassSpec:
        """Return a spec with the scenes that train."""
        return cls(**{each.name: getattr(spec, each.name) for each in fields(spec)}, training=training)


class Recogniser(nn.Module):
    """Convolutions with batch norm, each followed by a halving, and a linear layer over their means.

    Args:
        classes: how many there are.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (3, *WIDTHS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(widths[n], widths[n + 1], 3, padding=1, bias=False) for n in range(len(WIDTHS))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in WIDTHS)
        self.linear = nn.Linear(WIDTHS[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, 3, H, W) in [-1, 1], of 16 pixels a side or more."""
        features = images
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            features = avg_pool2d(relu(norm(convolution(features))), 2)
        logits: Tensor = self.linear(features.mean((2, 3)))
        return logits


class ClassAccuracy(Metric):
    """Share of outputs that a classifier takes for objects of their class.

    The classifier is fitted when it is first asked, to the photographs that train and to nothing else; how often it is
    right about those that were held back stands in the log. Queries of classes that do not train have no number.

    Args:
        spec: of a source that says which scenes train: `sketches`, `emoji_sketches`.

    Raises:
        UserError: for other data, or a single class.
    """

    label = "accuracy ↑"
    higher_is_better = True
    smallest = 16
    needs: ClassVar[frozenset[str]] = frozenset({"domain"})

    def __init__(self, *, spec: TaskSpec | None = None) -> None:
        super().__init__(spec=spec)
        if not isinstance(spec, ClassSpec) or not spec.training:
            what = "class_accuracy is for objects of classes, and this data does not say which photographs train"
            raise UserError(what, hint="the task sources 'sketches' and 'emoji_sketches' say it")
        if spec.domains < 2:
            raise UserError(f"class_accuracy needs two classes or more that train, there are {spec.domains}")
        self.training, self.classes = tuple(spec.training), spec.domains

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return 1 where an image is recognised and 0 elsewhere, (B,); NaN for classes that do not train."""
        network = fitted(self.training, self.classes, images.device)
        parts = [network(part).argmax(1) for part in torch.split(images, AT_ONCE)]
        right = (torch.cat(parts) == query["domain"]).double()
        unknown = query["domain"] >= self.classes
        if bool(unknown.any()):
            tell_unknown()
        return right.masked_fill(unknown, torch.nan)


def fitted(training: Sequence[Task], classes: int, device: torch.device) -> Recogniser:
    """Return the classifier of the photographs of some scenes; fitted once in a process."""
    key = (str(device), str(classes), *(task.fingerprint() or str(id(task)) for task in training))
    if key not in _fitted:
        batches = [task.load(range(len(task))) for task in training]
        photographs = torch.cat([batch["target"] for batch in batches])
        labels = torch.cat([batch["domain"] for batch in batches])
        with Randomness(("class accuracy",)).scope(), torch.inference_mode(False), torch.enable_grad():
            _fitted[key] = fit(photographs.to(device), labels.to(device), classes)
    return _fitted[key]


def fit(photographs: Tensor, labels: Tensor, classes: int, steps: int = STEPS) -> Recogniser:
    """Return a classifier of photographs, each class drawn as often as any other.

    Args:
        photographs: (N, 3, H, W) in [-1, 1].
        labels: (N,) int64, below `classes`.
        classes: how many there are.
        steps: of training.
    """
    late = held_back(labels)
    early = torch.nonzero(~late).flatten()
    share = 1 / torch.bincount(labels[early], minlength=classes).clamp_min(1)[labels[early]].double()
    network = Recogniser(classes).to(photographs.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    for _ in range(steps):
        chosen = early[torch.multinomial(share, BATCH, replacement=True)]
        loss = cross_entropy(network(varied(photographs[chosen])), labels[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    network.eval().requires_grad_(False)
    if bool(late.any()):
        right = (network(photographs[late]).argmax(1) == labels[late]).float().mean()
        tell(float(right), int(late.sum()), classes)
    return network


def held_back(labels: Tensor) -> Tensor:
    """Return which samples do not train, (N,) bool: the last of each class, of labels (N,)."""
    late = torch.zeros_like(labels, dtype=torch.bool)
    for label in sorted(set(labels.tolist())):
        of_class = torch.nonzero(labels == label).flatten()
        late[of_class[len(of_class) - len(of_class) // HELD_BACK :]] = True
    return late


def varied(photographs: Tensor) -> Tensor:
    """Return photographs, some of them mirrored, all of them shifted by up to an eighth of their sides."""
    mirrored = torch.rand(len(photographs), 1, 1, 1, device=photographs.device) < 0.5
    photographs = torch.where(mirrored, photographs.flip(3), photographs)
    (height, width), (down, right) = photographs.shape[-2:], (side // 8 for side in photographs.shape[-2:])
    top, left = (int(torch.randint(2 * most + 1, ())) for most in (down, right))
    padded = pad(photographs, (right, right, down, down), mode="replicate")
    return padded[..., top : top + height, left : left + width]


@functools.cache
def tell_unknown() -> None:
    """Say, once in a process, why some queries have no number."""
    words = "class_accuracy has no number for classes that do not train: its classifier knows none of their photographs"
    log.warning("%s (kid, fid and lpips say something of them)", words)


def tell(right: float, count: int, classes: int) -> None:
    """Say how often a classifier is right, and warn where that is hardly more than by chance."""
    words = f"class_accuracy: the classifier is right about {100 * right:.0f} % of {counted(count, 'photograph')}"
    log.info("%s that it was not shown, of %d classes", words, classes)
    if right < 2 / classes:
        log.warning("%s that it was not shown, of %d classes: its numbers say little", words, classes)
