from pathlib import Path

import pytest
from pydantic import ValidationError

from metai2i.errors import UserErrors
from metai2i.recipe import Adapt, dump_yaml, load_recipe
from metai2i.registry import Registry

METRIC_NAMES = (
    "colour_relevance, diversity, fid, kid, lpips, mse, precision, psnr, recall, semantic_consistency, ssim, swd, "
    "texture_relevance"
)
BASE = """\
tasks: {use: folder, root: data/street}
translator: {use: line, width: 16}
strategy: {use: meta}
"""

FULL = """\
name: street-1shot
description: Table 1
seed: 3
tasks: {use: folder, root: data/street}
episodes: {shots: 1, draws: 4}
translator: {use: line, width: 16}
objective: {l1: 10, perceptual: 0}
pretrain: {iterations: {first: 10, second: 0}, lr: 1e-4, betas: [0, 0.9]}
rows:
  Plain:
    strategy: {use: plain}
    continued: {match: Meta}
  Meta: {strategy: {use: meta, order: 2}, augment: null}
  Near: {strategy: {use: meta}, retriever: {use: near, k: 3}, augment: {flip: false}}
grid:
  axes: {adapt.iterations: [5, 20]}
  name: after {adapt.iterations}
strategy: {use: meta}
compare: {baseline: Plain, metric: ssim}
"""


def test_a_recipe_without_rows_is_one_row_of_its_name(load):
    recipe = load(BASE)
    assert recipe.name == "recipe"
    assert list(recipe.rows) == ["recipe"]
    row = recipe.rows["recipe"]
    assert (row.tasks.use, row.tasks.options) == ("folder", {"root": Path("data/street"), "size": (32, 32)})
    assert row.translator.options == {"width": 16, "norm": "instance"}
    assert row.adapt == Adapt(iterations=20, batch=5, lr=1e-4, optimizer="adam", betas=(0.5, 0.999), eps=1e-8)
    assert row.augment == {"flip": True, "rotate": 10.0, "crop": 0.8}
    assert row.objective == {"l1": 1.0, "adversarial": 10.0, "perceptual": 2.0, "gan": "bce", "net": "vgg16"}
    assert (row.retriever, row.continued, row.pretrain.iterations, row.aux.lr) == (None, None, 1000, None)
    assert (row.evaluate.split, row.evaluate.tasks, row.evaluate.images) == ("test", None, 8)
    assert (recipe.seed, recipe.description, recipe.plugins, recipe.compare.baseline) == (0, "", None, None)
    assert recipe.source_path == Path("recipe.yaml")


@pytest.mark.parametrize("seed", [0, 12])
def test_in_paths_of_options_the_seed_of_the_recipe_stands_for_its_name(load, seed):
    text = BASE.replace("data/street", "'data/s{seed}-of-{seed}'")
    row = load(text, f"seed={seed}", "description='{seed}'").rows["recipe"]
    assert row.tasks.options["root"] == Path(f"data/s{seed}-of-{seed}")
    assert load(text, f"seed={seed}", "description='{seed}'").description == "{seed}"


def test_rows_are_merged_over_the_rest(load):
    rows = load(FULL).rows
    assert list(rows) == ["Plain", "Meta", "Near", "after 5", "after 20"]
    assert {row.pretrain.betas for row in rows.values()} == {(0.0, 0.9)}
    assert rows["Plain"].pretrain.iterations == {"first": 10, "second": 0}
    assert rows["Plain"].continued.match == "Meta"
    assert rows["Plain"].strategy.options == {}
    assert rows["Meta"].strategy.options == {"order": 2}
    assert rows["Meta"].augment is None
    assert (rows["Near"].retriever.k, rows["Near"].retriever.options) == (3, {"pool": "mean"})
    assert rows["Near"].augment["flip"] is False
    assert rows["after 5"].adapt.iterations == 5


