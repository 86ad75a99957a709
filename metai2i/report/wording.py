"""Numbers and comparisons in words that somebody who did not run the experiment understands."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from metai2i.metrics.display import MetricInfo
from metai2i.statistics import (
    ENOUGH,
    OTHER_COUNTS,
    HalvesRecord,
    PairRecord,
    RankingRecord,
    Summary,
    baseline_of,
    baselines_in,
    family,
    measure_of,
)

MINUS = "−"
NOTHING = "–"
LEAKS = "†"  # stands behind the name of a row that is shown what it is to predict


def number(value: float | None, digits: int, *, sign: bool = False) -> str:
    """Return a number with a fixed count of digits; a dash where there is none."""
    if value is None:
        return NOTHING
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"  # neither +0.000 nor -0.000
    return text.replace("-", MINUS)


def interval(low: float | None, high: float | None, digits: int, *, sign: bool = False) -> str:
    """Return "low to high"; a dash where there is none."""
    if low is None or high is None:
        return NOTHING
    return f"{number(low, digits, sign=sign)} to {number(high, digits, sign=sign)}"


def p_value(p: float | None) -> str:
    """Return two significant digits, and nothing finer than 0.0001."""
    if p is None:
        return NOTHING
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def count(n: float | None) -> str:
    """Return a number of tasks, in which a tie counts a half: 11, 11.5."""
    return NOTHING if n is None else f"{n:g}"


def duration(seconds: float | None) -> str:
    """Return a duration in words: 2.4 s, 3 min 20 s, 1 h 5 min."""
    if seconds is None:
        return NOTHING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def amount_of_bytes(n: float) -> str:
    """Return an amount in words: 0 B, 12.3 kB, 4.5 MB, in powers of ten, as files are told."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n >= 0.9995 * size:
            return f"{n / size:.1f} {unit}"
    return f"{n:.0f} B"


def rank_sentences(ranks: Sequence[RankingRecord]) -> list[str]:
    """Return what comparisons of several rows by rank say, those of equal size in one sentence.

    Args:
        ranks: `summary["ranks"]`.
    """
    alike: dict[tuple[int, float | None], list[RankingRecord]] = {}
    for ranking in ranks:
        alike.setdefault((ranking["n"], ranking["critical_difference"]), []).append(ranking)
    sentences = []
    for (n, difference), group in alike.items():
        test = f"Friedman's test over {tasks(n)}: {', '.join(map(_friedman, group))}"
        told_apart = (
            f"under {ENOUGH} tasks nothing is told apart"
            if difference is None
            else f"where p is below 0.05, mean ranks that differ by more than {difference:.2f} are told apart (Nemenyi)"
        )
        sentences.append(f"{test}; {told_apart}.")
    return sentences


def _friedman(ranking: RankingRecord) -> str:
    p = p_value(ranking["p"])
    equals = f"p {p}" if p.startswith("<") else f"p = {p}"
    return equals if ranking["steps"] is None else f"{equals} after {steps(ranking['steps'])}"


def steps(count: int) -> str:
    """Return a number of steps in words: 1 step, 20 steps."""
    return "1 step" if count == 1 else f"{count} steps"


def support_name(shots: int | None) -> str:
    """Return the name of a support: Support; Support (5-shot) where rows have different ones."""
    return "Support" if shots is None else f"Support ({shots}-shot)"


def tasks(n: int) -> str:
    """Return a number of test tasks in words: 1 test task, 12 test tasks."""
    return f"{n} test task{'' if n == 1 else 's'}"


def best_rows(summary: Summary, metric: str, without: Collection[str] = ()) -> set[str]:
    """Return the rows with the best mean, among those that have all tasks and values.

    Left out are those of `without`, and always those that are shown what they are to predict (`summary["leaking"]`).
    None where there is only one such row, where the better side is not known, or where rows cannot be compared
    (`summary["uneven"]`).
    """
    higher = measure_of(summary, metric).higher_is_better
    rows = summary["rows"]
    left_out = {*without, *summary.get("leaking", ())}
    entries = {row: rows[row][metric] for row in rows if metric in rows[row] and row not in left_out}
    most = max((entry["n"] for entry in entries.values()), default=0)
    complete = {
        row: entry["mean"]
        for row, entry in entries.items()
        if entry["n"] == most and entry["mean"] is not None and not entry["left_out"]
    }
    if higher is None or len(complete) < 2 or metric in summary["uneven"]:
        return set()
    best = max(complete.values()) if higher else min(complete.values())
    return {row for row, mean in complete.items() if mean == best}


def marked(summary: Summary, row: str) -> str:
    """Return a row's name, with a sign behind it where the row is shown what it is to predict
    (`summary["leaking"]`).
    """
    return f"{row} {LEAKS}" if row in summary.get("leaking", ()) else row


def shortened(name: str, letters: int = 90) -> str:
    """Return a name for where there is no second line: its middle gives way."""
    if len(name) <= letters:
        return name
    head = (letters - 1) // 2
    return f"{name[:head]}…{name[head + 1 - letters :]}"


