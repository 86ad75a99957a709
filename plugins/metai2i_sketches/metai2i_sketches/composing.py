"""Composites of sketched scenes, and what a model paints of them: the work behind `metai2i data compose`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from metai2i import Batch, CannotWrite, UserError, counted, load_adapted, reason, refuse_existing
from metai2i.data import as_one_error, by_stem, failing, fit_photo, header, to_uint8
from metai2i_sketches.making import Made, fields_read
from metai2i_sketches.scene_list import Filling, Images, SceneList, read_list

COMPOSITES = "composites"


class Painter:
    """Paints scenes of composites.

    Args:
        path: the model, which `metai2i adapt` has written.

    Raises:
        UserError: when it is none, or does not paint from three channels alone.
    """

    def __init__(self, path: Path) -> None:
        self._model = load_adapted(path)
        fields, spec = fields_read(self._model.translator, self._model.way), self._model.spec
        known = spec.known_field("structure")
        if fields != {"structure"} or known is None or (known.kind, known.channels) != ("map", 3):
            what = f"this model paints from {', '.join(sorted(fields))}, expected objects on white in three channels"
            raise UserError(what, where=path, hint="`metai2i adapt` writes one of a run on `sketch_scenes`")

    def painted(self, composite: np.ndarray) -> np.ndarray:
        """Return the scene of a composite, at the size of the model.

        Args:
            composite: (H, W, 3) uint8.

        Returns:
            (H', W', 3) uint8.
        """
        fitted = np.array(fit_photo(Image.fromarray(composite), self._model.spec.size))
        structure = torch.from_numpy(fitted).permute(2, 0, 1)[None].float() / 255
        image: np.ndarray = to_uint8(self._model.paint(Batch(structure=structure)))[0].cpu().permute(1, 2, 0).numpy()
        return image


def compose_scenes(
    scenes: Path, out: Path, objects: Path | None, scene: Path | None, *, overwrite: bool = False
) -> list[str]:
    """Write the composite of each scene, and the scene itself where a model paints it; return what to say of it.

    Args:
        scenes: a list, or a folder of lists.
        out: the folder for images.
        objects: the model that makes images of sketches; None for objects that have images.
        scene: the model that paints; None for composites alone.
        overwrite: whether images that are there already are written anew.

    Raises:
        UserError: before anything is written, for lists, files or models that are not as they should be.
    """
    filling: Filling = Images() if objects is None else Made(objects)
    painter = None if scene is None else Painter(scene)
    lists = find_lists(scenes)
    composites: dict[Path, np.ndarray] = {}

    bad = failing(lists, lambda listed: listed.check(size_of(listed), filling))
    for listed in lists:  # one after another: what a model draws hangs on nothing that happens beside it
        if listed not in bad:
            try:
                composites[listed.listing] = listed.composite(size_of(listed), filling)
            except UserError as error:
                bad[listed] = error
    if bad:
        raise as_one_error([bad[listed] for listed in lists if listed in bad], "nothing was written")
    targets = {each.listing: [out / COMPOSITES / f"{each.listing.stem}.png"] for each in lists}
    if painter is not None:
        for each in lists:
            targets[each.listing].append(out / f"{each.listing.stem}.png")
    refuse_existing([path for paths in targets.values() for path in paths], overwrite=overwrite)
    for listing, composite in composites.items():
        images = [composite, *([] if painter is None else [painter.painted(composite)])]
        for path, image in zip(targets[listing], images, strict=True):
            write_image(path, image)
    words = f"{counted(len(lists), 'composite')} in {out / COMPOSITES}"
    return [words, *([] if painter is None else [f"{counted(len(lists), 'scene')} in {out}"])]


def find_lists(place: Path) -> list[SceneList]:
    """Return the lists of a folder, by name, or that of a file.

    Raises:
        UserError: when there are none, or one is not as it should be.
    """
    if not place.exists():
        raise UserError("there is no such file or folder, expected lists of objects", where=place)
    named = by_stem(place, (".json",)) if place.is_dir() else {place.stem: [place]}
    twice = next((paths for paths in named.values() if len(paths) > 1), None)
    if twice is not None:
        what = f"this and {twice[1].name} are lists of one name, and one image would be written for both"
        raise UserError(what, where=twice[0], hint="rename one of them")
    paths = [path for (path,) in named.values()]
    if not paths:
        raise UserError("there are no lists of objects (NAME.json) in this folder", where=place)
    return [read_list(path) for path in sorted(paths)]


def size_of(listed: SceneList) -> tuple[int, int]:
    """Return (width, height) of a scene: as its list says, or as its background is.

    Raises:
        UserError: when it has neither.
    """
    if listed.size is not None:
        return listed.size
    if listed.background is None:
        what = 'the list says neither "background" nor "size": [width, height], so nobody knows where boxes lie'
        raise UserError(what, where=listed.listing)
    return header(listed.background).size


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image (H, W, 3) uint8 as PNG, whole or not at all; folders are made for it.

    Raises:
        CannotWrite: with the reason.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(draft, "PNG")
        draft.replace(path)
    except OSError as error:
        raise CannotWrite(f"the image cannot be written: {reason(error)}", where=path) from error
    finally:
        with suppress(OSError):
            draft.unlink()
