"""The tables of keys: made of the schema, and those on the page are as new."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from metai2i.errors import UserError
from metai2i.recipe.fit import KIND_OF
from metai2i.recipe.rows import host_classes
from metai2i.recipe.schema import Row
from metai2i.recipe.tables import refreshed, tables

PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"


def test_the_tables_on_the_page_are_as_new():
    text = PAGE.read_text()
    assert refreshed(text) == text, "docs/recipes.md is stale: run `metai2i schema --markdown docs/recipes.md`"


def test_every_table_is_on_the_page_once_under_its_heading():
    text = PAGE.read_text()
    marked = re.findall(r"<!-- keys: (\S+) -->", text)
    assert sorted(marked) == sorted(tables())
    for name in marked:
        if name in Row.model_fields:
            assert text.rpartition(f"<!-- keys: {name} -->")[0].rpartition("\n#")[2].startswith(f"## `{name}`")


def test_every_section_has_a_table_and_every_key_a_meaning():
    contents = tables()
    for name in Row.model_fields:
        if name not in KIND_OF:
            assert any(f"| `{name}` |" in contents[other] for other in ("values", "row")) or name in contents
    assert set(host_classes()) < set(contents)
    for name, table in contents.items():
        for line in table.splitlines()[2:]:
            assert re.fullmatch(r"\| `[\w.]+` \| \S.* \| \S.* \|", line), f"{name}: {line}"


def test_defaults_are_those_of_the_schema():
    contents = tables()
    assert "| `shots` | `5` | support pairs" in contents["episodes"]
    assert "| `lr` | `0.0001` |" in contents["pretrain"]
    assert "| `betas` | `[0.5, 0.999]` |" in contents["adapt"]
    assert "| `freeze` | `[]` |" in contents["adapt"]
    assert "| `columns` | required |" in contents["figure"]
    assert "| `name` | the file's stem |" in contents["recipe"]
    assert "| `l1` | `1.0` |" in contents["objective"]


def test_what_is_stale_is_made_anew_and_the_prose_stays():
    stale = "Prose.\n<!-- keys: row -->\nold\n<!-- end of keys -->\nMore."
    new = refreshed(stale)
    assert new == f"Prose.\n<!-- keys: row -->\n{tables()['row']}\n<!-- end of keys -->\nMore."
    with pytest.raises(UserError, match=r"no table of keys is called 'rwo' \(did you mean 'row'\?\)"):
        refreshed(stale.replace("keys: row", "keys: rwo"))
