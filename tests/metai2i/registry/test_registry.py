import hashlib
import importlib.metadata
import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from metai2i import __version__
from metai2i.errors import UserError
from metai2i.metrics import METRICS, builtin
from metai2i.registry import KINDS, Registry

RETRIEVER = """
import metai2i
from metai2i.retriever import Retriever

class Near(Retriever):
    def index(self, tasks): ...
    def query(self, support, k): ...

@metai2i.hookimpl
def register_retrievers(register):
    register("near", Near)
"""


@pytest.fixture
def no_entry_points(monkeypatch):
    monkeypatch.setattr("metai2i.registry.registry.installed_plugins", lambda: [])


@pytest.fixture
def folder(tmp_path, no_entry_points):
    """Writes one-file plugins and gives the registry over them."""

    def folder(**files: str) -> Registry:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(dedent(text))
        return Registry([tmp_path])

    return folder


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a package `stranger` with modules and entry points of its own, beside all that is there already."""
    site = tmp_path / "site"

    def installed(points: dict[str, str], **modules: str) -> Registry:
        site.mkdir(exist_ok=True)
        for name, text in modules.items():
            (site / f"{name}.py").write_text(dedent(text))
        info = site / "stranger-1.2.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.2\n")
        lines = "\n".join(f"{name} = {value}" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[metai2i]\n{lines}\n")
        monkeypatch.syspath_prepend(str(site))
        distributions = importlib.metadata.distributions(path=[str(site)])
        ours = [point for each in distributions for point in each.entry_points]
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: ours)
        for name in modules:
            monkeypatch.delitem(sys.modules, name, raising=False)
        return Registry()

    return installed


def message(registry, kind, name):
    with pytest.raises(UserError) as caught:
        registry.get(kind, name)
    return str(caught.value)


def strangers(registry):
    """All but what the core has itself."""
    return [status for status in registry.all() if status.distribution != "metai2i"]


def listing(registry):
    return {(status.kind, status.name, status.status): status.cause for status in strangers(registry)}


def test_a_one_file_plugin_is_found_and_can_be_inspected_and_pickled(folder, tmp_path):
    registry = folder(mine=RETRIEVER)
    near = registry.get("retriever", "near")
    assert near.__module__.startswith("metai2i_plugins_mine")
    assert pickle.loads(pickle.dumps(near)) is near
    assert "class Near" in inspect.getsource(near)
    (status,) = strangers(registry)
    assert (status.status, status.name, status.kind, status.component) == ("ok", "near", "retriever", near)
    assert (status.distribution, status.version, status.origin) == (None, None, str(tmp_path / "mine.py"))


def test_two_registries_share_an_unchanged_file_and_reread_a_changed_one(folder):
    first = folder(mine=RETRIEVER).get("retriever", "near")
    assert folder(mine=RETRIEVER).get("retriever", "near") is first
    assert folder(mine=RETRIEVER + "\nmore = 1\n").get("retriever", "near") is not first


def test_a_file_that_changes_within_a_second_and_keeps_its_size_is_read_anew(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    for gain in (1, 2):
        registry = folder(mine=f"{RETRIEVER}\nGAIN = {gain}\n")
        os.utime(tmp_path / "mine.py", (10**9, 10**9))
        near = registry.get("retriever", "near")
        assert gain == sys.modules[near.__module__].GAIN


def test_namesakes_in_two_folders_do_not_mix(tmp_path, no_entry_points):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(RETRIEVER.replace('"near"', f'"near_{name}"'))
    registry = Registry([tmp_path / "a", tmp_path / "b"])
    a, b = registry.get("retriever", "near_a"), registry.get("retriever", "near_b")
    assert a is not b
    assert [pickle.loads(pickle.dumps(each)) for each in (a, b)] == [a, b]


def test_files_with_an_underscore_and_tests_are_left_alone(folder):
    assert strangers(folder(_helper="raise RuntimeError")) == []
    assert strangers(folder(test_mine="raise RuntimeError", conftest="raise RuntimeError")) == []


def test_a_folder_given_twice_counts_once(folder, tmp_path):
    registry = folder(mine=RETRIEVER)
    registry.add_folder(tmp_path / "." / "")
    assert len(strangers(registry)) == 1


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(UserError, match=r"got '.*/missing', expected a folder with one-file plugins \(\*\.py\)"):
        Registry([tmp_path / "missing"])


BROKEN = {
    "raises": ("import os\nraise ValueError('boom\\nand more')", "ValueError: boom (raises.py:2)"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3 (exits.py:1)"),
    "syntax": ("def (:", "SyntaxError: invalid syntax (syntax.py, line 1)"),
    "missing": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (missing.py:1)"),
    "silent": (
        "x = 1",
        "it registers no component (known hooks, each marked @hookimpl: register_translators, register_task_sources, "
        "register_strategies, register_retrievers, register_metrics, register_networks, "
        "register_exporters)",
    ),
    "unknown": (
        "import metai2i\n@metai2i.hookimpl\ndef register_translator(register): ...",
        "unknown hook 'register_translator' (did you mean 'register_translators'?)",
    ),
    "argument": (
        "import metai2i\n@metai2i.hookimpl\ndef register_translators(registry): ...",
        "PluginValidationError: Plugin 'metai2i_plugins_argument' for hook 'register_translators'",
    ),
    "hook": (
        "import metai2i\n@metai2i.hookimpl\ndef register_retrievers(register):\n    1 / 0",
        "ZeroDivisionError: division by zero (hook.py:4)",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_reported_and_harms_nobody(folder, name):
    text, cause = BROKEN[name]
    registry = folder(**{name: text}, mine=RETRIEVER)
    assert registry.get("retriever", "near").__name__ == "Near"
    (broken,) = [status for status in registry.all() if status.status == "broken"]
    assert (broken.name, broken.cause) == (name, cause)
    assert broken.origin.endswith(f"{name}.py")
    assert bool(broken.traceback) == (name not in ("silent", "unknown"))
    assert f"metai2i_plugins_{name}" not in sys.modules or name in ("silent", "unknown", "argument", "hook")


def test_the_whole_traceback_is_kept(folder):
    (broken,) = strangers(folder(bad="def inner():\n    raise ValueError('boom')\ninner()"))
    assert broken.traceback.startswith("Traceback (most recent call last):")
    assert "in inner" in broken.traceback
    assert broken.traceback.endswith("ValueError: boom")


def test_ctrl_c_at_import_is_not_swallowed(folder):
    with pytest.raises(KeyboardInterrupt):
        folder(stops="import signal\nsignal.raise_signal(signal.SIGINT)").all()


def test_an_interruption_that_a_plugin_raises_by_itself_breaks_that_plugin_alone(folder):
    (broken,) = strangers(folder(stops="raise KeyboardInterrupt"))
    assert broken.cause == "RuntimeError: KeyboardInterrupt raised in its import"


def test_what_a_plugin_changes_at_import_is_put_back_and_told(folder, caplog):
    before = Path.cwd()
    folder(moves="import os, torch\nos.chdir('/')\ntorch.set_default_dtype(torch.float64)\n" + RETRIEVER).all()
    assert (Path.cwd(), torch.get_default_dtype()) == (before, torch.float32)
    assert "moves.py has changed the current folder, torch's default dtype for the whole process" in caplog.text


def test_what_was_handed_over_before_a_hook_failed_can_be_used(folder):
    registry = folder(mine=RETRIEVER + "    raise RuntimeError('late')\n")
    assert registry.get("retriever", "near").__name__ == "Near"
    assert listing(registry) == {
        ("retriever", "mine", "broken"): "RuntimeError: late (mine.py:12)",
        ("retriever", "near", "ok"): "",
    }


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ("register('x', int)", "got class int, expected a subclass of metai2i.Retriever"),
        ("register('x', 3)", "got 3, expected a subclass of metai2i.Retriever (hand over the class"),
        ("register('x', Half)", "mine.py:14: class Half does not define query"),
        ("register('x', Untyped)", "mine.py:17: option 'k' of class Untyped has no type"),
        ("register('x', Lies)", "a default that does not fit: k: got the string 'many', expected a whole number"),
        ("register('', Near)", "got the name '', expected a string"),
        ("register(Near)", "register is called with 1 argument by the hook register_retrievers (expected a name and a"),
        ("register(name='x')", "register is called with 1 argument by the hook register_retrievers"),
        ("register('x', class_=Near)", "register is called with 2 arguments by the hook register_retrievers"),
        ("register(name='x', component=3)", "got 3, expected a subclass of metai2i.Retriever (hand over the class"),
        ("register(3, Near)", "got the name 3, expected a string"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_broken_and_the_rest_is_not(folder, given, cause):
    text = RETRIEVER + f"    {given}\n"
    text += """
