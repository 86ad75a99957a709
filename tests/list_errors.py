"""Writes every message that the tests provoke into one file, each once, with the test that provoked it first.

    python tests/list_errors.py errors.txt [what pytest takes, such as -n 2 or tests/metai2i/recipe]

So that they can be read as a whole: does each say what is wrong, where, what was got and expected, and what to do?
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_PLACE = "METAI2I_LIST_ERRORS"
"""The variable that names the folder in which each process of pytest leaves what it has seen."""


class Listing:
    """A plugin of pytest that notes every `UserError` that is made while a test runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: dict[str, str] = {}
        self.test = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Notes which test runs."""
        self.test = item.nodeid
        return (yield)

    def note(self, message: str) -> None:
        """Notes a message, unless it differs from one before by nothing but numbers and folders of this run."""
        self.seen.setdefault(message, self.test)

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Has every error told to this plugin."""
        from metai2i.errors import UserError

        make = UserError.__init__

        def noting(error: UserError, *given: Any, **named: Any) -> None:
            make(error, *given, **named)
            self.note(str(error))

        UserError.__init__ = noting  # type: ignore[method-assign]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Leaves what was seen for `main`."""
        (self.folder / f"{os.getpid()}.json").write_text(json.dumps(self.seen))


def pytest_configure(config: pytest.Config) -> None:
    """Registers the plugin, in every process of pytest-xdist too."""
    config.pluginmanager.register(Listing(Path(os.environ[_PLACE])))


def kind_of(message: str) -> str:
    """Return what of a message stays the same when its fault is met again, in another folder or with another number.

    >>> kind_of("/tmp/a/b.yaml:3:7: got 5, expected 2")
    'PLACE: got N, expected N'
    """
    message = re.sub(r"(/[\w.+-]+)+(:\d+)*", "PLACE", message)
    return re.sub(r"\d+([,.]\d+)*", "N", message)


def main(out: Path, arguments: list[str]) -> int:
    """Runs pytest and writes the file.

    Returns:
        pytest's exit code.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.environ[_PLACE] = folder
        code = pytest.main(["-p", "list_errors", *arguments])
        seen: dict[str, tuple[str, str]] = {}
        for path in sorted(Path(folder).glob("*.json")):
            for message, test in json.loads(path.read_text()).items():
                seen.setdefault(kind_of(message), (test, message))
    by_test = sorted(seen.values())
    indented = ((test, message.replace("\n", "\n    ")) for test, message in by_test)
    text = "".join(f"{test}\n    {message}\n\n" for test, message in indented)
    out.write_text(text, encoding="utf-8", errors="backslashreplace")  # a file's name may be no Unicode
    print(f"{len(by_test)} messages: {out}")
    return int(code)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
