"""Broken and hostile plugins: each is told by its name, its distribution and the cause, and harms nobody else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from metai2i import __version__
from metai2i.cli import invoke
from metai2i.errors import UserError
from metai2i.recipe import load_recipe
from metai2i.registry import Registry
from metai2i.registry.discovery import check_core, installed_plugins, label_of, plugin_behind

TRANSLATOR = """
import metai2i
import torch
from torch import nn


class Bad(metai2i.Translator):
    def __init__(self, *, spec, objective) -> None:
        super().__init__()
        {constructor}
        self.generator = nn.Conv2d(spec.structure_channels, 3, 1)

    def players(self):
        return {{"generator": self.generator.parameters()}}

    def training_step(self, batch, step):
        loss = (self.generator(batch["structure"]) - batch["target"]).abs().mean()
        yield "generator", {{"l1": {loss}}}

    def translate(self, batch):
        images = self.generator(batch["structure"]).tanh()
        return {images}


@metai2i.hookimpl
def register_translators(register):
    register("{name}", Bad)
"""


def translator(name: str, *, constructor: str = "pass", loss: str = "loss", images: str = "images") -> str:
    return TRANSLATOR.format(name=name, constructor=constructor, loss=loss, images=images)


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution of one module, beside all that is installed already."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules: list[str] = []

    def install(
        name: str, text: str, *, points: Sequence[str] | None = None, requires: str = "", metadata: bool = True
    ) -> Path:
        module = f"stranger_{name}"
        modules.append(module)
        (site / f"{module}.py").write_text(dedent(text))
        info = site / f"{module}-1.2.dist-info"
        info.mkdir()
        if metadata:
            needed = f"Requires-Dist: {requires}\n" if requires else ""
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: stranger-{name}\nVersion: 1.2\n{needed}")
        lines = "\n".join(points if points is not None else [f"{name} = {module}"])
        (info / "entry_points.txt").write_text(f"[metai2i]\n{lines}\n")
        return site / f"{module}.py"

    yield install
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def plugins(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, str]]:
    """What `metai2i plugins` lists, by the first word of each line; it never fails."""

    def plugins() -> dict[str, str]:
        code = invoke(["plugins"])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return {line.split()[0]: " ".join(line.split()) for line in out.splitlines()}

    return plugins


def check_neighbours(listed: dict[str, str]) -> None:
    """All that is bundled can be used."""
    for name in ("pix2pix", "bil", "iou", "scenes", "lpips"):
        assert listed[name].endswith(" ok"), listed[name]
    assert Registry().get("translator", "pix2pix").__name__ == "Pix2pix"


# --- at import and at registration


BROKEN = {
    "import": ("raise RuntimeError('not today')", "RuntimeError: not today (stranger_import.py:1)"),
    "exit": ("import sys\nsys.exit('gone')", "SystemExit: gone (stranger_exit.py:2)"),
    "words": (
        "class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E",
        "E: it cannot be put into words (stranger_words.py:4)",
    ),
    "hook": (
        "import metai2i\n@metai2i.hookimpl\ndef register_retrievers(register):\n    register.nothing",
        "AttributeError: 'function' object has no attribute 'nothing' (stranger_hook.py:4)",
    ),
    "class": (
        "import metai2i\n@metai2i.hookimpl\ndef register_metrics(register):\n    register('class', dict)",
        "got class dict, expected a subclass of metai2i.Metric",
    ),
    "manual": (
        translator("manual").replace("    def __init__", "    __doc__ = 3\n\n    def __init__"),
        "AttributeError: 'int' object has no attribute 'expandtabs'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_fails_to_load_is_listed_with_its_distribution_and_cause(install, plugins, name):
    text, cause = BROKEN[name]
    install(name, text)
    listed = plugins()
    assert f" 1.2 stranger-{name} broken {cause}" in listed[name]
    check_neighbours(listed)


def test_a_name_that_would_disturb_the_terminal_is_refused(install, plugins):
    install("escape", translator("bad\\x1b[2J"))
    listed = plugins()
    assert "got the name 'bad\\x1b[2J', expected characters that can be printed" in " ".join(listed.values())
    assert not any("\x1b[2J" in line for line in listed.values())
    check_neighbours(listed)


def test_two_plugins_with_one_name_are_both_told_and_only_that_name_is_lost(install, plugins, capsys):
    install("one", translator("twin"))
    install("two", translator("twin"))
    listed = plugins()
    assert " clash claimed by stranger-one 1.2 (" in listed["twin"]
    assert " and stranger-two 1.2 (" in listed["twin"]
    check_neighbours(listed)
    with pytest.raises(UserError, match=r"translator 'twin' is claimed by stranger-one 1\.2 .* and stranger-two 1\.2"):
        Registry().get("translator", "twin")


@pytest.mark.parametrize("point", ["bad = not a module!!", "bad = stranger_value:Nothing", "bad ="])
def test_an_entry_point_that_names_nothing_is_broken_alone(install, plugins, point):
    install("value", "x = 1", points=[point])
    listed = plugins()
    assert " stranger-value broken " in listed["bad"]
    check_neighbours(listed)


def test_entry_points_that_cannot_be_read_stop_nobody(install, plugins):
    install("unread", "x = 1", points=["no equals sign here"])
    listed = plugins()
    assert "broken" in listed["stranger_unread"]
    assert "its entry_points.txt cannot be read" in listed["stranger_unread"]
    check_neighbours(listed)


def test_a_distribution_without_metadata_is_used_by_its_module(install, plugins):
    install("bare", translator("bare"), metadata=False)
    listed = plugins()
    assert listed["bare"].endswith(" ok")
    check_neighbours(listed)


# --- for another core


@pytest.mark.parametrize("requires", ["metai2i>=99", "metai2i<0.0.1", 'MetaI2I ==99.*; python_version >= "3"'])
def test_a_plugin_for_another_core_is_not_imported_and_says_which_it_needs(install, plugins, requires):
    file = install("other", "raise RuntimeError('imported')", requires=requires)
    wanted = requires.lower().removeprefix("metai2i").partition(";")[0].strip()
    listed = plugins()
    cause = f"it was made for metai2i {wanted}, and this is {__version__}"
    assert f" 1.2 stranger-other broken {cause} (install a version of it that was made for this one)" in listed["other"]
    assert file.stem not in sys.modules
    check_neighbours(listed)
    with pytest.raises(UserError, match=r"its plugin stranger-other 1\.2 is broken: it was made for metai2i"):
        Registry().get("translator", "other")


@pytest.mark.parametrize(
    "requires",
    [
        "metai2i",
        f"metai2i>={__version__},<99",
        "metai2i-faces>=99",
        'metai2i>=99; extra == "later"',
        "no requirement !",
    ],
)
def test_requirements_that_this_core_meets_or_that_say_nothing_of_it_are_no_obstacle(requires):
    check_core([requires])


# --- at work


RECIPE = """
tasks: {{use: {tasks}}}
episodes: {{shots: 2, queries: 2}}
augment: null
translator: {{use: {translator}}}
objective: {{l1: 1, adversarial: 0, perceptual: 0}}
pretrain: {{iterations: 1, batch: 2}}
adapt: {{iterations: 1, batch: 2}}
aux: {{iterations: 1, tasks: 1}}
evaluate: {{images: 0, tasks: 1, metrics: [{metric}]}}
compare: {{metric: {metric}}}
strategy: {{use: {strategy}}}
retriever: {{use: {retriever}, k: 1}}
"""
SCENES = "scenes, size: [32, 32], train: 2, val: 1, test: 1, frames: 4"
SMALL = "pix2pix, width: 2, downs: 2, d_layers: 1"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a small recipe with some component in the place of a bundled one; gives the exit code and stderr."""

    def run(**used: str) -> tuple[int, str]:
        bundled = {"tasks": SCENES, "translator": SMALL, "strategy": "finetune", "retriever": "iou", "metric": "mse"}
        (tmp_path / "recipe.yaml").write_text(RECIPE.format(**{**bundled, **used}))
        out, stages = str(tmp_path / "run"), str(tmp_path / "stages")
        code = invoke(["run", str(tmp_path / "recipe.yaml"), "--out", out, "--stages", stages])
        return code, capsys.readouterr().err

    return run


