"""`metai2i report`."""

from __future__ import annotations

from fake_run import make_run

from metai2i.cli import invoke
from metai2i.run_folder.alone import alone_in


def test_it_writes_the_report_and_prints_the_table_and_the_path(tmp_path, capsys):
    path = make_run(tmp_path / "street", tasks=6, queries=1)
    assert invoke(["report", str(path)]) == 0
    printed = capsys.readouterr()
    assert "BiL-Pix2pix w/o Aux (5-shot)" in printed.out
    assert printed.out.splitlines()[-1] == str(path / "report.html")
    assert (path / "report.html").is_file()
    assert (path / "summary.json").is_file()


def test_a_folder_without_results_is_told_and_ends_with_two(tmp_path, capsys):
    assert invoke(["report", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"{tmp_path}: the folder has no results.csv" in printed.err
    assert "Traceback" not in printed.err


def test_a_damaged_results_file_is_told_with_its_line(tmp_path, capsys):
    (tmp_path / "results.csv").write_text("row,task,query,metric,value\na,t,0,lpips,much\n")
    assert invoke(["report", str(tmp_path)]) == 2
    assert "results.csv:2: the value is 'much', expected a number" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_a_run_that_works_in_the_folder_is_told(tmp_path, capsys):
    path = make_run(tmp_path / "street", tasks=2, queries=1)
    with alone_in(path, ""):
        assert invoke(["report", str(path)]) == 2
    assert "works in this folder (it writes the report itself)" in capsys.readouterr().err
    assert not (path / "report.html").exists()


def test_its_help_has_examples(capsys):
    assert invoke(["report", "--help"]) == 0
    assert "metai2i report runs/quickstart" in capsys.readouterr().out
