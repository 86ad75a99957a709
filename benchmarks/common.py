"""What the benchmarks share: a case measured in a fresh process, one table, and a JSON file that names the machine.

A case is a function of a benchmark script that prepares the work and returns it as a callable::

    def sorting(*, numbers: int) -> Callable[[], object]:
        data = torch.rand(numbers)
        return lambda: data.sort()

    measure(sorting, numbers=1000).seconds
"""

from __future__ import annotations

import gc
import importlib.util
import inspect
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Case = Callable[..., Callable[[], object]]
MIB = 2**20


class CaseFailed(Exception):
    """A case ended without a result; says what it printed last."""


@dataclass(frozen=True)
class Measured:
    """What one case took.

    Args:
        seconds: median CPU time of the process over the repetitions, in seconds.
        wall: median time by the clock, in seconds.
        peak: largest resident memory while working, over what was resident before, in MiB.
        value: what the work returned at last, if that is a number; for telling whether cases did the same work.
    """

    seconds: float
    wall: float
    peak: float
    value: float | None = None


def measure(case: Case, /, *, repeats: int = 3, warm: int = 1, threads: int = 1, **arguments: Any) -> Measured:
    """Run a case in a process of its own.

    Args:
        case: a function at the top of a benchmark script.
        repeats: timed runs of the work.
        warm: runs before them, which count for the peak but not for the time.
        threads: of the numerical libraries.
        arguments: of the case, as JSON can hold them.

    Raises:
        CaseFailed: when the process fails.
    """
    settings = {"repeats": repeats, "warm": warm, "arguments": arguments}
    command = [sys.executable, __file__, inspect.getfile(case), case.__name__, json.dumps(settings)]
    counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **counts})
    if ended.returncode:
        raise CaseFailed(f"{case.__name__} {arguments}: " + "\n".join(ended.stderr.splitlines()[-8:]))
    return Measured(**json.loads(ended.stdout.splitlines()[-1]))


def interleaved(cases: Mapping[str, Callable[[], Measured]], rounds: int) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measure cases one after the other, several rounds, so that a busy minute falls on all of them.

    Returns:
        The medians over the rounds, and the messages of cases that failed, both by the cases' names.
    """
    measured: dict[str, list[Measured]] = {}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        for name, run in cases.items():
            if name not in failed:
                try:
                    measured.setdefault(name, []).append(run())
                    print(f"{name}: {measured[name][-1].seconds:.3g} s", file=sys.stderr, flush=True)
                except CaseFailed as failure:
                    failed[name] = str(failure)
    return {name: _median(runs) for name, runs in measured.items() if name not in failed}, failed


def report(
    title: str, rows: Sequence[Mapping[str, Any]], file: Path | None = None, *, notes: Sequence[str] = ()
) -> None:
    """Print the rows as one table, and write them with the machine's description where a file is given.

    Args:
        rows: the columns of each, by their titles; floats are shown with three digits, None as "-".
        file: where the JSON goes.
        notes: lines under the table (what was left out, and why).
    """
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(name for row in rows for name in row))
    numbers = {name for name in columns if any(isinstance(row.get(name), int | float) for row in rows)}
    table = Table(title=title)
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*(_shown(row.get(name)) for name in columns))
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)
    if file is not None:
        record = {"title": title, "machine": machine(), "rows": [dict(row) for row in rows], "notes": list(notes)}
        file.write_text(json.dumps(record, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """Return what measured: processor, system, versions, and how busy it is (the mean number of running processes)."""
    import torch

    from metai2i.guards.system import processor_name
    from metai2i.run_folder.provenance import commit

    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": commit(),
    }


def _median(runs: Sequence[Measured]) -> Measured:
    seconds, wall, peak = (statistics.median(getattr(run, n) for run in runs) for n in ("seconds", "wall", "peak"))
    return Measured(seconds, wall, peak, runs[0].value)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def _peak() -> float:
    """Return the process's largest resident memory since `_forget_peak`, in MiB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # macOS: bytes, and since the process started
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _forget_peak() -> None:
    """Import may have taken more for a moment than is in use now (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _work(file: str, name: str, settings: Mapping[str, Any]) -> Measured:
    """Return the other side of `measure`, in the fresh process."""
    sys.path.insert(0, str(Path(file).parent))
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    work = getattr(module, name)(**settings["arguments"])
    gc.collect()
    _forget_peak()
    before = _peak()
    for _ in range(settings["warm"]):
        work()
    cpu, wall, value = [], [], None
    for _ in range(settings["repeats"]):
        starts = time.process_time(), time.perf_counter()
        value = work()
        cpu.append(time.process_time() - starts[0])
        wall.append(time.perf_counter() - starts[1])
    number = float(value) if isinstance(value, int | float) else None
    return Measured(statistics.median(cpu), statistics.median(wall), _peak() - before, number)


if __name__ == "__main__":
    done = _work(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    print(json.dumps(asdict(done)))