def test_what_is_resolved_loads_to_the_same_rows(load, write, registry, tmp_path):
    recipe = load(FULL)
    text = dump_yaml(recipe.resolved)
    again = load_recipe(write(text, "runs/street/recipe.yaml"), (), registry)
    assert again.rows == recipe.rows
    assert again.resolved == recipe.resolved
    assert (again.name, again.seed, again.compare) == (recipe.name, recipe.seed, recipe.compare)
    assert recipe.resolved["rows"]["Plain"]["tasks"] == {"use": "folder", "root": "data/street", "size": [32, 32]}
    assert recipe.resolved["rows"]["Near"]["retriever"] == {"use": "near", "k": 3, "pool": "mean"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("", None), ("colour_jitter: null", None), ("colour_jitter: {tint: 0.2}", {"tint": 0.2, "hue": 0.0})],
)
def test_colour_jitter_is_off_unless_it_is_asked_for_and_augmentation_is_on(load, asked, expected):
    row = load(f"{BASE}\n{asked}\n").rows["recipe"]
    assert row.colour_jitter is None if expected is None else expected.items() <= row.colour_jitter.items()
    assert row.augment == {"flip": True, "rotate": 10.0, "crop": 0.8}


def test_a_recipe_cannot_be_changed(load):
    recipe = load(BASE)
    with pytest.raises(ValidationError):
        recipe.seed = 3
    with pytest.raises(ValidationError):
        recipe.rows["recipe"].adapt.iterations = 3


def test_a_name_is_made_of_the_file_s(write, registry):
    assert load_recipe(write(BASE, "my street (1 shot).yaml"), (), registry).name == "my-street-1-shot"


def test_an_empty_row_is_the_recipe_as_it_is(load):
    rows = load(BASE + "rows:\n  A:\n  B: {}\n").rows
    assert rows["A"] == rows["B"]


def test_a_grid_of_the_rows_takes_their_place(load):
    recipe = load(f"""{BASE}
rows:
  Plain: {{strategy: {{use: plain}}, continued: {{match: Meta}}}}
  Meta: {{baseline: Plain, adapt: {{lr: 0.5}}}}
  Meta, 5 steps: {{adapt: {{lr: 0.25}}}}
grid: {{axes: {{adapt.iterations: [1, 5]}}, name: "{{row}}, {{adapt.iterations}} steps"}}
""")
    assert list(recipe.rows) == ["Plain, 1 steps", "Plain, 5 steps", "Meta, 1 steps", "Meta, 5 steps"]
    rows = recipe.rows
    expected = [(1e-4, 1), (1e-4, 5), (0.5, 1), (0.25, 5)]
    assert [(row.adapt.lr, row.adapt.iterations) for row in rows.values()] == expected
    assert rows["Meta, 5 steps"].baseline == "Plain, 5 steps"
    assert rows["Plain, 1 steps"].continued.match == "Meta, 1 steps"


def test_a_mistake_in_a_grid_of_the_rows_is_told_once_for_each_place(errors_of):
    errors = errors_of(f"""{BASE}
rows:
  A: {{}}
  B: {{colour: red}}
grid: {{axes: {{adpat.iterations: [1, 5]}}, name: "{{row}}, {{adpat.iterations}}"}}
""")
    assert [line.partition(" ")[0] for line in errors if "adpat" in line] == ["recipe.yaml:8:34:", "recipe.yaml:8:37:"]
    assert len([line for line in errors if "unknown key 'colour'" in line]) == 1


def test_a_row_that_is_also_in_the_grid_is_merged_over_it(load):
    rows = load(
        BASE + "grid: {axes: {adapt.iterations: [5, 6]}, name: 'n{adapt.iterations}'}\n", "rows.n5.adapt.lr=1"
    ).rows
    assert (rows["n5"].adapt.iterations, rows["n5"].adapt.lr, rows["n6"].adapt.lr) == (5, 1.0, 1e-4)


def test_overrides_reach_the_shared_sections_and_single_rows(load):
    text = BASE + "rows: {A: {adapt: {batch: 1}}, B: {}}\n"
    rows = load(text, "adapt.iterations=7", "adapt.batch=2", "rows.B.adapt.lr=1e-2", "translator.use=line").rows
    assert [row.adapt.iterations for row in rows.values()] == [7, 7]
    assert [row.adapt.batch for row in rows.values()] == [1, 2]
    assert rows["B"].adapt.lr == 1e-2
    assert rows["A"].translator.options["width"] == 16


def test_the_recipe_s_plugins_lie_beside_it(write, toys, monkeypatch):
    monkeypatch.setattr("metai2i.registry.registry.installed_plugins", lambda: [])
    write((toys / "toys.py").read_text(), "sub/mine/toys.py")
    path = write(BASE + "plugins: mine\n", "sub/recipe.yaml")
    recipe = load_recipe(path, (), Registry())
    assert recipe.plugins == str(Path("sub/mine").resolve())
    assert recipe.resolved["plugins"] == recipe.plugins
    assert load_recipe(write(BASE), ["plugins=sub/mine"], Registry()).plugins == recipe.plugins


