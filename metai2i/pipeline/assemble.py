"""From a row of a recipe to live objects: its task source, translator, strategy, retriever and metrics."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import torch

from metai2i.adaptation import Adaptation
from metai2i.data.as_new import AsNew
from metai2i.data.augment import Augment
from metai2i.data.colour_jitter import ColourJitter
from metai2i.data.reference import Reference
from metai2i.data.sampling import Sampling
from metai2i.errors import UserError
from metai2i.field import Field, FieldLookup, exemplar_fields
from metai2i.guards.fault_report import error_in_words, keep_traceback
from metai2i.guards.faults import NOBODYS
from metai2i.guards.surroundings import put_back
from metai2i.losses.networks import looking_in, network_digest
from metai2i.losses.objective import Objective
from metai2i.metric import Metric, check_size
from metai2i.pipeline.sources import DIGITS
from metai2i.pipeline.starts import freeze_begun, start_digest
from metai2i.precision import Precision
from metai2i.randomness import Randomness
from metai2i.recipe.schema import Row, Start
from metai2i.registry import Registry
from metai2i.registry.discovery import label_of, plugin_behind
from metai2i.registry.options import class_place, json_default
from metai2i.retriever import Retriever
from metai2i.stages.fakes import shown_fakes
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Split, Task, TaskSource, TaskSpec
from metai2i.training.cuda_graphs import InnerLoops
from metai2i.translator import Translator

T = TypeVar("T")


def construct(make: Callable[..., T], kind: str, name: str, /, **arguments: Any) -> T:
    """Call a plugin's constructor; what it raises is told as the plugin's own fault.

    Raises:
        UserError: with the plugin's name and the cause.
    """
    try:
        with put_back(f"the constructor of the {kind} {name!r}"):
            return make(**arguments)
    except (UserError, *NOBODYS):
        raise
    except BaseException as error:
        refuse_unasked(make, kind, name, arguments)
        kept, words = keep_traceback(error, None), error_in_words(error)
        by = plugin_behind(error)
        raise UserError(
            f"the {kind} {name!r} raised {type(error).__name__} in its constructor{words and f': {words}'}",
            where=None if by is None else by.place,
            hint="; ".join(filter(None, (f"{brought(make)}`metai2i plugins {name}` shows its options", kept))),
        ) from error


def refuse_unasked(make: Callable[..., object], kind: str, name: str, given: Mapping[str, Any]) -> None:
    """Refuse a class whose constructor does not take what the host hands over.

    Raises:
        UserError: naming the argument, and the place of the class.
    """
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):  # of a class that does not say: it is called, and tells itself
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    lacking = [argument for argument in given if argument not in parameters]
    if lacking and isinstance(make, type):
        what = f"the constructor of the {kind} {name!r} takes no {' and no '.join(map(repr, lacking))}"
        raise UserError(what, where=class_place(make), hint=f"the host hands over {', '.join(given)}, each by its name")


def brought(make: object) -> str:
    """Return what brought a class, as the beginning of a hint; empty for what is no class."""
    return f"it is of {label_of(make)}; " if isinstance(make, type) else ""


class CodeRecord(TypedDict):
    """What decides a component's behaviour besides its options.

    `files`: a digest of each file that it depends on; `networks`: one of each feature network whose weights it uses.
    """

    name: str
    distribution: str | None
    version: str | None
    files: dict[str, str]
    networks: dict[str, str]


class Assembler:
    """Makes the objects that rows name; rows that name the same task source share it.

    Args:
        registry: where the classes are found.
        seed: of the run; networks are initialised from it.
        device: where the networks live.
    """

    def __init__(self, registry: Registry, seed: int, device: torch.device) -> None:
        self.registry, self.seed, self.device = registry, seed, device
        self._sources: dict[str, TaskSource] = {}
        self._fingerprints: dict[tuple[str, Split], str] = {}
        self._code: dict[tuple[str, str], CodeRecord] = {}
        self._asked: dict[str, frozenset[str]] = {}
        self._start_digests: dict[str, str] = {}
        self.stores: tuple[Path, ...] = ()
        """Where stages of other runs may lie, which rows begin with."""
        self.digested: dict[str, str] = {}
        """The digests of all networks that have been asked for, by name."""

    def source(self, row: Row) -> TaskSource:
        """Return the row's task source."""
        key = self._source_key(row)
        if key not in self._sources:
            source_class = self.registry.get("task source", row.tasks.use)
            self._sources[key] = construct(source_class, "task source", row.tasks.use, **row.tasks.options)
        return self._sources[key]

    def sources(self) -> Sequence[TaskSource]:
        """Return the task sources that have been asked for."""
        return list(self._sources.values())

    def fingerprint(self, row: Row, split: Split) -> str:
        """Return what the row's scenes of a split are, as a string that changes when they change."""
        key = (self._source_key(row), split)
        if key not in self._fingerprints:
            self._fingerprints[key] = self.source(row).fingerprint(split)
        return self._fingerprints[key]

    def test_options(self, row: Row) -> frozenset[str]:
        """Return the options of the row's task source that choose what tests."""
        return self.registry.get("task source", row.tasks.use).test_options

    def paint_options(self, row: Row) -> frozenset[str]:
        """Return the options of the row's translator that matter only when it makes images."""
        return self.registry.get("translator", row.translator.use).paint_options

    def augment(self, row: Row) -> Augment | None:
        """Return the row's augmentation, if it has one."""
        return None if row.augment is None else Augment(**row.augment).of(self.field(row))

    def field(self, row: Row) -> FieldLookup:
        """Return what knows the fields of the row's data; the task source is made when it is first asked."""

        @cache
        def known(name: str) -> Field | None:
            return self.source(row).spec().known_field(name)

        return known

    def adaptation(self, row: Row) -> Adaptation:
        """Return the row's inner loop."""
        return Adaptation(**row.adapt.model_dump(), augment=self.augment(row), reference=self.reference(row))

    def sampling(self, row: Row) -> Sampling:
        """Return how the row's batches and episodes are drawn."""
        field = self.field(row)
        colour_jitter = None if row.colour_jitter is None else ColourJitter(**row.colour_jitter).of(field)
        as_new = AsNew.of(self.source(row).spec()) if row.episodes.as_new else None
        return Sampling(self.augment(row), self.reference(row), colour_jitter, field, as_new)

    def reference(self, row: Row) -> Reference | None:
        """Return how the row's samples get exemplars; None where nobody needs them, or where the data has its own."""
        translator = self.registry.get("translator", row.translator.use)
        strategy = self.registry.get("strategy", row.strategy.use)
        source = self.registry.get("task source", row.tasks.use)
        wanted = exemplar_fields(translator.needs | strategy.needs, source.provides)
        return Reference(**row.reference).of(wanted, self.field(row)) if wanted else None

    def translator(self, row: Row) -> Translator:
        """Return the row's translator, freshly initialised from the seed."""
        spec, component = self.source(row).spec(), row.translator
        with looking_in(self.registry) as asked:
            translator = build_translator(
                self.registry, component.use, component.options, row.objective, spec, self.seed, precision=row.precision
            )
        self._asked[self._translator_key(row)] = frozenset(asked)
        freeze_begun(translator, row)
        return translator.to(self.device)

    def start_digest(self, row: Row, name: str, start: Start) -> str:
        """Return a hash of what a part of the row's translator begins with, of a file or of another run."""
        key = json.dumps([self._translator_key(row), name, start.model_dump()])
        if key not in self._start_digests:
            self._start_digests[key] = start_digest(self.translator(row), name, start, self.stores)
        return self._start_digests[key]

    def networks_asked(self, row: Row) -> dict[str, str]:
        """Return digests of the frozen networks that the row's translator asks for when it is made, by name."""
        key = self._translator_key(row)
        if key not in self._asked:
            self.translator(row)
        return self.networks(sorted(self._asked[key]))

    def strategy(self, row: Row) -> MetaStrategy:
        """Return the row's strategy."""
        strategy_class = self.registry.get("strategy", row.strategy.use)
        strategy: MetaStrategy = self._declaring(
            strategy_class, "strategy", row.strategy.use, inner=self.adaptation(row), **row.strategy.options
        )
        return strategy

    def retriever(self, row: Row, gp: Translator) -> Retriever | None:
        """Return the row's retriever over the training tasks, indexed, if it has one.

        Args:
            gp: the general model, of whose images some retrievers want to know.
        """
        retriever = self.unindexed(row)
        if retriever is None:
            return None
        rng = Randomness((self.seed, "retrieval"))
        retriever = shown_fakes(retriever, gp, row, self.reference(row), rng, self.device)
        retriever.index(self.source(row).tasks("train"))
        return retriever

    def unindexed(self, row: Row) -> Retriever | None:
        """Return the row's retriever, which knows no tasks yet, if it has one."""
        if row.retriever is None:
            return None
        retriever_class = self.registry.get("retriever", row.retriever.use)
        retriever: Retriever = self._declaring(retriever_class, "retriever", row.retriever.use, **row.retriever.options)
        return retriever

    def metrics(self, row: Row) -> dict[str, Metric]:
        """Return the metrics that the row is measured by, by name, for its task source."""
        classes = {name: self.registry.get("metric", name) for name in row.evaluate.metrics}
        spec = self.source(row).spec()
        for name, metric in classes.items():
            check_size(metric, name, spec)
        return {name: self._declaring(metric, "metric", name, spec=spec) for name, metric in classes.items()}

    def _declaring(self, make: Callable[..., T], kind: str, name: str, /, **arguments: Any) -> T:
        """Return a component that names the frozen networks which it looks through.

        Raises:
            UserError: when it asks for others in its constructor.
        """
        with looking_in(self.registry) as asked:
            component = construct(make, kind, name, **arguments)
        if hidden := sorted(asked - set(getattr(make, "feature_networks", ()))):
            raise UserError(
                f"the {kind} {name!r} looks through {', '.join(hidden)}, which its class does not say",
                hint=f"feature_networks = frozenset({{{', '.join(map(repr, hidden))}}})",
            )
        return component

    def code(self, kind: str, name: str) -> CodeRecord:
        """Return what decides a component's behaviour besides its options."""
        if (kind, name) not in self._code:
            identity = self.registry.identity(kind, name)
            depends = self.registry.depends(kind, name)
            files = {file: digest[:DIGITS] for file, digest in depends.files.items()}
            self._code[kind, name] = CodeRecord(
                name=name,
                distribution=identity["distribution"],
                version=identity["version"],
                files=files,
                networks=self.networks(sorted(depends.networks)),
            )
        return self._code[kind, name]

    def networks(self, names: Sequence[str]) -> dict[str, str]:
        """Return digests of the weights of frozen networks, by name."""
        digests = {name: network_digest(self.registry, name) for name in names}
        self.digested |= digests
        return digests

    def _translator_key(self, row: Row) -> str:
        chosen = [row.translator.model_dump(), row.objective, self._source_key(row)]
        return json.dumps(chosen, sort_keys=True, default=json_default)

    def _source_key(self, row: Row) -> str:
        return json.dumps([row.tasks.use, row.tasks.options], sort_keys=True, default=json_default)


def build_translator(
    registry: Registry,
    use: str,
    options: Mapping[str, Any],
    objective: Mapping[str, Any],
    spec: TaskSpec,
    seed: int = 0,
    *,
    precision: Precision = "fp32",
) -> Translator:
    """Return a translator, initialised from the seed.

    Args:
        options: checked.
        objective: the options of `metai2i.losses.objective.Objective`.
        precision: what it computes in.
    """
    translator_class = registry.get("translator", use)
    with Randomness((seed, "init")).scope():
        translator: Translator = construct(
            translator_class, "translator", use, spec=spec, objective=Objective(**objective), **options
        )
    translator.precision = precision
    InnerLoops.of(translator)  # from here on its copies share them
    return translator


def scored_tasks(row: Row, assembler: Assembler) -> Sequence[Task]:
    """Return the scenes that the row is scored on."""
    return assembler.source(row).tasks(row.evaluate.split)[: row.evaluate.tasks]
