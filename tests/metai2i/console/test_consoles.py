"""The program's consoles: no text of others is markup."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from metai2i.cli import write_anything
from metai2i.cli.tables import print_rows
from metai2i.console.consoles import PlainConsole

ROOT = Path(__file__).parents[3]
NAMES = ["[/red]", "[link=http://x]a[/link]", "[bold]b[/bold]", ":smile:", "\x1b[31mred", "a\\[b]"]


def printed(thing) -> str:
    file = io.StringIO()
    PlainConsole(file=file, width=200, force_terminal=True).print(thing)
    return re.sub(r"\x1b\[\d*m", "", file.getvalue())


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_printed_as_it_is_by_itself_and_in_a_table(name, capsys):
    shown = name.replace("\x1b", r"\x1b")
    assert printed(name) == f"{shown}\n"
    table = Table(name)
    table.add_row(name)
    assert printed(table).count(shown) == 2
    print_rows([name], [[name]])
    assert capsys.readouterr().out.splitlines() == [shown, shown]


def test_every_console_of_the_program_is_a_plain_one():
    others = [
        str(path.relative_to(ROOT))
        for folder in ("metai2i", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"(?<![\w.])(Console\(|from_markup|get_console\(|rich\.print)", path.read_text())
    ]
    assert others == []


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_what_stdout_has_no_letters_for_is_escaped_and_ends_nothing(encoding):
    code = "import metai2i.cli as cli; cli.invoke = lambda args: cli.say('caf\\udce9 \\u4eba') or 0; cli.main([])"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    wanted = "caf\\udce9 \u4eba\n" if encoding == "utf-8" else "caf\\udce9 \\u4eba\n"
    assert done.stdout == wanted.encode()


def test_a_print_of_a_stream_without_letters_for_it_is_escaped(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    write_anything()
    print_rows(["row"], [["\u4eba"]])
    sys.stdout.flush()
    assert raw.getvalue() == b"row\n\\u4eba\n"
