"""What the framework adds to the work itself: a whole ablation table, and an evaluation.

    python benchmarks/table.py --quick
    python benchmarks/table.py --json table.json

`table`: the eight rows of the paper's Table 1 (two translators; not adapted, fine-tuned, meta-trained without and with
retrieval) on drawn faces, by `metai2i run`, against the sum of what its distinct stages say that they took, each once.
`again` is the same command when all stages are done; `row by row` is what the stages would take if no row shared any.

`evaluation`: scenes scored by the stage `evaluate` against the passes that this needs, bare: K inner steps of torch's
Adam, the images of the queries, the metrics. Both read the same scenes, which are drawn before.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from common import interleaved, measure, report

from metai2i import Step
from metai2i.metric import metric_values
from metai2i.pipeline.assemble import Assembler, scored_tasks
from metai2i.pipeline.runner import Runner
from metai2i.pipeline.stage_store import StageStore
from metai2i.randomness import Randomness
from metai2i.recipe import Recipe, load_recipe
from metai2i.registry import Registry
from metai2i.stages.evaluate import evaluate
from metai2i.stages.row_evaluator import RowEvaluator
from metai2i.training.stage_context import StageContext

CPU = torch.device("cpu")
TABLE_TARGET, EVALUATION_TARGET = 1.05, 1.15

TRANSLATORS: Mapping[str, dict[str, Any]] = {
    "PG2": {"use": "pg2", "width": 12, "widest": 96, "downs": 4, "d_width": 8, "d_layers": 2},
    "Pix2pix": {"use": "pix2pix", "width": 16, "d_width": 8, "d_layers": 2},
}


def recipe_of(length: float, scenes: int) -> dict[str, Any]:
    """Return the recipe of Table 1, small.

    Args:
        length: 1 for some minutes of training on two cores.
        scenes: on which the rows are scored.
    """
    rows: dict[str, Any] = {}
    for name, translator in TRANSLATORS.items():
        meta, plain = f"BiL-{name} w/o Aux (5-shot)", {"continued": {"match": f"BiL-{name} w/o Aux (5-shot)"}}
        rows |= {
            name: {"strategy": {"use": "none"}, **plain},
            f"{name} (5-shot)": {"strategy": {"use": "finetune"}, **plain},
            meta: {},
            f"BiL-{name} (5-shot)": {"retriever": {"use": "iou", "k": 5}},
        }
        for row in list(rows)[-4:]:
            rows[row]["translator"] = translator
    return {
        "name": "table",
        "tasks": {"use": "scenes", "kind": "face", "size": [64, 64], "train": 40, "val": 4, "test": scenes},
        "episodes": {"shots": 5, "queries": 5},
        "augment": None,
        "objective": {"l1": 10, "adversarial": 0.2, "perceptual": 0},
        "pretrain": {"iterations": round(400 * length), "batch": 5, "lr": 1e-3},
        "metatrain": {"iterations": round(60 * length), "tasks": 2, "lr": 2e-4},
        "adapt": {"iterations": 10, "lr": 2e-3},
        "aux": {"iterations": 1, "tasks": 2},
        "strategy": {"use": "bil", "steps": 5},
        "evaluate": {"images": 2},
        "rows": rows,
        "compare": {"metric": "lpips"},
    }


def loaded(data: Mapping[str, Any], folder: Path) -> Recipe:
    """Return the recipe, checked."""
    path = folder / "table.yaml"
    path.write_text(yaml.safe_dump(dict(data), sort_keys=False))
    return load_recipe(path, registry=Registry())


def run_of(recipe: Recipe, folder: Path) -> float:
    """Run the recipe into a folder; return the seconds by the clock."""
    began = time.perf_counter()
    Runner(recipe, Registry(), folder / "run", StageStore(folder / "stages"), CPU).run()
    return time.perf_counter() - began


def table(length: float, scenes: int) -> list[dict[str, Any]]:
    """Return the rows on a whole table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = loaded(recipe_of(length, scenes), folder)
        whole, again = run_of(recipe, folder), 0.0
        stages = json.loads((folder / "run" / "provenance.json").read_text())["stages"]
        again = run_of(recipe, folder)
    each = sum(stage["seconds"] for stage in stages)
    unshared = sum(stage["seconds"] * len(stage["rows"]) for stage in stages)
    what = {"the whole table": whole, "again": again, "row by row": unshared}
    base = {"what": f"its {len(stages)} stages, each once", "seconds": each, "against the stages": 1.0}
    records = [{"what": name, "seconds": s, "against the stages": s / each} for name, s in what.items()]
    records[0]["target"] = TABLE_TARGET
    return [base, *records]


