"""`report.html`: one file that opens without a network, and `summary.json` beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from metai2i.console.legible import legible
from metai2i.files import write_text
from metai2i.report.adaptation_plots import trade_off_figures
from metai2i.report.best_table import best_table
from metai2i.report.budget import budget_table
from metai2i.report.by_scene import scene_tables
from metai2i.report.curves import stage_panels, training_stages
from metai2i.report.exemplar_grids import exemplar_grids
from metai2i.report.figures import figures
from metai2i.report.gallery import NO_GALLERY, gallery, images_on_the_way
from metai2i.report.heat_map import factor_heat_maps
from metai2i.report.page_parts import script, style_sheet
from metai2i.report.plots import difference_plot, slope_plots
from metai2i.report.rank_plot import is_list, rank_plot
from metai2i.report.run_summary import summarise_run
from metai2i.report.shown import also_shown
from metai2i.report.tables import halves_table, mean_table, pair_table, rank_tables, seeds_table, sets_table
from metai2i.report.tuned import tuned_values
from metai2i.report.wording import NOTHING, duration, headline, leaking_note, marked, number, reading, steps, tasks
from metai2i.run_folder.files import PAGE, SUMMARY, check_one_run, check_report, write_signed_page
from metai2i.run_folder.reader import Run, load_run
from metai2i.run_folder.record import StageRecord
from metai2i.run_folder.results import Record
from metai2i.statistics import (
    OTHER_COUNTS,
    Summary,
    baselines_in,
    measure_of,
    paired_task_means,
    task_means,
    values_by_task,
)

SLOPE_PANELS = 12


class TaskCell(TypedDict):
    """A row's value of a test task; `place`: of the images that it was measured on, empty where the page has none."""

    text: str
    place: str


class TaskLine(TypedDict):
    """A test task's value of every row; `place`: where links to it lead."""

    task: str
    place: str
    cells: list[TaskCell]


class TaskTable(TypedDict):
    """The main metric per test task; `linked`, `unlinked`: whether any number leads to images, and whether any does
    not.
    """

    rows: list[str]
    lines: list[TaskLine]
    linked: bool
    unlinked: bool


class StageLine(TypedDict):
    """A stage in the table of stages, in words; `iterations` by phase where they differ."""

    name: str
    key: str
    rows: str
    iterations: int | dict[str, int] | None
    seconds: str
    peak: str
    cache: str


def build_report(run: Path) -> Path:
    """Write `summary.json` and `report.html` of a run from its other files; returns the path of the latter.

    Parts that are missing (images, log, provenance, recipe) are named in the report.

    Raises:
        UserError: there is no such folder, its `results.csv` is missing, empty or damaged, its files are not of one
            run, or a file in the place of the report was not written by metai2i.
    """
    loaded = load_run(run)
    check_one_run(run, loaded.provenance, images=True)
    check_report(run, loaded.provenance)
    summary = summarise_run(loaded)
    page = render(run_context(loaded, summary))
    write_text(run / SUMMARY, summary_text(summary))
    write_signed_page(run / PAGE, page)
    return run / PAGE


def summary_text(summary: Summary) -> str:
    """Return `summary.json`: letters as they are, and what UTF-8 has no place for as JSON's own escape."""
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def render(context: Mapping[str, object]) -> str:
    """Return the page of a context of `run_context` or `statistics_context`.

    Names of others are escaped, and spelled out where they hold what cannot be seen (`metai2i.console.legible`).
    """
    environment = page_environment()
    source = {"css": Markup(style_sheet(environment)), "js": Markup(script(environment))}
    return environment.get_template("report.html.j2").render(**context, **source)


