"""`IoU`: the training scenes whose label maps overlap most with those of the support."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metai2i import Batch, Count, Match, Retriever, Side, Task, UserError, Whole, check_range
from metai2i.data import expanded
from metai2i_iou import plain
from metai2i_iou.building import parts_of
from metai2i_iou.index import Index
from metai2i_iou.measure import Absent, Measure, Pool
from metai2i_iou.packed import Labels, Packed, Query, pack
from metai2i_iou.stored import Store


class IoU(Retriever):
    """Similarity of label maps, Eq. 3 of the paper: the sum over classes of intersection over union.

    Scores are exact and the matches are those of a full comparison, but most candidates are never compared pixel by
    pixel: the areas of the classes, and pixel counts in small cells, bound each score from above, and candidates are
    counted in the order of these bounds until no bound reaches the k-th best score.

    Continuous structures take part by the channel that is greatest at each pixel.

    Args:
        absent: what a class adds that neither map has (0/0 in Eq. 3, which the paper leaves open). `zero`: nothing,
            the sum as printed. `one`: 1, as two empty sets are equal. `mean_present`: nothing, and the sum is divided
            by the number of classes that either map has, so that maps of many classes have no advantage.
        ignore: class ids that are left out, a background for instance.
        size: (H, W) to which maps are resized first, by nearest neighbour; full size when left out. Smaller maps take
            less memory and time, and allow for candidates of several sizes.
        frames: how many evenly spaced frames of a candidate are looked at.
        pool: how several frames make one score between scenes (which the paper leaves open); always the mean over the
            support. `mean_max`: of the best of the candidate's frames. `mean_mean`: of the mean of its frames.
            `medoid`: of its one frame that is most like its others. `first`: of its first frame.
        store: a folder in which the packed maps are kept and from which they are read as they are needed, for
            candidates by the hundred thousand; `~` is the home folder, a relative path starts at the current directory.
            Null packs them anew each time. Candidates whose maps have changed are packed anew, new ones are added, and
            what has been damaged is told and made anew; the folder may be deleted at any time.

    Raises:
        UserError: for a class id below 0, a size below 1 or fewer frames than 1.
    """

    needs = frozenset({"structure"})

    def __init__(
        self,
        *,
        absent: Absent = "zero",
        ignore: tuple[Whole, ...] = (),
        size: tuple[Side, Side] | None = None,
        frames: Count = 16,
        pool: Pool = "mean_max",
        store: Path | None = None,
    ) -> None:
        check_range("retriever.ignore", ignore, tuple[Whole, ...])
        check_range("retriever.size", size, tuple[Side, Side] | None)
        check_range("retriever.frames", frames, Count)
        self.measure = Measure(absent, frozenset(ignore), pool)
        self.size = size
        self.frames = frames
        self.store = None if store is None else expanded(store)
        self._tasks: tuple[Task, ...] = ()

    def index(self, tasks: Sequence[Task]) -> None:
        """Read and pack the label maps of the candidates (at most `frames` of each); replace an earlier index.

        Raises:
            UserError: when maps differ in size (and `size` is not given), a task has none, or `store` cannot be
                written.
        """
        self._tasks = tuple(tasks)
        if not tasks:
            return
        self._shape = self._maps(tasks[0]).shape[1:]
        if self.store is None:
            parts = list(parts_of(tasks, self._packed))
        else:
            digests = np.stack([np.frombuffer(self._digest(task), np.uint8) for task in tasks])
            parts = Store(self.store, self._packing(), digests).parts(tasks, self._packed)
        self._index = Index(parts)

    def query(self, support: Batch, k: int) -> Sequence[Match]:
        """Return the `k` candidates of the highest score, best first; ties in the order of the index.

        Args:
            support: its `structure` (B, C, H, W) is compared.
            k: how many; all candidates when there are fewer.

        Raises:
            UserError: when size or classes do not fit the candidates', or when the files in `store` were changed after
                `index` had read them.
        """
        k = min(k, len(self._tasks))
        if k < 1:
            return []
        maps, classes = self._asked(support)
        self._check_shape(maps, "the support's maps")
        if classes < self._index.classes:
            raise UserError(f"candidates have class {self._index.classes - 1}, but the support {classes} channels")
        if max(self.measure.ignore, default=0) >= classes:
            raise UserError(f"retriever.ignore names class {max(self.measure.ignore)}, but there are {classes} classes")
        queries = [Query.of(labels) for labels in maps]
        return [Match(self._tasks[i], score) for i, score in self._index.best(queries, k, self.measure, classes)]

    @property
    def counted(self) -> int:
        """Return how many candidates the latest query has compared pixel by pixel; the bounds have ruled out the
        others.
        """
        return self._index.counted

    def naive(self, support: Batch, task: Task) -> float:
        """Return the score between a support and a task by plain loops over pixels: what `query` must give."""
        maps, classes = self._asked(support)
        return plain.score(list(maps), list(self._maps(task)), classes, self.measure)

    def _asked(self, support: Batch) -> tuple[Labels, int]:
        """Return the support's maps (B, H, W) at `size`, and the number of classes."""
        structure = support["structure"]
        return self._sized(structure.argmax(dim=1).cpu().numpy()), structure.shape[1]

    def _maps(self, task: Task) -> Labels:
        """Return the (N, H, W) maps of a task that take part."""
        maps = self._sized(task.maps(limit=1 if self.measure.pool == "first" else self.frames).numpy())
        if not maps.size or maps.min() < 0:
            raise UserError(f"task {task.id!r} must give label maps of class ids from 0 on")
        return maps

    def _packed(self, task: Task) -> Packed:
        """Return a task's maps, all of the size of the first candidate's."""
        maps = self._maps(task)
        self._check_shape(maps, f"the maps of task {task.id!r}")
        packed = pack(maps)
        if self.measure.pool != "medoid":
            return packed
        return pack(maps[[self.measure.medoid([Query.of(labels) for labels in maps], packed)]])

    def _packing(self) -> dict[str, Any]:
        """Return the options that decide what is packed of a task."""
        first, medoid = self.measure.pool == "first", self.measure.pool == "medoid"
        return {
            "shape": list(self._shape),
            "size": None if self.size is None else list(self.size),
            "frames": 1 if first else self.frames,
            "medoid": [self.measure.absent, sorted(self.measure.ignore)] if medoid else None,
        }

    def _digest(self, task: Task) -> bytes:
        """Return 16 bytes that change when a task's maps change: by its fingerprint, or else by the maps themselves."""
        hasher = hashlib.blake2b(task.id.encode(), digest_size=16)
        fingerprint = task.fingerprint()
        hasher.update(b"\0" + (self._maps(task).tobytes() if fingerprint is None else fingerprint.encode()))
        return hasher.digest()

    def _sized(self, maps: Labels) -> Labels:
        """Return (N, H, W) maps at `size`: the pixel under the centre of each new one."""
        if self.size is None:
            return maps
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.intp)
            for new, old in zip(self.size, maps.shape[1:], strict=True)
        )
        return maps[:, rows[:, None], columns]

    def _check_shape(self, maps: Labels, whose: str) -> None:
        if maps.shape[1:] != self._shape:
            (height, width), (first_height, first_width) = maps.shape[1:], self._shape
            raise UserError(
                f"{whose} are {height}x{width}, but the first candidate's {first_height}x{first_width}",
                hint="give retriever.size to have all resized to one size",
            )