def test_all_errors_come_at_once_in_the_order_of_the_file(errors_of):
    text = """\
    name: street 1shot
    seed: "0"
    tasks: {use: folder, roto: data/street}
    episodes: {shots: 0, drawz: 4}
    translator: {use: lien, width: 64}
    objective: {l1: ten, gna: 2}
    augment: {crop: 3}
    adapt: {optimizer: adm, betas: [0.5], lr: 0}
    pretrain: {iterations: {frist: 3}, clip: no}
    retrieverr: 3
    plugins: missing
    strategy: {use: meta}
    rows:
      Copy: {translator: {use: line, widht: 64, norm: instanse}, adap: {lr: 1}}
      Meta: {strategy: meta, continued: {match: Coppy}, seed: 3, translator: {use: line}}
      Near: {retriever: {use: near, k: 0, foo: 3}, continued: {}, translator: {use: line, width: 1.5}}
    compare: {baseline: Metta, metric: lpisp}
    """
    missing = Path("missing").resolve()
    assert errors_of(text, "evaluate.split=train", "rows.Mta.seed=3") == [
        "recipe.yaml:1:7: name: got 'street 1shot', expected letters, digits, '.', '_' and '-' "
        "(runs are kept in a folder of it)",
        "recipe.yaml:2:7: seed: got the string '0', expected a whole number",
        "recipe.yaml:3:1: tasks: option 'root' is missing",
        "recipe.yaml:3:22: tasks: unknown option 'roto' (did you mean 'root'?)",
        "recipe.yaml:4:19: episodes.shots: got 0, expected at least 1",
        "recipe.yaml:4:22: episodes: unknown key 'drawz' (did you mean 'draws'?)",
        "recipe.yaml:6:17: objective.l1: got the string 'ten', expected a number",
        "recipe.yaml:6:22: objective: unknown option 'gna' (did you mean 'gan'?)",
        "recipe.yaml:7:17: augment.crop: got 3, expected at most 1",
        "recipe.yaml:8:20: adapt.optimizer: got the string 'adm', expected 'adam' or 'sgd' (did you mean 'adam'?)",
        "recipe.yaml:8:32: adapt.betas: got [0.5], expected 2 items",
        "recipe.yaml:8:43: adapt.lr: got 0, expected more than 0",
        "recipe.yaml:9:42: pretrain.clip: got the string 'no', expected a number",
        "recipe.yaml:10:1: unknown key 'retrieverr' (did you mean 'retriever'?)",
        f"recipe.yaml:11:10: plugins: got {str(missing)!r}, expected a folder with one-file plugins (*.py)",
        "recipe.yaml:14:34: translator: unknown option 'widht' (did you mean 'width'?)",
        "recipe.yaml:14:51: translator.norm: got the string 'instanse', expected 'instance' or 'batch' "
        "(did you mean 'instance'?)",
        "recipe.yaml:14:62: rows.Copy: unknown key 'adap' (did you mean 'adapt'?)",
        "recipe.yaml:15:20: strategy: got the string 'meta', expected a section (key: value) "
        "(write strategy: {use: NAME})",
        "recipe.yaml:15:45: continued.match: no row is called 'Coppy' (did you mean 'Copy'?)",
        "recipe.yaml:15:53: rows.Meta: unknown key 'seed' (it is said once, for all rows)",
        "recipe.yaml:16:36: retriever.k: got 0, expected at least 1",
        "recipe.yaml:16:39: retriever: unknown option 'foo' (known: pool)",
        "recipe.yaml:16:59: continued: expected either `iterations` or `match`, got neither",
        "recipe.yaml:16:94: translator.width: got 1.5, expected a whole number",
        "recipe.yaml:17:21: compare.baseline: no row is called 'Metta' (did you mean 'Meta'?)",
        "recipe.yaml:17:36: compare.metric: 'lpisp' is not measured in row 'Copy' (did you mean 'lpips'?)",
        "command line: rows.Mta.seed=3: no row is called 'Mta' (did you mean 'Meta'?)",
        "command line: evaluate.split=train: evaluate.split: got the string 'train', expected 'test' or 'val'",
    ]


def test_an_unknown_plugin_is_told_with_the_nearest_and_all_others(errors_of):
    assert errors_of(BASE.replace("line", "lien")) == [
        "recipe.yaml:2:19: no translator is called 'lien' (did you mean 'line'? known: edges, line; "
        "`metai2i plugins` lists all)"
    ]


