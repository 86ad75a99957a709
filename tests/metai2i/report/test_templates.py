"""What templates read of records: keys, and never a method of the mapping that has the same name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import metai2i.report

TEMPLATES = sorted((Path(metai2i.report.__file__).parent / "templates").rglob("*.j2"))
METHODS = re.compile(rf"\.({'|'.join(name for name in dir(dict) if not name.startswith('_'))})\b(?!\()")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_key_is_called_as_a_method_of_mappings_which_would_be_read_in_its_place(path):
    code = re.findall(r"\{[{%].*?[%}]\}", path.read_text(encoding="utf-8"), re.DOTALL)
    assert [match.group() for part in code for match in METHODS.finditer(part)] == []


def test_there_are_templates_and_a_method_is_seen():
    assert TEMPLATES
    assert METHODS.search("{% if cell.clear %}")
    assert not METHODS.search("{% for name, value in cell.items() %}{{ cell.clearly }}")
