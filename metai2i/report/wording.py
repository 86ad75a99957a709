"""Numbers and comparisons in words that somebody who did not run the experiment understands."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from metai2i.statistics import ENOUGH, Metric, Summary, metric_named

MINUS = "−"
NOTHING = "–"


def number(value: float | None, digits: int, *, sign: bool = False) -> str:
    """A number with a fixed count of digits; a dash where there is none."""
    if value is None:
        return NOTHING
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"  # neither +0.000 nor -0.000
    return text.replace("-", MINUS)


def interval(low: float | None, high: float | None, digits: int, *, sign: bool = False) -> str:
    """ "low to high"; a dash where there is none."""
    if low is None or high is None:
        return NOTHING
    return f"{number(low, digits, sign=sign)} to {number(high, digits, sign=sign)}"


def p_value(p: float | None) -> str:
    """Two significant digits, and nothing finer than 0.0001."""
    if p is None:
        return NOTHING
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def count(n: float | None) -> str:
    """A number of tasks, in which a tie counts a half: 11, 11.5."""
    return NOTHING if n is None else f"{n:g}"


def duration(seconds: float | None) -> str:
    """2.4 s, 3 min 20 s, 1 h 5 min."""
    if seconds is None:
        return NOTHING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def tasks(n: int) -> str:
    """1 test task, 12 test tasks."""
    return f"{n} test task{'' if n == 1 else 's'}"


def best_rows(summary: Summary, metric: str, without: Collection[str] = ()) -> set[str]:
    """The rows with the best mean, among those that have all tasks and values, and leaving out `without`.

    None where there is only one such row, or where the better side is not known.
    """
    higher = metric_named(metric).higher_is_better
    rows = summary["rows"]
    entries = {row: rows[row][metric] for row in rows if metric in rows[row] and row not in without}
    most = max((entry["n"] for entry in entries.values()), default=0)
    complete = {
        row: entry["mean"]
        for row, entry in entries.items()
        if entry["n"] == most and entry["mean"] is not None and not entry["left_out"]
    }
    if higher is None or len(complete) < 2:
        return set()
    best = max(complete.values()) if higher else min(complete.values())
    return {row for row, mean in complete.items() if mean == best}


def reading(summary: Summary, row: str, metric: str) -> str:
    """One comparison as a sentence.

    "BiL-Pix2pix lowers LPIPS by 12 % against Pix2pix (95 % interval 8 to 15 %, p = 0.0004) over 12 test tasks and is
    better on 11 of them."
    """
    pair, baseline, kind = summary["pairs"][row][metric], summary["baseline"], metric_named(metric)
    if pair["n"] == 0:
        return f"{row} and {baseline} have no test task in common."
    if pair["verdict"].startswith("no verdict"):
        return _without_verdict(summary, row, metric)
    n, p = tasks(pair["n"]), _p(pair)
    amount, low, high, unit = _amounts(pair, kind)
    if pair["verdict"] == "no difference shown":
        change = f"{_amount(amount, kind, unit, sign=True)}, {_between(low, high, kind, unit, sign=True)}{p}"
        return f"No difference in {kind.title} is shown between {row} and {baseline} over {n}: {change}."
    verb = "raises" if pair["difference"] > 0 else "lowers"
    one_sided = low is not None and high is not None and low * high >= 0
    if one_sided and amount < 0:
        low, high = -high, -low  # type: ignore[operator]
    within = _between(low, high, kind, unit, sign=not one_sided)
    wins = _wins(pair)
    by = _amount(abs(amount), kind, unit)
    return f"{row} {verb} {kind.title} by {by} against {baseline} ({within}{p}) over {n}{wins}."


def headline(summary: Summary) -> str:
    """What the run shows, in one sentence: the row with the best mean of the main metric against the baseline.

    Rows that hand back a support image (`summary["copies"]`) are left out; a note says which rows lose to them.
    """
    metric, baseline, pairs = summary["metric"], summary["baseline"], summary["pairs"]
    kind = metric_named(metric)
    best = best_rows(summary, metric, without=summary.get("copies", ()))
    others = [row for row in summary["rows"] if row in best and row != baseline]
    if baseline is None or not pairs:
        few = ", ".join(sorted(best)) or next(iter(summary["rows"]))
        means = [summary["rows"][row].get(metric, {}).get("mean") for row in (best or {few})]
        mean = number(means[0], kind.digits)
        rank = "The best mean" if best else "The mean"
        return f"{rank} {kind.title} is {mean}, of {few}. No baseline is named, so nothing is compared."
    if baseline in best or (not others and len(pairs) > 1):
        copying = sorted(best_rows(summary, metric) & set(summary.get("copies", ())))
        nobody = f"Apart from {', '.join(copying)}, no" if copying else "No"
        return f"{nobody} row has a better mean {kind.title} than the baseline, {baseline}."
    row = others[0] if others else next(iter(pairs))
    return reading(summary, row, metric)


def _without_verdict(summary: Summary, row: str, metric: str) -> str:
    pair, baseline, kind = summary["pairs"][row][metric], summary["baseline"], metric_named(metric)
    amount, _, _, unit = _amounts(pair, kind)
    side = "higher" if amount > 0 else "lower"
    by = f"{_amount(abs(amount), kind, unit)} {side} than" if amount else "equal to"
    few = f"too few for a verdict ({ENOUGH} are needed)"
    why = few if pair["n"] < ENOUGH else f"there is {pair['verdict']}"
    return f"{kind.title} of {row} is {by} that of {baseline} over {tasks(pair['n'])}; {why}."


def _amounts(pair: dict[str, Any], kind: Metric) -> tuple[float, float | None, float | None, str]:
    """The change and its interval: in percent of the baseline, or as a difference where a ratio says nothing."""
    if kind.unit == "dB" or pair["ratio"] is None or pair["ratio_low"] is None:
        return pair["difference"], pair["low"], pair["high"], f" {kind.unit}" if kind.unit else ""
    amount, low, high = (100 * (pair[key] - 1) for key in ("ratio", "ratio_low", "ratio_high"))
    return amount, low, high, " %"


def _amount(value: float | None, kind: Metric, unit: str, *, sign: bool = False) -> str:
    return number(value, _digits(value, kind, unit), sign=sign) + (unit if value is not None else "")


def _between(low: float | None, high: float | None, kind: Metric, unit: str, *, sign: bool = False) -> str:
    if low is None or high is None:
        return "no interval"
    digits = max(_digits(low, kind, unit), _digits(high, kind, unit))
    return f"95 % interval {interval(low, high, digits, sign=sign)}{unit}"


def _digits(value: float | None, kind: Metric, unit: str) -> int:
    if unit != " %" or value is None:
        return kind.digits
    return 0 if abs(value) >= 9.5 else 1


def _p(pair: dict[str, Any]) -> str:
    p = p_value(pair["p_holm"])
    return f", p {p}" if p.startswith("<") else f", p = {p}"


def _wins(pair: dict[str, Any]) -> str:
    if pair["wins"] is None:
        return ""
    better = pair["verdict"] == "better"
    times = pair["wins"] if better else pair["n"] - pair["wins"]
    share = "all" if times == pair["n"] else count(times)
    return f" and is {'better' if better else 'worse'} on {share} of them"
