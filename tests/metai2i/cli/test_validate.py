from pathlib import Path


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
    assert "no translator called 'line'" in err


def test_overrides_alone_are_no_recipe(run):
    code, _, err = run("validate", "adapt.lr=1")
    assert code == 2
    assert err == "error: got overrides only, expected a recipe (metai2i validate recipes/quickstart.yaml)\n"


def test_nothing_at_all_is_told(run):
    code, _, err = run("validate")
    assert code == 2
    assert err.startswith("error: Missing argument")
