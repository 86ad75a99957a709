"""What a stage gets on the machine where it is worked on: CPUs and GPUs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from metai2i.errors import UserError, did_you_mean

STAGES = ("start", "pretrain", "continued", "metatrain", "tune", "evaluate")


@dataclass(frozen=True)
class PerStage:
    """A number for each stage.

    Args:
        usual: that of a stage which is not named.
        named: those of others, by the names of their stages.
    """

    usual: float
    named: Mapping[str, float] = field(default_factory=dict)

    def of(self, stage: str) -> float:
        """Return the number of a stage."""
        return self.named.get(stage, self.usual)

    def all(self) -> set[float]:
        """Return the numbers that some stage has."""
        return {self.of(stage) for stage in STAGES}


@dataclass(frozen=True)
class Resources:
    """What stages get: whole CPUs, which are their threads as well; GPUs, of which several stages may share one."""

    cpus: PerStage
    gpus: PerStage

    def of(self, stage: str) -> tuple[int, float]:
        """Return the CPUs and GPUs of a stage."""
        return int(self.cpus.of(stage)), self.gpus.of(stage)

    def all(self) -> set[tuple[int, float]]:
        """Return what some stage gets."""
        return {self.of(stage) for stage in STAGES}


def resources_of(cpus: str | None, gpus: str | None, *, on_gpu: bool) -> Resources:
    """Return what options say.

    Args:
        cpus: "4", or "1,metatrain=4"; None for OMP_NUM_THREADS, else one.
        gpus: "1", or "0.5,metatrain=1"; None for one where networks live on GPUs.

    Raises:
        UserError: when they say something else.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    usual = int(threads) if threads.isdecimal() and int(threads) > 0 else 1
    per_cpu = parse_per_stage("--cpus", cpus, usual)
    if any(number < 1 or number != int(number) for number in per_cpu.all()):
        raise UserError(f"--cpus: got {cpus!r}, expected whole numbers of 1 or more")
    per_gpu = parse_per_stage("--gpus", gpus, 1.0 if on_gpu else 0.0)
    if any(number > 1 and number != int(number) for number in per_gpu.all()):
        raise UserError(f"--gpus: got {gpus!r}, expected whole numbers, or parts of one")
    if not on_gpu and any(per_gpu.all()):
        raise UserError(f"--gpus: got {gpus!r}, and networks run on the CPU", hint="--device cuda runs them on GPUs")
    if on_gpu and not all(per_gpu.all()):
        raise UserError(f"--gpus: got {gpus!r}, and every stage needs a GPU, or a part of one, with --device cuda")
    return Resources(per_cpu, per_gpu)


def parse_per_stage(option: str, text: str | None, usual: float) -> PerStage:
    """Return the numbers that an option says: one for all stages, and others by name.

    Args:
        usual: where it says none for all stages.

    Raises:
        UserError: when it is of another form, or names what is no stage.
    """
    named: dict[str, float] = {}
    for part in (text or "").split(",") if text is not None else []:
        name, equals, value = (word.strip() for word in part.rpartition("="))
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < 1e6:
            raise UserError(f"{option}: got {text!r}, expected a number, or as in 1,metatrain=4")
        if equals and name not in STAGES:
            raise UserError(f"{option}: no stage is called {name!r}", hint=did_you_mean(name, STAGES))
        if equals:
            named[name] = number
        else:
            usual = number
    return PerStage(usual, named)
