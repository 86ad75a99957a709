"""A `TaskSpec` as plain data, for a run's folder and for adapted models: what is needed to build a translator again."""

from __future__ import annotations

from typing import Annotated, TypedDict

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from metai2i.guards.handed_over import LARGEST_SIDE, MOST_CHANNELS
from metai2i.tasks import TaskSpec

_Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
Level = Annotated[int, Field(ge=0, le=255)]


class SpecRecord(TypedDict):
    """A spec as JSON has it."""

    structure_channels: int
    size: list[int]
    fields: list[str]
    domains: int
    classes: list[str]
    palette: list[list[int]]


class RowsSpecRecord(SpecRecord):
    """A spec in the provenance of a run, with the rows that were told it."""

    rows: list[str]


class SpecPart(BaseModel):
    """A spec that is read again, checked; types are strict, and what is not known is passed over."""

    model_config = ConfigDict(strict=True, extra="ignore")

    structure_channels: int = Field(ge=0, le=MOST_CHANNELS)
    size: Annotated[list[_Side], Field(min_length=2, max_length=2)]
    fields: list[str]
    domains: int = Field(ge=0, le=MOST_CHANNELS)
    classes: list[str]
    palette: list[Annotated[list[Level], Field(min_length=3, max_length=3)]]

    @model_validator(mode="after")
    def fits(self) -> SpecPart:
        """Refuse names and colours that are not as many as the channels."""
        for what, values in (("classes", self.classes), ("colours", self.palette)):
            if len(values) not in (0, self.structure_channels):
                raise ValueError(f"{len(values)} {what} for {self.structure_channels} channels")
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
            palette=tuple((red, green, blue) for red, green, blue in self.palette),
        )


class RowsSpecPart(SpecPart):
    """A spec in the provenance of a run, read again."""

    rows: list[str]


def spec_data(spec: TaskSpec) -> SpecRecord:
    """Return the spec as JSON has it."""
    return SpecRecord(
        structure_channels=spec.structure_channels,
        size=list(spec.size),
        fields=sorted(spec.fields),
        domains=spec.domains,
        classes=list(spec.classes),
        palette=[list(colour) for colour in spec.palette],
    )


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
