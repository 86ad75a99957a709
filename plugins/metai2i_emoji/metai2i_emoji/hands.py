"""Hands that draw emoji: the package that each comes with, and where its drawings lie in it.

The packages are those of npm. They lie in a folder of the user's, each in a folder of its name, unpacked.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from metai2i import UserError, reason
from metai2i.data import entries

Hand = Literal["twemoji", "noto", "fluent", "openmoji", "lines"]
"""Twitter's, Google's, Microsoft's in three dimensions, OpenMoji's in colour, and OpenMoji's in black lines."""


@dataclass(frozen=True)
class Package:
    """A package of npm.

    Args:
        name: with its scope.
        version: that was tried.
    """

    name: str
    version: str

    @property
    def folder(self) -> str:
        """Return the name of the folder that it is unpacked in."""
        return self.name.rpartition("/")[2]

    def place(self, root: Path) -> Path | None:
        """Return where it is unpacked, also by `npm install`; None where it is not."""
        names = (self.folder, self.name, f"node_modules/{self.name}")
        return next((root / name for name in names if (root / name / "package.json").is_file()), None)

    def command(self) -> str:
        """Return what fetches and unpacks it in the current folder."""
        archive = f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"
        return (
            f"npm pack {self.name}@{self.version} && mkdir -p {self.folder} && "
            f"tar -xzf {archive} -C {self.folder} --strip-components=1"
        )


TWITTER = Package("emoji-datasource-twitter", "16.0.0")
GOOGLE = Package("emoji-datasource-google", "16.0.0")
FLUENT = Package("@lobehub/fluent-emoji-3d", "1.1.0")
OPENMOJI = Package("openmoji", "17.0.0")

_DRAWINGS: Mapping[Hand, tuple[Package, str, str]] = {
    "twemoji": (TWITTER, "img/twitter/64", ".png"),
    "noto": (GOOGLE, "img/google/64", ".png"),
    "fluent": (FLUENT, "assets", ".webp"),
    "openmoji": (OPENMOJI, "color/svg", ".svg"),
    "lines": (OPENMOJI, "black/svg", ".svg"),
}
"""Of each hand its package, the folder of its drawings in there, and how their names end."""
HANDS: tuple[Hand, ...] = get_args(Hand)
LICENCES = {
    "twemoji": "Twemoji, © Twitter, Inc. and other contributors, CC BY 4.0",
    "noto": "Noto Emoji, © Google, Apache 2.0",
    "fluent": "Fluent Emoji, © Microsoft, MIT",
    "openmoji and lines": "OpenMoji, openmoji.org, CC BY-SA 4.0",
}
"""How each hand's drawings are named where they, or what comes of them, are shown."""


def code_of(name: str) -> str:
    """Return the code points of a concept as all hands write them: in small letters, without the sign that asks for
    colours (FE0F), which some leave out.

    >>> code_of("2764-FE0F-200D-1F525")
    '2764-200d-1f525'
    """
    return "-".join(part for part in name.lower().split("-") if part != "fe0f")


def is_svg(hand: Hand) -> bool:
    """Return whether a hand's drawings are vectors, which `resvg` draws."""
    return _DRAWINGS[hand][2] == ".svg"


def require_packages(root: Path, hands: Iterable[Hand]) -> None:
    """Refuse a root that lacks packages.

    Raises:
        UserError: with the commands that fetch and unpack them.
    """
    wanted = list(dict.fromkeys([_DRAWINGS[hand][0] for hand in hands]))
    lacking = [package for package in wanted if package.place(root) is None]
    if not lacking:
        return
    commands = [f"mkdir -p {shlex.quote(str(root))}", f"cd {shlex.quote(str(root))}"]
    be = "is" if len(lacking) == 1 else "are"
    names = ", ".join(f"{package.name} {package.version}" for package in lacking)
    raise UserError(
        f"{len(lacking)} of the {len(wanted)} packages of these hands {be} not here: {names}",
        where=root,
        hint="\n  ".join(["with npm:", *commands, *(package.command() for package in lacking)]),
    )


def drawings(root: Path, hand: Hand) -> dict[str, Path]:
    """Return the drawings of a hand by their code points.

    Raises:
        UserError: when its package is there without them.
    """
    package, folder, ending = _DRAWINGS[hand]
    place = package.place(root)
    assert place is not None, "require_packages has seen to it"
    try:
        files = [path for path in entries(place / folder) if path.suffix.lower() == ending]
    except OSError as error:
        raise UserError(f"the drawings cannot be listed: {reason(error)}", where=place / folder) from None
    if not files:
        what = f"the package {package.name} has no drawings (*{ending}) here"
        raise UserError(what, where=place / folder, hint=f"version {package.version} has: {package.command()}")
    return {code_of(path.stem): path for path in files}
