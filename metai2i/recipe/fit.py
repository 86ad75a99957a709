"""What of a row does not fit together: fields that are read and not provided, and ways, grids and metrics that its
translator has no use for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from metai2i.errors import UserError, did_you_mean
from metai2i.field import EXEMPLAR, FAKE, is_exemplars, with_exemplars
from metai2i.recipe.schema import Row
from metai2i.registry import KINDS, Registry

KIND_OF: Mapping[str, str] = {kind.key: kind.name for kind in KINDS.values() if kind.key in Row.model_fields}
"""The component sections of a row, and the kind of what they name."""

Refusal = tuple[tuple[str | int, ...], UserError]
"""A place in a row, and what is wrong there."""


@dataclass(frozen=True)
class Fit:
    """Holds the sections of a row against each other.

    Args:
        row: that is right by itself; options of its components are not looked at.
        classes: by component section, what it names; None where there is none, or nothing of that name.
        registry: where metrics are found, and what would fit better.
    """

    row: Row
    classes: Mapping[str, Any]
    registry: Registry

    def refusals(self) -> Iterator[Refusal]:
        """Yield what does not fit."""
        if self.classes["tasks"] is not None:
            yield from self._fields()
        if self.classes["translator"] is not None:
            yield from self._way()
            yield from self._grid()
        yield from self._metrics()

    def _used(self, key: str) -> str:
        """Return what a component section names."""
        return str(getattr(self.row, key).use)

    def _asked(self) -> str | None:
        """Return the way in which the translator is asked: the recipe's, or else its first; None where it has none."""
        return self.row.evaluate.way or next(iter(self.classes["translator"].ways), None)

    def _has_way(self) -> bool:
        """Return whether there is a translator that can be asked as the recipe says."""
        translator = self.classes["translator"]
        return translator is not None and self.row.evaluate.way in {None, *translator.ways}

    def _sources(self, needs: Collection[str]) -> str:
        """Return the task sources that provide some fields."""
        known = self.registry.components("task source").items()
        fitting = [name for name, each in known if set(needs) <= with_exemplars(each.provides)]
        return f"task sources that provide it: {', '.join(fitting) or 'none that is installed'}"

    def _fields(self) -> Iterator[Refusal]:
        """Yield components that need what the task source does not provide."""
        source = self.classes["tasks"].provides
        provides = with_exemplars(source)
        for key in ("translator", "strategy", "retriever"):
            needs = needs_of(self.classes[key]) - ({FAKE} if key == "retriever" else set())
            if lacking := needs - provides:
                what = (
                    f"{KIND_OF[key]} {self._used(key)!r} needs {', '.join(sorted(lacking))}, but task source "
                    f"{self._used('tasks')!r} provides only {', '.join(sorted(source))}"
                )
                yield (key, "use"), UserError(what, hint=self._sources(needs))
        refers = any(map(is_exemplars, needs_of(self.classes["translator"])))
        if FAKE in needs_of(self.classes["retriever"]) and refers and self.row.test_shots == 1:
            what = (
                f"retriever {self._used('retriever')!r} looks at what the general model makes of the support, and with "
                f"one shot translator {self._used('translator')!r} would be shown the very photograph as its reference"
            )
            yield ("retriever", "use"), UserError(what, hint="two shots or more, or a retriever that looks at the data")
        if refers and self.row.reference.get("pick") == "nearest" and "structure" not in provides:
            what = f"reference.pick: nearest needs structure, but task source {self._used('tasks')!r} provides none"
            yield ("reference", "pick"), UserError(what, hint="reference: {pick: random}")

    def _way(self) -> Iterator[Refusal]:
        """Yield a way of asking that the translator does not have."""
        if self._has_way():
            return
        way, ways = self.row.evaluate.way, self.classes["translator"].ways
        if ways:
            what, hint = f"has no way {way!r}", did_you_mean(str(way), ways)
        else:
            what, hint = "can be asked in one way only, which has no name", "leave the key out"
        what = f"evaluate.way: translator {self._used('translator')!r} {what}"
        yield ("evaluate", "way"), UserError(what, hint=hint)

    def _grid(self) -> Iterator[Refusal]:
        """Yield a grid of a translator that is shown no exemplars, and one of more than there are."""
        grid, translator, source = self.row.evaluate.grid, self.classes["translator"], self.classes["tasks"]
        if grid is None or source is None or not self._has_way():
            return
        way, at = self._asked(), ("evaluate", "grid")
        if EXEMPLAR not in (translator.needs if way is None else translator.ways[way]):
            others = [name for name, fields in translator.ways.items() if EXEMPLAR in fields]
            in_way = "" if way is None else f" in the way {way!r}"
            what = f"evaluate.grid: translator {self._used('translator')!r} is shown no exemplar{in_way}"
            yield at, UserError(what, hint=f"way: {others[0]}" if others else "leave the key out")
            return
        queries, shots = (self.row.test_queries, "queries"), (self.row.test_shots, "shots")
        references = queries if EXEMPLAR in source.provides else shots
        for key, wanted, (most, of_what) in (
            ("sources", grid.sources, queries),
            ("references", grid.references, references),
        ):
            if wanted is not None and wanted > most:
                what = f"evaluate.grid.{key}: {wanted} are asked for, and a test scene has {most} {of_what}"
                yield (*at, key), UserError(what, hint=f"{key}: {most}, or raise evaluate.{of_what}")

    def _metrics(self) -> Iterator[Refusal]:
        """Yield metrics that are not there, that read what the samples do not have, or that compare outputs where only
        one is made.
        """
        named: list[tuple[str, tuple[str | int, ...]]] = [
            (name, ("evaluate", "metrics", n)) for n, name in enumerate(self.row.evaluate.metrics)
        ]
        named += [(self.row.tune.metric, ("tune", "metric"))] if self.row.tune else []
        for name, path in named:
            try:
                metric = self.registry.get("metric", name)
            except UserError as error:
                yield path, UserError(f"{path[0]}.{path[1]}: {error.what}", hint=error.hint)
                continue
            refusal = self._lacks(name, metric) or self._hidden(name, metric) or self._too_few(name, metric, path)
            if refusal is not None:
                yield path, refusal

    def _lacks(self, name: str, metric: type) -> UserError | None:
        """Return why a metric cannot measure what the task source gives; None where it can."""
        from metai2i.metric import fields_read

        source, translator = self.classes["tasks"], self.classes["translator"]
        if source is None:
            return None
        provides = frozenset(source.provides)
        provides |= needs_of(translator) & with_exemplars(provides)  # exemplars are chosen for a translator
        lacking = sorted(fields_read(metric, provides) - provides)
        if not lacking:
            return None
        if translator is not None and set(lacking) <= with_exemplars(provides):
            shown = f"translator {self._used('translator')!r} is shown none"
            what = f"metric {name!r} reads {', '.join(lacking)}, and {shown}"
            return UserError(what, hint="it goes with translators that are shown exemplars")
        near, sources = did_you_mean(lacking[0], provides), self._sources(fields_read(metric))
        return UserError(
            f"metric {name!r} needs {', '.join(lacking)}, but task source {self._used('tasks')!r} provides only "
            f"{', '.join(sorted(provides))}",
            hint=f"{near} {sources}" if near and near.startswith("did you mean") else sources,
        )

    def _hidden(self, name: str, metric: Any) -> UserError | None:
        """Return why a metric has nothing to measure in the way in which the translator is asked: it compares outputs
        with exemplars that are not shown to it there; None where it has.
        """
        if not self._has_way():
            return None
        ways, way = self.classes["translator"].ways, self._asked()
        if way is None:
            return None
        hidden = sorted(field for field in metric.needs if is_exemplars(field) and field not in ways[way])
        if not hidden:
            return None
        fitting = [other for other, fields in ways.items() if set(hidden) <= fields]
        return UserError(
            f"metric {name!r} needs {', '.join(hidden)}, which translator {self._used('translator')!r} is not shown in "
            f"the way {way!r}",
            hint=f"evaluate: {{way: {fitting[0]}}}" if fitting else "leave the metric out",
        )

    def _too_few(self, name: str, metric: Any, path: tuple[str | int, ...]) -> UserError | None:
        """Return why a metric has too few outputs to compare, of an input or of a scene; None where it has enough."""
        samples = self.row.evaluate.samples
        if metric.several and samples < 2:
            what = f"metric {name!r} compares several outputs for one input, and only 1 is made"
            return UserError(what, hint="evaluate: {samples: 10} makes ten")
        outputs, least = self.row.test_queries * samples, getattr(metric, "least", 0)
        if path[0] == "tune" and outputs < least:
            what = f"metric {name!r} needs {least} outputs of a scene, and {outputs} are made"
            return UserError(what, hint="raise evaluate.queries or evaluate.samples")
        return None


def needs_of(component: Any) -> frozenset[str]:
    """Return the fields of a batch that a component reads, besides those that it is handed anyway; none of None."""
    return frozenset() if component is None else frozenset(component.needs)
