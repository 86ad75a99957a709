"""A `TaskSpec` as plain data, for a run's folder and for adapted models: what is needed to build a translator again."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

import metai2i.field as fields
from metai2i.errors import counted
from metai2i.guards.handed_over import LARGEST_SIDE, MOST_CHANNELS, wrong_spec
from metai2i.tasks import TaskSpec

_Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
Level = Annotated[int, Field(ge=0, le=255)]


class FieldRecord(TypedDict):
    """A field of a spec as JSON has it."""

    kind: fields.FieldKind
    channels: int
    names: list[str]
    palette: list[list[int]]
    sharp: NotRequired[bool]
    drawn: NotRequired[bool]


class SpecRecord(TypedDict):
    """A spec as JSON has it."""

    structure_channels: int
    size: list[int]
    fields: list[str]
    domains: int
    classes: list[str]
    palette: list[list[int]]
    also: NotRequired[dict[str, FieldRecord]]


class RowsSpecRecord(SpecRecord):
    """A spec in the provenance of a run, with the rows that were told it."""

    rows: list[str]


class FieldPart(BaseModel):
    """A field of a spec that is read again."""

    model_config = ConfigDict(strict=True, extra="ignore")

    kind: fields.FieldKind
    channels: int = Field(ge=0, le=MOST_CHANNELS)
    names: list[str]
    palette: list[Annotated[list[Level], Field(min_length=3, max_length=3)]]
    sharp: bool = False
    drawn: bool = False

    def field(self) -> fields.Field:
        """Return what the field is."""
        names, palette = tuple(self.names), colours(self.palette)
        return fields.Field(self.kind, self.channels, names, palette, self.sharp, self.drawn)


class SpecPart(BaseModel):
    """A spec that is read again, checked; types are strict, and what is not known is passed over."""

    model_config = ConfigDict(strict=True, extra="ignore")

    structure_channels: int = Field(ge=0, le=MOST_CHANNELS)
    size: Annotated[list[_Side], Field(min_length=2, max_length=2)]
    fields: list[str]
    domains: int = Field(ge=0, le=MOST_CHANNELS)
    classes: list[str]
    palette: list[Annotated[list[Level], Field(min_length=3, max_length=3)]]
    also: dict[str, FieldPart] = {}

    @model_validator(mode="after")
    def fits(self) -> SpecPart:
        """Refuse names and colours that are not as many as the channels."""
        for what, values in ((("class", "classes"), self.classes), (("colour", "colours"), self.palette)):
            if len(values) not in (0, self.structure_channels):
                each = f"one for each of the {counted(self.structure_channels, 'channel')}, or none"
                raise ValueError(f"got {counted(len(values), *what)}, expected {each}")
        if (wrong := wrong_spec(self.task_spec())) is not None:
            raise ValueError(f"{wrong[0]}, expected {wrong[1]}")
        return self

    def task_spec(self) -> TaskSpec:
        """Return the spec."""
        height, width = self.size
        return TaskSpec(
            structure_channels=self.structure_channels,
            size=(height, width),
            fields=frozenset(self.fields),
            domains=self.domains,
            classes=tuple(self.classes),
            palette=colours(self.palette),
            also={name: part.field() for name, part in self.also.items()},
        )


def colours(levels: list[list[int]]) -> tuple[tuple[int, int, int], ...]:
    """Return a palette of what JSON has of it."""
    return tuple((red, green, blue) for red, green, blue in levels)


class RowsSpecPart(SpecPart):
    """A spec in the provenance of a run, read again."""

    rows: list[str]


def spec_data(spec: TaskSpec) -> SpecRecord:
    """Return the spec as JSON has it."""
    record = SpecRecord(
        structure_channels=spec.structure_channels,
        size=list(spec.size),
        fields=sorted(spec.fields),
        domains=spec.domains,
        classes=list(spec.classes),
        palette=[list(colour) for colour in spec.palette],
    )
    if spec.also:
        record["also"] = {name: _field_data(field) for name, field in spec.also.items()}
    return record


def _field_data(field: fields.Field) -> FieldRecord:
    """Return a field as JSON has it; keys that came later only where they say something."""
    record = FieldRecord(
        kind=field.kind,
        channels=field.channels,
        names=list(field.names),
        palette=[list(colour) for colour in field.palette],
    )
    if field.sharp:
        record["sharp"] = True
    if field.drawn:
        record["drawn"] = True
    return record


def spec_of(specs: object, row: str) -> TaskSpec:
    """Return what a row's translator was told of the data.

    Args:
        specs: `spec` of a run's provenance.

    Raises:
        ValueError: when it is something else, or does not have the row.
    """
    known = TypeAdapter(list[RowsSpecPart]).validate_python(specs)
    of_row = next((spec for spec in known if row in spec.rows), None)
    if of_row is None:
        raise ValueError(f"there is no spec of row {row!r}")
    return of_row.task_spec()
