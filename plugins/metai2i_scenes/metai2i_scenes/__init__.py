"""Procedurally drawn street-like and face-like scenes as a metai2i task source.

Nothing is read or downloaded: every pair is drawn from the seed. Every scene has a look of its own (colours, light,
weather, textures) that stays from frame to frame while the structure changes, so that adapting to the scene pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from metai2i import (
    Batch,
    Count,
    Randomness,
    Register,
    Seed,
    Split,
    Task,
    TaskSource,
    TaskSpec,
    UserError,
    Whole,
    check_range,
    hookimpl,
)
from metai2i_scenes.canvas import Frame
from metai2i_scenes.face import Face
from metai2i_scenes.look import WEATHERS, street_look
from metai2i_scenes.person import HAIR_STYLES, face_look
from metai2i_scenes.street import Street

Kind = Literal["street", "face"]

_DRAWING = 1
"""Counts up whenever the same options draw other images."""

_MULTIPLE = 8
_LEAST = 16
_CACHE_BYTES = 256 << 20

Side = Annotated[int, Field(ge=_LEAST, le=2**14, multiple_of=_MULTIPLE)]
"""Height or width of a drawing, in pixels."""


class Scenes(TaskSource):
    """Drawn scenes: streets that a camera drives along, or faces that turn and talk.

    `structure` is the one-hot label map (10 classes for streets, 7 for faces), `target` the drawn photograph, and
    `instances` tells each car and each person of a street apart: 1000 times the class and a number; all else has its
    class as its id. Scenes and frames depend on the seed only: the first scenes are the same however many are asked
    for, and frames show the same at every size.

    Args:
        kind: what the scenes show: `street` or `face`.
        size: height and width of every image, in pixels; multiples of 8, at least 16.
        train: how many scenes to train on.
        val: how many scenes to validate on.
        test: how many scenes to test on.
        frames: how many pairs every scene has, at least 2.
        seed: another seed gives other scenes.
        touching: on streets, cars queue bumper to bumper and people walk in groups, so that those of one class touch
            and overlap, and each is darker along the border of a nearer one of its class.

    Raises:
        UserError: when an option is out of range.
    """

    provides = frozenset({"structure", "target", "instances"})
    test_options = frozenset({"test"})

    def __init__(
        self,
        *,
        kind: Kind = "street",
        size: tuple[Side, Side] = (64, 64),
        train: Count = 200,
        val: Whole = 12,
        test: Whole = 12,
        frames: Annotated[int, Field(ge=2, le=10**6)] = 20,
        seed: Seed = 0,
        touching: bool = False,
    ) -> None:
        if kind not in ("street", "face"):
            raise UserError(f"tasks.kind: got {kind!r}, expected 'street' or 'face'")
        if len(size) != 2 or any(side < _LEAST or side % _MULTIPLE for side in size):
            raise UserError(
                f"tasks.size: got {list(size)}, expected [height, width], multiples of {_MULTIPLE}, at least {_LEAST}",
                hint="for example [64, 64] or [128, 256]",
            )
        for name, count, least in (("train", train, 1), ("val", val, 0), ("test", test, 0), ("frames", frames, 2)):
            check_range(f"tasks.{name}", count, Annotated[int, Field(ge=least)])
        if touching and kind != "street":
            raise UserError(f"tasks.touching is for streets, got kind: {kind}", hint="leave touching out")
        self.kind: Kind = kind
        self.size = (int(size[0]), int(size[1]))
        self.counts: dict[Split, int] = {"train": train, "val": val, "test": test}
        self.frames = frames
        self.seed = seed
        self.touching = touching
        self._address = Randomness((seed,)).at("scenes", kind)
        self._scene = lru_cache(maxsize=64)(self._make_scene)
        height, width = self.size
        self._frame = lru_cache(maxsize=max(64, _CACHE_BYTES // (6 * height * width)))(self._make_frame)

    def spec(self) -> TaskSpec:
        """Return the spec with the class names and palette of the kind, and all three fields."""
        scene = Street if self.kind == "street" else Face
        return TaskSpec(
            structure_channels=len(scene.classes),
            size=self.size,
            fields=self.provides,
            classes=scene.classes,
            palette=scene.palette,
        )

    def tasks(self, split: Split) -> Sequence[SceneTask]:
        """Return the scenes of a split, called like `street-test-003`."""
        return [SceneTask(self, split, index) for index in range(self.counts[split])]

    def fingerprint(self, split: Split) -> str:
        """Return all options that the scenes of the split depend on, and the version of the drawing."""
        options = (self.kind, self.size, self.counts[split], self.frames, self.seed, self.touching)
        return f"scenes {_DRAWING} {split} {options}"

    def frame(self, split: Split, scene: int, frame: int) -> Frame:
        """Return what one frame shows; kept while there is room."""
        return self._frame(split, scene, frame)

    def _make_scene(self, split: Split, scene: int) -> Street | Face:
        # Weathers and hair styles come in turn, each once in eight scenes, so that small splits have them all.
        order = _numpy(self._address.at(split, "order", scene // 8)).permutation(8)
        which = int(order[scene % 8])
        look, rng = _numpy(self._address.at(split, scene, "look")), _numpy(self._address.at(split, scene, "scene"))
        if self.kind == "street":
            return Street(street_look(look, WEATHERS[which]), rng, self.touching)
        return Face(face_look(look, HAIR_STYLES[which]), rng)

    def _make_frame(self, split: Split, scene: int, frame: int) -> Frame:
        rng = _numpy(self._address.at(split, scene, "frame", frame))
        return self._scene(split, scene).render(frame, *self.size, rng)


class SceneTask(Task):
    """One drawn scene.

    Args:
        source: draws and keeps the frames.
        split: where the scene belongs.
        index: its number within the split.
    """

    def __init__(self, source: Scenes, split: Split, index: int) -> None:
        self.id = f"{source.kind}-{split}-{index:03d}"
        self._source, self._split, self._index = source, split, index

    def __len__(self) -> int:
        """Return as many pairs as the source has frames."""
        return self._source.frames

    def fingerprint(self) -> str:
        """Return the scene's name and the options that its drawing depends on."""
        source = self._source
        return repr((_DRAWING, self.id, source.size, source.frames, source.seed, source.touching))

    def load(self, indices: Sequence[int]) -> Batch:
        """Return `structure` (B, classes, H, W) one-hot, `target` (B, 3, H, W) in [-1, 1], `instances` (B, H, W) int64.

        Raises:
            IndexError: when the scene has no such frame.
        """
        for index in indices:
            if not 0 <= index < len(self):
                raise IndexError(f"task {self.id!r} has frames 0 to {len(self) - 1}, got {index}")
        height, width = self._source.size
        channels = self._source.spec().structure_channels
        structure = torch.zeros(len(indices), channels, height, width)
        target = torch.empty(len(indices), 3, height, width)
        instances = torch.empty(len(indices), height, width, dtype=torch.int64)
        for row, index in enumerate(indices):
            frame = self._source.frame(self._split, self._index, int(index))
            structure[row].scatter_(0, torch.from_numpy(frame.labels).long()[None], 1.0)
            instances[row] = torch.from_numpy(frame.instances.astype(np.int64))
            target[row] = torch.from_numpy(frame.photo).permute(2, 0, 1).float().div_(127.5).sub_(1.0)
        return Batch(structure=structure, target=target, instances=instances)


def _numpy(address: Randomness) -> np.random.Generator:
    return np.random.default_rng(address.seed())


@hookimpl
def register_task_sources(register: Register) -> None:
    """Hand over `scenes`."""
    register("scenes", Scenes)