def page_environment() -> Environment:
    """Return what makes pages of templates: everything is escaped but what is ours."""
    return Environment(
        loader=PackageLoader("metai2i.report", "templates"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    """Return what the page has in the place of a value; a `Markup` is ours."""
    return legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def run_context(run: Run, summary: Summary) -> dict[str, object]:
    """Return what the page of one run shows."""
    metric = measure_of(summary, summary["metric"])
    images = gallery(run.path / "images", run.images, run.rows, run.records, metric, summary["leaking"])
    return statistics_context(run.name, run.records, summary, images["places"]) | {
        "notes": [*summary["notes"], *run.notes],
        "tuned": tuned_values(run.provenance.stages, run.measures),
        "figures": figures(run, summary["leaking"]),
        "grids": exemplar_grids(run),
        "facts": _facts(run, summary),
        "gallery": images,
        "shown": also_shown(run),
        "training": [
            {**stage, "panels": stage_panels(stage), "strips": images_on_the_way(run.path, stage["key"])}
            for stage in training_stages(run.log)
        ],
        "stages": [_stage(stage) for stage in run.provenance.stages],
        "recipe": run.recipe_text,
        "provenance": _provenance(run.raw_provenance),
        "plugins": run.provenance.plugins,
        "single_run": True,
    }


def statistics_context(
    title: str, records: Iterable[Record], summary: Summary, places: Mapping[tuple[str, str], str] = {}
) -> dict[str, object]:
    """Return what the page of a run and that of a comparison have in common: sentences, tables and plots.

    Args:
        title: of the page.
        records: the numbers.
        summary: of these.
        places: (task, row) -> where links to the images lead that the page has of them.
    """
    metric = measure_of(summary, summary["metric"])
    values = values_by_task(records, metric.name)
    means = {row: task_means(of_row) for row, of_row in values.items()}
    paired = {
        row: paired_task_means(values[row], values[baseline])
        for row, baseline in summary["against"].items()
        if row in values and baseline in values and summary["pairs"][row][metric.name]["verdict"] != OTHER_COUNTS
    }
    pairs, baselines = summary["pairs"], baselines_in(summary)
    slopes = slope_plots(summary, paired, metric)
    return {
        "title": title,
        "headline": headline(summary),
        "readings": [reading(summary, row, metric.name) for row in pairs if metric.name in pairs[row]],
        "notes": summary["notes"],
        "facts": [tasks(len(summary["tasks"]["ids"])), f"{len(summary['rows'])} rows"],
        "metrics": [measure_of(summary, name) for name in summary["metrics"]],
        "metric": metric,
        "baseline": baselines[0] if len(baselines) == 1 else None,
        "alone": summary["baseline"] is not None,
        "means": mean_table(summary),
        "units": "tasks × seeds" if summary.get("seeds") else "tasks",
        "pairs": [
            {"metric": measure_of(summary, name), "rows": pair_table(summary, name), "main": name == metric.name}
            for name in sorted(summary["metrics"], key=lambda name: name != metric.name)
        ]
        if pairs
        else [],
        "differences": difference_plot(summary, paired, metric, places) if pairs else None,
        "slopes": slopes[:SLOPE_PANELS],
        "more_slopes": len(slopes[SLOPE_PANELS:]),
        "per_task": _per_task(summary, means, metric.digits, places),
        "factors": factor_heat_maps(summary),
        "trade_offs": trade_off_figures(summary),
        "budgets": budget_table(summary),
        "ranks": rank_tables(summary),
        "rank_plots": [
            {
                "steps": None if ranking["steps"] is None else steps(ranking["steps"]),
                "svg": rank_plot(ranking),
                "is_list": is_list(ranking),
            }
            for ranking in summary.get("ranks", ())
        ],
        "halves": halves_table(summary),
        "best": best_table(summary),
        "seeds": seeds_table(summary),
        "sets": sets_table(summary),
        "by_scene": scene_tables(summary),
        "leaking": leaking_note(summary["leaking"]) if summary.get("leaking") else "",
        "tuned": [],
        "figures": [],
        "grids": [],
        "gallery": NO_GALLERY,
        "shown": {},
        "training": [],
        "stages": [],
        "recipe": "",
        "provenance": [],
        "plugins": [],
        "single_run": False,
    }


def _per_task(
    summary: Summary, means: Mapping[str, Mapping[str, float]], digits: int, places: Mapping[tuple[str, str], str]
) -> TaskTable:
    rows = [row for row in summary["rows"] if row in means]
    lines = [
        TaskLine(
            task=task,
            place=f"numbers-{n}",
            cells=[
                TaskCell(text=number(means[row].get(task), digits), place=places.get((task, row), "")) for row in rows
            ],
        )
        for n, task in enumerate(summary["tasks"]["ids"], start=1)
    ]
    linked = [bool(cell["place"]) for line in lines for cell in line["cells"]]
    return TaskTable(
        rows=[marked(summary, row) for row in rows], lines=lines, linked=any(linked), unlinked=not all(linked)
    )


def _facts(run: Run, summary: Summary) -> list[str]:
    """Return the line under the title."""
    facts = [tasks(len(summary["tasks"]["ids"])), f"{len(summary['rows'])} rows"]
    if "seed" in run.recipe:
        facts.append(f"seed {run.recipe['seed']}")
    if run.provenance.finished:
        facts.append(f"finished {run.provenance.finished.replace('T', ' ')[:16]}")
    # What the stages took when they were made, and not what this run took, which may have found most of them done.
    seconds = [stage.seconds for stage in run.provenance.stages if stage.seconds is not None]
    if seconds:
        facts.append(f"stages took {duration(sum(seconds))}")
    return facts


def _stage(stage: StageRecord) -> StageLine:
    peak, cache = stage.peak_memory_mib, stage.cache or NOTHING
    return StageLine(
        name=stage.name,
        key=stage.key[:8],
        rows=", ".join(stage.rows),
        iterations=stage.iterations,
        seconds=duration(stage.seconds),
        peak=NOTHING if peak is None else f"{peak:.0f} MiB",
        cache={"hit": "taken from the cache"}.get(cache, cache),
    )


def _provenance(provenance: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return provenance as (name, value) lines: nested mappings are spelled out, lists of stages and plugins have
    tables.
    """
    lines: list[tuple[str, str]] = []
    for name, value in provenance.items():
        if name in ("stages", "plugins", "metrics", "references", "sets", "spec"):
            continue
        if name == "command" and isinstance(value, list):
            lines.append((name, " ".join(map(str, value))))
        elif isinstance(value, Mapping):
            lines.append((name, ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())))
        else:
            lines.append((name, _plain(value)))
    return lines


def _plain(value: object) -> str:
    if value is None:
        return "unknown"
    return value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).split("\n...")[0].strip()
