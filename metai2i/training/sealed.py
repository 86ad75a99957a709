"""JSON objects that tell when they were changed after they were written, or stand where they do not belong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from metai2i.errors import UserError
from metai2i.files import reason, write_json

SEAL = "seal"


class Broken(UserError):
    """A file of a stage is not what was written; in words."""


def write_sealed(path: Path, value: Mapping[str, object]) -> None:
    """Write an object atomically, with a digest of all that it says.

    Raises:
        UserError: when it cannot be written.
    """
    plain = json.loads(json.dumps(value, allow_nan=False))
    write_json(path, {**plain, SEAL: seal_of(plain)})


def read_sealed(path: Path, **expected: str) -> dict[str, object]:
    """Return an object that `write_sealed` wrote, without its seal.

    Args:
        expected: what some of its fields must say.

    Raises:
        Broken: when it was not written so, was changed, or is another one than expected.
    """
    try:
        sealed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Broken(f"{path.name} cannot be read ({reason(error)})") from error
    except (ValueError, RecursionError) as error:
        raise Broken(f"{path.name} is cut short or no JSON") from error
    if not isinstance(sealed, dict) or SEAL not in sealed:
        raise Broken(f"{path.name} is not what was written")
    if sealed.pop(SEAL) != seal_of(sealed):
        raise Broken(f"{path.name} was changed after it was written")
    for name, value in expected.items():
        if sealed.get(name) != value:
            raise Broken(f"{path.name} is of another {name}")
    return sealed


def seal_of(value: Mapping[str, object]) -> str:
    """Return the digest of an object."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
