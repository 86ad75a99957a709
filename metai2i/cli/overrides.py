"""What overrides of a recipe have come to, told on stderr: one that changes nothing must not pass in silence."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from metai2i.console.legible import on_one_line

if TYPE_CHECKING:
    from metai2i.recipe import Recipe


def tell_overrides(recipe: Recipe, said: set[str] | None = None) -> None:
    """Tell the recipe's notes, and how many of its rows each override changes; a warning where it is none.

    Args:
        said: takes in the sentences; those that are in it are not told again.
    """
    sentences = [f"note: {note}" for note in recipe.notes]
    for reach in recipe.overrides:
        changes, sentence = reach.sentence(recipe.rows)
        sentences.append(sentence if changes else f"warning: {sentence}")
    for sentence in sentences:
        if said is None or sentence not in said:
            print(on_one_line(sentence), file=sys.stderr)
    if said is not None:
        said |= set(sentences)
