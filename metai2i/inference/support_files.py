"""The support that `metai2i adapt` is given: pairs, a folder for each field, or photographs without pairs."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from metai2i.batch import Batch
from metai2i.data.folders import single_by_stem
from metai2i.data.pairs_in_folders import LOOKED_FOR, PairFiles
from metai2i.data.remarks import Remarks
from metai2i.errors import UserError
from metai2i.field import EXEMPLAR, PHOTOGRAPH, exemplified
from metai2i.files import check_folder
from metai2i.inference.field_folders import FieldFolders, stacked
from metai2i.inference.pair_folders import IMAGE_ENDINGS, find_pairs, read_pairs
from metai2i.inference.unpaired_support import is_unpaired, read_unpaired
from metai2i.tasks import TaskSpec

log = logging.getLogger("metai2i")


@dataclass(frozen=True)
class SupportFiles:
    """The files of a support: pairs in one of their layouts, a folder for each field, or photographs alone.

    Args:
        folder: that has them.
        names: of the samples, or of the photographs.
        pairs: their files; None where each field has a folder, and for photographs alone.
    """

    folder: Path
    names: tuple[str, ...]
    pairs: tuple[PairFiles, ...] | None

    def read(self, spec: TaskSpec, needs: Collection[str]) -> Batch:
        """Return the support: `target`, and what of a sample is needed besides; of pairs always the label map.

        Args:
            spec: of the data that it is for.
            needs: the fields that the translator reads; those of exemplars are other samples' of the support.

        Raises:
            UserError: for a file that cannot be read as what it should be, views that differ, or a field that is
                not there.
        """
        wanted = {PHOTOGRAPH, *(exemplified(name) for name in needs)}
        remarks = Remarks("support")
        if is_unpaired(needs, spec):
            return read_unpaired(self.folder, needs, spec)
        if self.pairs is not None:
            return _pairs(self.pairs, wanted, spec, self.folder, remarks)
        if not (self.folder / PHOTOGRAPH).is_dir():
            if "structure" in wanted:
                find_pairs(self.folder)  # tells why these are none
            what = f"the translator needs {', '.join(sorted(wanted))}, which photographs alone do not give"
            raise UserError(what, where=self.folder, hint=_layout(wanted, spec))
        folders = FieldFolders(self.folder, wanted, spec)
        further = sorted(each.name for each in self.folder.iterdir() if each.is_dir() and each.name not in wanted)
        if further:
            log.warning("%s: %s not read, as the translator needs %s", self.folder, ", ".join(further),
                        ", ".join(sorted(wanted)))  # fmt: skip
        return stacked([folders.read(name, remarks) for name in folders.names])


def find_support(folder: Path) -> SupportFiles:
    """Return the files of a support: a folder for each field where there is one called `target`, else pairs; what are
    no pairs may be photographs of a domain, for a translator that needs no pairs.

    Raises:
        UserError: when the folder is missing or has none of them.
    """
    check_folder(folder, "expected photographs with their label maps")
    if (folder / PHOTOGRAPH).is_dir():
        photos = single_by_stem(folder / PHOTOGRAPH, IMAGE_ENDINGS)
        if not photos:
            raise UserError("there are no photographs in this folder", where=folder / PHOTOGRAPH)
        return SupportFiles(folder, tuple(sorted(photos)), None)
    try:
        pairs = find_pairs(folder)
    except UserError as error:
        place = folder / EXEMPLAR if (folder / EXEMPLAR).is_dir() else folder
        try:
            photos = single_by_stem(place, IMAGE_ENDINGS)
        except UserError:  # a photograph and its map have one name: these are pairs, and one of them is not whole
            raise error from None
        if not photos:
            hint = f"{LOOKED_FOR}; for a model that learns without pairs, photographs of the domain alone"
            raise UserError("there are no images here", where=folder, hint=hint) from None
        return SupportFiles(folder, tuple(sorted(photos)), None)
    return SupportFiles(folder, tuple(pair.name for pair in pairs), tuple(pairs))


def _pairs(
    pairs: Sequence[PairFiles], wanted: Collection[str], spec: TaskSpec, folder: Path, remarks: Remarks
) -> Batch:
    lacking = sorted(set(wanted) - {PHOTOGRAPH, "structure"})
    if lacking:
        what = f"the translator needs {', '.join(lacking)}, which pairs of photographs and label maps do not give"
        raise UserError(what, where=folder, hint=_layout(wanted, spec))
    return read_pairs(pairs, spec, remarks)


def _layout(wanted: Collection[str], spec: TaskSpec) -> str:
    """Return how the files of a support lie that has these fields."""
    folders = ", ".join(f"{name}/" for name in sorted(wanted) if spec.field(name).is_image)
    texts = [f"{name}.txt" for name in sorted(wanted) if not spec.field(name).is_image]
    return f"make a folder for each field: {folders}" + (f"; and {', '.join(texts)}" if texts else "")
