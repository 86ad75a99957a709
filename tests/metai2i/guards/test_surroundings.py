"""What a plugin changes for the whole process is put back and told; what it may keep stays."""

from __future__ import annotations

import gc
import io
import locale
import logging
import os
import random
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from metai2i.console.stopping import Stopped
from metai2i.guards.surroundings import own_interruptions, put_back


def mask() -> int:
    mask_before = os.umask(0)
    os.umask(mask_before)
    return mask_before


HELD = [torch.inference_mode()]
"""The mode ends with its object."""
CHANGES = {
    "the current folder": (lambda: os.chdir("/"), Path.cwd),
    "torch's default dtype": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "torch's grad mode": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "torch's inference mode": (HELD[0].__enter__, torch.is_inference_mode_enabled),
    "torch's deterministic algorithms": (
        lambda: torch.use_deterministic_algorithms(True, warn_only=True),
        torch.are_deterministic_algorithms_enabled,
    ),
    "torch's number of threads": (
        lambda: torch.set_num_threads(1 + torch.get_num_threads()),
        torch.get_num_threads,
    ),
    "torch's default device": (lambda: torch.set_default_device("meta"), torch.get_default_device),
    "cuDNN's settings": (
        lambda: setattr(torch.backends.cudnn, "benchmark", True),
        lambda: torch.backends.cudnn.benchmark,
    ),
    "torch's precision of matrix products": (
        lambda: torch.set_float32_matmul_precision("medium"),
        torch.get_float32_matmul_precision,
    ),
    "torch's search for anomalies": (lambda: torch.autograd.set_detect_anomaly(True), torch.is_anomaly_enabled),
    "numpy's handling of floating-point errors": (lambda: np.seterr(all="raise"), np.geterr),
    "Pillow's limits": (
        lambda: setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True),
        lambda: (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS),
    ),
    "the locale": (lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"), lambda: locale.setlocale(locale.LC_ALL)),
    "the umask": (lambda: os.umask(0o777), mask),
    "the environment": (lambda: os.environ.update(HOME="/nowhere"), lambda: os.environ["HOME"]),
    "the handlers of signals": (
        lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGTERM),
    ),
    "a timer": (lambda: signal.alarm(100), lambda: signal.getitimer(signal.ITIMER_REAL)[0]),
    "the recursion limit": (lambda: sys.setrecursionlimit(5000), sys.getrecursionlimit),
    "garbage collection": (gc.disable, gc.isenabled),
    "logging": (lambda: logging.disable(logging.WARNING - 1), lambda: logging.root.manager.disable),
}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setenv("HOME", "/home/known")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_is_put_back_and_told(what, caplog):
    change, look = CHANGES[what]
    before = look()
    with put_back("the plugin x"):
        change()
        assert look() != before
    assert look() == before
    assert f"the plugin x has changed {what}" in caplog.text


def test_where_nothing_was_changed_nothing_is_said(caplog):
    with put_back("the plugin x"):
        warnings.filterwarnings("ignore", message="nothing that anybody says")
    assert caplog.text == ""


def test_random_generators_stand_where_they_stood_and_nobody_is_told(caplog):
    torch.manual_seed(1)
    random.seed(1)
    wanted = random.Random(1).random(), torch.rand(1, generator=torch.Generator().manual_seed(1))
    with put_back("the plugin x"):
        torch.manual_seed(5)
        random.seed(5)
    assert (random.random(), torch.rand(1)) == wanted
    assert caplog.text == ""


def test_warnings_do_not_become_errors_for_others(caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with put_back("the plugin x"):
            warnings.simplefilter("error")
        with pytest.warns(UserWarning, match="a word"):
            warnings.warn("a word", stacklevel=1)
    assert "the warnings that are errors" in caplog.text


def test_new_folders_to_import_from_stay_behind_all_others(monkeypatch):
    before = list(sys.path)
    monkeypatch.setattr(sys, "path", list(before))
    with put_back("the plugin x"):
        sys.path.insert(0, "/of/a/plugin")
    assert sys.path == [*before, "/of/a/plugin"]


def test_new_variables_of_the_environment_stay_unless_numbers_or_places_depend_on_them(monkeypatch):
    monkeypatch.delenv("METAI2I_STAGES", raising=False)
    with put_back("the plugin x"):
        os.environ["METAI2I_STAGES"], os.environ["OF_A_PLUGIN"] = "/elsewhere", "1"
    assert "METAI2I_STAGES" not in os.environ
    assert os.environ.pop("OF_A_PLUGIN") == "1"


def test_a_stream_that_was_replaced_is_put_back(monkeypatch, caplog):
    stream = sys.stdout
    with put_back("the plugin x"):
        monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert sys.stdout is stream
    assert "the plugin x has changed sys.stdout" in caplog.text


@pytest.mark.parametrize("change", ["sys.stdout.close(); sys.stderr.close()", "os.close(1); os.close(2)",
                                    "os.dup2(os.open(os.devnull, os.O_WRONLY), 1)"])  # fmt: skip
def test_streams_that_were_closed_or_moved_can_be_written_to(change):
    code = dedent(f"""
        import logging, os, sys
        from metai2i.guards.surroundings import put_back
        logging.getLogger("metai2i").addHandler(logging.StreamHandler(sys.stderr))
        with put_back("the plugin x"):
            {change}
        print("here")
        print("there", file=sys.stderr)
    """)
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (0, "here\n")
    assert "there\n" in finished.stderr
    assert "the plugin x has changed sys.stdout" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_what_is_raised_is_raised_all_the_same():
    def fails() -> None:
        os.chdir("/")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), put_back("the plugin x"):
        fails()
    assert str(Path.cwd()) != "/"


def test_an_interruption_that_nobody_has_asked_for_is_an_error():
    with pytest.raises(RuntimeError, match="KeyboardInterrupt raised in its import"), own_interruptions("its import"):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), own_interruptions("its import"):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interruption_is_an_error_too_where_no_ctrl_c_can_arrive():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(RuntimeError, match="KeyboardInterrupt raised in x"), own_interruptions("x"):
            raise KeyboardInterrupt
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_that_ends_the_program_is_no_error_of_the_plugin_it_comes_in():
    with pytest.raises(Stopped), own_interruptions("its import"):
        raise Stopped(signal.SIGTERM)
