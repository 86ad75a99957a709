"""Places of the user's: the home folder, and the folder in which things are kept that can be made anew."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

from metai2i.errors import UserError

log = logging.getLogger("metai2i")

CACHE_VARIABLE = "METAI2I_CACHE"


def expanded(path: Path | str) -> Path:
    """Return a path with the home folder in place of `~`, and that of another user in place of `~NAME`.

    Raises:
        UserError: when there is no such user, or this one has no home folder.
    """
    path = Path(path)
    try:
        whole = path.expanduser()
    except RuntimeError:
        whole = None
    if whole is None or (path.parts[:1] == ("~",) and home_folder() is None):
        user = path.parts[0].removeprefix("~")
        what = f"there is no user {user!r}, or none with a home folder" if user else "this user has no home folder"
        raise UserError(f"{what}, so ~ stands for nothing", where=str(path), hint="write the path in full")
    return whole


def stages_folder(named: Path | str | None, default: Path | str) -> Path:
    """Return the folder of the stage store: as named, else as `METAI2I_STAGES` says, else the default."""
    return expanded(named or os.environ.get("METAI2I_STAGES") or default)


def real_path(path: Path) -> Path:
    """Return the absolute path with its links followed. Links that lead to each other in a circle stay as they are, and
    the system says so when the path is used."""
    return Path(os.path.realpath(path))


def home_folder() -> Path | None:
    """Return the user's home folder by its absolute path; None where the system knows of none (a user id without a
    name, and no HOME)."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home if home.is_absolute() and os.environ.get("HOME") != "" else None


def cache_folder() -> Path | None:
    """Return the folder for what can be made anew: decoded images, what is known of files.

    Returns:
        `METAI2I_CACHE`, or else `metai2i` in `$XDG_CACHE_HOME` or `~/.cache`; it need not exist yet. None when the
        variable is empty or there is no home folder: nothing is kept then. Whether it can be written shows when it is.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named == "":
        return None
    if named is not None:
        try:
            return expanded(named)
        except UserError as error:
            _tell_once(f"nothing is kept from run to run: {CACHE_VARIABLE}: {error}")
            return None
    base = os.environ.get("XDG_CACHE_HOME", "")
    if Path(base).is_absolute():  # others are to be passed over, says the specification
        return Path(base) / "metai2i"
    home = home_folder()
    if home is None:
        _tell_once("nothing is kept from run to run: this user has no home folder")
        return None
    return home / ".cache" / "metai2i"


@cache
def _tell_once(message: str) -> None:
    log.debug(message)
