"""Inputs without pixels: a translator that is told a label alone, such as a class, and draws what else there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.folders import single_by_stem
from metai2i.errors import UserError
from metai2i.files import reason
from metai2i.inference.field_folders import read_labels
from metai2i.inference.pair_folders import IMAGE_ENDINGS
from metai2i.tasks import TaskSpec


class LabelInputs:
    """The labels of each image that is to be made, of a text: one for each line `NAME,LABEL`. Where images lie beside
    the text, or a folder of a field has some, there is an output for each of these, of its name.

    Args:
        place: the text, or a folder with a text for each field (`domain.txt`); or images, for labels that all have in
            common.
        wanted: the fields that are read.
        given: what all inputs have in common.
        spec: of the data.

    Raises:
        UserError: when a text is not there, or nothing says how many images there shall be.
    """

    def __init__(self, place: Path, wanted: Sequence[str], given: Batch | None, spec: TaskSpec) -> None:
        texts = {name: place if place.suffix == ".txt" else place / f"{name}.txt" for name in wanted}
        self.names = image_names(place)
        for text in texts.values():
            self.names = self.names or label_names(text)
        if not self.names:
            what = "nothing here says how many images shall be made, for the translator reads no image in this way"
            raise UserError(what, where=place, hint="name a folder of images, or a text with NAME,LABEL in each line")
        common = {} if given is None else {name: values[0] for name, values in given.items()}
        labels = {name: read_labels(text, spec.field(name), self.names) for name, text in texts.items()}
        self._samples: list[dict[str, Tensor]] = [
            common | {field: torch.tensor(by_name[name]) for field, by_name in labels.items()} for name in self.names
        ]

    def read(self, number: int) -> dict[str, Tensor]:
        """Return the labels of an input, by its place in `names`."""
        return self._samples[number]


def image_names(place: Path) -> list[str]:
    """Return the names of the images of a folder or, where it has none, of the first folder in it that has some."""
    if place.is_file():
        return [] if place.suffix == ".txt" else [place.stem]
    if not place.is_dir():
        raise UserError("there is no such file or folder", where=place, hint="expected domain.txt, or images")
    folders = [place, *sorted(each for each in place.iterdir() if each.is_dir())]
    return next((list(files) for each in folders if (files := single_by_stem(each, IMAGE_ENDINGS))), [])


def label_names(text: Path) -> list[str]:
    """Return the names in a text of labels; the label itself where it is the only word.

    Raises:
        UserError: when it cannot be read.
    """
    try:
        lines = [line.strip() for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise UserError("this is not text in UTF-8, expected labels", where=text) from None
    except OSError as error:
        hint = "a text with NAME,LABEL in each line says which images shall be made, or --domain one label for all"
        raise UserError(f"the labels cannot be read: {reason(error)}", where=text, hint=hint) from None
    return [line.rpartition(",")[0].strip() or line for line in lines]