def harder_half_sentence(harder_half: HalvesRecord) -> str:
    """Return what the harder half of the queries is."""
    count, middle = harder_half["halves"]["harder"]["queries"], number(harder_half["median"], 2)
    which = "is the query" if count == 1 else f"are the {count} queries"
    whose = "" if harder_half["alike"] else f" of {harder_half['of']}"
    return (
        f"The harder half {which} whose label map is less like the nearest support map{whose} than the others' "
        f"(mean IoU below {middle}): there is less to copy, and more depends on what has been learned of the scene."
    )


def leaking_note(rows: Collection[str]) -> str:
    """Return what the sign behind rows means."""
    are = "is" if len(rows) == 1 else "are"
    return (
        f"{LEAKS} {', '.join(rows)} {are} shown an augmented copy of the very image that is to be predicted "
        "(reference: {test: target}). The best is chosen among the other rows."
    )


def crossed_shots(summary: Summary, row: str) -> str:
    """Return "5-shot against 1-shot" where a row adapts to other numbers of pairs than its baseline, else nothing."""
    known, baseline = summary.get("shots", {}), baseline_of(summary, row)
    shots, others = known.get(row), known.get(baseline) if baseline is not None else None
    return f"{shots}-shot against {others}-shot" if shots and others and shots != others else ""


def crossing_note(summary: Summary, rows: Sequence[str]) -> str:
    """Return a sentence on the rows whose comparison with their baseline crosses numbers of shots."""
    listed = ", ".join(f"{marked(summary, row)} ({crossed_shots(summary, row)})" for row in rows)
    return f"Compared with a baseline that adapts to another number of pairs: {listed}."


def reading(summary: Summary, row: str, metric: str) -> str:
    """Return one comparison as a sentence.

    "BiL-Pix2pix lowers LPIPS by 12 % against Pix2pix (95 % interval 8 to 15 %, p = 0.0004) over 12 test tasks and is
    better on 11 of them." Behind that it says where they adapt to different numbers of pairs.
    """
    sentence, across = _reading(summary, row, metric), crossed_shots(summary, row)
    return f"{sentence.removesuffix('.')}, {across}." if across else sentence


def _reading(summary: Summary, row: str, metric: str) -> str:
    pair, kind = summary["pairs"][row][metric], measure_of(summary, metric)
    if pair["verdict"].startswith("no verdict") and pair["n"]:
        return _without_verdict(summary, row, metric)
    row, baseline = marked(summary, row), marked(summary, summary["against"][row])
    if pair["verdict"] == OTHER_COUNTS:
        return f"{kind.title} does not compare {row} with {baseline}: they are of other numbers of images."
    if pair["n"] == 0:
        return f"{row} and {baseline} have no test task in common."
    n, p = tasks(pair["n"]), _p(pair)
    amount, low, high, unit = _amounts(pair, kind)
    if pair["verdict"] == "no difference shown":
        change = f"{_amount(amount, kind, unit, sign=True)}, {_between(low, high, kind, unit, sign=True)}{p}"
        return f"No difference in {kind.title} is shown between {row} and {baseline} over {n}: {change}."
    verb = "raises" if (pair["difference"] or 0) > 0 else "lowers"
    one_sided = low is not None and high is not None and low * high >= 0
    if one_sided and amount < 0:
        low, high = -high, -low  # type: ignore[operator]
    within = _between(low, high, kind, unit, sign=not one_sided)
    wins = _wins(pair)
    by = _amount(abs(amount), kind, unit)
    return f"{row} {verb} {kind.title} by {by} against {baseline} ({within}{p}) over {n}{wins}."


def headline(summary: Summary) -> str:
    """Return what the run shows, in a sentence for every baseline: the row with the best mean of the main metric, among
    those that are compared with it, against it.

    Rows that hand back a support image (`summary["copies"]`) are left out; a note says which rows lose to them. So are
    those that are shown what they are to predict (`summary["leaking"]`).
    """
    baselines = baselines_in(summary)
    if not baselines:
        return _without_baseline(summary)
    return " ".join(_about_family(summary, baseline, alone=len(baselines) == 1) for baseline in baselines)


def _without_baseline(summary: Summary) -> str:
    metric = summary["metric"]
    kind = measure_of(summary, metric)
    best = best_rows(summary, metric, without=summary.get("copies", ()))
    few = sorted(best) or [next(iter(summary["rows"]))]
    mean = number(_mean(summary, few[0]), kind.digits)
    rank, names = "The best mean" if best else "The mean", ", ".join(marked(summary, row) for row in few)
    why = "No baseline is named" if summary["baseline"] is None else "There is no row beside the baseline"
    return f"{rank} {kind.title} is {mean}, of {names}. {why}, so nothing is compared."


