"""The classes of label maps, as `classes.txt` lists them.

A line for each class: its name, its colour behind it where maps have colours, and its number in front of it where
numbers are not 0, 1, 2 in the order of the lines::

    sky 70 130 180
    traffic light 250 170 30
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from metai2i import Location, UserError
from metai2i.data import Legend, listed_lines, read_exact

CLASSES = "classes.txt"
HIGHEST = 65535
"""The largest number that a map of 16 bits holds."""
LOOKED_AT = 8
"""So many maps are looked at to tell what they hold."""
SHOWN = 20
"""So many numbers or colours are told."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Line:
    """A class as it is listed.

    Args:
        where: in the file.
        name: of the class.
        number: in maps; None where it is the line's place.
        colour: in maps, (R, G, B) in 0..255; None where they have numbers alone.
    """

    where: Location
    name: str
    number: int | None
    colour: Colour | None


@dataclass(frozen=True)
class Classes:
    """The classes of some label maps, in the order of the structure's channels.

    Args:
        names: of the classes.
        numbers: in maps.
        palette: their colours; empty where maps have numbers alone.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    palette: tuple[Colour, ...]

    @property
    def legend(self) -> Legend:
        """Return what numbers and colours mean."""
        return Legend(
            self.names,
            {number: at for at, number in enumerate(self.numbers)},
            {colour: at for at, colour in enumerate(self.palette)},
            hint=f"{CLASSES} lists the classes",
        )


def read_classes(path: Path) -> Classes:
    """Return the classes of a `classes.txt`.

    Raises:
        UserError: naming file and line, for what is no class, for fewer than two, for numbers or colours that only some
            classes have, and for a name, number or colour that two of them have.
    """
    lines = [read_line(where, line) for where, line in listed_lines(path, "a class in each line")]
    if len(lines) < 2:
        raise UserError(f"{lines[0].name!r} is the only class, expected two or more", where=lines[0].where)
    for what, of in PARTS.items():
        lacking = [line for line in lines if of(line) is None]
        if lacking and len(lacking) < len(lines):
            raise UserError(f"{lacking[0].name!r} has no {what}, and others have one", where=lacking[0].where,
                            hint="give one to all classes, or to none")  # fmt: skip
    refuse_same("name", [(line.name, line.where) for line in lines])
    for what, of in PARTS.items():
        refuse_same(what, [(value, line.where) for line in lines if (value := of(line)) is not None])
    return Classes(
        tuple(line.name for line in lines),
        tuple(at if line.number is None else line.number for at, line in enumerate(lines)),
        tuple(line.colour for line in lines if line.colour is not None),
    )


PARTS: dict[str, Callable[[Line], Hashable]] = {
    "number": lambda line: line.number,
    "colour": lambda line: line.colour,
}
"""What all classes have, or none."""


def read_line(where: Location, line: str) -> Line:
    """Return the class of a line.

    Raises:
        UserError: naming the line.
    """
    words = line.split()
    number, colour = None, None
    if len(words) > 1 and is_number(words[0]):
        number = int(words.pop(0))
    if len(words) > 3 and all(map(is_number, words[-3:])):
        r, g, b = map(int, words[-3:])
        colour, words = (r, g, b), words[:-3]
    if all(map(is_number, words)) or all(map(is_number, words[-2:])):  # "lane 2" is a name, "road 12 13" half a colour
        raise UserError(
            f"expected NAME, NAME R G B, or NUMBER in front of these, got {line[:80]!r}",
            where=where,
            hint="such as: traffic light 250 170 30",
        )
    if colour is not None and max(colour) > 255:
        raise UserError(f"the colour {' '.join(map(str, colour))} is not within 0 and 255", where=where)
    if number is not None and number > HIGHEST:
        raise UserError(f"the number {number} is larger than {HIGHEST}, the largest in a map", where=where)
    return Line(where, " ".join(words), number, colour)


def is_number(word: str) -> bool:
    """Return whether a word is a whole number from 0."""
    return word.isascii() and word.isdigit()


def refuse_same(what: str, values: Iterable[tuple[Hashable, Location]]) -> None:
    """Refuse what two classes have alike.

    Raises:
        UserError: naming the second of the two.
    """
    seen: dict[Hashable, Location] = {}
    for value, where in values:
        if value in seen:
            shown = " ".join(map(str, value)) if isinstance(value, tuple) else repr(value)
            raise UserError(f"two classes have the {what} {shown}, see line {seen[value].line}", where=where)
        seen[value] = where


def no_classes(path: Path, maps: Sequence[Path]) -> UserError:
    """Return what to say where `classes.txt` is missing: what the first maps hold.

    Args:
        path: where it should be.
        maps: of the data.
    """
    hint = "write a line for each class: NAME, or NAME R G B where maps have colours (`metai2i plugins pairs`)"
    return UserError(f"there is no list of classes{_holding(maps[:LOOKED_AT])}", where=path, hint=hint)


def _holding(maps: Sequence[Path]) -> str:
    """Return what some maps hold, in words; nothing where none can be read."""
    numbers: set[int] = set()
    colours: Counter[Colour] = Counter()
    for path in maps:
        with suppress(UserError):  # what cannot be read is told when it is
            pixels = read_exact(path, _pixels)
            if pixels.ndim == 2:
                numbers |= {int(number) for number in np.unique(pixels)}
            else:
                which, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
                for (r, g, b), count in zip(which.tolist(), counts.tolist(), strict=True):
                    colours[r, g, b] += count
    if numbers:
        what, held = "number", [str(number) for number in sorted(numbers)]
    else:
        what, held = "colour", [" ".join(map(str, colour)) for colour, _ in colours.most_common()]
    if not held:
        return ""
    more = f" and {len(held) - SHOWN} more" if len(held) > SHOWN else ""
    first = f"the first {len(maps)} maps hold" if len(maps) > 1 else "the first map holds"
    return f"; {first} the {what}{'s' if len(held) > 1 else ''} {', '.join(held[:SHOWN])}{more}"


def _pixels(image: Image.Image, scale: int) -> np.ndarray:
    """Return the numbers in a map (H, W), or its colours (H, W, 3).

    Args:
        image: the map.
        scale: by how much its grey levels are stretched.
    """
    if image.mode in ("RGB", "RGBA", "RGBX"):
        return np.asarray(image.convert("RGB"))
    return np.asarray(image if image.mode != "LA" else image.getchannel(0)) // scale
