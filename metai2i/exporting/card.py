"""`metai2i card`: the model card of an adapted model, as the Hugging Face hub shows it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metai2i import __version__
from metai2i.errors import UserError, counted, did_you_mean
from metai2i.exporting.table_files import in_markdown
from metai2i.inference.model_file import AdaptedModel
from metai2i.inference.trained_run import package
from metai2i.metrics.display import read_measures
from metai2i.registry import Registry
from metai2i.report.run_summary import summarise_run
from metai2i.report.tables import mean_table, pair_table
from metai2i.run_folder.reader import Run, load_run
from metai2i.statistics import Summary, measure_of
from metai2i.training.ways import fields_of_way

CARD = "README.md"
TASK = "image-to-image"
"""What the hub calls what these models do."""
RECIPE_KEYS = (
    "tasks", "translator", "objective", "strategy", "retriever", "episodes", "augment", "reference", "pretrain",
    "continued", "metatrain", "adapt", "aux", "tune", "evaluate", "precision",
)  # fmt: skip
"""Keys of a row that a card shows."""


@dataclass(frozen=True)
class CardContent:
    """What a card tells of.

    Args:
        path: the model's file.
        model: as it was read.
        run: that it was adapted from; None where that is not there.
        license: of the model, as its owner says; None where nobody has.
        licences: of the data, where they are known, by what has them.
    """

    path: Path
    model: AdaptedModel
    run: Run | None
    license: str | None
    licences: Mapping[str, str]

    @property
    def origin_facts(self) -> Mapping[str, Any]:
        """Return where the model is from."""
        return self.model.about["made"]

    @property
    def row(self) -> str:
        """Return the row that it was adapted from."""
        return str(self.origin_facts.get("row"))

    @property
    def use(self) -> str:
        """Return the name of its translator."""
        return self.model.about["translator"]["use"]


def run_of(model: AdaptedModel, named: Path | None) -> Run | None:
    """Return the run that a model was adapted from.

    Args:
        named: its folder, where somebody names it; else the one that the model's file names is looked at.

    Raises:
        UserError: when the run that is named is not the one.
    """
    origin = model.about["made"]
    folder = named or Path(str(origin.get("run")))
    if named is None and not (folder / "results.csv").is_file():
        return None
    run = load_run(folder)
    row, stage = origin.get("row"), origin.get("stage")
    if stage in {each.key for each in run.provenance.stages_of(str(row))}:
        return run
    if named is None:
        return None
    hint = f"it was adapted from row {row!r} of {origin.get('run')}"
    if row in run.rows:
        raise UserError(
            "the model was not adapted from this run: its row was trained otherwise", where=named, hint=hint
        )
    near = did_you_mean(str(row), run.rows)
    raise UserError(f"the model was not adapted from this run, which has no row {row!r}", where=named,
                    hint=f"{hint}; {near}" if near else hint)  # fmt: skip


def licences_of(run: Run | None, row: str, registry: Registry) -> Mapping[str, str]:
    """Return the licences of a row's data, where its task source knows them."""
    tasks = run.section(row).get("tasks") if run is not None else None
    use = tasks.get("use") if isinstance(tasks, Mapping) else None
    try:
        return registry.get("task source", str(use)).licences if use is not None else {}
    except UserError:
        return {}


def card_text(content: CardContent) -> str:
    """Return the card: what the hub reads, between two lines of dashes, and what people read."""
    summary = None if content.run is None else summarise_run(content.run)
    known = summary if summary is not None and content.row in summary["rows"] else None
    head = yaml.safe_dump(front_matter(content, known), sort_keys=False, allow_unicode=True, width=1000)
    sections = [title(content), usage(content), inside(content), origin(content), data(content)]
    sections += [metrics_of_row(content, known), licence(content), recipe(content)]
    return f"---\n{head}---\n\n" + "\n".join(section for section in sections if section)


