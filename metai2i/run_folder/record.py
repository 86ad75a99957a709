"""What a run's folder says of the run: the fields of `provenance.json` and `images/index.json` that are read again.

A folder may come from anybody, and may be damaged: what does not fit is told by its place in the file, and names of
images lead nowhere but into the folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from yaml.composer import ComposerError
from yaml.parser import ParserError
from yaml.scanner import ScannerError

from metai2i import __version__
from metai2i.errors import UserError
from metai2i.files import read_json
from metai2i.metrics.display import ImageCounts, MetricInfo
from metai2i.recipe.renamed import plain_with_new_keys
from metai2i.recipe.yaml_errors import syntax_error
from metai2i.registry.problems import first_problem

RUN_FORMAT = 1
"""How a run's folder is laid out: a number that grows when an older version could misread what a newer one writes."""
LARGEST_RECORD = 64 * 2**20
"""Bytes of the largest file that is read, but for the log and the numbers."""
_DEEPEST = 50
"""How deep the recipe of a run may be nested."""
_MOST_VALUES = 1_000_000
"""How many values it may have."""

Amount = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=10**15)]
Digits = Annotated[int, Field(ge=0, le=100)]
Text = Annotated[str, Field(max_length=100_000)]


def plain_name(name: str) -> str:
    """Return a name of a file or folder that leads nowhere else.

    Raises:
        ValueError: for a path, `..`, and what no file system has.
    """
    if name in ("", ".", "..") or len(name) > 250 or any(sign in name for sign in "/\\\0"):
        raise ValueError(f"{name[:80]!r} is no name of a file or folder")
    return name


def plain_path(path: str) -> str:
    """Return a path of plain names, which goes down only.

    Raises:
        ValueError: for any other.
    """
    for name in path.split("/"):
        plain_name(name)
    return path


Name = Annotated[str, AfterValidator(plain_name)]
Below = Annotated[str, AfterValidator(plain_path)]


class _Part(BaseModel):
    """A part of a file: types are strict, and keys that nobody reads are left alone."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Adapting(_Part):
    """What adapting to a scene takes (`metai2i.stages.evaluate.spent`)."""

    seconds: Amount
    aux_seconds: Amount
    scene_seconds: Annotated[list[Amount], Field(min_length=3, max_length=3)]
    numbers: Amount | None
    bytes: Amount | None


class Chosen(_Part):
    """With what a tuned row adapts."""

    model_config = ConfigDict(strict=True, extra="forbid")

    lr: Amount | None = None
    iterations: _Count | None = None


class StageRecord(_Part):
    """A stage of a run, as its provenance has it; its key is the name of its folder in the stage store."""

    name: Text = ""
    key: Name = ""
    rows: list[Text] = []
    seconds: Amount | None = None
    iterations: _Count | dict[str, _Count] | None = None
    peak_memory_mib: Amount | None = None
    cache: Text | None = None
    adapting: Adapting | None = None
    chosen: Chosen | None = None
    tried: list[dict[str, float | str | None]] = []
    warnings: list[Text] = []


class MetricRecord(_Part):
    """How the numbers of a metric are read."""

    title: Text
    higher_is_better: bool | None
    unit: Text = ""
    digits: Digits = 3
    by_count: bool = False

    def measure(self, name: str) -> MetricInfo:
        """Return it under the metric's name."""
        return MetricInfo(name, self.title, self.higher_is_better, self.unit, self.digits, self.by_count)


class DataRecord(_Part):
    """What a run was measured on."""

    fingerprint: Text | None = None
    test_tasks: _Count | None = None
    test_hash: Text | None = None


class MeasuredRow(_Part):
    """How much was measured of a row: test tasks, queries of all of them, and numbers per metric."""

    tasks: _Count
    queries: _Count
    numbers: dict[str, _Count]


_Numbers = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=1000)]


class LeftOut(_Part):
    """What a metric of sets says of a scene without some images (`metai2i.metrics.display.LeftOutRecord`)."""

    sides: Annotated[list[_Numbers], Field(max_length=3)] = []
    images: Text = ""


class SetNumber(_Part):
    """What a metric of sets says of all scenes together (`metai2i.metrics.display.SetRecord`)."""

    value: Annotated[float, Field(allow_inf_nan=False)] | None
    low: Annotated[float, Field(allow_inf_nan=False)] | None = None
    high: Annotated[float, Field(allow_inf_nan=False)] | None = None
    outputs: _Count
    real: _Count
    scenes: _Count
    by_scene: Annotated[list[_Count], Field(min_length=4, max_length=4)]
    without: _Numbers = []
    single: dict[str, LeftOut] = {}

    @property
    def counts(self) -> ImageCounts:
        """Return how many images it is of."""
        return (self.outputs, self.real, *self.by_scene)


