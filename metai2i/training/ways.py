"""The ways in which a translator can be asked for images, each with the fields that it reads (`Translator.ways`)."""

from __future__ import annotations

from typing import Any

from metai2i.batch import Batch
from metai2i.errors import UserError, did_you_mean
from metai2i.field import PHOTOGRAPH, is_exemplars
from metai2i.translator import Translator

Asked = Translator | type[Translator]
"""A translator, or its class."""


def ways_of(translator: Asked) -> tuple[str | None, ...]:
    """Return the names of all ways; None alone for a translator that has one way without a name."""
    return tuple(translator.ways) or (None,)


def way_or_first(translator: Asked, way: str | None) -> str | None:
    """Return the way in which a translator is asked: as wished, or its first; None where it has one without a name.

    Raises:
        UserError: with the nearest name, for a way that a translator with ways does not have.
    """
    if not translator.ways:
        return None
    if way is None:
        return next(iter(translator.ways))
    if way not in translator.ways:
        whose = translator.__name__ if isinstance(translator, type) else type(translator).__name__
        raise UserError(f"{whose} has no way {way!r}", hint=did_you_mean(way, translator.ways))
    return way


def fields_of_way(translator: Asked, way: str | None = None) -> frozenset[str]:
    """Return the fields that a translator reads when it is asked in a way: what the way names, or without ways all that
    it needs; never the target.
    """
    way = way_or_first(translator, way)
    return frozenset(translator.needs if way is None else translator.ways[way]) - {PHOTOGRAPH}


def exemplars_of_way(translator: Asked, way: str | None = None) -> frozenset[str]:
    """Return those of them that are of an exemplar."""
    return frozenset(name for name in fields_of_way(translator, way) if is_exemplars(name))


def ways_with_exemplar(translator: Asked) -> list[str]:
    """Return the ways that read the photograph of an exemplar, by name."""
    return [way for way in translator.ways if "reference" in translator.ways[way]]


def drawing_ways(translator: Translator) -> list[str | None]:
    """Return the ways in which a translator says that it draws (`samples`); None for a way without a name."""
    said = translator.samples
    return [way for way in ways_of(translator) if said is True or (not isinstance(said, bool) and way in said)]


def handed_over(translator: Translator, batch: Batch, way: str | None = None) -> Batch:
    """Return what a translator is handed to make images of: the fields of its way and no others; without ways all but
    the target.

    Raises:
        UserError: when a field of the way is not there.
    """
    way = way_or_first(translator, way)
    if way is None:
        return Batch(**{name: tensor for name, tensor in batch.items() if name != PHOTOGRAPH})
    names = fields_of_way(translator, way)
    lacking = sorted(names - set(batch))
    if lacking:
        raise UserError(
            f"{type(translator).__name__} reads {', '.join(lacking)} in the way {way!r}, and the batch has only "
            f"{', '.join(sorted(batch))}"
        )
    return Batch(**{name: batch[name] for name in batch if name in names})


def ask(translator: Translator, batch: Batch, way: str | None = None) -> Any:
    """Return what `translate` gives for a batch in a way, whatever it is."""
    way = way_or_first(translator, way)
    asked: Any = translator.translate
    return asked(batch) if way is None else asked(batch, way=way)
