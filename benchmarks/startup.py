"""How long metai2i takes to start, against importing torch.

    python benchmarks/startup.py --quick

`metai2i --help` needs no torch; `metai2i plugins` reads the metadata of what is installed; a finished run that is
resumed looks up its stages and writes its report anew. Each is a process of its own, timed by its CPU time, in turns.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import report

RECIPE = """
name: startup
tasks: {use: scenes, size: [32, 32], train: 2, val: 0, test: 1, frames: 4}
episodes: {shots: 1, queries: 1}
translator: {use: pix2pix, width: 4}
objective: {l1: 1, adversarial: 0, perceptual: 0}
pretrain: {iterations: 1, batch: 1}
evaluate: {metrics: [mse], images: 0}
compare: {metric: mse}
strategy: {use: none}
"""


def seconds(command: list[str], folder: Path) -> float:
    """Return the CPU time of a command and its children, in seconds.

    Raises:
        CalledProcessError: when it fails.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three rounds instead of nine")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the table there")
    asked = parser.parse_args()
    ours = [sys.executable, "-m", "metai2i"]
    run = [*ours, "run", "startup.yaml", "--device", "cpu"]
    commands = {
        'python -c "import torch"': [sys.executable, "-c", "import torch"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "metai2i --help": [*ours, "--help"],
        "metai2i plugins": [*ours, "plugins"],
        "metai2i run, finished": run,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "startup.yaml").write_text(RECIPE)
        seconds(run, folder)
        for command in commands.values():  # files are in the system's memory from here on
            seconds(command, folder)
        rounds = [{what: seconds(command, folder) for what, command in commands.items()}
                  for _ in range(3 if asked.quick else 9)]  # fmt: skip
    took = {what: statistics.median(each[what] for each in rounds) for what in commands}
    torch = next(iter(took.values()))
    rows = [{"command": what, "CPU s": each, "against torch": each / torch} for what, each in took.items()]
    report("starting, CPU time", rows, asked.json)


if __name__ == "__main__":
    main()
