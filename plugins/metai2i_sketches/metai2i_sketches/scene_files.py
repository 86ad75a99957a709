"""Where scenes lie, and how the composite of one is read: objects on white with the sketch of the background."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from metai2i_domains import images_in

from metai2i import Split, UserError
from metai2i.data import DAMAGED, by_stem, check_drawing, header, read_photograph
from metai2i_sketches.compose import Box
from metai2i_sketches.drawings import WHITE
from metai2i_sketches.objects import THINGS
from metai2i_sketches.scene_list import Filling, Images, SceneList, read_list

PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
_PARTS: Mapping[Split, tuple[str, ...]] = {"train": ("trainInTrain", "valInTrain"), "test": ("val",)}
"""SketchyCOCO's splits of scenes."""
_HDF5 = 2
"""The major version of MATLAB's files from 7.3 on, which SciPy does not read."""


@dataclass(frozen=True)
class SceneFiles(ABC):
    """The files of a scene.

    Args:
        name: of the scene.
        photo: its photograph.
    """

    name: str
    photo: Path

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """Return all of its files, the photograph first."""

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Return the boxes of its objects, in pixels of the photograph; none where nobody has listed them."""
        return ()

    def check(self, filling: Filling) -> None:
        """Look at what costs little: that images are some.

        Raises:
            UserError: naming the file.
        """
        header(self.photo)

    @abstractmethod
    def composite(self, filling: Filling) -> np.ndarray:
        """Return the objects and the sketch of the background on white, (H, W, 3) uint8.

        Raises:
            UserError: naming the file.
        """


@dataclass(frozen=True)
class ListedScene(SceneFiles):
    """A scene whose objects a file lists.

    Args:
        listed: what the file says.
    """

    listed: SceneList = field(default_factory=lambda: SceneList(Path()))

    @property
    def files(self) -> tuple[Path, ...]:
        """Return photograph, list, background and objects."""
        return (self.photo, *self.listed.files)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Return the boxes of its list."""
        return tuple(each.box for each in self.listed.objects)

    def check(self, filling: Filling) -> None:
        """Look at images, and whether boxes are within the scene."""
        self.listed.check(header(self.photo).size, filling)

    def composite(self, filling: Filling) -> np.ndarray:
        """Return the objects on white, each in its box."""
        return self.listed.composite(read_photograph(self.photo, on=WHITE).size, filling)


@dataclass(frozen=True)
class SketchyScene(SceneFiles):
    """A scene of SketchyCOCO: the photograph where its objects are, its sketch elsewhere.

    Args:
        sketch: of the whole scene.
        classes: the class of each pixel, by MATLAB.
    """

    sketch: Path = field(default_factory=Path)
    classes: Path = field(default_factory=Path)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return photograph, sketch and classes."""
        return self.photo, self.sketch, self.classes

    def check(self, filling: Filling) -> None:
        """Look at the photograph, whose objects are the only ones that there are."""
        if not isinstance(filling, Images):
            what = "the objects of SketchyCOCO's scenes are those of their photographs: there is nothing to fill"
            raise UserError(what, where=self.photo, hint="tasks.fill and tasks.model are for scenes with lists")
        super().check(filling)

    def composite(self, filling: Filling) -> np.ndarray:
        """Return the photograph's objects on the sketch."""
        photo = np.asarray(read_photograph(self.photo))
        image = read_photograph(self.sketch, on=WHITE)
        check_drawing(np.asarray(image.convert("L")), self.sketch)
        sketch = np.asarray(
            image if image.size == (photo.shape[1], photo.shape[0]) else image.resize(photo.shape[1::-1])
        )
        ids = read_matrix(self.classes)
        if ids.shape != photo.shape[:2]:
            got, size = f"{ids.shape[1]}x{ids.shape[0]}", f"{photo.shape[1]}x{photo.shape[0]}"
            raise UserError(f"the classes are {got}, their photograph {self.photo} is {size}", where=self.classes)
        objects = np.isin(ids, [int(number) for number in THINGS])
        return np.where(objects[..., None], photo, sketch)


def find_scenes(root: Path) -> dict[Split, list[SceneFiles]]:
    """Return the scenes of a root: SketchyCOCO's, or lists of objects beside their photographs.

    Raises:
        UserError: when there are none, or a file of one is missing or not as it should be.
    """
    if (root / "Scene" / "GT").is_dir():
        return {split: [s for part in _PARTS[split] for s in _sketchy(root / "Scene", part)] for split in _PARTS}
    scenes: dict[Split, list[SceneFiles]] = {}
    for split in _PARTS:
        listings = by_stem(root / split, (".json",))
        photos = by_stem(root / split, PHOTOGRAPHS)
        scenes[split] = [_listed(paths[0], photos.get(name, [])) for name, paths in sorted(listings.items())]
    if not any(scenes.values()):
        looked = "looked for Scene/GT/ (SketchyCOCO), and for train/NAME.json and test/NAME.json beside photographs"
        raise UserError("there are no scenes here", where=root, hint=looked)
    return scenes


def read_matrix(path: Path) -> np.ndarray:
    """Return the only array of numbers in a file of MATLAB, (H, W).

    Raises:
        UserError: when there is another number of them, or the file cannot be read.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError, matfile_version

    try:
        if matfile_version(str(path), appendmat=False)[0] == _HDF5:
            raise UserError("this is a file of MATLAB 7.3, expected one of version 7 or before", where=path)
        content: Any = loadmat(str(path), appendmat=False)
    except (*DAMAGED, MatReadError) as error:
        raise UserError(f"this file of MATLAB cannot be read: {error}", where=path) from None
    arrays = [each for name, each in content.items() if not name.startswith("__")]
    numbers = [each for each in arrays if isinstance(each, np.ndarray) and each.ndim == 2 and each.dtype.kind in "iuf"]
    if len(numbers) != 1:
        raise UserError(f"expected one array (H, W) of numbers, there are {len(numbers)}", where=path)
    return numbers[0]


def _sketchy(scene: Path, part: str) -> list[SceneFiles]:
    """Return SketchyCOCO's scenes of a part."""
    scenes: list[SceneFiles] = []
    for photo in images_in(scene / "GT" / part):
        sketches = by_stem(scene / "Sketch" / "paper_version" / part, PHOTOGRAPHS).get(photo.stem, [])
        classes = scene / "Annotation" / "paper_version" / part / "CLASS_GT" / f"{photo.stem}.mat"
        if not sketches:
            expected = scene / "Sketch" / "paper_version" / part / f"{photo.stem}.png"
            raise UserError(f"the photograph has no sketch; expected {expected}", where=photo)
        if not classes.is_file():
            raise UserError(f"the photograph has no classes; expected {classes}", where=photo)
        scenes.append(SketchyScene(f"{part}/{photo.stem}", photo, sketches[0], classes))
    return scenes


def _listed(listing: Path, photos: Sequence[Path]) -> ListedScene:
    """Return the scene of a list."""
    if len(photos) != 1:
        what = "there is no photograph" if not photos else f"there are {len(photos)} photographs"
        raise UserError(f"{what} of this name beside it, expected one", where=listing)
    return ListedScene(listing.stem, photos[0], read_list(listing))