def test_an_error_that_rows_share_is_told_once(errors_of):
    assert len(errors_of(BASE.replace("width", "widht") + "rows: {A: {}, B: {}}\n")) == 1


def test_errors_of_a_base_recipe_point_into_it(write, registry):
    write(BASE.replace("16", "many"), "base.yaml")
    path = write("extends: base.yaml\nrows: {A: {translator: {norm: batch}}}\n")
    with pytest.raises(UserErrors, match=r"^base\.yaml:2:32: translator\.width: got the string 'many'"):
        load_recipe(path, (), registry)


def test_missing_sections_are_told_once_or_for_the_row_that_lacks_one(errors_of):
    assert errors_of("rows: {A: {}, B: {}}\n") == [
        "recipe.yaml:1:1: section 'tasks' is missing (tasks: {use: …})",
        "recipe.yaml:1:1: section 'translator' is missing (translator: {use: …})",
        "recipe.yaml:1:1: section 'strategy' is missing (strategy: {use: …})",
    ]
    base = BASE.replace("strategy: {use: meta}\n", "rows:\n  A: {strategy: {use: meta}}\n  B: {}\n")
    assert errors_of(base) == ["recipe.yaml:5:3: key 'strategy' is missing"]


def test_a_component_without_use_is_told(errors_of):
    assert errors_of(BASE.replace("use: line, ", "")) == ["recipe.yaml:2:1: translator: key 'use' is missing"]


def test_a_translator_that_needs_more_than_there_is_is_refused(errors_of, load):
    text = BASE.replace("use: line, width: 16", "use: edges")
    assert errors_of(text) == [
        "recipe.yaml:2:19: translator 'edges' needs instances, but task source 'folder' provides only structure, "
        "target (task sources that provide it: detailed)"
    ]
    assert load(text, "tasks.use=detailed", "tasks.root=x").rows


def test_phases_must_be_those_of_the_translator(errors_of):
    assert errors_of(BASE + "pretrain: {iterations: {frist: 3, second: 1}}\n") == [
        "recipe.yaml:4:12: pretrain.iterations: phase 'first' of 'line' is missing",
        "recipe.yaml:4:25: pretrain.iterations: 'line' has no phase 'frist' (did you mean 'first'?)",
    ]


@pytest.mark.parametrize("value", ["-1", "many", "{first: -1, second: 2}", "1.5", "true", "null"])
def test_iterations_are_a_count_or_counts_by_phase(errors_of, value):
    (error,) = errors_of(BASE + f"pretrain: {{iterations: {value}}}\n")
    assert "pretrain.iterations" in error


def test_a_budget_can_only_be_matched_where_there_is_one(errors_of):
    text = BASE + "rows: {A: {strategy: {use: plain}}, B: {continued: {match: A}}, C: {continued: {match: C}}}\n"
    assert errors_of(text) == [
        "recipe.yaml:4:60: continued.match: row 'A' has no meta-training to match "
        "(name a row whose strategy meta-trains)",
        "recipe.yaml:4:88: continued.match: a row cannot match its own budget",
    ]
    assert errors_of(text.replace("match: C", "iterations: 3")) == [
        "recipe.yaml:4:60: continued.match: row 'A' has no meta-training to match "
        "(name a row whose strategy meta-trains)"
    ]


def test_a_row_adapts_as_is_chosen_for_another_of_the_same_training(load, errors_of):
    tried = "rows: {A: {tune: {lr: [1e-3]}}, B: {tune: {match: A}, aux: {iterations: 3}}"
    assert load(BASE + tried + "}\n").rows["B"].tune.match == "A"
    more = ", C: {tune: {match: B}}, D: {tune: {match: E}}, E: {}, F: {adapt: {lr: 3}, tune: {match: A}}"
    hint = "(name a row with `tune.lr` or `tune.iterations` of its own)"
    assert errors_of(BASE + tried + more + ", G: {tune: {match: G}}}\n") == [
        f"recipe.yaml:4:96: tune.match: row 'B' itself adapts as is chosen for 'A' {hint}",
        f"recipe.yaml:4:119: tune.match: row 'E' is not tuned {hint}",
        "recipe.yaml:4:165: tune.match: row 'A' is trained otherwise, by its adapt (let it try for itself)",
        "recipe.yaml:4:188: tune.match: a row cannot adapt as is chosen for itself",
    ]
    assert errors_of(BASE + tried.replace("match: A", "match: AA") + "}\n") == [
        "recipe.yaml:4:51: tune.match: no row is called 'AA' (did you mean 'A'?)"
    ]


