"""`Reference`: the photograph that shows a translator what the scene looks like (PG2's condition image).

The BiL paper makes it from the ground truth of the very pair, by flip, crop and rotation, since its street scenes have
no second photograph. At test that would show a translator what it is to predict. So here it is another photograph of
the scene wherever there is one, and for the queries of an unseen scene always one of the support.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.bounds import Count, Degrees, Kept
from metai2i.data.augment import Augment
from metai2i.data.map_iou import summed_iou
from metai2i.errors import UserError
from metai2i.randomness import Randomness


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

    Raises:
        UserError: when `among` is not positive, or `rotate` or `crop` is out of its range.
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
    ) -> None:
        if among < 1:
            raise UserError(f"reference.among must be 1 or more, got {among}")
        self.train, self.test, self.pick, self.among, self.still = train, test, pick, among, still
        try:
            self.vary = Augment(flip=flip, rotate=rotate, crop=crop)
        except UserError as error:
            raise UserError(error.what.replace("augment.", "reference."), hint=error.hint) from None

    def candidates(self, size: int) -> int:
        """Return how many further photographs to load for a sample of a training scene of `size` pairs."""
        wanted = self.among if self.pick == "nearest" else 1
        return 0 if self.train == "target" else min(wanted, size - 1)

    def choose(self, batch: Batch, pool: Batch, rng: Randomness, place: Tensor | None = None) -> Tensor:
        """Return one photograph of `pool` for each sample of `batch`, (B, 3, H, W), as it was taken.

        Args:
            pool: photographs of the same scene, with `target` and, to pick the nearest, `structure`.
            place: (B,) the place of each sample itself in `pool`, which is not chosen unless it is the only one.
        """
        if self.pick == "nearest" and "structure" in pool:
            score = summed_iou(batch["structure"], pool["structure"])
        else:
            score = torch.rand(batch.size, pool.size, generator=rng.generator()).to(pool["target"].device)
        if place is not None:
            score = score.scatter(1, place.to(score.device)[:, None], -1.0)
        return pool["target"][score.argmax(1)]

    def varied(self, photos: Tensor, rng: Randomness) -> Tensor:
        """Return the photographs (B, 3, H, W), each flipped, cropped and rotated on its own."""
        return self.vary(Batch(reference=photos), rng)["reference"]

    def of_support(self, support: Batch, drawn: Tensor, rng: Randomness) -> Tensor:
        """Return references for the support samples at `drawn` (B,): other support photographs, varied."""
        batch = support.select(drawn)
        from_target = self.train == "target"
        photos = batch["target"] if from_target else self.choose(batch, support, rng.at("choose"), drawn)
        return self.varied(photos, rng.at("vary"))

    def of_query(self, query: Batch, support: Batch, rng: Randomness, *, unseen: bool) -> Tensor:
        """Return references for query samples, (B, 3, H, W).

        Args:
            unseen: the scene is one to be judged on: nothing of a query may be in its reference (unless the recipe
                says so by `test: target`).
        """
        leaks = self.test == "target" if unseen else self.train == "target"
        if leaks:
            return self.varied(query["target"], rng.at("vary"))
        photos = self.choose(query, support, rng.at("choose"))
        return photos if unseen and self.still else self.varied(photos, rng.at("vary"))
