"""`docs/use.md`: its commands and its script do what they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from small_run import PLUGINS, make_run, write_scene

from metai2i.cli import invoke

PAGE = (Path(__file__).parents[2] / "docs" / "use.md").read_text()


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """A folder with a run, pairs and maps under the names that the page has."""
    folder = tmp_path_factory.mktemp("use")
    make_run(folder).rename(folder / "runs" / "quickstart")
    write_scene(folder, pairs=2, maps=3)
    (folder / "pairs").rename(folder / "my_street")
    return folder


def test_the_commands_and_the_script_of_the_page_run_one_after_the_other(here, monkeypatch):
    monkeypatch.chdir(here)
    commands = re.findall(r"^\$ metai2i (.*)$", PAGE, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["run", "adapt", "translate", *["run"] * 4, "watch"]
    for command in commands[1:3]:  # several runs and processes have tests of their own
        assert invoke([*shlex.split(command), "--plugins-dir", str(PLUGINS)]) == 0
    assert {path.name for path in Path("images").iterdir()} == {"0.png", "1.png", "2.png", "contact.png"}
    (script,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    script = script.replace('"quickstart"', f'"small.yaml", plugins_dirs=[{str(PLUGINS)!r}]')
    script = script.replace(
        'open_run("runs/quickstart")', f'open_run("runs/quickstart", plugins_dirs=[{str(PLUGINS)!r}])'
    )
    script = script.replace("Reptile-Pix2pix w/o Aux (5-shot)", "Line (2-shot)")
    exec(script.replace('.safetensors")', f'.safetensors", plugins_dirs=[{str(PLUGINS)!r}])'), names)
    assert names["images"].shape == (3, 3, 32, 32)
    assert names["run"].recipe["rows"]["Line (2-shot)"]["adapt"]["iterations"] == 50
    assert Path("runs/more-steps/report.html").is_file()