def test_rows_that_differ_in_steps_alone_may_match_each_others_choice(load):
    rows = "rows: {A: {tune: {lr: [1e-3], at: 5}}, B: {adapt: {iterations: 3}, tune: {match: A}}}\n"
    assert load(BASE + rows).rows["B"].tune.match == "A"


def test_a_row_may_name_its_own_baseline(load):
    rows = load(BASE + "rows: {A: {}, B: {baseline: A}}\ncompare: {baseline: B}\n").rows
    assert [row.baseline for row in rows.values()] == [None, "A"]


def test_a_baseline_must_be_another_row(errors_of):
    text = BASE + "rows: {Fine: {}, B: {baseline: Fime}, C: {baseline: C}, D: {baseline: 3}}\n"
    assert errors_of(text) == [
        "recipe.yaml:4:32: baseline: no row is called 'Fime' (did you mean 'Fine'?)",
        "recipe.yaml:4:53: baseline: a row cannot be its own baseline",
        'recipe.yaml:4:71: baseline: got 3, expected a string (write "3")',
    ]


def test_a_baseline_for_all_rows_is_said_under_compare(errors_of):
    message = "unknown key 'baseline' (it is said in a row, or for all rows as compare.baseline)"
    assert errors_of(BASE + "rows: {A: {}, B: {}}\nbaseline: A\n") == [f"recipe.yaml:5:1: {message}"]


def test_a_start_from_a_file_takes_back_the_row_and_the_run_of_a_recipe(errors_of):
    def start(text):
        (error,) = errors_of(BASE + f"rows: {{A: {{}}, B: {{start: {{encoder: {text}}}}}}}\n")
        return error

    assert start("{row: A, file: a.pt}").endswith("got both: `row: null` and `run: null` take back those of a recipe")
    assert start("{run: runs/a, file: a.pt}").endswith(
        "`run` needs the name of its `row`; beside `file`, `run: null` takes back the run that a recipe names"
    )
    assert start("{run: runs/a}").endswith("`run` needs the name of its `row`")


def test_continued_takes_one_of_two(errors_of):
    (error,) = errors_of(BASE + "rows: {A: {}, B: {continued: {match: A, iterations: 3}}}\n")
    assert error == "recipe.yaml:4:30: continued: expected either `iterations` or `match`, got both"


def test_the_papers_four_metrics_are_measured_unless_others_are_named(load):
    rows = load(BASE + "rows: {A: {}, B: {evaluate: {metrics: [lpips, psnr]}}}\n").rows
    assert rows["A"].evaluate.metrics == ("lpips", "ssim", "mse", "psnr")
    assert rows["B"].evaluate.metrics == ("lpips", "psnr")


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ("[lpips, sim]", "4:29: evaluate.metrics: no metric is called 'sim' (did you mean 'ssim'? known: "
         f"{METRIC_NAMES}; `metai2i plugins` lists all)"),
        ("[lpips, near]", "4:29: evaluate.metrics: no metric is called 'near' ('near' is a retriever; known: "
         f"{METRIC_NAMES}; `metai2i plugins` lists all)"),
        ("[lpips, lpips]", "4:21: evaluate.metrics: 'lpips' is named twice"),
        ("[lpips, map_iou]", "4:21: evaluate.metrics: 'map_iou' tells of a query, not of a row; it is recorded anyway"),
        ("[]", "4:21: evaluate.metrics: got [], expected at least 1 item"),
        ("lpips", "4:21: evaluate.metrics: got the string 'lpips', expected a list"),
    ],
)  # fmt: skip
def test_mistakes_in_metrics_are_told_where_they_stand(errors_of, metrics, expected):
    errors = errors_of(BASE + f"evaluate: {{metrics: {metrics}}}\n")
    assert f"recipe.yaml:{expected}" in errors


def test_a_row_is_tuned_by_a_metric_that_is_there(errors_of):
    assert errors_of(BASE + "tune: {lr: [1e-3, 1e-2], metric: lpisp}\n") == [
        "recipe.yaml:4:34: tune.metric: no metric is called 'lpisp' (did you mean 'lpips'? known: "
        f"{METRIC_NAMES}; `metai2i plugins` lists all)"
    ]