def _about_family(summary: Summary, baseline: str, *, alone: bool) -> str:
    """Return the headline's sentence about one baseline; `alone` if it is the only one."""
    metric = summary["metric"]
    title, rows = measure_of(summary, metric).title, family(summary, baseline)
    elsewhere = summary["rows"].keys() - rows
    best = best_rows(summary, metric, without={*elsewhere, *summary.get("copies", ())})
    others = [row for row in rows if row in best and row != baseline]
    honest = [row for row in rows if row != baseline and row not in summary.get("leaking", ())]
    if not honest:
        return f"Nothing is compared with {baseline} but rows that are shown what they are to predict."
    if not best:  # values are missing: there is no best mean to speak of
        return " ".join(reading(summary, row, metric) for row in honest)
    incomplete = [row for row in honest if _ahead_without_some(summary, row)]
    if incomplete and not others:
        return " ".join(reading(summary, row, metric) for row in incomplete)
    if baseline in best or (not others and len(honest) > 1):
        apart = ", ".join(marked(summary, row) for row in _set_apart(summary, baseline))
        nobody = f"Apart from {apart}, no" if apart else "No"
        across = ", ".join(dict.fromkeys(filter(None, (crossed_shots(summary, row) for row in honest))))
        of_it = f"{marked(summary, baseline)} ({across})" if across else marked(summary, baseline)
        if alone:
            return f"{nobody} row has a better mean {title} than the baseline, {of_it}."
        return f"{nobody} row that is compared with {of_it} has a better mean {title}."
    return reading(summary, others[0] if others else honest[0], metric)


def _ahead_without_some(summary: Summary, row: str) -> bool:
    """Return whether a row lacks values, so that it has no rank, and is ahead of its baseline where both have one."""
    metric = summary["metric"]
    entry, pair = summary["rows"][row].get(metric), summary["pairs"].get(row, {}).get(metric)
    if entry is None or pair is None or not entry["left_out"] or pair["difference"] is None:
        return False
    return (pair["difference"] > 0) == measure_of(summary, metric).higher_is_better and pair["difference"] != 0


def _set_apart(summary: Summary, baseline: str) -> list[str]:
    """Return the rows that a sentence about a baseline leaves out although their mean is better than its own."""
    apart = {*summary.get("copies", ()), *summary.get("leaking", ())} - {baseline}
    means = {row: _mean(summary, row) for row in family(summary, baseline)}
    base, sign = means[baseline], 1 if measure_of(summary, summary["metric"]).higher_is_better else -1
    if base is None:
        return []
    return [row for row, mean in means.items() if row in apart and mean is not None and sign * (mean - base) > 0]


def _mean(summary: Summary, row: str) -> float | None:
    """Return a row's mean of the main metric; None where it has none."""
    metrics, metric = summary["rows"][row], summary["metric"]
    return metrics[metric]["mean"] if metric in metrics else None


def _without_verdict(summary: Summary, row: str, metric: str) -> str:
    pair, kind = summary["pairs"][row][metric], measure_of(summary, metric)
    row, baseline = marked(summary, row), marked(summary, summary["against"][row])
    amount, _, _, unit = _amounts(pair, kind)
    side = "higher" if amount > 0 else "lower"
    by = f"{_amount(abs(amount), kind, unit)} {side} than" if amount else "equal to"
    few = f"too few for a verdict ({ENOUGH} are needed)"
    why = few if pair["n"] < ENOUGH else f"there is {pair['verdict']}"
    return f"{kind.title} of {row} is {by} that of {baseline} over {tasks(pair['n'])}; {why}."


def _amounts(pair: PairRecord, kind: MetricInfo) -> tuple[float, float | None, float | None, str]:
    """Return the change and its interval: in percent of the baseline, or as a difference where a ratio says nothing."""
    ratio, ratio_low, ratio_high = pair["ratio"], pair["ratio_low"], pair["ratio_high"]
    if kind.unit == "dB" or ratio is None or ratio_low is None or ratio_high is None:
        return pair["difference"] or 0.0, pair["low"], pair["high"], f" {kind.unit}" if kind.unit else ""
    return 100 * (ratio - 1), 100 * (ratio_low - 1), 100 * (ratio_high - 1), " %"


def _amount(value: float | None, kind: MetricInfo, unit: str, *, sign: bool = False) -> str:
    return number(value, _digits(value, kind, unit), sign=sign) + (unit if value is not None else "")


def _between(low: float | None, high: float | None, kind: MetricInfo, unit: str, *, sign: bool = False) -> str:
    if low is None or high is None:
        return "no interval"
    digits = max(_digits(low, kind, unit), _digits(high, kind, unit))
    return f"95 % interval {interval(low, high, digits, sign=sign)}{unit}"


def _digits(value: float | None, kind: MetricInfo, unit: str) -> int:
    if unit != " %" or value is None:
        return kind.digits
    return 0 if abs(value) >= 9.5 else 1


def _p(pair: PairRecord) -> str:
    p = p_value(pair["p_holm"])
    return f", p {p}" if p.startswith("<") else f", p = {p}"


def _wins(pair: PairRecord) -> str:
    if pair["wins"] is None:
        return ""
    better = pair["verdict"] == "better"
    times = pair["wins"] if better else pair["n"] - pair["wins"]
    share = "all" if times == pair["n"] else count(times)
    return f" and is {'better' if better else 'worse'} on {share} of them"
