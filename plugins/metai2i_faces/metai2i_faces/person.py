"""A person as a task: photographs and region maps from one clip or session."""

from __future__ import annotations

from metai2i.data import PairedScene
from metai2i_faces.people import Pair


class Person(PairedScene[Pair]):
    """The pairs of a person, by name."""
