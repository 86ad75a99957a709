"""The tables of what plugins are handed: made of the classes, and those on the page are as new."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from metai2i import Step, TaskSpec
from metai2i.errors import UserError
from metai2i.registry.field_tables import field_tables, refreshed_fields

PAGE = Path(__file__).parents[3] / "docs" / "interfaces.md"


def names(table: str) -> list[str]:
    return re.findall(r"^\| `(\w+)`", table, re.MULTILINE)


def test_the_tables_on_the_page_are_as_new():
    text = PAGE.read_text()
    assert refreshed_fields(text) == text, "run `metai2i schema --markdown docs/interfaces.md`"
    assert sorted(re.findall(r"<!-- fields: (\S+) -->", text)) == sorted(field_tables())


@pytest.mark.parametrize("record_class", [TaskSpec, Step])
def test_every_field_is_told_with_a_meaning(record_class):
    table = field_tables()[record_class.__name__]
    assert names(table) == [field.name for field in dataclasses.fields(record_class)]
    assert all(line.rstrip(" |").rpartition("| ")[2] for line in table.splitlines()[2:])


def test_the_standard_fields_of_a_batch_and_the_members_of_a_task_are_told():
    tables = field_tables()
    assert names(tables["Batch"])[:3] == ["structure", "target", "reference"]
    members = ["id", "__len__", "load", "draw", "maps", "unread", "fingerprint", "episode", "real"]
    assert names(tables["Task"]) == members
    assert re.findall(r"^\| `(\w+)` \| yes \|", tables["Task"], re.MULTILINE) == ["id", "__len__", "load"]


def test_a_table_that_is_not_there_is_told_with_the_nearest():
    with pytest.raises(UserError, match=r"no table of fields is called 'Stp'.*did you mean 'Step'"):
        refreshed_fields("<!-- fields: Stp -->\n<!-- end of fields -->")
