"""`Made`: images of objects that a model makes of their sketches, to be put into a scene."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from metai2i import Batch, UserError, did_you_mean, load_adapted
from metai2i.data import content_digests, header, to_uint8
from metai2i_sketches.compose import Placed
from metai2i_sketches.drawings import Drawing, read_drawing
from metai2i_sketches.scene_list import Filling, ListedObject, sketch_of

if TYPE_CHECKING:
    from metai2i import Translator

MADE_WHITE = 240
"""The level from which on a pixel of an image that a network has made is white: it seldom gives 255."""
READ = frozenset({"structure", "domain"})
"""What a model is given of an object: its sketch and its class."""


class Made(Filling):
    """Images that a model makes of sketches, such as EdgeGAN's.

    Args:
        path: the model, which `metai2i adapt` has written.

    Raises:
        UserError: when it is none, or does not paint from a sketch and a class.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._model = path, load_adapted(path)
        spec, fields = self._model.spec, fields_read(self._model.translator, self._model.way)
        known = spec.known_field("structure")
        if (
            "structure" not in fields
            or not fields <= READ
            or known is None
            or (known.kind, known.channels) != ("map", 1)
        ):
            what = f"this model paints from {', '.join(sorted(fields))}, expected a sketch of one channel and a class"
            raise UserError(what, where=path, hint="`metai2i adapt` writes one of a run with EdgeGAN on sketches")
        self.size, self.names = spec.size, spec.field("domain").names

    @cached_property
    def key(self) -> str:  # type: ignore[override]  # of the file's content, which is read once
        """Return a digest of the model."""
        return f"made {MADE_WHITE} {content_digests([self.path])[0]}"

    def check(self, listed: ListedObject, listing: Path) -> None:
        """Refuse an object without a sketch, or of a class that the model does not know."""
        header(sketch_of(listed, listing))
        self.number(listed, listing)

    def number(self, listed: ListedObject, listing: Path) -> int:
        """Return the number of an object's class.

        Raises:
            UserError: with the nearest name, for one that the model does not know.
        """
        if listed.name not in self.names:
            what = f"the model {self.path} knows no class {listed.name!r}"
            raise UserError(what, where=listing, hint=did_you_mean(listed.name, self.names))
        return self.names.index(listed.name)

    def images(self, objects: Sequence[ListedObject], listing: Path) -> list[Placed]:
        """Return what the model makes of the sketches."""
        if not objects:
            return []
        sketches = [read_drawing(Drawing(sketch_of(each, listing)), self.size) for each in objects]
        structure = torch.from_numpy(np.stack(sketches))[:, None].float() / 255
        domain = torch.tensor([self.number(each, listing) for each in objects])
        images = to_uint8(self._model.paint(Batch(structure=structure, domain=domain))).cpu()
        return [
            Placed(image.permute(1, 2, 0).numpy(), each.box, each.name, MADE_WHITE)
            for image, each in zip(images, objects, strict=True)
        ]


def fields_read(translator: Translator, way: str | None) -> frozenset[str]:
    """Return what a translator paints from in a way."""
    return (translator.needs if way is None else translator.ways[way]) - {"target"}