def judge_of(scenes: int, steps: int) -> tuple[RowEvaluator, list[Any], tempfile.TemporaryDirectory[str]]:
    """Return who scores a fine-tuned Pix2pix, the scenes, all drawn, and a folder that is there as long as
    it is kept.
    """
    folder = tempfile.TemporaryDirectory()
    data = recipe_of(1.0, scenes)
    data["adapt"]["iterations"] = steps
    data["evaluate"]["images"] = 0
    row = loaded(data, Path(folder.name)).rows["Pix2pix (5-shot)"]
    assembler = Assembler(Registry(), 0, CPU)
    judge = RowEvaluator(
        assembler.translator(row), assembler.strategy(row), None, assembler.source(row).tasks("train"), row,
        assembler.sampling(row), Randomness((0, "evaluate")), CPU, assembler.metrics(row),
    )  # fmt: skip
    return judge, list(scored_tasks(row, assembler)), folder


def stage(*, scenes: int, steps: int) -> Callable[[], float]:
    """Return the stage `evaluate`, which keeps no images."""
    judge, tasks, folder = judge_of(scenes, steps)
    count = iter(range(1000))

    def run() -> float:
        here = Path(folder.name) / str(next(count))
        evaluate(StageContext(here, "evaluate", CPU), judge, tasks)
        scores = json.loads((here / "results.json").read_text())
        return float(sum(query["lpips"] for task in scores for query in task["queries"]))

    return run


def bare(*, scenes: int, steps: int) -> Callable[[], float]:
    """Return the passes alone, on episodes that were drawn before."""
    judge, tasks, _ = judge_of(scenes, steps)
    row = judge.row
    episodes = [
        judge.sampling.episode(task, row.test_shots, row.test_queries, judge.rng.at(task.id, 0), unseen=True)
        for task in tasks
    ]

    def run() -> float:
        total = 0.0
        for episode in episodes:
            model = copy.deepcopy(judge.gp)
            optimizers = {
                name: torch.optim.Adam(list(parameters), lr=row.adapt.lr, betas=row.adapt.betas, fused=True)
                for name, parameters in model.players().items()
            }
            model.train()
            for _ in range(steps):
                for player, losses in model.training_step(episode.support, Step(inner=True)):
                    parameters = list(model.players()[str(player)])
                    grads = torch.autograd.grad(sum(losses.values()), parameters)  # type: ignore[arg-type]
                    for p, g in zip(parameters, grads, strict=True):
                        p.grad = g
                    optimizers[str(player)].step()
            model.eval()
            with torch.no_grad():
                images = model.translate(episode.query)
            total += sum(metric_values(judge.metrics, images, episode.query)["lpips"])
        return total

    return run


def evaluation(scenes: int, steps: int, rounds: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows on an evaluation, and what is to be said of cases that failed."""
    settings: dict[str, Any] = {"scenes": scenes, "steps": steps, "repeats": 1}
    measured, failed = interleaved(
        {"bare": partial(measure, bare, **settings), "stage": partial(measure, stage, **settings)}, rounds
    )
    base = measured.get("bare")
    rows = [
        {
            "what": {"bare": "the passes, bare", "stage": "the stage evaluate"}[name],
            "scenes": scenes,
            "K": steps,
            "CPU seconds": timing.seconds,
            "against the passes": timing.seconds / base.seconds if base else None,
            "target": EVALUATION_TARGET if name == "stage" else None,
            "sum of LPIPS": timing.value,
        }
        for name, timing in measured.items()
    ]
    return rows, [f"{name} failed: {why}" for name, why in failed.items()]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short table, 8 scenes, each case once")
    parser.add_argument("--json", type=Path, help="also write the tables there (NAME.json, NAME.evaluation.json)")
    parser.add_argument("--only", choices=("table", "evaluation"), help="only one of the two")
    parser.add_argument("--length", type=float, help="of training in the table; 1 takes minutes")
    parser.add_argument("--scenes", type=int, help="to score; 50")
    parser.add_argument("--steps", type=int, default=20, help="of adapting in the evaluation")
    parser.add_argument("--rounds", type=int, help="fresh processes for each case, in turns; their median counts")
    arguments = parser.parse_args()
    quick = arguments.quick
    scenes, length = arguments.scenes or (8 if quick else 50), arguments.length or (0.1 if quick else 1.0)
    if arguments.only != "evaluation":
        torch.set_num_threads(1)
        report("A whole table against its stages", table(length, scenes), arguments.json)
    if arguments.only != "table":
        rows, notes = evaluation(scenes, arguments.steps, arguments.rounds or (1 if quick else 3))
        file = arguments.json and arguments.json.with_suffix(".evaluation.json")
        report("An evaluation against the passes that it needs", rows, file, notes=notes)


if __name__ == "__main__":
    main()
