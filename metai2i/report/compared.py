"""A number beside its difference from the baseline's, each with an interval, in words."""

from __future__ import annotations

from typing import TypedDict

from metai2i.report.wording import NOTHING, interval, number
from metai2i.statistics import SceneNumberRecord, SetLineRecord


class ComparedCell(TypedDict):
    """A number with its 95 % interval, and its difference from the baseline's with the interval of that;
    `excludes_zero`: whether the latter does.
    """

    value: str
    within: str
    difference: str
    difference_within: str
    excludes_zero: bool


def compared_cell(record: SceneNumberRecord | SetLineRecord | None, digits: int) -> ComparedCell:
    """Return a number in words; a dash where there is none."""
    if record is None:
        return ComparedCell(value=NOTHING, within="", difference="", difference_within="", excludes_zero=False)
    low, high = record["difference_low"], record["difference_high"]
    return ComparedCell(
        value=number(record["value"], digits),
        within="" if record["low"] is None else interval(record["low"], record["high"], digits),
        difference="" if record["difference"] is None else number(record["difference"], digits, sign=True),
        difference_within="" if low is None else interval(low, high, digits, sign=True),
        excludes_zero=low is not None and high is not None and (low > 0 or high < 0),
    )


def compared_words(cell: ComparedCell, *, alone: bool = False) -> str:
    """Return a number in one line, with its difference behind it.

    Args:
        alone: whether the difference is left out.
    """
    within = f" ({cell['within']})" if cell["within"] else ""
    further = f"; {cell['difference']}" if cell["difference"] and not alone else ""
    further += f" ({cell['difference_within']})" if further and cell["difference_within"] else ""
    return f"{cell['value']}{within}{further}"
