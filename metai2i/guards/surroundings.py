"""What all code of a process shares, and what a plugin may not leave changed: the current folder, torch's defaults,
signal handlers, the standard streams and the like.

Code of a plugin is run within `put_back`, which restores what it has changed and says what that was. Of torch and the
imaging library nothing is imported here: what is not there yet has the defaults that it will have.
"""

from __future__ import annotations

import contextlib
import gc
import io
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from metai2i.console.stopping import cause_of
from metai2i.guards.system import TIMERS, stop_timer, timer_runs

log = logging.getLogger("metai2i")

OURS = ("METAI2I_", "OMP_", "MKL_", "CUDA_VISIBLE", "CUBLAS_", "TORCH_HOME", "XDG_")
"""What names of variables of the environment begin with that numbers or places may depend on."""


@dataclass(frozen=True)
class Setting:
    """Something that is the same for the whole process.

    Args:
        name: what messages call it; empty for what is put back without a word.
        read: gives it; must not fail.
        write: puts it back as `read` gave it.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # the folder has been deleted
        return None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _environment() -> dict[str, str]:
    return dict(os.environ)


def _put_environment(before: dict[str, str]) -> None:
    """Put back what was there, and take away what is new and may decide numbers; other new ones stay, since the plugin
    may read them later.
    """
    for name in os.environ.keys() - before.keys():
        if name.startswith(OURS):
            del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})


def _put_path(before: list[str]) -> None:
    """Put what is new behind the rest, where it hides nothing."""
    sys.path[:] = [*before, *(each for each in sys.path if each not in before)]


def _errors_of_warnings() -> list[Any]:
    return [each for each in warnings.filters if each[0] == "error"]


def _put_warnings(before: list[Any]) -> None:
    with warnings.catch_warnings():  # which also makes Python forget what it has remembered of the filters
        pass
    kept: Any = warnings.filters
    kept[:] = [each for each in kept if each[0] != "error" or each in before]


def _handlers() -> dict[int, Any]:
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _put_handlers(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) != handler:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, handler)


def _timers() -> list[bool]:
    return [timer_runs(timer) for timer in TIMERS]


def _put_timers(before: list[bool]) -> None:
    for timer, ran in zip(TIMERS, before, strict=True):
        if not ran:
            stop_timer(timer)


def _numpy_errors() -> Any:
    return sys.modules["numpy"].geterr() if "numpy" in sys.modules else None


def _put_numpy_errors(before: Any) -> None:
    if "numpy" in sys.modules:
        numpy = sys.modules["numpy"]
        numpy.seterr(**(before or {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}))


def _pillow() -> tuple[Any, Any] | None:
    """Return whether cut images are read as whole ones, and how large an image may be."""
    image, file = sys.modules.get("PIL.Image"), sys.modules.get("PIL.ImageFile")
    return None if image is None or file is None else (image.MAX_IMAGE_PIXELS, file.LOAD_TRUNCATED_IMAGES)


def _put_pillow(before: tuple[Any, Any] | None) -> None:
    image, file = sys.modules.get("PIL.Image"), sys.modules.get("PIL.ImageFile")
    if image is not None and file is not None:
        image.MAX_IMAGE_PIXELS, file.LOAD_TRUNCATED_IMAGES = before or (PIXELS, False)  # type: ignore[attr-defined]


PIXELS = 1024 * 1024 * 1024 // 4 // 3
"""Pillow's own limit on the pixels of an image."""


def _torch(read: Callable[[Any], Any], write: Callable[[Any, Any], object], fresh: Any) -> dict[str, Any]:
    """Return `read` and `write` of a setting of torch's, whose value is `fresh` where torch is not imported yet."""

    def get() -> Any:
        torch = sys.modules.get("torch")
        return read(torch) if torch is not None and hasattr(torch, "set_grad_enabled") else fresh

    def put(value: Any) -> None:
        torch = sys.modules.get("torch")
        if torch is not None and value is not None:
            write(torch, value)

    return {"read": get, "write": put}


