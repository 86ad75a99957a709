"""Fixtures that all tests share, and where the real photographs lie."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from toys import Toy, ToyTask

from metai2i import Step, TaskSpec

torch.set_num_threads(1)
if threading.current_thread() is threading.main_thread():
    # A shell ignores these for what runs in the background, and so does nohup; tests send them.
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
# No test fails because the machine is busy, or because of what was drawn this time.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
ROOT = Path(__file__).parent.parent


@pytest.fixture
def spec() -> TaskSpec:
    return TaskSpec(structure_channels=3, size=(16, 16))


@pytest.fixture
def toy(spec: TaskSpec) -> Toy:
    torch.manual_seed(0)
    return Toy(spec=spec)


@pytest.fixture
def episode():
    return ToyTask("a", 10).episode(5, 5, Step().rng)


@pytest.fixture
def episodes():
    return [ToyTask(name, 10).episode(5, 5, Step().rng.at(name)) for name in "ab"]


@pytest.fixture
def shared() -> Path:
    """The folder with the real photographs, beside the checkout."""
    for parent in (ROOT.parent, *ROOT.parents):
        if (parent / "shared" / "data").is_dir():
            return parent / "shared"
    pytest.skip("the real photographs are not here")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """What a test draws is the same in every run."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the machine must not decide a test."""
    for name in list(os.environ):
        if name.startswith("METAI2I_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("METAI2I_CACHE", "")  # nothing is kept in the user's cache folder
    monkeypatch.setattr("metai2i.data.disk_cache.SETTLED", 0)  # where a test has one, what was just written is kept too
