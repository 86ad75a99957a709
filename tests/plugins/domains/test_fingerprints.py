"""The fingerprints of sources of domains, by which finished stages are known: they stay what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from metai2i_domains.source import Domains
from metai2i_emoji.sketches import EmojiSketches
from metai2i_emoji.source import Emoji
from metai2i_sketches.source import Sketches

CODES = [f"{0x1F400 + n:x}" for n in range(60)]


@pytest.fixture
def photographs(tmp_path) -> Path:
    """Two domains with two images of a pixel in each part."""
    names = [(part, domain, n) for part in ("train", "test") for domain in ("cat", "dog") for n in range(2)]
    for red, (part, domain, n) in enumerate(names, 1):
        folder = tmp_path / part / domain
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{n}.ppm").write_bytes(b"P6 1 1 255\n" + bytes([red, 0, 0]))
    return tmp_path


@pytest.fixture
def packages(tmp_path) -> Path:
    """Two hands with files that nobody reads."""
    listed = [
        {
            "unified": code.upper(),
            "category": ("Animals & Nature", "Objects")[n % 2],
            "subcategory": ("animal-mammal", "sky & weather")[n % 2],
        }
        for n, code in enumerate(CODES)
    ]
    for hand, by in (("twemoji", "twitter"), ("noto", "google")):
        package = tmp_path / f"emoji-datasource-{by}"
        folder = package / "img" / by / "64"
        folder.mkdir(parents=True)
        (package / "package.json").write_text("{}")
        (package / "emoji.json").write_text(json.dumps(listed))
        for code in CODES:
            (folder / f"{code}.png").write_text(hand + code)
    return tmp_path


def test_those_of_photographs_stay(photographs):
    assert Domains(root=photographs, size=(8, 8)).fingerprint("train") == (
        "domains-f177f341a562faa0a1dfc83b1c776f1befbe738dfec63a253ee7c01ba2a0edf0"
    )
    assert Sketches(root=photographs, size=(8, 8)).fingerprint("train") == (
        "sketches-6762bd7c7a92e2c036cb3eb9b061c3b6b17ba0405876aff2a31c394bfb980ac8"
    )


def test_those_of_emoji_stay(packages):
    hands = ("twemoji", "noto")
    assert Emoji(root=packages, hands=hands, size=(8, 8)).fingerprint("train") == (
        "emoji-6b95bbf8eaddbf68df105e2d0ad00b397d994bf111292ccd9042853e132f9ad2"
    )
    sketches = EmojiSketches(root=packages, hands=hands, kinds=("animal-mammal",), drawn="edges", size=(8, 8))
    assert sketches.fingerprint("train") == (
        "emoji-sketches-582d14afc54dc7bbcc816f1481ee679b6aa554e85d50ac2aa4ffd53d43415d64"
    )
