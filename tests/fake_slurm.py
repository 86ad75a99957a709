"""A stand-in for Slurm: `sbatch`, `srun`, `sacct` and `scancel` as small programs that start jobs on this machine.

A job starts when those that it is to come after have ended well, and is never started when one has not.
"""

from __future__ import annotations

import sys
from pathlib import Path

PROGRAM = """#!{python}
import os, re, signal, subprocess, sys, time
from pathlib import Path

HOME = Path({home!r})
name, words = Path(sys.argv[0]).name, sys.argv[1:]


def state(job):
    try:
        return (HOME / f"{{job}}.state").read_text()
    except FileNotFoundError:
        return "UNKNOWN"


def put(job, text):
    draft = HOME / f"{{job}}.part"
    draft.write_text(text)
    draft.replace(HOME / f"{{job}}.state")


if name == "sbatch":
    script = Path(words[-1]).read_text()
    job = str(101 + len(list(HOME.glob("*.sh"))))
    (HOME / f"{{job}}.sh").write_text(script)
    put(job, "PENDING")
    if os.fork() == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        after = re.search(r"--dependency=afterok:(\\S+)", script)
        for other in after[1].split(":") if after else []:
            while state(other) in ("PENDING", "RUNNING"):
                time.sleep(0.05)
            if state(other) != "COMPLETED":
                put(job, "CANCELLED")
                os._exit(0)
        if state(job) == "PENDING":
            put(job, "RUNNING")
            process = subprocess.Popen(["bash", HOME / f"{{job}}.sh"], env={{**os.environ, "SLURM_JOB_ID": job}})
            (HOME / f"{{job}}.pid").write_text(str(process.pid))
            put(job, "COMPLETED" if process.wait() == 0 else "FAILED")
        os._exit(0)
    print("Submitted batch job", job)
elif name == "sacct":
    print("JobID|State|NodeList")
    for job in (words[n + 1] for n, word in enumerate(words) if word == "-j"):
        print(f"{{job}}|{{state(job)}}|here")
elif name == "srun":
    at = next(n for n, word in enumerate(words) if Path(word).name.startswith("python"))
    os.execv(words[at], words[at:])
elif name == "scancel":
    for job in words:
        if state(job) == "PENDING":
            put(job, "CANCELLED")
        elif state(job) == "RUNNING":
            os.killpg(os.getpgid(int((HOME / f"{{job}}.pid").read_text())), signal.SIGTERM)
            put(job, "CANCELLED")
"""


def install(home: Path) -> Path:
    """Write the programs to a folder, which goes in front of PATH; return it. Scripts and states lie beside it."""
    programs = home / "bin"
    programs.mkdir(parents=True)
    for name in ("sbatch", "srun", "sacct", "scancel"):
        (programs / name).write_text(PROGRAM.format(python=sys.executable, home=str(home)))
        (programs / name).chmod(0o755)
    return programs
