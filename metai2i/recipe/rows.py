"""Checks merged rows against the schema and against the plugins that they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from metai2i.errors import UserError, did_you_mean
from metai2i.field import is_exemplars
from metai2i.recipe.begun import start_names, with_paths
from metai2i.recipe.fit import KIND_OF, Fit, needs_of
from metai2i.recipe.places import with_seed
from metai2i.recipe.positions import Node
from metai2i.recipe.schema import RetrieverComponent, Row
from metai2i.recipe.telling import placed, typed_words
from metai2i.registry import Registry
from metai2i.registry.options import OptionErrors, check_options
from metai2i.registry.problems import Problem, explain, known_names, validated

TRAINED = tuple(name for name in Row.model_fields if name not in ("tune", "retriever", "aux", "evaluate", "baseline"))
"""The sections of a row on which its training depends; of `adapt` that is all but the steps."""


class RowChecker:
    """Checks rows and gathers what is wrong with them.

    Args:
        registry: where components are found.
        seed: the recipe's.
    """

    def __init__(self, registry: Registry, seed: int) -> None:
        self.registry, self.seed = registry, seed
        self.errors: list[UserError] = []

    def check(self, rows: Mapping[str, Node], base: Node) -> dict[str, Row]:
        """Return the rows that are right.

        Args:
            rows: by name, already merged over the recipe's own sections.
            base: those sections, for errors that all rows share.
        """
        required = [name for name, field in Row.model_fields.items() if field.is_required()]
        missing = [name for name in required if all(row.get(name) is None for row in rows.values())]
        for name in missing:
            self.errors.append(UserError(f"section {name!r} is missing", where=base.where, hint=f"{name}: {{use: …}}"))
        checked = {name: self._row(row, missing) for name, row in rows.items()}
        good = {name: row for name, row in checked.items() if row is not None}
        if len(good) == len(rows):
            self._check_budgets(rows, good)
            self._check_choices(rows, good)
        return good

    def unused(self, row: Row, section: str) -> str | None:
        """Return why a row does nothing with a section; None where it uses it."""
        strategy = self.registry.get("strategy", row.strategy.use)
        if section == "metatrain" and not strategy.meta:
            return f"strategy {row.strategy.use!r} does not meta-train"
        if section == "aux" and row.retriever is None:
            return "no retriever"
        translator = self.registry.get("translator", row.translator.use)
        if section == "reference" and not any(map(is_exemplars, needs_of(translator))):
            return f"translator {row.translator.use!r} needs no reference"
        return None

    def _row(self, row: Node, missing: list[str]) -> Row | None:
        before = len(self.errors)
        classes = {key: self._component(row, key) for key in KIND_OF}
        options: dict[str, Any] = {
            key: self._options(row, key, component) for key, component in classes.items() if component is not None
        }
        options |= {key: self._built(row, key, host_class) for key, host_class in host_classes().items()}
        shaped = {key: _shape(key, child.plain()) for key, child in row.value.items() if key in Row.model_fields}
        try:
            checked = validated(Row, shaped, typed_words(row))
        except ValidationError as error:
            known = known_names(Row) | start_names(shaped.get("start"))
            problems = [problem for problem in explain(error, shaped, known) if not _tells_of(problem, missing)]
            self._tell(row, map(_with_use, problems))
            return None
        self._check_phases(row, checked, classes["translator"])
        for path, refusal in Fit(checked, classes, self.registry).refusals():
            self.errors.append(UserError(refusal.what, where=row.locate(path), hint=refusal.hint))
        if len(self.errors) > before or missing:
            return None
        updates: dict[str, Any] = {"start": with_paths(row, checked, self.seed)}
        for key, given in options.items():
            section = getattr(checked, key)
            updates[key] = section.model_copy(update={"options": given}) if key in KIND_OF else given
        complete = checked.model_copy(update=updates)
        self._check_made(row, complete)
        return None if len(self.errors) > before else complete

    def _tell(self, row: Node, problems: Any, *under: str) -> None:
        self.errors += [placed(problem.under(*under), row) for problem in problems]

    def _component(self, row: Node, key: str) -> type | None:
        """Return the class that a component section names; None when there is none, which the schema will tell."""
        section = row.get(key)
        use = section.get("use") if section else None
        if use is None or not isinstance(use.value, str):
            return None
        try:
            return self.registry.get(KIND_OF[key], use.value)
        except UserError as error:
            self.errors.append(UserError(error.what, where=use.where, hint=error.hint))
            return None

    def _options(self, row: Node, key: str, component: type) -> dict[str, Any]:
        given = row.value[key].plain()
        for name in _own_keys(key):
            given.pop(name, None)
        try:
            options = check_options(component, given, typed_words(row.value[key]))
            return {name: with_seed(value, self.seed) for name, value in options.items()}
        except OptionErrors as errors:
            self._tell(row, errors.problems, key)
        except UserError as error:
            self.errors.append(UserError(error.what, where=row.value[key].key, hint=error.hint))
        return {}

    def _built(self, row: Node, key: str, host_class: type) -> dict[str, Any] | None:
        """Return the options of one of the core's own classes, which is cheap enough to be made: that checks the
        ranges.
        """
        section = row.get(key)
        if section is not None and not section.is_mapping:
            return None  # null, or a wrong type that the schema will tell
        if section is None and Row.model_fields[key].get_default(call_default_factory=True) is None:
            return None  # off unless it is asked for
        try:
            options = check_options(host_class, section.plain() if section else {})
            host_class(**options)
        except OptionErrors as errors:
            self._tell(row, errors.problems, key)
        except UserError as error:
            place = row.locate((key, *_named_option(error.what, key)))
            self.errors.append(UserError(error.what, where=place, hint=error.hint))
        else:
            return options
        return {}

    def _check_made(self, row: Node, checked: Row) -> None:
        """Let a strategy and a retriever, which read no data to be made, check the ranges of their options
        themselves.
        """
        import torch

        from metai2i.pipeline.assemble import Assembler
        from metai2i.pipeline.preflight import check_precision
        from metai2i.stages.auxiliary import check_joins

        assembler = Assembler(self.registry, 0, torch.device("cpu"))
        for key, make in (("strategy", assembler.strategy), ("retriever", assembler.unindexed)):
            try:
                make(checked)
            except UserError as error:
                where = row.locate((key, *_named_option(error.what, key)))
                self.errors.append(UserError(error.what, where=where, hint=error.hint))
                return
        try:
            check_joins(checked, assembler.strategy(checked))
        except UserError as error:
            self.errors.append(UserError(error.what, where=row.locate(("aux", "into")), hint=error.hint))
        try:
            check_precision(checked, assembler)
        except UserError as error:
            self.errors.append(UserError(error.what, where=row.locate(("precision",)), hint=error.hint))

    def _check_phases(self, row: Node, checked: Row, translator: type | None) -> None:
        """Refuse iterations by phase that do not name each of the translator's phases."""
        given = checked.pretrain.iterations
        if translator is None or isinstance(given, int):
            return
        phases: tuple[str, ...] = translator.phases  # type: ignore[attr-defined]
        loc = ("pretrain", "iterations")
        unknown = [
            Problem(
                (*loc, name), f"{_used(row, 'translator')!r} has no phase {name!r}", did_you_mean(name, phases), True
            )
            for name in given
            if name not in phases
        ]
        absent = [
            Problem((*loc, name), f"phase {name!r} of {_used(row, 'translator')!r} is missing", on_key=True)
            for name in phases
            if name not in given
        ]
        self._tell(row, unknown + absent)

    def _check_budgets(self, nodes: Mapping[str, Node], rows: Mapping[str, Row]) -> None:
        """Refuse to match a row that has no budget."""
        for name, row in rows.items():
            matched = rows.get(row.continued.match) if row.continued and row.continued.match else None
            if matched is None:
                continue
            strategy = self.registry.get("strategy", matched.strategy.use)
            if not strategy.meta:
                what = f"continued.match: row {row.continued.match!r} has no meta-training to match"  # type: ignore[union-attr]
                where = nodes[name].locate(("continued", "match"))
                self.errors.append(UserError(what, where=where, hint="name a row whose strategy meta-trains"))

    def _check_choices(self, nodes: Mapping[str, Node], rows: Mapping[str, Row]) -> None:
        """Refuse to adapt as a row that does not choose, or that has another training."""
        for name, row in rows.items():
            matched = rows.get(row.tune.match) if row.tune and row.tune.match else None
            if matched is None or matched is row:
                continue  # which is told already
            what = f"tune.match: row {row.tune.match!r}"  # type: ignore[union-attr]
            where = nodes[name].locate(("tune", "match"))
            hint = "name a row with `tune.lr` or `tune.iterations` of its own"
            if matched.tune is None:
                self.errors.append(UserError(f"{what} is not tuned", where=where, hint=hint))
            elif matched.tune.match is not None:
                self.errors.append(
                    UserError(f"{what} itself adapts as is chosen for {matched.tune.match!r}", where=where, hint=hint)
                )
            elif differing := [key for key in TRAINED if self._trained(row)[key] != self._trained(matched)[key]]:
                what = f"{what} is trained otherwise, by its {', '.join(differing)}"
                self.errors.append(UserError(what, where=where, hint="let it try for itself"))

    def _trained(self, row: Row) -> dict[str, Any]:
        """Return what decides a row's training."""
        sections = row.model_dump(include=set(TRAINED), exclude={"adapt": {"iterations"}})
        for name in self.registry.get("translator", row.translator.use).paint_options:
            sections["translator"]["options"].pop(name, None)
        return sections


