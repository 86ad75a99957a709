"""Runs the contracts of a component."""

from __future__ import annotations

import inspect
import random
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metai2i.errors import UserError, did_you_mean
from metai2i.field import FAKE, exemplified, with_exemplars
from metai2i.losses.backbone_weights import MissingWeights
from metai2i.metric import SetMetric
from metai2i.registry import Registry
from metai2i.registry.loading import KINDS
from metai2i.registry.options import check_options
from metai2i.tasks import TaskSource, TaskSpec
from metai2i.testing.bench import PAIRS, Bench
from metai2i.testing.contract import Contract, ContractError, NotApplicable, Outcome
from metai2i.testing.scenes import ToyScenes, WithFakes


def contracts_of(kind: str, component: type | None = None) -> tuple[Contract, ...]:
    """Return all contracts of a kind, in the order in which they are run.

    Args:
        kind: a key of `metai2i.registry.KINDS`: "translator", "task source", "strategy", "retriever", "metric",
            "network" or "exporter".
        component: whose they are; metrics of sets have others than metrics of single images.

    Raises:
        UserError: when there is no such kind.
    """
    if kind not in KINDS:
        raise UserError(f"no kind of component is called {kind!r}", hint=did_you_mean(kind, KINDS))
    module = "set_metric" if component is not None and issubclass(component, SetMetric) else kind.replace(" ", "_")
    contracts: Sequence[Contract] = import_module(f"metai2i.testing.{module}").CONTRACTS
    return tuple(contracts)


def run_contracts(
    kind: str,
    component: type,
    options: Mapping[str, Any] | None = None,
    *,
    spec: TaskSpec | None = None,
    source: TaskSource | None = None,
    strategies: Mapping[str, type] | None = None,
) -> list[Outcome]:
    """Run all contracts of a kind on a component.

    Args:
        kind: a key of `metai2i.registry.loading.KINDS`.
        component: the class.
        options: as in a recipe.
        spec: size and classes of the toy scenes that it is tried on; 32x32 with three classes when left out.
        source: the scenes that it is tried on, instead of toy ones; not for task sources.
        strategies: those that a translator is tried under, by name; all installed ones when left out.

    Returns:
        one outcome for each contract, in their order.

    Raises:
        UserError: when options, or the spec, are not what the component takes.
    """
    bench = make_bench(kind, component, options, spec=spec, source=source, strategies=strategies)
    return list(outcomes(contracts_of(kind, component), bench))


def outcomes(contracts: Sequence[Contract], bench: Bench) -> Iterator[Outcome]:
    """Run contracts one after the other; behind a broken gate all are skipped.

    Raises:
        UserError: when the component cannot be made with these options or for these scenes.
    """
    broken: Contract | None = None
    for contract in contracts:
        if broken is not None:
            yield Outcome(contract, "skipped", why=f'"{broken.name}" failed')
            continue
        outcome = run_contract(contract, bench)
        if contract.gate and outcome.status == "failed":
            broken = contract
        yield outcome


def make_bench(
    kind: str,
    component: type,
    options: Mapping[str, Any] | None = None,
    *,
    spec: TaskSpec | None = None,
    source: TaskSource | None = None,
    strategies: Mapping[str, type] | None = None,
) -> Bench:
    """Return what a component is tried with; the arguments are those of `run_contracts`.

    Raises:
        UserError: when options are wrong, or when toy scenes do not have the fields that a translator needs.
    """
    checked = check_options(component, options or {})
    needs: frozenset[str] = getattr(component, "needs", frozenset())
    read = needs if kind == "translator" else needs | PAIRS if kind in ("metric", "strategy") else PAIRS
    if source is None:
        source = ToyScenes(spec=spec, fields=frozenset(map(exemplified, needs)) | PAIRS)
    if kind == "retriever" and FAKE in needs - source.provides:
        source = WithFakes(source)
    lacking = frozenset() if kind == "task source" else needs_for_trial(kind, needs) - with_exemplars(source.provides)
    if kind == "translator" and strategies is None:
        strategies = Registry().components("strategy")
    return Bench(component, checked, source, strategies or {}, read, lacking)


def needs_for_trial(kind: str, needs: frozenset[str]) -> frozenset[str]:
    """Return the fields that scenes must have for a component to be tried on them."""
    return needs | {"translator": frozenset(), "retriever": frozenset()}.get(kind, PAIRS)


def run_contract(contract: Contract, bench: Bench) -> Outcome:
    """Run one contract; whatever the component raises is a failure of it.

    Raises:
        UserError: when the component cannot be made with these options or for these scenes.
    """
    if bench.lacking:
        return Outcome(contract, "skipped", why=f"the task source provides no {', '.join(sorted(bench.lacking))}")
    try:
        with kept_randomness():
            contract.check(bench)
    except NotApplicable as reason:
        return Outcome(contract, "skipped", why=str(reason))
    except ContractError as error:
        failure = ContractError(error.expected, error.got, error.read or contract.read)
        return Outcome(contract, "failed", failure.with_traceback(error.__traceback__))
    except MissingWeights as missing:
        return Outcome(contract, "skipped", why=f"{missing.network}; METAI2I_WEIGHTS names a folder with the file")
    except Exception as error:
        if contract.gate and isinstance(error, UserError):
            raise
        failure = ContractError("no error", _in_short(error, bench.component), contract.read)
        failure.__cause__ = error
        return Outcome(contract, "failed", failure)
    return Outcome(contract, "ok")


def _in_short(error: Exception, component: type) -> str:
    """Return an error on one line, with the line of the component's own file that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    try:
        home = Path(inspect.getfile(component)).parent
    except (TypeError, OSError):
        home = None
    plugin_frames = [frame for frame in frames if home is not None and Path(frame.filename).is_relative_to(home)]
    at = (plugin_frames or list(frames))[-1]
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text} ({Path(at.filename).name}:{at.lineno})"


@contextmanager
def kept_randomness() -> Iterator[None]:
    """Leave all global generators as they were when it is left."""
    python, old = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(old)