class Provenance(_Part):
    """What is read of `provenance.json`.

    Args:
        files: every file that the run has written, but for this one and the report: its digest, None where it is not
            known.
        next: the files of the run that is being put in its place, while that goes on.
        spec: what translators were told of the data, which is looked at when one is built again
            (`metai2i.run_folder.spec_json.spec_of`).
    """

    metai2i: Text | None = None
    command: list[Text] | Text = []
    started: Text | None = None
    finished: Text | None = None
    seconds: Amount | None = None
    data: DataRecord = DataRecord()
    measured: dict[str, MeasuredRow] | None = None
    sets: dict[str, dict[str, SetNumber]] = {}
    metrics: dict[str, MetricRecord] = {}
    references: list[Text] = []
    plugins: list[dict[str, Text | None]] = []
    spec: object = None
    stages: list[StageRecord] = []
    files: dict[Below, Text | None] | None = None
    next: dict[Below, Text | None] | None = None

    @property
    def measures(self) -> dict[str, MetricInfo]:
        """Return how the metrics of the run are read."""
        return {name: metric.measure(name) for name, metric in self.metrics.items()}

    def refers(self, row: str) -> bool:
        """Return whether a row is shown references; True where the file does not say."""
        return row in self.references or "references" not in self.model_fields_set

    def stages_of(self, row: str) -> list[StageRecord]:
        """Return the stages that a row has gone through, in the order in which they were done."""
        return [stage for stage in self.stages if row in stage.rows]


class SupportImages(_Part):
    """The support of the rows of one number of shots: `dir` is its folder in the task's."""

    shots: _Count | None = None
    dir: Name
    rows: list[Text] = []
    pictures: list[Name] = []


class TaskImages(_Part):
    """A task whose images are kept: `dir` is its folder in `images/`, the others are folders in that."""

    id: Text
    dir: Name
    queries: list[Name] = []
    support: list[Name] = []
    supports: list[SupportImages] = []
    rows: dict[str, Below] = {}
    general: dict[str, Below] = {}
    reference: dict[str, Below] = {}
    shown: dict[Name, dict[str, Below]] = {}
    grid: dict[str, Below] = {}
    aux: dict[str, list[Text]] = {}


class ImageIndex(_Part):
    """What is read of `images/index.json`."""

    tasks: list[TaskImages] = []


AnyFile = TypeVar("AnyFile", bound=_Part)


class NewerRun(UserError):
    """A run's folder is in a format that only newer versions of metai2i read."""


def read_record(path: Path, kind: type[AnyFile]) -> tuple[AnyFile, Mapping[str, object]]:
    """Read a file of a run's folder.

    Returns:
        what is read of it, and all that it says.

    Raises:
        NewerRun: when it says that its format is one of a newer version, which is named.
        UserError: when it is not JSON, or something in it does not fit, which is named by its place.
    """
    content = read_json(path, LARGEST_RECORD)
    _refuse_newer(content, path)
    try:
        return kind.model_validate(content), content
    except ValidationError as error:
        other = other_version(content.get("metai2i")) if isinstance(content, Mapping) else None
        hint = other or "no run of metai2i writes this"
        raise UserError(first_problem(error, content), where=path, hint=hint) from None


def other_version(version: object) -> str | None:
    """Return that another version of metai2i wrote a file, as a hint; None when this one did, or it does not say."""
    if not isinstance(version, str) or version == __version__:
        return None
    return f"metai2i {version[:40]} wrote it, and this is metai2i {__version__}"


def _refuse_newer(content: object, path: Path) -> None:
    number = content.get("format") if isinstance(content, Mapping) else None
    if isinstance(number, int) and number > RUN_FORMAT:
        version = content.get("metai2i") if isinstance(content, Mapping) else None
        by = f"metai2i {version[:40]}" if isinstance(version, str) else "a newer version of metai2i"
        raise NewerRun(
            f"{by} wrote this run in format {number}, and metai2i {__version__} reads formats up to {RUN_FORMAT}",
            where=path,
            hint="use that version or a newer one",
        )


def read_run_recipe(path: Path) -> tuple[Mapping[str, object], str]:
    """Return the recipe of a run as plain data, and its text.

    Raises:
        UserError: when it is no recipe as a run writes it: YAML nested no more than 50 deep, of a million values at
            most with all aliases spelled out, and without merge keys.
    """
    try:
        if path.stat().st_size > LARGEST_RECORD:
            raise UserError("the file is too large for a recipe", where=path)
        text = path.read_text(encoding="utf-8")
        _check_plain(text, path)
        recipe = yaml.safe_load(text)
    except UserError:
        raise
    except (ScannerError, ParserError, ComposerError) as error:
        raise syntax_error(error, str(path)) from None
    except (yaml.YAMLError, OSError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        what = str(error).partition("\n")[0]
        raise UserError(f"this is no recipe as a run writes it: {what}", where=path) from None
    if not isinstance(recipe, dict):
        raise UserError("this is no recipe as a run writes it: it has no sections", where=path)
    if _values_in(recipe, {}) > _MOST_VALUES:
        raise UserError(f"its aliases stand for more than {_MOST_VALUES:,} values", where=path)
    return plain_with_new_keys(recipe), text


def _check_plain(text: str, path: Path) -> None:
    """Refuse YAML that takes long to read, before it is read."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<":
            raise UserError("it has a merge key, as no run writes it", where=path)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise UserError(f"it is nested more than {_DEEPEST} deep", where=path)


def _values_in(value: object, known: dict[int, int]) -> int:
    """Return how many values there are with all aliases spelled out; more than any number for one that is part of
    itself.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_VALUES + 1
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_values_in(each, known) for each in inner)
    return known[id(value)]
