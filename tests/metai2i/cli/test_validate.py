import sys
from pathlib import Path

from metai2i.errors import UserError


def test_the_rows_of_a_good_recipe_are_shown(run):
    code, out, err = run("validate", "good.yaml", "--plugins-dir", "mine")
    assert (code, err) == (0, "")
    assert out == (
        "good.yaml: ok\n"
        "row          strategy  retriever  translator  tasks\n"
        "[red] Plain  plain     -          line        stripes\n"
    )


def test_all_errors_of_bad_recipes_are_told_and_good_ones_are_still_shown(run):
    Path("bad.yaml").write_text(
        "tasks: {use: stripes}\ntranslator: {use: line, widht: 3}\nstrategy: {use: plain}\nsed: 1\n"
    )
    code, out, err = run("validate", "bad.yaml", "gone.yaml", "good.yaml", "--plugins-dir", "mine")
    assert code == 2
    assert out.startswith("good.yaml: ok\n")
    assert err.splitlines() == [
        "error: bad.yaml:2:25: translator: unknown option 'widht' (did you mean 'width'?)",
        "error: bad.yaml:4:1: unknown key 'sed' (did you mean 'seed'?)",
        "error: there is no recipe 'gone.yaml' (did you mean 'good.yaml'?)",
    ]


def test_overrides_may_stand_behind_the_recipe(run):
    code, _, err = run("validate", "good.yaml", "adapt.iterations=5", "adapt.lr=fast", "--plugins-dir", "mine")
    assert code == 2
    assert err == "error: command line: adapt.lr=fast: adapt.lr: got the string 'fast', expected a number\n"


def test_the_plugins_folder_may_stand_in_the_recipe(run):
    with Path("good.yaml").open("a") as file:
        file.write("plugins: mine\n")
    assert run("validate", "good.yaml")[0] == 0


def test_the_plugins_of_one_recipe_are_not_those_of_the_next(run):
    Path("first.yaml").write_text(Path("good.yaml").read_text() + "plugins: mine\n")
    code, out, err = run("validate", "first.yaml", "good.yaml")
    assert code == 2
    assert out.startswith("first.yaml: ok")
    assert "no translator is called 'line'" in err


def test_overrides_alone_are_no_recipe(run):
    code, _, err = run("validate", "adapt.lr=1")
    assert code == 2
    assert err == "error: got overrides only, expected a recipe (metai2i validate recipes/quickstart.yaml)\n"


def test_nothing_at_all_is_told(run):
    code, _, err = run("validate")
    assert code == 2
    assert err.startswith("error: Missing argument")


def test_it_is_told_how_many_rows_an_override_changes(run):
    with Path("good.yaml").open("a") as file:
        file.write("  Own: {strategy: {use: plain}, adapt: {batch: 3}}\n")
    code, out, err = run("validate", "good.yaml", "adapt.batch=2", "--plugins-dir", "mine")
    assert code == 0
    assert out.startswith("good.yaml: ok\n")
    assert err == (
        "adapt.batch=2 changes 1 of 2 rows ('Own': 3, of its own); 'rows.*.adapt.batch=2' reaches every row\n"
    )
    assert run("validate", "good.yaml", "rows.*.adapt.batch=2", "--plugins-dir", "mine")[2] == (
        "rows.*.adapt.batch=2 changes 2 of 2 rows\n"
    )


def test_an_override_that_changes_nothing_is_a_warning(run):
    code, _, err = run("validate", "good.yaml", "adapt.batch=5", "--plugins-dir", "mine")
    assert (code, err) == (0, "warning: adapt.batch=5 changes 0 of 1 row ('[red] Plain': as it is anyway)\n")


def test_a_long_override_is_no_path(run):
    assert run("validate", "good.yaml", f"description={'x' * 5000}", "--plugins-dir", "mine")[0] == 0


def test_a_name_that_is_no_utf_8_is_told_for_every_command(run):
    for command in (["validate"], ["run"], ["run", "good.yaml", "--out"], ["report"], ["data", "check"]):
        code, _, err = run(*command, "caf\udce9")
        assert (code, err) == (2, "error: this is not text in UTF-8: caf\\xe9 (rename the file or folder)\n")


def test_a_terminal_that_has_another_encoding_is_told(run, monkeypatch):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    assert run("validate", "caf\udce9.yaml")[2] == (
        "error: this is not text in UTF-8: caf\\xe9.yaml "
        "(this terminal's encoding is ascii; LC_ALL=C.UTF-8 before the command has UTF-8)\n"
    )


def test_a_run_tells_it_before_anything_is_trained(run, monkeypatch):
    def stopped(*_):
        raise UserError("stopped")

    monkeypatch.setattr("metai2i.pipeline.runner.Runner.begin", stopped)
    code, _, err = run("run", "good.yaml", "adapt.batch=5", "--plugins-dir", "mine", "--stages", "stages")
    assert code == 2
    assert err == "warning: adapt.batch=5 changes 0 of 1 row ('[red] Plain': as it is anyway)\nerror: stopped\n"


def test_an_old_name_of_a_key_is_noted_once_and_works(run):
    with Path("good.yaml").open("a") as file:
        file.write("looks: {}\n")
    line = len(Path("good.yaml").read_text().splitlines())
    code, out, err = run("validate", "good.yaml", "--plugins-dir", "mine")
    assert (code, out.splitlines()[0]) == (0, "good.yaml: ok")
    assert err == f"note: good.yaml:{line}:1: `looks` is called `colour_jitter` now; the old name still works\n"
