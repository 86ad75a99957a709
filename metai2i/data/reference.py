"""`Reference`: the exemplar that shows a translator what the scene looks like (PG2's condition image).

An exemplar is another sample of the scene. `reference` is its photograph, and `reference_X` its field X: the label map
of that photograph, say, for a translator that finds out what corresponds to what.

The BiL paper makes it from the ground truth of the very pair, by flip, crop and rotation, since its street scenes have
no second photograph. At test that would show a translator what it is to predict. So here it is another photograph of
the scene wherever there is one, and for the queries of an unseen scene always one of the support.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.bounds import Count, Degrees, Kept, Share, check_range
from metai2i.data.augment import Augment
from metai2i.data.exemplar_list import Sample, read_exemplar_list, samples_listed
from metai2i.data.map_iou import summed_iou
from metai2i.errors import UserError
from metai2i.field import EXEMPLAR, ITSELF, FieldLookup, exemplified
from metai2i.randomness import Randomness
from metai2i.tasks import Task


class Reference:
    """Chooses each sample's reference and varies it, apart from what is done to the pair.

    A scene of a single pair has no other photograph: the reference of that pair, in training and while adapting to it,
    is its own photograph varied.

    Args:
        train: where references of training and of support samples come from: other (another photograph of the scene)
            or target (always the pair's own photograph varied, the paper to the letter).
        test: where references of an unseen scene's queries come from: support, or target (the paper to the letter:
            this shows the translator what it is to predict, and its rows are marked as leaking).
        pick: which of several photographs: random, or nearest (the one whose label map has the highest summed IoU).
        among: from how many photographs of a training scene one is picked by `nearest`.
        flip: mirror references left and right with probability 1/2; not for faces, whose halves differ.
        rotate: rotate references by an angle of at most this, in degrees.
        crop: crop references to a window whose sides are at least this fraction of the image's.
        still: give the queries of an unseen scene their support photograph as it was taken, not varied.
        self_share: in training and for support samples, how often the exemplar is the sample itself, in a crop of its
            own. Batches then say of which samples it is (`self_exemplar`), as with `train: target`.
        list: a file that names the exemplars of the images of plain training, of any scene: a line for each image,
            `IMAGE,EXEMPLAR1,EXEMPLAR2,...`, the easiest first and the hardest last. Images without a line get another
            of their scene, and so does everything in episodes. What it says of photographs that a recipe leaves out is
            passed over.
        hard: how often it is the last exemplar of a line instead of the first.

    Raises:
        UserError: when `among` is not positive, `rotate` or `crop` is out of its range, or `list` cannot be read.
    """

    def __init__(
        self,
        *,
        train: Literal["other", "target"] = "other",
        test: Literal["support", "target"] = "support",
        pick: Literal["random", "nearest"] = "random",
        among: Count = 5,
        flip: bool = False,
        rotate: Degrees = 10.0,
        crop: Kept = 0.8,
        still: bool = True,
        self_share: Share = 0.0,
        list: Path | None = None,
        hard: Share = 0.0,
    ) -> None:
        check_range("reference.among", among, Count)
        for name, share in (("self_share", self_share), ("hard", hard)):
            check_range(f"reference.{name}", share, Share)
        self.train, self.test, self.pick, self.among, self.still = train, test, pick, among, still
        self.self_share, self.hard = self_share, hard
        self.names: tuple[str, ...] = (EXEMPLAR,)
        try:
            self._lines = None if list is None else read_exemplar_list(list)
        except UserError as error:
            raise UserError(f"reference.list cannot be used: {error.where}: {error.what}", hint=error.hint) from None
        self._listed: tuple[Sequence[Task], Mapping[Sample, tuple[Sample, ...]]] | None = None
        try:
            self.vary = Augment(flip=flip, rotate=rotate, crop=crop)
        except UserError as error:
            raise UserError(error.what.replace("augment.", "reference."), hint=error.hint) from None

    def of(self, names: Collection[str], lookup: FieldLookup) -> Reference:
        """Return the same choice for a translator and its data.

        Args:
            names: the fields of exemplars that the translator needs.
            lookup: knows what the fields of the data are.
        """
        same = copy.copy(self)
        same.names = tuple(sorted({EXEMPLAR, *names}))
        same.vary = self.vary.of(lookup)
        return same

    def candidates(self, size: int) -> int:
        """Return how many further samples to load for a sample of a training scene of `size` pairs."""
        wanted = self.among if self.pick == "nearest" else 1
        return 0 if self.train == "target" else min(wanted, size - 1)

    def listed(self, tasks: Sequence[Task]) -> Mapping[Sample, tuple[Sample, ...]]:
        """Return the exemplars of the samples of training scenes by the list; none without one.

        Raises:
            UserError: naming file and line, for an image that is not there.
        """
        if self._lines is None:
            return {}
        if self._listed is None or self._listed[0] is not tasks:
            self._listed = tasks, samples_listed(self._lines, tasks, partly=True)
        return self._listed[1]

    def of_list(self, exemplars: Sequence[Sample], rng: Randomness) -> Sample:
        """Return one of the exemplars that a list has for an image."""
        hard = self.hard > 0 and torch.rand(1, generator=rng.at("hard").generator()).item() < self.hard
        return exemplars[-1 if hard else 0]

    def itself(self, count: int, rng: Randomness) -> Tensor:
        """Return which of `count` samples are their own exemplars, (B,) bool."""
        if not self.self_share:
            return torch.zeros(count, dtype=torch.bool)
        return torch.rand(count, generator=rng.at("self").generator()) < self.self_share

    def marked(self, exemplars: Batch, itself: Tensor) -> Batch:
        """Return exemplars with the field that says which samples are their own, where some may be so by the recipe.

        Args:
            exemplars: their fields, (B, ...).
            itself: (B,) bool.
        """
        if self.train == "other" and not self.self_share:
            return exemplars
        home = next(iter(exemplars.values())).device
        return exemplars.replace(**{ITSELF: itself.to(home, torch.int64)})

    def shown(self, pool: Batch, place: Tensor | None = None) -> Batch:
        """Return the fields of exemplars, as they were taken.

        Args:
            pool: samples; those that have exemplars already (unpaired ones) show these.
            place: (B,) which of them; all, in their order, when None.
        """
        fields = {name: pool[name if name in pool else exemplified(name)] for name in self.names}
        return Batch(**fields) if place is None else Batch(**fields).map(lambda field: field[place.to(field.device)])

    def choose(self, batch: Batch, pool: Batch, rng: Randomness, place: Tensor | None = None) -> Tensor:
        """Return which sample of `pool` is the exemplar of each sample of `batch`, (B,).

        Args:
            pool: samples of the same scene, with `target` and, to pick the nearest, `structure`.
            place: (B,) the place of each sample itself in `pool`, which is not chosen unless it is the only one.
        """
        if self.pick == "nearest" and "structure" in pool and "structure" in batch:
            score = summed_iou(batch["structure"], pool["structure"])
        else:
            score = torch.rand(batch.size, pool.size, generator=rng.generator()).to(self.shown(pool)[EXEMPLAR].device)
        if place is not None:
            score = score.scatter(1, place.to(score.device)[:, None], -1.0)
        return score.argmax(1)

    def varied(self, exemplars: Batch, rng: Randomness) -> Batch:
        """Return exemplars, each flipped, cropped and rotated on its own, all of its fields alike."""
        return self.vary(exemplars, rng)

    def for_support(self, support: Batch, drawn: Tensor, rng: Randomness) -> Batch:
        """Return the exemplars' fields for the support samples at `drawn` (B,): other support samples, varied."""
        batch = support.select(drawn)
        if self.train == "target":
            return self.marked(self.varied(self.shown(batch), rng.at("vary")), torch.ones(batch.size))
        place = self.choose(batch, support, rng.at("choose"), drawn)
        if self.self_share:
            place = torch.where(self.itself(batch.size, rng), drawn.cpu(), place.cpu())
        return self.marked(self.varied(self.shown(support, place), rng.at("vary")), place.cpu() == drawn.cpu())

    def of_support(self, support: Batch, drawn: Tensor, rng: Randomness) -> Tensor:
        """Return the photographs alone of `for_support`, (B, 3, H, W)."""
        return self.for_support(support, drawn, rng)[EXEMPLAR]

    def for_query(self, query: Batch, support: Batch, rng: Randomness, *, unseen: bool) -> Batch:
        """Return the exemplars' fields for query samples.

        Args:
            unseen: the scene is one to be judged on: nothing of a query may be in its exemplar (unless the recipe
                says so by `test: target`).
        """
        leaks = self.test == "target" if unseen else self.train == "target"
        if leaks:
            exemplars = self.varied(self.shown(query), rng.at("vary"))
            return exemplars if unseen else self.marked(exemplars, torch.ones(query.size))
        exemplars = self.shown(support, self.choose(query, support, rng.at("choose")))
        if unseen:
            return exemplars if self.still else self.varied(exemplars, rng.at("vary"))
        itself = self.itself(query.size, rng)
        if itself.any():
            both = Batch.cat([exemplars, self.shown(query)])
            exemplars = both.select(torch.arange(query.size) + query.size * itself)
        return self.marked(self.varied(exemplars, rng.at("vary")), itself)
