"""Tables in pages between two marks, made anew from what they tell of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from metai2i.errors import UserError, did_you_mean


def with_fresh_tables(page: str, kind: str, tables: Mapping[str, str]) -> str:
    """Return a page with each table between `<!-- KIND: NAME -->` and `<!-- end of KIND -->` made anew.

    Raises:
        UserError: for a name that no table has.
    """

    def table(marked: re.Match[str]) -> str:
        name = marked[1]
        if name not in tables:
            raise UserError(f"no table of {kind} is called {name!r}", hint=did_you_mean(name, tables))
        return f"<!-- {kind}: {name} -->\n{tables[name]}\n<!-- end of {kind} -->"

    marks = re.compile(rf"<!-- {kind}: (\S+) -->\n.*?<!-- end of {kind} -->", re.DOTALL)
    return marks.sub(table, page)


def markdown_table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column is code, without the full stops at the ends of cells.

    >>> print(markdown_table(["key", "meaning"], [("a", "what it is.")]))
    | key | meaning |
    |---|---|
    | `a` | what it is |
    """
    cells = [(f"`{name}`", *(cell.rstrip(".").replace("|", r"\|") for cell in rest)) for name, *rest in lines]
    rows = [f"| {' | '.join(row)} |" for row in [tuple(heads), *cells]]
    return "\n".join([rows[0], "|---" * len(heads) + "|", *rows[1:]])
