"""`EmojiLabelled`: emoji without pairs, of a few of which it is known what they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from metai2i import Field, Share, TaskSpec
from metai2i.data import Pool, expanded
from metai2i_emoji.concepts import categories, concepts
from metai2i_emoji.hands import code_of
from metai2i_emoji.source import Emoji

NONE = "no label"
"""The last of the labels' names."""


class EmojiLabelled(Emoji):
    """Emoji with labels for a few: the category of a concept (animals-nature, say), which all hands share.

    All else is as `emoji` has it. Samples have a `label`, of the input, and a `reference_label`; the last number stands
    for no label.

    Args:
        root: the folder of the packages; `~` is the home folder, a relative path starts at the current directory.
        labelled: the share of concepts that have a label; which ones is decided by their code points.
    """

    provides = Emoji.provides | {"label", "reference_label"}

    def __init__(self, *, root: Path, labelled: Share = 0.1, **options: Any) -> None:
        known = concepts(expanded(root)) if expanded(root).is_dir() else []
        self.kinds = (*categories(known), NONE)
        self._numbers = {each.code: self.kinds.index(each.category) for each in known if each.labelled(labelled)}
        super().__init__(root=root, **options)

    def _labels(self, pools: Sequence[Pool]) -> Mapping[Path, int]:
        none = len(self.kinds) - 1
        return {path: self._numbers.get(code_of(path.stem), none) for pool in pools for path in pool.files}

    def spec(self) -> TaskSpec:
        """Return what `emoji` says, and the names of the labels."""
        spec = super().spec()
        label = Field("label", len(self.kinds), self.kinds)
        return replace(spec, also={**spec.also, "label": label})