AT_WORK = {
    "raises in its constructor": (
        {"constructor": "raise KeyError('style')"},
        ".py:10: the translator 'bad' raised KeyError in its constructor: 'style' (it is of stranger-bad 1.2; ",
    ),
    "gives a loss that is NaN": (
        {"loss": "loss * float('nan')"},
        "step 0: the loss term 'l1' of 'generator' is nan (the translator is Bad of stranger-bad 1.2; ",
    ),
    "gives a loss for each sample": (
        {"loss": "loss.expand(2)"},
        "the loss term 'l1' has shape (2,), expected a scalar (the translator is Bad of stranger-bad 1.2; ",
    ),
    "gives a loss that is no tensor": (
        {"loss": "float(loss)"},
        "the loss term 'l1' is float, expected a scalar tensor (the translator is Bad of stranger-bad 1.2; ",
    ),
    "gives a loss on another device": (
        {"loss": "loss.to('meta')"},
        "the loss term 'l1' is on meta, the networks are on cpu (the translator is Bad of stranger-bad 1.2; ",
    ),
    "raises in a step": ({"loss": "1 / 0"}, " of stranger-bad 1.2: division by zero"),
    "gives images that are NaN": (
        {"images": "images * float('nan')"},
        "the images of Bad hold values that are not finite (the translator is Bad of stranger-bad 1.2; ",
    ),
    "gives images of another shape": (
        {"images": "images[:, :1]"},
        "the images of Bad have the shape (2, 1, 32, 32), expected (2, 3, 32, 32) (the translator is Bad of stranger",
    ),
    "gives images on another device": (
        {"images": "images.to('meta')"},
        "the images of Bad are on meta, the batch is on cpu (the translator is Bad of stranger-bad 1.2; ",
    ),
    "gives no images": ({"images": "None"}, "the images of Bad are NoneType, expected a tensor"),
}


