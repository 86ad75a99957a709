from metai2i import __version__
from metai2i.losses.networks import NETWORKS
from metai2i.registry import Registry


def test_all_components_are_listed_and_a_broken_one_does_not_fail_the_command(run, here):
    code, out, err = run("plugins", "--plugins-dir", "mine")
    long = "a-task-source-with-a-name-that-is-much-longer-than-any-terminal-is-wide-which-must-not-be-cut"
    rows = [line.split() for line in out.splitlines()]
    exporters = Registry().components("exporter")
    bundled = {"metric": Registry().components("metric"), "network": NETWORKS, "exporter": exporters}
    for kind, components in bundled.items():
        ours = [row for row in rows if row[1] == kind]
        assert ours == [[name, kind, __version__, "metai2i", "ok"] for name in sorted(components)]
    rows = [row for row in rows if row[1] not in bundled]
    good, bad = str(here / "mine" / "good.py"), str(here / "mine" / "bad.py")
    assert (code, err) == (0, "")
    assert rows == [
        ["name", "kind", "version", "from", "status", "cause"],
        ["line", "translator", "-", good, "ok"],
        [long, "task", "source", "-", good, "ok"],
        ["stripes", "task", "source", "-", good, "ok"],
        ["plain", "strategy", "-", good, "ok"],
        ["bad", "-", "-", bad, "broken", "ValueError:", "boom", "(bad.py:1)"],
    ]


def test_one_component_is_shown_with_its_options(run, here):
    code, out, _ = run("plugins", "line", "--plugins-dir", "mine")
    assert code == 0
    file = here / "mine" / "good.py"
    assert out == (
        f"line  translator  {file}\n{file}\n\nPaints [bold] lines.\n\nIt has a second paragraph.\n\n"
        "option  type                  default   meaning\n"
        "width   int                   8         of the lines.\n"
        "norm    'instance' | 'batch'  instance\n"
    )


def test_the_options_that_can_be_set_for_images_are_told(run, here):
    file = here / "mine" / "good.py"
    file.write_text(
        file.read_text().replace("    def players", "    paint_options = frozenset({'width'})\n\n    def players", 1)
    )
    assert run("plugins", "line", "--plugins-dir", "mine")[1].endswith(
        "\n\nFor images alone, and what `metai2i translate --set` takes: width\n"
    )


def test_a_component_without_options_says_so(run):
    assert run("plugins", "plain", "--plugins-dir", "mine")[1].endswith("It has no options.\n")


def test_a_metric_is_shown_as_tables_call_it(run):
    code, out, _ = run("plugins", "psnr", "--plugins-dir", "mine")
    assert code == 0
    assert out.startswith(f"psnr  metric  metai2i {__version__}\n")
    assert "in tables: PSNR ↑\n" in out


def test_a_broken_one_is_shown_with_the_whole_traceback(run):
    code, out, _ = run("plugins", "bad", "--plugins-dir", "mine")
    assert code == 1
    assert "broken: ValueError: boom (bad.py:1)\n" in out
    assert "Traceback (most recent call last):" in out
    assert "raise ValueError('boom')" in out


def test_an_unknown_name_is_told_with_the_nearest(run):
    code, out, err = run("plugins", "lien", "--plugins-dir", "mine")
    assert (code, out, err) == (2, "", "error: no component is called 'lien' (did you mean 'line'?)\n")


def test_a_missing_folder_is_told(run):
    code, _, err = run("plugins", "--plugins-dir", "missing")
    assert (code, err) == (2, "error: got 'missing', expected a folder with one-file plugins (*.py)\n")


def test_a_clash_is_listed_for_both(run, here):
    (here / "mine" / "twin.py").write_text((here / "mine" / "good.py").read_text())
    code, out, _ = run("plugins", "--plugins-dir", "mine")
    assert code == 0
    assert sum("clash" in line and line.startswith("line ") for line in out.splitlines()) == 2
