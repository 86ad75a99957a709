"""What two workers of Ray make of a table, against one process and against the sum of its stages.

    python benchmarks/workers.py --quick
    python benchmarks/workers.py recipes/cpu/face_5shot.yaml tasks.root=DIR --weights DIR --seeds 0,1,2 --json FILE

Everything behind the options of this script goes to `metai2i run`: a recipe, keys of it, and options. It is run once in
one process and once with `--on ray --at-once 2`, each from an empty stage store and with one thread for each process.
`start` is what a run of Ray takes beside its stages if two workers were never idle: to start Ray and to plan in each
worker. The results have to be the same, byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import report

WORKERS = 2
QUICK = ("quickstart", "pretrain.iterations=20", "rows.*.metatrain.iterations=4", "tasks.test=2")


def timed(words: list[str], folder: Path) -> float:
    """Run a table into a folder; return the seconds by the clock."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "RAY_worker_niceness": "0",
        "METAI2I_CACHE": str(folder.parent),
    }
    places = ["--out", str(folder / "run"), "--stages", str(folder / "stages")]
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "metai2i", "run", *words, *places], env=environment, check=True)
    return time.monotonic() - began


def stage_seconds(folder: Path) -> float:
    """Return the sum of what the stages of a run say that they took."""
    markers = (folder / "stages").glob("*/done.json")
    return sum(float(json.loads(marker.read_text(encoding="utf-8"))["seconds"]) for marker in markers)


def results(folder: Path) -> dict[str, bytes]:
    """Return the weights of all stages, and the results of all runs, by their places."""
    files = [*(folder / "stages").glob("*/model.safetensors"), *(folder / "run").rglob("results.csv")]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def compared(words: list[str]) -> dict[str, Any]:
    """Return seconds, and whether the bytes are the same."""
    with tempfile.TemporaryDirectory() as place:
        single, spread = Path(place, "single"), Path(place, "spread")
        alone, together = timed(words, single), timed([*words, "--on", "ray", "--at-once", str(WORKERS)], spread)
        stages = stage_seconds(single)
        return {
            "one process": round(alone, 1),
            "sum of its stages": round(stages, 1),
            "two workers": round(together, 1),
            "sum of their stages": round(stage_seconds(spread), 1),
            "start": round(together - stage_seconds(spread) / WORKERS, 1),
            "times as fast": round(alone / together, 2),
            "same bytes": results(single) == results(spread),
        }


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a table of seconds, which says nothing of larger ones")
    parser.add_argument("--json", type=Path, help="write the numbers here as well")
    arguments, words = parser.parse_known_args()
    words = words or list(QUICK if arguments.quick else ("quickstart",))
    report(" ".join(words), [compared(words)], arguments.json)


if __name__ == "__main__":
    main()