def front_matter(content: CardContent, summary: Summary | None) -> dict[str, Any]:
    """Return what the hub reads of a card."""
    head: dict[str, Any] = {"library_name": "metai2i", "pipeline_tag": TASK}
    if content.license is not None:
        head["license"] = content.license
    head["tags"] = ["metai2i", "few-shot", "meta-learning", content.use]
    if summary is None:
        return head
    measured = [
        {"type": metric, "name": f"{measure_of(summary, metric).title}, mean over {counted(mean['n'], 'test task')}",
         "value": mean["mean"]}
        for metric, mean in summary["rows"][content.row].items()
        if mean["mean"] is not None
    ]  # fmt: skip
    if measured:
        tasks = data_name(content)
        head["model-index"] = [
            {"name": content.path.stem,
             "results": [{"task": {"type": TASK, "name": "Few-shot image-to-image translation"},
                          "dataset": {"type": tasks, "name": f"{tasks}, test scenes"}, "metrics": measured}]}
        ]  # fmt: skip
    return head


def data_name(content: CardContent) -> str:
    """Return what the data of the run are called: their task source."""
    tasks = content.run.section(content.row).get("tasks") if content.run is not None else None
    return str(tasks.get("use")) if isinstance(tasks, Mapping) else "unknown"


def title(content: CardContent) -> str:
    """Return the heading, and in a sentence what the model is."""
    height, width = content.model.spec.size
    reads = ", ".join(sorted(fields_of_way(content.model.translator, content.model.way)))
    samples, about = counted(content.model.support.size, "sample"), content.origin_facts
    return (
        f"# {in_markdown(content.path.stem)}\n\n"
        f"A `{content.use}` for images of {height}x{width} that reads {in_markdown(reads)}: the general model of the "
        f"row “{in_markdown(content.row)}” of the recipe “{in_markdown(str(about.get('recipe')))}”, adapted to "
        f"{samples} of one scene with metai2i {about.get('metai2i')}.\n"
    )


def usage(content: CardContent) -> str:
    """Return how the model is used, from the command line and from Python."""
    plugin = package(content.model.about["plugin"])
    name, maps = content.path.name, "maps" if "structure" in content.model.translator.needs else "inputs"
    general = content.model.about.get("general")
    beside = f"\nIt needs `{general['file']}` beside it, the general model that scenes share.\n" if general else ""
    colours = ""
    classes = content.model.spec.classes
    if classes:
        palette = content.model.spec.palette or ((),) * len(classes)
        lines = [f"| {n} | {in_markdown(each)} | {', '.join(map(str, colour))} |"
                 for n, (each, colour) in enumerate(zip(classes, palette, strict=True))]  # fmt: skip
        colours = "\n".join(
            ["", "Label maps have these classes:", "", "| id | class | colour |", "|---:|---|---|", *lines, ""]
        )
    python = (
        "```python\nimport metai2i\n\n"
        f'model = metai2i.load_adapted("{name}")\n'
        'image = model.paint(model.read_map("map.png")[None])  # (1, 3, H, W) in [-1, 1]\n```\n'
    )
    return (
        f"## How to use it\n\nIt needs metai2i {__version__} and {plugin}.\n\n"
        f"```console\n$ metai2i translate {shlex.quote(name)} {maps} images\n```\n\n"
        + (python if maps == "maps" else "")
        + f"{beside}{colours}"
    )


def inside(content: CardContent) -> str:
    """Return what the file holds besides weights: somebody's photographs."""
    count = content.model.support.size
    return (
        "## What is in the file\n\n"
        f"Parameters and buffers, and the {counted(count, 'sample')} that it was adapted to, photographs included: "
        "whoever has the file can look at them. Nothing in it is executed when it is read.\n"
    )


def origin(content: CardContent) -> str:
    """Return how the model has come about."""
    about, adapt = content.origin_facts, content.origin_facts.get("adapt")
    strategy = about.get("strategy")
    settings = adapt if isinstance(adapt, Mapping) else {}
    lines = {
        "recipe": about.get("recipe"),
        "row": about.get("row"),
        "translator": f"{content.use} of {package(content.model.about['plugin'])}",
        "strategy": strategy.get("use") if isinstance(strategy, Mapping) else None,
        "inner steps": settings.get("iterations"),
        "inner rate": settings.get("lr"),
        "retrieved scenes": ", ".join(str(each[0]) for each in about.get("aux") or ()) or None,
        "seed": about.get("seed"),
        "general model (stage)": about.get("stage"),
        "when": about.get("when"),
        "seconds": about.get("seconds"),
        "metai2i, torch": f"{about.get('metai2i')}, {about.get('torch')} on {about.get('device')}",
    }
    rows = [f"| {key} | {in_markdown(str(value))} |" for key, value in lines.items() if value is not None]
    return "\n".join(["## How it was made", "", "| what | value |", "|---|---|", *rows, ""])


