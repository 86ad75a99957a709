"""`metai2i recipes`."""

from metai2i.cli import invoke


def test_they_are_listed_with_what_they_are(run, here):
    code, out, err = run("recipes")
    assert (code, err) == (0, "")
    assert "quickstart  " in out
    assert "The bilevel paradigm in four minutes on two cores" in out


def test_the_list_has_the_first_sentence_of_each_and_no_commands(run, here):
    _, out, _ = run("recipes")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()}
    assert lines["ablations/retrieval"] == "Which training scenes to retrieve, and what to do with them."
    assert lines["systems/scene_sketch"].startswith("The second stage of SketchyCOCO's pipeline on drawn scenes:")
    assert lines["systems/gpunit_prior_emoji"].startswith("GP-UNIT's prior on twins:")
    assert max(map(len, lines.values())) < 330
    assert "Every scene has colours" not in out


def test_one_is_printed_as_it_stands(run, here):
    code, out, _ = run("recipes", "quickstart")
    assert code == 0
    assert out.startswith("# metai2i run recipes/quickstart.yaml")


def test_one_is_copied_to_start_from(run, here):
    code, out, _ = run("recipes", "quickstart", "--copy", "mine")
    assert (code, out) == (0, "wrote mine/quickstart.yaml\n")
    assert (here / "mine" / "quickstart.yaml").is_file()


def test_a_folders_name_steers_no_terminal(run, here):
    code, out, _ = run("recipes", "quickstart", "--copy", "a\x1b[31m")
    assert (code, out) == (0, "wrote a\\x1b[31m/quickstart.yaml\n")


def test_an_unknown_name_is_told_with_the_nearest(run, here):
    code, _, err = run("recipes", "quikstart")
    assert code == 2
    assert "no bundled recipe is called 'quikstart' (did you mean 'quickstart'?)" in err


def test_validate_takes_a_name(capsys):
    assert invoke(["validate", "quickstart"]) == 0
    assert "quickstart.yaml: ok" in capsys.readouterr().out
