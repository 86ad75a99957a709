"""Samples in plain folders by fields: a folder for each field, named after it, with a file for each sample::

    target/NAME.jpg   structure/NAME.png   instances/NAME.png   domain.txt

Photographs are as everywhere. A label map holds class ids or the data's colours, a continuous map grey levels or RGB,
ids 8 or 16 bits of grey or the colours of COCO. Labels stand in a text: one for all samples, or `NAME,LABEL` in each
line.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.folders import single_by_stem
from metai2i.data.id_maps import check_refined
from metai2i.data.pairs_in_folders import check_view
from metai2i.data.remarks import Remarks
from metai2i.errors import Location, UserError, counted, did_you_mean
from metai2i.field import PHOTOGRAPH, Field, is_exemplars
from metai2i.files import reason
from metai2i.inference.pair_folders import IMAGE_ENDINGS, read_field
from metai2i.tasks import TaskSpec

READ_CHANNELS = (1, 3)
"""Of a continuous map: a grey image, or one in RGB."""


def readable_field(known: Field | None) -> bool:
    """Return whether files can give a field."""
    if known is None or known.kind == "vector":
        return False
    return known.kind != "map" or known.channels in READ_CHANNELS


def inputs_of(needs: Collection[str]) -> list[str]:
    """Return the fields that a translator is given to paint from, besides exemplars."""
    return sorted(name for name in needs if name != PHOTOGRAPH and not is_exemplars(name))


class FieldFolders:
    """The samples of a folder, a folder in it for each field.

    Args:
        folder: that has them.
        wanted: the fields that are read.
        spec: of the data that they are for.

    Raises:
        UserError: when a field is not there, or has no file for a sample that another field has.
    """

    def __init__(self, folder: Path, wanted: Collection[str], spec: TaskSpec) -> None:
        self.folder, self.spec = folder, spec
        # The photograph first, by which views are compared, then label maps, by which ids are.
        order = {"photo": 0, "onehot": 1, "map": 2, "ids": 3}
        fields = sorted(wanted, key=lambda name: (is_exemplars(name), order.get(spec.field(name).kind, 4), name))
        self._images = {name: self._files(name) for name in fields if spec.field(name).is_image}
        names = sorted({stem for files in self._images.values() for stem in files})
        for name, files in self._images.items():
            lacking = next((stem for stem in names if stem not in files), None)
            if lacking is not None:
                there = next(each for each, others in self._images.items() if lacking in others)
                what = f"this sample has no {name}: {folder / name} has no image called {lacking!r}"
                raise UserError(what, where=self._images[there][lacking])
        self.names: tuple[str, ...] = tuple(names)
        self._labels = {
            name: read_labels(folder / f"{name}.txt", spec.field(name), self.names)
            for name in fields
            if not spec.field(name).is_image
        }

    def path(self, name: str) -> Path:
        """Return the file that stands for a sample in messages."""
        return next(iter(self._images.values()))[name]

    def read(self, name: str, remarks: Remarks | None = None) -> dict[str, Tensor]:
        """Return the fields of a sample.

        Raises:
            UserError: naming the file, when it cannot be used or shows another view than the others.
        """
        sample: dict[str, Tensor] = {}
        for shown in (False, True):  # an exemplar may have another view than its sample
            files = {each: paths[name] for each, paths in self._images.items() if is_exemplars(each) == shown}
            sample |= self._views(files, remarks)
        return sample | {each: torch.tensor(labels[name]) for each, labels in self._labels.items()}

    def _views(self, files: Mapping[str, Path], remarks: Remarks | None) -> dict[str, Tensor]:
        sample: dict[str, Tensor] = {}
        first = next(iter(files.items()), None)
        maps = next((each for each in files if self.spec.field(each).kind == "onehot"), None)
        for each, path in files.items():
            kind = self.spec.field(each).kind
            if first is not None and first[0] != each:
                check_view(first[1], path, exact_formats=kind in ("onehot", "ids"))
            sample[each] = read_field(path, each, self.spec, remarks)
            if kind == "ids" and maps is not None:
                check_refined(path, sample[each].numpy(), sample[maps].argmax(0).numpy())
        return sample

    def _files(self, name: str) -> dict[str, Path]:
        folder = self.folder / name
        if not folder.is_dir():
            there = ", ".join(sorted(f"{each.name}/" for each in self.folder.iterdir() if each.is_dir())) or "none"
            raise UserError(f"there is no folder {name}/ here, which the translator reads", where=self.folder,
                            hint=f"a folder for each field, named after it; there are {there}")  # fmt: skip
        files = single_by_stem(folder, IMAGE_ENDINGS)
        if not files:
            raise UserError(f"there are no images in this folder, expected the {name} of each sample", where=folder)
        return files


def read_labels(path: Path, known: Field, names: Sequence[str]) -> dict[str, int]:
    """Return the label of each sample that a text says.

    Args:
        path: of the text: a label for all samples, or `NAME,LABEL` in each line.
        known: the field, whose names the labels have; or they are whole numbers.
        names: of the samples.

    Raises:
        UserError: naming file and line, for what is no label of the field, or a sample without one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError("this is not text in UTF-8, expected labels", where=path) from None
    except OSError as error:
        hint = "it holds one label for all samples, or NAME,LABEL in each line"
        raise UserError(f"the labels cannot be read: {reason(error)}", where=path, hint=hint) from None
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) == 1 and "," not in lines[0][1]:
        return dict.fromkeys(names, label_number(lines[0][1], known, Location(str(path), lines[0][0])))
    labels: dict[str, int] = {}
    for number, line in lines:
        where = Location(str(path), number)
        name, comma, label = (part.strip() for part in line.rpartition(","))
        sample = next((each for each in (name, Path(name).stem) if each in names), None)
        if not comma or sample is None or sample in labels:
            what = f"expected NAME,LABEL with the name of a sample that has no line yet, got {line[:80]!r}"
            raise UserError(what, where=where, hint=did_you_mean(name, names) if comma else None)
        labels[sample] = label_number(label, known, where)
    lacking = [name for name in names if name not in labels]
    if lacking:
        raise UserError(f"{counted(len(lacking), 'sample')} without a label, {lacking[0]!r} first", where=path)
    return labels


def label_number(text: str, known: Field, where: Location | str) -> int:
    """Return a label by its name; by its number where no name is a number itself.

    Raises:
        UserError: when there is none of this name or number.
    """
    if text in known.names:
        return known.names.index(text)
    most = known.channels - 1 if known.channels else 2**31
    called_by_numbers = any(name.isdecimal() for name in known.names)
    if text.isascii() and text.isdecimal() and int(text) <= most and not called_by_numbers:
        return int(text)
    expected = f"a number from 0 to {most}" if known.channels else "a whole number"
    expected = "one of the names, which are numbers here" if called_by_numbers else expected
    near = did_you_mean(text, known.names) if known.names else None
    every = ", ".join(f"{n} {name}" for n, name in enumerate(known.names))
    hint = near if near is None or near.startswith("did") else f"known: {every}"
    raise UserError(f"no label is called {text[:80]!r}, expected {expected}", where=where, hint=hint)


def stacked(samples: Sequence[Mapping[str, Tensor]]) -> Batch:
    """Return samples as a batch."""
    return Batch(**{name: torch.stack([sample[name] for sample in samples]) for name in samples[0]})