def data(content: CardContent) -> str:
    """Return what the general model was trained on, as far as it is known."""
    if content.run is None:
        return "## Data\n\nThe run that the model was adapted from is not at hand, so its data are not told here.\n"
    tasks = content.run.section(content.row).get("tasks")
    settings = tasks if isinstance(tasks, Mapping) else {}
    facts = content.run.provenance.data
    lines = [f"The general model was trained on the scenes of the task source `{settings.get('use')}`"
             + (f" (fingerprint of the run's data: `{facts.fingerprint}`)." if facts.fingerprint else ".")]  # fmt: skip
    if content.licences:
        said = "; ".join(f"{in_markdown(name)}: {in_markdown(text)}" for name, text in content.licences.items())
        lines.append(f"Their licences: {said}.")
    else:
        lines.append("Their licence is not known to metai2i.")
    lines.append(f"It was adapted to {counted(content.model.support.size, 'sample')} of a scene of its owner's.")
    return "## Data\n\n" + " ".join(lines) + "\n"


def metrics_of_row(content: CardContent, summary: Summary | None) -> str:
    """Return what the row was measured to be, with intervals, and how it compares with its baseline."""
    if summary is None:
        return "## Metrics\n\nThe run that the model was adapted from is not at hand, so nothing is told of its row.\n"
    line = next(each for each in mean_table(summary) if each["row"] == content.row)
    measures = read_measures(summary["measures"])
    rows = [
        f"| {in_markdown(measures[metric].label if metric in measures else metric)} | {cell['mean']} | "
        f"{cell['interval'] or '–'} | {summary['rows'][content.row].get(metric, {'n': 0})['n']} |"
        for metric, cell in zip(summary["metrics"], line["cells"], strict=True)
    ]
    against = next((each for each in pair_table(summary, summary["metric"]) if each["row"] == content.row), None)
    sentence = (
        f"\n{in_markdown(measure_of(summary, summary['metric']).title)} against the baseline "
        f"“{in_markdown(against['against'])}”, paired by test task: difference {against['difference']} "
        f"({against['difference_interval']}), p {against['p']} after Holm: {against['verdict']}.\n"
        if against is not None
        else ""
    )
    return (
        "## Metrics\n\nOf the row that the model was adapted from, each test scene adapted to as the recipe says; "
        "**not of this file's scene**, on which nothing was measured.\n\n"
        + "\n".join(["| metric | mean | 95 % interval | test tasks |", "|---|---:|---:|---:|", *rows, ""])
        + sentence
    )


def licence(content: CardContent) -> str:
    """Return under which licence the model is, as its owner says."""
    said = (
        f"{content.license}, as its owner says."
        if content.license
        else "Its owner has not said under which licence it is."
    )
    return f"## Licence\n\n{said}\n"


def recipe(content: CardContent) -> str:
    """Return the row's keys of the recipe, resolved."""
    section: Mapping[str, object] = {} if content.run is None else content.run.section(content.row)
    shown = {key: section[key] for key in RECIPE_KEYS if section.get(key) is not None}
    if not shown:
        return ""
    text = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)
    fence = "`" * max(3, longest_run(text, "`") + 1)
    return f"## Recipe of the row\n\n{fence}yaml\n{text}{fence}\n"


def longest_run(text: str, sign: str) -> int:
    """Return how often a sign stands in a row, at most.

    >>> longest_run("a``b```", "`")
    3
    """
    lengths: Sequence[int] = [len(part) for part in "".join(c if c == sign else " " for c in text).split()]
    return max(lengths, default=0)
