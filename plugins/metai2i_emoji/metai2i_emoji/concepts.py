"""What emoji show: their categories, and which of them train or test, and by which hand they are seen.

All of it is decided by a concept's code points alone, so it stays when packages grow. Variants of one drawing (a man, a
woman and a person who cook; an arrow and its mirror image; hearts of all colours, which are one in black lines) go
together: they are a family.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metai2i import Split, UserError, read_json
from metai2i_emoji.hands import GOOGLE, OPENMOJI, TWITTER, Hand, code_of

LEFT_OUT = frozenset({"flags", "component", "extras-openmoji", "extras-unicode"})
"""Categories that are no concepts of several hands: flags are no drawings, and parts are drawn by one only."""
_PEOPLE = {
    **dict.fromkeys(("1f468", "1f469", "1f9d1"), "adult"),
    **dict.fromkeys(("1f466", "1f467", "1f9d2"), "child"),
    **dict.fromkeys(("1f474", "1f475", "1f9d3"), "elder"),
}
"""Man, woman and person, of each age."""
_FAMILIES = (
    ("1f48f", "adult-2764-1f48b-adult"),  # kiss
    ("1f491", "adult-2764-adult"),  # couple with heart
    ("1f46b", "1f46c", "1f46d", "adult-1f91d-adult"),  # people holding hands
    ("1fac5", "1f934", "1f478"),  # people with crowns
    ("1f385", "1f936", "adult-1f384"),  # Claus
    ("1f483", "1f57a"),  # people dancing
    ("1f930", "1fac3", "1fac4"),  # pregnant people
    ("1f931", "adult-1f37c"),  # people feeding a baby
    ("adult", "1f471"),  # blond people
    ("2764", "1f9e1", "1f49b", "1f49a", "1f499", "1f49c", "1f90e", "1f5a4", "1f90d", "1fa75", "1fa76", "1fa77",
     "1f497"),  # hearts
    ("1f534", "1f7e0", "1f7e1", "1f7e2", "1f535", "1f7e3", "1f7e4", "26ab", "26aa"),  # discs
    ("1f7e5", "1f7e7", "1f7e8", "1f7e9", "1f7e6", "1f7ea", "1f7eb", "2b1b", "2b1c", "25fc", "25fb", "25fe", "25fd",
     "25aa", "25ab"),  # squares
    ("1f536", "1f537", "1f538", "1f539"),  # diamonds
    ("1f4d5", "1f4d7", "1f4d8", "1f4d9"),  # books
    ("2753", "2754"),  # question marks
    ("2757", "2755"),  # exclamation marks
    tuple(f"1f5{number:x}" for number in range(0x50, 0x68)),  # clocks
    ("1f426", "1f426-2b1b"),  # birds
    ("1f431", "1f63a"),  # cats' faces
    ("1f601", "1f604"),  # grinning faces
    ("1f641", "2639"),  # frowning faces
    ("1f47f", "1f608"),  # faces with horns
    ("1f694", "1f696"),  # oncoming cars with a sign on the roof
)  # fmt: skip
"""Variants of one drawing, in some hand at least, that have code points of their own and nothing in common."""
_MIRRORED = (
    ("27a1", "2b05"), ("2197", "2196"), ("2198", "2199"), ("21aa", "21a9"), ("25b6", "25c0"), ("23e9", "23ea"),
    ("23ed", "23ee"), ("1f449", "1f448"), ("1f91c", "1f91b"), ("1faf1", "1faf2"), ("1faf8", "1faf7"),
    ("1f50e", "1f50d"),
)  # fmt: skip
"""Drawings that are each other's mirror image: training may flip them."""
_SAME = {code: family[0] for family in (*_FAMILIES, *_MIRRORED) for code in family}
_FACING_RIGHT = "-200d-27a1"
"""The end of what is drawn as without it, in a mirror."""
_SIGNS = frozenset({"200d", "2640", "2642", "1f9b0", "1f9b1", "1f9b2", "1f9b3"})
"""What joins code points, the signs for women and men, and those for the colour of hair."""
_SKIN = frozenset({"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"})


@dataclass(frozen=True)
class Concept:
    """What an emoji shows.

    Args:
        code: its code points, as `code_of` writes them.
        category: such as animals-nature.
        kind: what it is within its category, such as animal-mammal.
    """

    code: str
    category: str
    kind: str = ""

    @property
    def family(self) -> str:
        """Return what it is a variant of."""
        parts = [_PEOPLE.get(part, part) for part in self.code.removesuffix(_FACING_RIGHT).split("-")]
        parts = [part for part in parts if part not in _SIGNS]
        if len(parts) > 1 and {"adult", "child"} >= set(parts):
            return "1f46a"  # parents with children
        code = "-".join(parts)
        return _SAME.get(code, code)

    def split(self, val: float, test: float) -> Split:
        """Return whether it trains, validates or tests.

        Args:
            val: the share that validates.
            test: the share that tests.
        """
        place = _share("split", self.family)
        return "test" if place < test else "val" if place < test + val else "train"

    def hand(self, hands: Sequence[Hand]) -> Hand:
        """Return the only hand by which it is seen in training: each concept's choice stays when others come."""
        return max(hands, key=lambda hand: _share("hand", hand, self.family))

    def labelled(self, share: float) -> bool:
        """Return whether it is among the share of concepts of which it is known what they show."""
        return _share("label", self.family) < share

    @property
    def is_input(self) -> bool:
        """Return whether, where it is scored, it is an input; others are photographs of what is translated into."""
        return _share("side", self.family) < 0.5


def _share(*key: str) -> float:
    """Return a number in [0, 1) that a key decides."""
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()
    return int(digest[:12], 16) / 16**12


def concepts(root: Path) -> list[Concept]:
    """Return the concepts that a package in the root lists, without flags and without skin tones.

    Raises:
        UserError: when no package with a list is there, or its list is not as it should be.
    """
    for package, name, keys in (
        (TWITTER, "emoji.json", ("unified", "category", "subcategory")),
        (GOOGLE, "emoji.json", ("unified", "category", "subcategory")),
        (OPENMOJI, "data/openmoji.json", ("hexcode", "group", "subgroups")),
    ):
        place = package.place(root)
        if place is not None:
            return _listed(place / name, *keys)
    what = f"no package with a list of concepts is here: {TWITTER.name}, {GOOGLE.name} or {OPENMOJI.name}"
    raise UserError(what, where=root, hint=TWITTER.command())


def _listed(path: Path, code_key: str, category_key: str, kind_key: str) -> list[Concept]:
    content: Any = read_json(path, largest=2**26)
    if not isinstance(content, list) or not content:
        raise UserError("expected a list of emoji", where=path)
    listed: dict[str, Concept] = {}
    for entry in content:
        keys = (code_key, category_key, kind_key)
        code, category, kind = (entry.get(key) if isinstance(entry, dict) else None for key in keys)
        if not isinstance(code, str) or not isinstance(category, str):
            got = f"{entry!r}"[:80]
            raise UserError(f"expected an emoji with {code_key!r} and {category_key!r}, got {got}", where=path)
        concept = Concept(code_of(code), _plain(category), _plain(str(kind or "")))
        if concept.category not in LEFT_OUT and not _SKIN & set(concept.code.split("-")):
            listed[concept.code] = concept
    return [listed[code] for code in sorted(listed)]


def _plain(name: str) -> str:
    """Return the name of a category as all packages have it."""
    return name.lower().replace(" & ", "-")


def categories(known: Iterable[Concept]) -> list[str]:
    """Return the categories of concepts, by name."""
    return sorted({concept.category for concept in known})
