"""Ids of people: what their folders are called, from their names alone.

The id of a name never depends on what other names there are, and two names never have one id, also where a file system
takes capital and small letters, or composed and decomposed accents, for the same.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST = 80
"""Bytes of a readable name; longer ones are cut."""
PLAIN = re.compile(r"[a-z0-9_][a-z0-9._]*(-[a-z0-9._]+)*")
"""Names that are their own ids: single dashes, for two of them stand before the number of a clip."""
HASHED = re.compile(r".*-[0-9a-f]{8}")
"""What the ids of all other names look like, so that a plain name must not."""
DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})
"""Names that Windows keeps to itself, with any suffix."""
OURS = frozenset({"splits.json", "preparation.json", "contact.png"})
"""Files beside the folders of people."""


def person_id(name: str) -> str:
    """Return the id of a name: the name itself where it is plain, else its letters and a hash of the exact name.

    >>> person_id("clip_07"), person_id("Ann B")
    ('clip_07', 'ann-b-1923efbf')
    """
    return name if is_plain(name) else f"{readable(name)}-{short_hash(name)}"


def is_plain(name: str) -> bool:
    """Return whether a name can be a folder's on every file system, and looks like no other name's id."""
    return (
        PLAIN.fullmatch(name) is not None
        and HASHED.fullmatch(name) is None
        and len(name) <= LONGEST
        and not name.endswith(".")
        and name.partition(".")[0] not in DEVICES
        and name not in OURS
    )


def readable(name: str) -> str:
    """Return the letters and digits of a name, of any script, in small letters and with dashes for all else.

    >>> readable("O'Neill, Zoë"), readable("李娜"), readable("?!")
    ('o-neill-zoë', '李娜', 'x')
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
    spelled = "".join(char if char in "._" or unicodedata.category(char)[0] in "LNM" else "-" for char in folded)
    short = re.sub(r"-+", "-", spelled).strip("-.").encode()[:LONGEST].decode(errors="ignore").strip("-.")
    return f"_{short}" if short.partition(".")[0] in DEVICES else short or "x"


def short_hash(name: str) -> str:
    """Return eight hexadecimal digits that stand for the exact name; names that are no UTF-8 have theirs, too."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
