"""Starting the processes of a run, and ending them all when one of them ends.

`started` makes this process the first of several on this machine. `joined` is for a process that torchrun has started,
on one machine or on several. torch.multiprocessing and torch.distributed do the work.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import connection
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed import Store, TCPStore  # type: ignore[attr-defined]
from torch.multiprocessing.spawn import ProcessContext, start_processes

from metai2i.console.exits import EXIT_INTERRUPTED, EXIT_USER_ERROR, Ended, no_way_out
from metai2i.distributed.processes import Elsewhere, Link, Lost, Processes
from metai2i.errors import GOES_ON, UserError
from metai2i.guards.faults import plugins_answer

T = TypeVar("T")

START = timedelta(minutes=5)
"""How long processes wait for each other in the beginning."""
_PATIENCE = timedelta(days=365)
"""How long they wait later: while the first one pre-trains, the others have nothing to do. That one has died is noticed
by its connections, not by the time."""
GRACE = 10.0
"""Seconds that the others have to end after the first one has."""


def by_torchrun() -> bool:
    """Return whether torchrun has started this process, and others."""
    return dist.is_available() and dist.is_torchelastic_launched()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun has started; yield this one.

    Raises:
        UserError: in the first process, for a failure in any.
    """
    die_with(os.getppid())
    rank, count, local, beside = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    if count == 1:
        yield Processes()
        return
    processes = connect(rank, count, local, beside, device)
    if not processes.first:
        with following(processes):
            yield processes
    else:
        try:
            yield processes
        except Elsewhere as other:
            raise other.error() from None
        except Lost:
            raise UserError("another process of this run has ended", hint=GOES_ON) from None
    dist.destroy_process_group()


@contextmanager
def started(count: int, device: torch.device, follow: Callable[[T, Processes], object], work: T) -> Iterator[Processes]:
    """Start the other processes of a run on this machine; this one is the first.

    Args:
        count: of all processes.
        device: where networks live; on GPUs each process takes one, in turn.
        follow: what the others do, a function of a module: it is called with `work` and their `Processes`.
        work: can be pickled.

    Raises:
        UserError: for a failure in any of them. None is left when this is over.
    """
    loopback = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), None)
    if loopback is not None:  # which works whatever the machine calls itself
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    store = TCPStore("127.0.0.1", 0, count, is_master=True, timeout=START, wait_for_workers=False)
    settings = (store.port, count, str(device), os.getpid(), follow, work)
    others = start_processes(_follow, settings, nprocs=count - 1, join=False, start_method="spawn")  # type: ignore[no-untyped-call]
    assert others is not None
    patience = 0.0
    try:
        wait_for_all(store, others, count)
        yield connect(0, count, 0, count, device, store)
        patience = GRACE
        dist.destroy_process_group()
    except Elsewhere as other:
        raise other.error() from None
    except Lost:
        raise UserError(fate(others, count), hint=f"was there memory for {count} processes? {GOES_ON}") from None
    finally:
        end(others, patience)


def connect(
    rank: int, count: int, local: int, beside: int, device: torch.device, store: Store | None = None
) -> Processes:
    """Join the group of all processes.

    Args:
        local: which one this is on its machine.
        beside: how many there are on its machine.
        store: where they find each other; what torchrun has set when None.
    """
    if store is None:
        dist.init_process_group("gloo", timeout=START)
    else:
        dist.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=START)
    threads = share_threads(beside)
    link = Link(dist.new_group(backend="gloo", timeout=_PATIENCE))
    if device.type == "cuda":
        gpus = torch.cuda.device_count()
        torch.cuda.set_device(local % gpus)
        enough_gpus = all(Processes(rank, count, link).gather(beside <= gpus))  # NCCL takes no two processes on one GPU
        link = Link(link.talk, dist.new_group(backend="nccl") if enough_gpus else None)
    return Processes(rank, count, link, threads)


def share_threads(beside: int) -> tuple[int, int] | None:
    """Give this process its part of the machine's threads, unless OMP_NUM_THREADS says how many it has.

    Returns:
        how many one process alone would take, and how many this one has.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return None
    everybodys = torch.get_num_threads()
    per_process = max(1, everybodys // beside)
    torch.set_num_threads(per_process)
    return everybodys, per_process


def _follow(
    index: int, port: int, count: int, device: str, parent: int, follow: Callable[[Any, Processes], object], work: Any
) -> None:
    """Live the life of a process that is not the first."""
    die_with(parent)
    rank = index + 1
    store = TCPStore("127.0.0.1", port, is_master=False, timeout=START)
    store.set(f"ready {rank}", "")
    processes = connect(rank, count, rank, count, torch.device(device), store)
    with following(processes):
        follow(work, processes)
    dist.destroy_process_group()


@contextmanager
def following(processes: Processes) -> Iterator[None]:
    """Keep this process silent within it: the first one is told of its failure, and tells the user.

    Raises:
        SystemExit: for any failure, here or elsewhere.
    """
    logging.getLogger("metai2i").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    try:
        with no_way_out(EXIT_USER_ERROR), plugins_answer(""):
            yield
    except Elsewhere:
        processes.outlast()
        raise Ended(EXIT_USER_ERROR) from None
    except Lost:
        raise Ended(EXIT_USER_ERROR) from None
    except KeyboardInterrupt:
        raise Ended(EXIT_INTERRUPTED) from None
    except Exception as error:
        processes.tell(error)
        raise Ended(EXIT_USER_ERROR) from None


def die_with(parent: int) -> None:
    """End this process when its parent is no longer there, however that has ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.3)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def wait_for_all(store: Store, others: ProcessContext, count: int) -> None:
    """Wait until all processes are there.

    Raises:
        Lost: when one ends before.
    """
    while not store.check([f"ready {rank}" for rank in range(1, count)]):
        if connection.wait(list(others.sentinels), timeout=0.05):
            raise Lost


def fate(others: ProcessContext, count: int) -> str:
    """Return what has become of the process that does not answer."""
    connection.wait(list(others.sentinels), timeout=GRACE)
    for number, process in enumerate(others.processes, 2):
        process.join(timeout=0)
        if process.exitcode:
            code = process.exitcode
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"has ended with exit code {code}"
            return f"process {number} of {count} {how}"
    return f"one of {count} processes does not answer"


def end(others: ProcessContext, patience: float) -> None:
    """Wait for the other processes, and ends those that do not end themselves."""
    until = time.monotonic() + patience
    for process in others.processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.terminate()
    for process in others.processes:
        process.join(GRACE)
        if process.is_alive():
            process.kill()
            process.join()