def test_rows_are_compared_by_what_all_of_them_are_measured_by(errors_of, load):
    text = BASE + "rows: {A: {}, B: {evaluate: {metrics: [lpips, psnr]}}}\ncompare: {metric: ssim}\n"
    assert errors_of(text) == [
        "recipe.yaml:5:19: compare.metric: 'ssim' is not measured in row 'B' (known: lpips, psnr)"
    ]
    assert load(text, "compare.metric=psnr").compare.metric == "psnr"


@pytest.mark.parametrize(
    ("rows", "metric"),
    [
        ("{A: {evaluate: {metrics: [psnr, lpips]}}}", "lpips"),
        ("{A: {evaluate: {metrics: [psnr, mse]}}}", "psnr"),
        ("{A: {evaluate: {metrics: [psnr, mse, ssim]}}, B: {evaluate: {metrics: [ssim, mse]}}}", "mse"),
    ],
)
def test_where_no_metric_is_named_rows_are_compared_by_lpips_or_the_first_that_all_have(load, rows, metric):
    assert load(BASE + f"rows: {rows}\n").compare.metric == metric


def test_rows_without_a_metric_in_common_are_refused(errors_of):
    text = BASE + "rows: {A: {evaluate: {metrics: [psnr]}}, B: {evaluate: {metrics: [ssim]}}}\n"
    (error,) = errors_of(text)
    assert "compare.metric: 'lpips', the default, is not measured in row 'A'" in error


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("rows:\n", "recipe.yaml:4:1: rows: expected at least one row by its name (rows: {NAME: {}})"),
        ("rows: [A]\n", "recipe.yaml:4:1: rows: got a list, expected at least one row by its name (rows: {NAME: {}})"),
        ("rows: {A: 3}\n", "recipe.yaml:4:11: rows.A: expected sections such as `strategy:`"),
        ("rows: {' ': {}}\n", "recipe.yaml:4:8: rows: ' ' is no name for a row"),
        ("grid: 3\n", "recipe.yaml:4:1: grid: expected `axes`, a section of lists (axes: {adapt.iterations: [5, 20]})"),
        ("grid: {axes: {adpt.lr: [1]}}\n",
         "recipe.yaml:4:25: rows.adpt.lr=1: unknown key 'adpt' (did you mean 'adapt'?)"),
        ("grid: {axes: {adapt.bath: [1]}}\n", "recipe.yaml:4:28: adapt: unknown key 'bath' (did you mean 'batch'?)"),
        ("grid: {axes: {strategy.use: [meta, mata]}}\n",
         "recipe.yaml:4:36: no strategy is called 'mata' (did you mean 'meta'? known: meta, plain; "
         "`metai2i plugins` lists all)"),
    ],
)  # fmt: skip
def test_mistakes_in_rows_and_grids(errors_of, rows, expected):
    assert errors_of(BASE + rows) == [expected]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("adpt.lr=1", "unknown key 'adpt' (did you mean 'adapt'?)"),
        ("adapt.bath=1", "adapt: unknown key 'bath' (did you mean 'batch'?)"),
        ("translator.widht=1", "translator: unknown option 'widht' (did you mean 'width'?)"),
        ("seed.x=1", "seed: got a section with x, expected a whole number"),
        ("rows.recipee.adapt.lr=1", "no row is called 'recipee' (did you mean 'recipe'?)"),
        ("rows.*e.adpt.lr=1", "rows.recipe: unknown key 'adpt' (did you mean 'adapt'?)"),
        ("adapt.lr=.inf", "adapt.lr: got .inf, expected a finite number"),
        ("adapt.lr=1e400", "got 1e400, which is too large to be kept as a number"),
        ("adapt.batch=1_000", "adapt.batch: got the string '1_000', expected a whole number (write 1000)"),
        ("adapt.batch=1:30", "adapt.batch: got the string '1:30', expected a whole number"),
        ("augment.flip=yes", "augment.flip: got the string 'yes', expected true or false (write true)"),
        ("tasks.root=", "tasks.root: got null, expected a string"),
    ],
)
def test_overrides_are_checked_like_the_rest(errors_of, override, expected):
    assert errors_of(BASE, override) == [f"command line: {override}: {expected}"]


def test_no_component_is_built(load, monkeypatch, registry):
    source = registry.get("task source", "folder")
    monkeypatch.setattr(source, "spec", None)
    assert load(BASE).rows  # `folder` would otherwise be asked for data/street, which is not there