class Half(Retriever):
    def index(self, tasks): ...

class Untyped(Near):
    def __init__(self, *, k=3): ...

class Lies(Near):
    def __init__(self, *, needed: int, k: int = 'many'): ...
"""
    registry = folder(mine=text)
    (broken,) = [status for status in registry.all() if status.status == "broken"]
    assert cause in broken.cause
    assert broken.kind == "retriever"
    assert registry.get("retriever", "near")


def test_a_broken_component_is_told_by_its_cause(folder, tmp_path):
    registry = folder(mine=RETRIEVER.replace('"near", Near', '"near", int'))
    assert message(registry, "retriever", "near") == (
        f"retriever 'near' cannot be used, its plugin {tmp_path / 'mine.py'} is broken: got class int, expected a "
        "subclass of metai2i.Retriever"
    )


def test_a_plugin_broken_at_import_is_told_when_its_name_is_asked_for(folder, tmp_path):
    assert message(folder(near="1 / 0"), "retriever", "near") == (
        f"retriever 'near' cannot be used, its plugin {tmp_path / 'near.py'} is broken: ZeroDivisionError: division by "
        "zero (near.py:1) (`metai2i plugins near` shows the whole traceback)"
    )


def test_a_name_claimed_twice_cannot_be_used_and_all_else_can(folder, tmp_path):
    other = RETRIEVER + "    register('far', Near)\n"
    registry = folder(one=RETRIEVER, two=other)
    both = " and ".join(f"{tmp_path / name} ({tmp_path / name})" for name in ("one.py", "two.py"))
    expected = f"retriever 'near' is claimed by {both} (remove or rename all but one)"
    assert message(registry, "retriever", "near") == expected
    assert registry.get("retriever", "far").__name__ == "Near"
    assert listing(registry) == {
        ("retriever", "far", "ok"): "",
        ("retriever", "near", "clash"): f"claimed by {both}",
    }
    assert [status.origin for status in registry.all() if status.status == "clash"] == [
        str(tmp_path / "one.py"),
        str(tmp_path / "two.py"),
    ]
    assert list(registry.components("retriever")) == ["far"]


def test_the_same_name_for_two_kinds_is_no_clash(folder):
    both = RETRIEVER + dedent(
        """
        from metai2i.strategy import MetaStrategy

        class Copy(MetaStrategy):
            meta = False

            def adapt(self, gp, support, step): ...

        @metai2i.hookimpl
        def register_strategies(register):
            register("near", Copy)
        """
    )
    registry = folder(mine=both)
    assert registry.get("retriever", "near") is not registry.get("strategy", "near")


def test_a_metric_with_an_option_is_broken_for_no_recipe_can_give_it(folder):
    (status,) = strangers(
        folder(
            mine=METRIC.replace("    def __call__", "    def __init__(self, *, k: int = 3): ...\n\n    def __call__")
        )
    )
    assert "class Blue has the option 'k', and recipes name metrics without options" in status.cause


def test_a_strategy_that_meta_trains_says_how(folder):
    strategy = dedent(
        """
        import metai2i

        class Half(metai2i.MetaStrategy):
            def adapt(self, gp, support, step): ...
            def cost(self, shots, queries): return 1

        @metai2i.hookimpl
        def register_strategies(register):
            register("half", Half)
        """
    )
    (status,) = strangers(folder(mine=strategy))
    assert status.cause.endswith(
        "mine.py:4: class Half does not define meta_gradient (meta-training needs it; without any, say `meta = False`)"
    )
    assert status.traceback == ""


def test_a_name_that_is_not_there_is_told_with_what_its_file_brings_and_what_clashes(folder, tmp_path):
    registry = folder(far=RETRIEVER, near=RETRIEVER)
    words = message(registry, "retriever", "far")
    assert words.startswith("no retriever is called 'far' (the plugin 'far' brings 'near'; no retriever is installed; ")
    assert f"'near' is claimed by {tmp_path / 'far.py'} (" in words


def test_a_name_that_one_file_claims_twice_is_told_with_its_classes(folder, tmp_path):
    twice = RETRIEVER + "    class Other(Near): ...\n    register('near', Other)\n"
    assert message(folder(mine=twice), "retriever", "near") == (
        f"retriever 'near' is claimed by {tmp_path / 'mine.py'} 2 times (Near, Other) (remove or rename all but one)"
    )


def test_an_unknown_name_is_told_with_the_nearest_and_what_failed(folder, tmp_path):
    registry = folder(mine=RETRIEVER, bad="1 / 0")
    assert message(registry, "retriever", "naer") == (
        "no retriever is called 'naer' (did you mean 'near'? known: near; broken plugins: "
        f"{tmp_path / 'bad.py'}: ZeroDivisionError: division by zero (bad.py:1); `metai2i plugins` lists all)"
    )
    assert message(registry, "strategy", "near").startswith(
        "no strategy is called 'near' ('near' is a retriever; no strategy is installed; broken plugins: "
    )


def test_entry_points_are_imported_when_their_name_is_asked_for(installed):
    registry = installed({"near": "stranger_a", "other": "stranger_b"}, stranger_a=RETRIEVER, stranger_b="1 / 0")
    assert "stranger_a" not in sys.modules
    near = registry.get("retriever", "near")
    assert near.__module__ == "stranger_a"
    assert [status.name for status in registry._statuses()] == ["near"]  # `other` was left alone
    assert listing(registry) == {
        (None, "other", "broken"): "ZeroDivisionError: division by zero (stranger_b.py:1)",
        ("retriever", "near", "ok"): "",
    }
    assert {(status.distribution, status.version) for status in strangers(registry)} == {("stranger", "1.2")}


def test_an_entry_point_may_say_its_kind_or_be_called_otherwise(installed):
    registry = installed(
        {"retriever.near": "stranger_c", "bad": "stranger_b"}, stranger_c=RETRIEVER, stranger_b="1 / 0"
    )
    assert registry.get("retriever", "near")
    assert len(registry._statuses()) == 1
    assert installed({"all": "stranger_d"}, stranger_d=RETRIEVER).get("retriever", "near")


def test_several_entry_points_to_one_module_are_one_plugin(installed):
    registry = installed({"near": "stranger_e", "far": "stranger_e"}, stranger_e=RETRIEVER)
    assert [status.status for status in strangers(registry)] == ["ok"]


def test_a_module_that_is_missing_breaks_its_entry_points_only(installed):
    registry = installed({"near": "stranger_f", "gone": "stranger_gone"}, stranger_f=RETRIEVER)
    assert registry.get("retriever", "near")
    assert listing(registry)[None, "gone", "broken"] == (
        "its entry point gone = 'stranger_gone' names a module that is not there: stranger_gone (the entry points "
        "stand in its pyproject.toml; install it again after a change)"
    )


def test_an_entry_point_to_an_object_that_is_not_there_is_told_and_a_module_that_lacks_another_is_not_taken_for_it(
    installed,
):
    registry = installed({"near": "stranger_h:plugni", "far": "stranger_i"}, stranger_h=RETRIEVER,
                         stranger_i="import stranger_that_is_missing")  # fmt: skip
    causes = listing(registry)
    assert causes[None, "near", "broken"].startswith(
        "its entry point near = 'stranger_h:plugni' names what stranger_h does not have (the entry points stand"
    )
    assert causes[None, "far", "broken"].startswith("ModuleNotFoundError: No module named 'stranger_that_is_missing'")


def test_a_plugin_may_be_an_object_in_a_module(installed):
    text = RETRIEVER + "\nclass Plugin:\n    register_retrievers = staticmethod(register_retrievers)\n"
    assert installed({"near": "stranger_g:Plugin"}, stranger_g=text).get("retriever", "near")


def test_identity_changes_with_the_source(folder, tmp_path):
    registry = folder(mine=RETRIEVER)
    identity = registry.identity("retriever", "near")
    file = tmp_path / "mine.py"
    digest = hashlib.sha256(b"mine.py\0" + hashlib.sha256(file.read_bytes()).digest()).hexdigest()
    assert identity == {"name": "near", "distribution": None, "version": None, "source": digest}
    other = folder(mine=RETRIEVER + "# changed\n").identity("retriever", "near")
    assert other["source"] != digest


def test_each_kind_has_a_hook_and_an_interface():
    from metai2i import hookspecs

    assert list(KINDS) == ["translator", "task source", "strategy", "retriever", "metric", "network", "exporter"]
    assert {kind.key for kind in KINDS.values()} == {
        "translator",
        "tasks",
        "strategy",
        "retriever",
        "metric",
        "network",
        "exporter",
    }
    hooks = {name for name in vars(hookspecs) if name.startswith("register_")}
    assert {kind.hook for kind in KINDS.values()} == hooks - {"register_data_commands"}  # which has no components
    assert all(inspect.isabstract(kind.base()) for kind in KINDS.values())


METRIC = """
import metai2i
import torch

