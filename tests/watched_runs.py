"""Runs of a recipe in processes of their own, with a plugin that leaves a file for each process that it works in."""

from __future__ import annotations

import os
from pathlib import Path


class WatchedRuns:
    """A recipe with its plugin, and the runs that are made of it.

    Args:
        home: the folder of all of them.
        recipe: the text of a recipe.
        plugin: the code of a plugin, which writes into the folder of the environment's SEEN.
    """

    def __init__(self, home: Path, recipe: str, plugin: str) -> None:
        self.home, self.seen = home, home / "seen"
        (home / "plugin").mkdir()
        (home / "plugin" / "watched.py").write_text(plugin)
        (home / "recipe.yaml").write_text(recipe)
        self.seen.mkdir()

    def arguments(self, name: str, *more: str) -> list[str]:
        places = ["--out", str(self.home / name), "--stages", str(self.home / f"{name}-stages")]
        return ["run", str(self.home / "recipe.yaml"), "--plugins-dir", str(self.home / "plugin"), *places, *more]

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": "1", "SEEN": str(self.seen), **more}

    def outputs(self, name: str, run: str = "") -> dict[str, bytes]:
        """All weights and results of a run, by name."""
        stages, folder = self.home / f"{name}-stages", self.home / name / run
        files = {str(file.relative_to(stages)): file for file in stages.glob("*/*.safetensors")}
        files |= {"results": folder / "results.csv"}
        files |= {f"image {n}": file for n, file in enumerate(sorted((folder / "images").rglob("*.png")))}
        return {key: file.read_bytes() for key, file in files.items()}


def is_running(pid: int) -> bool:
    """Return whether a process is there and no mere entry that nobody has read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