@pytest.mark.parametrize("how", AT_WORK)
def test_a_translator_that_fails_at_work_is_told_with_its_distribution(install, run, how):
    changed, message = AT_WORK[how]
    install("bad", translator("bad", **changed))
    code, err = run(translator="bad")
    assert code == 2
    assert message in err
    assert "Traceback" not in err


OTHERS = {
    "tasks": """
        import metai2i

        class Bad(metai2i.TaskSource):
            def spec(self):
                return metai2i.TaskSpec(structure_channels=3, size=(32, 32))
            def tasks(self, split):
                raise OverflowError("too many")

        @metai2i.hookimpl
        def register_task_sources(register):
            register("bad", Bad)
    """,
    "strategy": """
        import metai2i

        class Bad(metai2i.MetaStrategy):
            meta = False
            def __init__(self, *, inner): ...
            def adapt(self, gp, support, step):
                raise OverflowError("too many")

        @metai2i.hookimpl
        def register_strategies(register):
            register("bad", Bad)
    """,
    "retriever": """
        import metai2i

        class Bad(metai2i.Retriever):
            def index(self, tasks):
                raise OverflowError("too many")
            def query(self, support, k): ...

        @metai2i.hookimpl
        def register_retrievers(register):
            register("bad", Bad)
    """,
    "metric": """
        import metai2i

        class Bad(metai2i.Metric):
            label, higher_is_better = "bad", True
            def __call__(self, images, query):
                raise OverflowError("too many")

        @metai2i.hookimpl
        def register_metrics(register):
            register("bad", Bad)
    """,
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_fails_at_work_is_told_with_its_distribution_whatever_its_kind(install, run, kind):
    install("bad", OTHERS[kind])
    code, err = run(**{kind: "bad"})
    assert code == 2
    assert "Traceback" not in err
    assert "OverflowError" in err
    assert "stranger-bad 1.2" in err.splitlines()[-1]
    assert "too many" in err.splitlines()[-1]


ENDS = {
    "translator in its constructor": ("translator", translator("bad", constructor="raise SystemExit")),
    "translator in a step": ("translator", translator("bad", loss="loss + exit(0)")),
    "translator in its images": ("translator", translator("bad", images="exit(0)")),
    **{
        f"{kind} at work": (
            kind,
            text.replace('raise OverflowError("too many")', "raise SystemExit(0)"),
        )
        for kind, text in OTHERS.items()
    },
    "strategy asked for its cost": (
        "strategy",
        OTHERS["strategy"].replace("def adapt", "def cost(self, *given): exit(0)\n            def adapt"),
    ),
    "strategy while it is prepared": (
        "strategy",
        OTHERS["strategy"].replace("def adapt", "def prepare(self, gp): exit(0)\n            def adapt"),
    ),
}


@pytest.mark.parametrize("where", ENDS)
def test_a_plugin_that_ends_the_process_is_told_and_the_exit_code_is_2(install, run, tmp_path, monkeypatch, where):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kind, text = ENDS[where]
    install("bad", text)
    code, err = run(**{kind: "bad"})
    assert code == 2
    (error,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "SystemExit" in error
    assert "stranger-bad 1.2" in error
    assert "Traceback" not in err
    assert "the traceback is in " in error
    kept = Path(error.partition("the traceback is in ")[2].rstrip(")"))
    assert "SystemExit" in kept.read_text()
    assert not (tmp_path / "run" / "report.html").exists()


def test_what_a_plugin_changes_at_import_does_not_reach_the_run(install, run, tmp_path, capsys):
    code, _ = run()
    assert code == 0
    results = (tmp_path / "run" / "results.csv").read_bytes()
    install(
        "bad",
        "import os, signal, sys, torch\nos.chdir('/')\ntorch.set_default_dtype(torch.float64)\n"
        "torch.set_grad_enabled(False)\nsignal.alarm(1000)\nsys.stdout = None\n" + translator("bad"),
    )
    code, err = run(translator="bad, width: 2", metric="nothing")  # so that all plugins are opened
    assert code == 2
    assert (
        "stranger-bad 1.2 has changed sys.stdout, the current folder, torch's default dtype, torch's grad mode" in err
    )
    code, _ = run()
    assert code == 0
    assert (tmp_path / "run" / "results.csv").read_bytes() == results


def test_a_run_that_names_none_of_the_broken_plugins_is_not_disturbed(install, run):
    for name, (text, _) in BROKEN.items():
        install(name, text)
    install("unread", "x = 1", points=["no equals sign here"])
    code, err = run()
    assert code == 0
    assert "broken" not in err


def test_a_recipe_that_names_a_broken_plugin_says_where_and_why(install, tmp_path):
    install("import", BROKEN["import"][0])
    file = tmp_path / "recipe.yaml"
    bundled = {"tasks": SCENES, "strategy": "finetune", "retriever": "iou", "metric": "mse"}
    file.write_text(RECIPE.format(translator="import", **bundled))
    with pytest.raises(UserError) as caught:
        load_recipe(file)
    assert f"{file}:5:" in str(caught.value)
    cause = "its plugin stranger-import 1.2 is broken: RuntimeError: not today"
    assert f"translator 'import' cannot be used, {cause}" in str(caught.value)


# --- whose a class or an error is


def test_a_class_is_told_by_the_plugin_that_brought_it():
    by_name = {name: plugin.label for plugin in installed_plugins() for name in plugin.names}
    assert label_of(Registry().get("translator", "pix2pix")) == by_name["pix2pix"]
    assert label_of(Registry().get("metric", "psnr")) == f"metai2i {__version__}"
    assert label_of(Path).endswith("pathlib.py")


def test_the_plugin_behind_an_error_is_the_innermost_one_on_the_way():
    with pytest.raises(UserError) as caught:
        Registry().get("translator", "pix2pix")(spec=None, objective=None, width=0)
    blame = plugin_behind(caught.value)
    assert blame.label.startswith("metai2i-pix2pix ")
    assert "metai2i_pix2pix" in blame.place.file
    assert plugin_behind(ValueError("never raised")) is None