def host_classes() -> dict[str, type]:
    """Return the core's own classes whose options are sections of a row."""
    from metai2i.data.augment import Augment
    from metai2i.data.colour_jitter import ColourJitter
    from metai2i.data.reference import Reference
    from metai2i.losses.objective import Objective

    return {"augment": Augment, "reference": Reference, "colour_jitter": ColourJitter, "objective": Objective}


def _own_keys(key: str) -> tuple[str, ...]:
    """Return the keys of a component section that are the host's; the others are the component's options."""
    return (
        tuple(name for name in RetrieverComponent.model_fields if name != "options") if key == "retriever" else ("use",)
    )


def _shape(key: str, section: Any) -> Any:
    """Return a component section as the schema has it, with the options apart (they are checked by their own
    schema).
    """
    if key not in KIND_OF or not isinstance(section, dict):
        return section
    return {name: section[name] for name in _own_keys(key) if name in section}


def _tells_of(problem: Problem, missing: list[str]) -> bool:
    return problem.on_key and len(problem.loc) == 1 and problem.loc[0] in missing


def _with_use(problem: Problem) -> Problem:
    """Return a component given as a mere name is told how to be written."""
    if len(problem.loc) == 1 and problem.loc[0] in KIND_OF and not problem.on_key:
        return Problem(problem.loc, problem.what, f"write {problem.loc[0]}: {{use: NAME}}", problem.on_key)
    return problem


def _used(row: Node, key: str) -> str:
    return str(row.value[key].value["use"].value)


def _named_option(what: str, key: str) -> tuple[str, ...]:
    """Return the option that a constructor's message starts with: `augment.crop: got …` gives `("crop",)`."""
    first = what.partition(" ")[0].rstrip(":")
    return (first.removeprefix(f"{key}."),) if first.startswith(f"{key}.") else ()