class Blue(metai2i.Metric):
    label = "blue ↑"
    higher_is_better = True

    def __call__(self, images, query):
        return images[:, 2].mean((1, 2))

@metai2i.hookimpl
def register_metrics(register):
    register("blue", Blue)
"""


def test_the_cores_own_metrics_are_there_without_any_plugin(folder):
    registry = folder()
    of_features = ["colour_relevance", "semantic_consistency", "texture_relevance"]
    names = sorted([*METRICS, "diversity", *of_features, "fid", "kid", "precision", "recall", "swd"])
    assert list(registry.components("metric")) == names
    assert registry.get("metric", "psnr") is METRICS["psnr"]


def test_a_plugins_metric_is_found_beside_the_cores_own(folder, tmp_path):
    registry = folder(mine=METRIC)
    assert registry.get("metric", "blue")(spec=None).label == "blue ↑"
    assert message(registry, "metric", "bleu").startswith(
        "no metric is called 'bleu' (did you mean 'blue'? known: blue, "
    )


def test_metrics_of_one_name_clash_as_all_else_does(folder, tmp_path):
    registry = folder(one=METRIC, two=METRIC, three=METRIC.replace('"blue"', '"lpips"'))
    assert message(registry, "metric", "blue").startswith(f"metric 'blue' is claimed by {tmp_path / 'one.py'} ")
    assert f" and metai2i {__version__} (" in message(registry, "metric", "lpips")
    assert listing(registry)["metric", "lpips", "clash"]


@pytest.mark.parametrize(
    ("removed", "absent"),
    [
        ('    label = "blue ↑"\n', "label"),
        ("    higher_is_better = True\n", "higher_is_better"),
        ('    label = "blue ↑"\n    higher_is_better = True\n', "label and higher_is_better"),
    ],
)
def test_a_metric_that_does_not_say_how_to_read_it_is_broken(folder, removed, absent):
    (status,) = strangers(folder(mine=METRIC.replace(removed, "")))
    assert (status.kind, status.cause) == ("metric", f"{status.origin}:5: class Blue does not say its {absent}")


def test_the_identity_of_the_cores_own_metrics_is_that_of_one_file(folder):
    """Whatever else in the core decides a number is in the name of every stage already."""
    file = Path(builtin.__file__)
    digest = hashlib.sha256(b"builtin.py\0" + hashlib.sha256(file.read_bytes()).digest()).hexdigest()
    identity = {"name": "ssim", "distribution": "metai2i", "version": __version__, "source": digest}
    assert folder().identity("metric", "ssim") == identity


def test_listing_entry_points_imports_no_plugin():
    code = (
        "import sys, metai2i.registry as r; r.Registry(); print([m for m in sys.modules if m.startswith('metai2i_')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plugin_that_has_only_commands_is_not_broken(folder):
    text = "import metai2i\n@metai2i.hookimpl\ndef register_data_commands(register): ..."
    assert strangers(folder(commands=text)) == []
