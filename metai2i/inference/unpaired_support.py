"""A support without pairs: photographs of a new domain, and inputs of others to train the translation with::

    NAME.jpg                                          photographs of the domain alone
    reference/NAME.jpg   source/NAME.jpg   domain.txt   photographs of it, and inputs with their domains

Nothing pairs `source` and `reference`: each is gone through in the order of its names, the shorter one again and again.
Without `source/` the domain's photographs are the inputs as well. `reference_domain.txt` names the domain, where it is
one that the data knows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch

from metai2i.batch import Batch
from metai2i.data.folders import single_by_stem
from metai2i.errors import UserError
from metai2i.field import EXEMPLAR, NEW_DOMAIN, PHOTOGRAPH, is_exemplars
from metai2i.inference.field_folders import read_labels
from metai2i.inference.pair_folders import IMAGE_ENDINGS, read_field
from metai2i.tasks import TaskSpec

SOURCE = "source"
GIVEN = frozenset({SOURCE, "domain", EXEMPLAR, f"{EXEMPLAR}2", f"{EXEMPLAR}_domain"})
"""The fields that it can have."""


def is_unpaired(needs: Collection[str], spec: TaskSpec) -> bool:
    """Return whether a translator learns without pairs: it reads no photograph of what an input should become, on data
    that has exemplars of its own.
    """
    return PHOTOGRAPH not in needs and any(map(is_exemplars, spec.fields))


def read_unpaired(folder: Path, needs: Collection[str], spec: TaskSpec) -> Batch:
    """Return the support in a folder: what of the fields the translator needs.

    Raises:
        UserError: for fields that it cannot have, files that cannot be read, and labels that there are not.
    """
    lacking = sorted(set(needs) - GIVEN)
    if lacking:
        what = f"the translator needs {', '.join(lacking)}, which photographs without pairs do not give"
        raise UserError(what, where=folder)
    photos = _images(folder / EXEMPLAR if (folder / EXEMPLAR).is_dir() else folder)
    beside = (folder / SOURCE).is_dir()
    inputs = _images(folder / SOURCE) if beside else photos
    count = max(len(photos), len(inputs))
    shown = [list(photos)[n % len(photos)] for n in range(count)]
    given = [list(inputs)[(n + (not beside)) % len(inputs)] for n in range(count)]
    domains = _labels(folder / "domain.txt", inputs, spec, new=not beside)
    into = _labels(folder / f"{EXEMPLAR}_domain.txt", photos, spec, new=True)
    others = [shown[(n + 1) % count] for n in range(count)]
    fields = {
        SOURCE: lambda: _photographs(given, inputs, SOURCE, spec),
        "domain": lambda: torch.tensor([domains[name] for name in given]),
        EXEMPLAR: lambda: _photographs(shown, photos, EXEMPLAR, spec),
        f"{EXEMPLAR}2": lambda: _photographs(others, photos, EXEMPLAR, spec),
        f"{EXEMPLAR}_domain": lambda: torch.tensor([into[name] for name in shown]),
    }
    return Batch(**{name: fields[name]() for name in sorted(needs)})


def _images(folder: Path) -> Mapping[str, Path]:
    images = single_by_stem(folder, IMAGE_ENDINGS)
    if not images:
        raise UserError("there are no photographs in this folder", where=folder)
    return images


def _photographs(names: Collection[str], images: Mapping[str, Path], field: str, spec: TaskSpec) -> torch.Tensor:
    return torch.stack([read_field(images[name], field, spec) for name in names])


def _labels(path: Path, images: Mapping[str, Path], spec: TaskSpec, *, new: bool) -> Mapping[str, int]:
    """Return the domain of each image.

    Args:
        new: whether they are of a domain that the data does not know where no text says otherwise.
    """
    known = spec.field("domain")
    if new and not path.exists() and NEW_DOMAIN in known.names:
        return dict.fromkeys(images, known.names.index(NEW_DOMAIN))
    return read_labels(path, known, tuple(images))