def _precise(torch: Any, value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _cudnn(torch: Any, value: tuple[bool, bool, bool]) -> None:
    cudnn = torch.backends.cudnn
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = value


def _dtype(torch: Any, value: Any) -> None:
    torch.set_default_dtype(torch.float32 if value == "float32" else value)


def _inference(torch: Any, value: bool) -> None:
    mode = torch.inference_mode(value)
    mode.__enter__()
    _LEFT.append(mode)


_LEFT: list[Any] = []
"""Modes of torch's that hold as long as their objects live."""

LIGHT: tuple[Setting, ...] = (
    Setting("the current folder", _cwd, os.chdir),
    Setting(
        "torch's default dtype",
        **_torch(lambda torch: "float32" if (kind := torch.get_default_dtype()) is torch.float32 else kind, _dtype,
                 "float32"),
    ),
    Setting("torch's inference mode", **_torch(lambda torch: torch.is_inference_mode_enabled(), _inference, False)),
    Setting(
        "torch's grad mode",
        **_torch(lambda torch: torch.is_grad_enabled(), lambda torch, on: torch.set_grad_enabled(on), True),
    ),
    Setting(
        "torch's deterministic algorithms",
        **_torch(
            lambda torch: (torch.are_deterministic_algorithms_enabled(),
                           torch.is_deterministic_algorithms_warn_only_enabled()),
            _precise, (False, False),
        ),
    ),
    Setting(
        "torch's number of threads",
        **_torch(lambda torch: torch.get_num_threads(), lambda torch, count: torch.set_num_threads(count), None),
    ),
)  # fmt: skip
"""What is cheap to look at, and changes numbers or places: looked at after each step."""

SETTINGS: tuple[Setting, ...] = (
    *LIGHT,
    Setting(
        "torch's default device",
        **_torch(lambda torch: str(torch.get_default_device()),
                 lambda torch, device: torch.set_default_device(None if device == "cpu" else device), "cpu"),
    ),
    Setting(
        "cuDNN's settings",
        **_torch(
            lambda torch: (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark,
                           torch.backends.cudnn.deterministic),
            _cudnn, (True, False, False),
        ),
    ),
    Setting(
        "torch's precision of matrix products",
        **_torch(lambda torch: torch.get_float32_matmul_precision(),
                 lambda torch, kind: torch.set_float32_matmul_precision(kind), "highest"),
    ),
    Setting(
        "torch's search for anomalies",
        **_torch(lambda torch: torch.is_anomaly_enabled(),
                 lambda torch, on: torch.autograd.set_detect_anomaly(on), False),
    ),
    Setting(
        "",
        **_torch(lambda torch: torch.get_rng_state().numpy().tobytes(),
                 lambda torch, state: torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8)), None),
    ),
    Setting("", random.getstate, random.setstate),
    Setting("numpy's handling of floating-point errors", _numpy_errors, _put_numpy_errors),
    Setting("Pillow's limits (MAX_IMAGE_PIXELS, LOAD_TRUNCATED_IMAGES)", _pillow, _put_pillow),
    Setting("the warnings that are errors", _errors_of_warnings, _put_warnings),
    Setting("the locale", lambda: locale.setlocale(locale.LC_ALL), lambda kept: locale.setlocale(locale.LC_ALL, kept)),
    Setting("the umask", _umask, os.umask),
    Setting("the environment", _environment, _put_environment),
    Setting("", lambda: list(sys.path), _put_path),
    Setting("the handlers of signals", _handlers, _put_handlers),
    Setting("a timer", _timers, _put_timers),
    Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Setting("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    Setting("what Python does with an error that nobody handles", lambda: sys.excepthook,
            lambda hook: setattr(sys, "excepthook", hook)),
    Setting("logging", lambda: logging.root.manager.disable, logging.disable),
    Setting("the log of metai2i", lambda: (log.level, log.disabled), lambda kept: _put_log(*kept)),
)  # fmt: skip
"""All that is looked at around imports and constructors."""


def _put_log(level: int, disabled: bool) -> None:
    log.setLevel(level)
    log.disabled = disabled


