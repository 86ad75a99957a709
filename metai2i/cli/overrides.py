"""What overrides of a recipe have come to, told on stderr: one that changes nothing must not pass in silence."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from metai2i.console.legible import on_one_line

if TYPE_CHECKING:
    from metai2i.recipe import Recipe


def tell_overrides(recipe: Recipe) -> None:
    """Tell the recipe's notes, and how many of its rows each override changes; a warning where it is none."""
    for note in recipe.notes:
        print(on_one_line(f"note: {note}"), file=sys.stderr)
    for reach in recipe.overrides:
        changes, sentence = reach.sentence(recipe.rows)
        print(on_one_line(sentence if changes else f"warning: {sentence}"), file=sys.stderr)
