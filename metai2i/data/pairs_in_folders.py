"""Pairs of a photograph and its map that lie in a plain folder, in one of three ways.

::

    NAME.jpg   NAME.png               a photograph (.jpg, .jpeg) beside its map
    NAME.jpg   NAME_map.png           the same, photographs may be .png as well
    photos/NAME.jpg   maps/NAME.png   two folders

A map in a folder of maps or with `_map` in its name may be a .jpg as well, for its reader to take or to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metai2i.data.decoding import MAPS, PHOTOGRAPHS, header, same_aspect, size_in_words, why_turned
from metai2i.data.folders import by_stem, check_name, refuse_twins
from metai2i.errors import UserError, counted

_JPEG = (".jpg", ".jpeg")
PHOTO_ENDINGS = (*_JPEG, ".png")
MAP_ENDINGS = (".png",)
"""The ending of label maps: a JPEG would blend their classes."""
MAP_MARK = "_map"
"""The end of a map's name that lies beside its photograph under the same name."""

LOOKED_FOR = (
    "looked for NAME.jpg with NAME.png, for NAME.jpg or NAME.png with NAME_map.png, and for photos/NAME.jpg or "
    "photos/NAME.png with maps/NAME.png"
)


@dataclass(frozen=True)
class PairFiles:
    """The files of one pair."""

    name: str
    photo: Path
    map: Path


def pairs_in(folder: Path) -> tuple[list[PairFiles], list[UserError]]:
    """Return the pairs of a folder that is there, in the order of their names, and what is wrong with other files."""
    if has_folders_of_pairs(folder):
        photos, maps = (by_stem(folder / name, PHOTO_ENDINGS) for name in ("photos", "maps"))
        return _joined(photos, maps, folder, "maps/{}.png")
    images = by_stem(folder, PHOTO_ENDINGS)
    marked = {name.removesuffix(MAP_MARK): paths for name, paths in images.items() if name.endswith(MAP_MARK)}
    if marked:
        photos = {name: paths for name, paths in images.items() if not name.endswith(MAP_MARK)}
        return _joined(photos, marked, folder, "{}" + MAP_MARK + ".png")
    photos, pngs = by_stem(folder, _JPEG), by_stem(folder, MAP_ENDINGS)
    if photos and pngs:
        return _joined(photos, pngs, folder, "{}.png")
    files = (
        f", only {counted(len(photos), '.jpg file')} and {counted(len(pngs), '.png file')}" if photos or pngs else ""
    )
    return [], [UserError(f"no pairs of a photograph and its map are here{files}", where=folder, hint=LOOKED_FOR)]


def has_folders_of_pairs(folder: Path) -> bool:
    """Return whether photographs and maps lie in two folders of this one."""
    return (folder / "photos").is_dir() and (folder / "maps").is_dir()


def check_view(photo: Path, path: Path, *, exact_formats: bool) -> None:
    """Refuse a photograph and a map that do not have one aspect, to within a pixel of the smaller of the two, when both
    are upright.

    Args:
        photo: the photograph.
        path: of the map.
        exact_formats: whether the map must be in a format that keeps every pixel as it was.

    Raises:
        UserError: naming the map.
    """
    shot, drawn = header(photo), header(path, MAPS if exact_formats else PHOTOGRAPHS)
    if not same_aspect(shot.size, drawn.size):
        raise UserError(
            f"the map is {size_in_words(drawn.size)}, its photograph {photo.name} {size_in_words(shot.size)} "
            "(width x height): they do not show the same view",
            where=path,
            hint=why_turned(shot, drawn, exact=False),
        )


def _joined(
    photos: dict[str, list[Path]], maps: dict[str, list[Path]], folder: Path, expected: str
) -> tuple[list[PairFiles], list[UserError]]:
    pairs: list[PairFiles] = []
    errors: list[UserError] = []
    for name in sorted({*photos, *maps}):
        shots, drawn = photos.get(name, []), maps.get(name, [])
        try:
            for files in (shots, drawn):
                refuse_twins(files)
            check_name((shots or drawn)[0])
            if not drawn:
                what = f"this photograph has no map, expected {folder / expected.format(name)}"
                raise UserError(what, where=shots[0], hint=None if errors else LOOKED_FOR)
            if not shots:
                what = f"this map has no photograph called {name!r}"
                raise UserError(what, where=drawn[0], hint=None if errors else LOOKED_FOR)
        except UserError as error:
            errors.append(error)
        else:
            pairs.append(PairFiles(name, shots[0], drawn[0]))
    if not pairs and not errors:
        errors.append(UserError("there are no pairs, expected at least one", where=folder, hint=LOOKED_FOR))
    return pairs, errors