def same(setting: Setting, before: Any, now: Any) -> bool:
    """Return whether a setting is what it was, or differs by what may stay."""
    if setting.read is _environment:
        return all(now.get(name) == value for name, value in before.items()) and not any(
            name.startswith(OURS) for name in now.keys() - before.keys()
        )
    if setting.read is _timers:
        return not any(running and not ran for ran, running in zip(before, now, strict=True))
    if setting.read is _pillow and before is None:
        return now in (None, (PIXELS, False))
    if setting.read is _numpy_errors and before is None:
        return True
    return bool(before is None or now == before)


@contextmanager
def put_back(who: str, settings: tuple[Setting, ...] = SETTINGS, *, streams: bool = True) -> Iterator[None]:
    """Restore what the code within it has changed, and warns of it.

    Args:
        who: for the message: "the plugin metai2i-x 1.0".
        settings: what is looked at.
        streams: whether the standard streams are, too.
    """
    before = [(setting, setting.read()) for setting in settings]
    kept = _Streams() if streams else None
    try:
        yield
    finally:
        changed = [] if kept is None else kept.put_back()
        for setting, value in before:
            if not same(setting, value, setting.read()):
                with contextlib.suppress(Exception):  # what cannot be put back must not hide an error
                    setting.write(value)
                changed += [setting.name] if setting.name else []
        if changed:
            log.warning("%s has changed %s for the whole process; put back", who, ", ".join(changed))


class _Streams:
    """The standard streams as they are, with copies of their descriptors."""

    NAMES = ("stdin", "stdout", "stderr")

    def __init__(self) -> None:
        self.objects = {name: getattr(sys, name) for name in self.NAMES}
        self.were_open = {name: _open(stream) for name, stream in self.objects.items()}
        self.places = [_place(number) for number in range(3)]
        self.copies = [None if place is None else os.dup(number) for number, place in enumerate(self.places)]

    def put_back(self) -> list[str]:
        """Restore them; return the names of those that had been changed."""
        changed = []
        for number, name in enumerate(self.NAMES):
            copied, stream = self.copies[number], self.objects[name]
            moved = copied is not None and _place(number) != self.places[number]
            if moved and copied is not None:
                os.dup2(copied, number)
            if copied is not None:
                os.close(copied)
            closed = self.were_open[name] and not _open(stream)
            if closed:
                stream = _again(number, stream)
                _hand_to_handlers(self.objects[name], stream)
            if closed or moved or getattr(sys, name) is not self.objects[name]:
                setattr(sys, name, stream)
                changed.append(f"sys.{name}")
        return changed


def _open(stream: Any) -> bool:
    return stream is not None and not getattr(stream, "closed", False)


def _place(number: int) -> tuple[int, int] | None:
    """Return what a descriptor stands for; None where it is closed."""
    try:
        status = os.fstat(number)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _again(number: int, closed: Any) -> Any:
    """Return a stream in the place of one that was closed."""
    encoding, errors = getattr(closed, "encoding", None) or "utf-8", getattr(closed, "errors", None)
    mode = "r" if number == 0 else "w"
    try:
        return open(number, mode, buffering=1, encoding=encoding, errors=errors, closefd=False)
    except (OSError, LookupError):
        return io.StringIO()


def _hand_to_handlers(old: Any, new: Any) -> None:
    """Let what was logged to a closed stream go to the new one."""
    for logger in (logging.root, log):
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is old:
                handler.stream = new


@contextmanager
def own_interruptions(what: str) -> Iterator[None]:
    """Treat, within it, an interruption that no Ctrl-C has caused as an error of the code that raised it.

    Args:
        what: is done, for the error's text.

    Raises:
        RuntimeError: in the place of a `KeyboardInterrupt` that was raised by hand.
    """
    asked = False

    def note(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    watching = before is signal.default_int_handler
    deaf = before is signal.SIG_IGN  # as a shell starts what it runs in the background: no Ctrl-C arrives
    if watching:
        signal.signal(signal.SIGINT, note)
    try:
        yield
    except KeyboardInterrupt as error:
        if (watching or deaf) and not asked and cause_of(error) is None:
            raise RuntimeError(f"KeyboardInterrupt raised in {what}") from error
        raise
    finally:
        if watching and signal.getsignal(signal.SIGINT) is note:
            signal.signal(signal.SIGINT, signal.default_int_handler)
