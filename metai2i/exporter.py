"""The seventh interface, `Exporter`: takes a finished run, or an adapted model, to another program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict

if TYPE_CHECKING:
    from metai2i.batch import Batch
    from metai2i.inference.model_file import AdaptedModel


class SeriesCurve(TypedDict):
    """A loss over the steps of a training stage.

    `series`: the stage with its rows, for people; `term`: "generator/l1"; `steps` and `values`: as they were logged.
    """

    series: str
    term: str
    steps: Sequence[int]
    values: Sequence[float]


class RowNumber(TypedDict):
    """A row's mean of a metric over the test tasks, with its 95 % interval; None for what could not be measured."""

    row: str
    metric: str
    title: str
    mean: float | None
    low: float | None
    high: float | None
    n: int


class RunImage(TypedDict):
    """An image of a run: `tag` says what it shows ("TASK/ROW/0"), `path` is its file."""

    tag: str
    path: Path


@dataclass(frozen=True)
class RunContent:
    """What a finished run has to say.

    Args:
        name: the recipe's.
        folder: the run's.
        recipe: every key of it, resolved.
        summary: what `summary.json` says: means, intervals, comparisons.
        numbers: the means of all rows, in the recipe's order.
        curves: the losses of all training stages, in the order in which they began.
        images: of the first test tasks: inputs, truth and outputs.
        versions: of metai2i, torch and others that it was made with.
    """

    name: str
    folder: Path
    recipe: Mapping[str, object] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    numbers: Sequence[RowNumber] = ()
    curves: Sequence[SeriesCurve] = ()
    images: Sequence[RunImage] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelContent:
    """An adapted model, and how it is asked for images.

    Args:
        model: with its translator, in evaluation mode on the CPU.
        way: in which the translator is asked; None for one without ways.
        inputs: two samples of all fields that it reads in this way, of the support.
    """

    model: AdaptedModel
    way: str | None
    inputs: Batch


class Exporter(ABC):
    """Takes a run, or a model, to another program.

    Its keyword-only arguments are options of the command: `metai2i export RUN --to NAME OPTION=VALUE`. The library that
    it needs is imported in its methods, never at the top of its module, so that it can be listed without it.

    One in full, for runs::

        class Lines(RunExporter):
            \"\"\"A line of text for each row.\"\"\"

            ending = ".txt"

            def export(self, content, out):
                out.write_text("".join(f"{n['row']}: {n['mean']}\\\\n" for n in content.numbers))
    """

    takes: ClassVar[Literal["run", "model"]]
    """What it is handed: `RunExporter` and `ModelExporter` say it."""
    modules: ClassVar[tuple[str, ...]] = ()
    """What must be importable, by the names of modules; looked at before anything is done."""
    install: ClassVar[str] = ""
    """The command that installs them, for the message."""
    ending: ClassVar[str | None] = None
    """How the file's name ends (".onnx"), or with a "/" that of a folder ("-figures/"); None for what goes elsewhere:
    to a server, or to the library's own place."""

    @abstractmethod
    def export(self, content: Any, out: Path) -> object:
        """Write what there is.

        The host hands it a place beside the one that was asked for, and moves the file or the folder there when this
        has returned: it is never seen half-written.

        Args:
            content: a `RunContent` or a `ModelContent`.
            out: the file to write; for folders one that is there and empty; for what goes elsewhere the run's folder,
                into which nothing is written.

        Returns:
            one sentence that tells what to do with it, or None.

        Raises:
            UserError: for what cannot be exported, saying why.
        """


class RunExporter(Exporter):
    """Takes a finished run to another program."""

    takes: ClassVar[Literal["run", "model"]] = "run"

    @abstractmethod
    def export(self, content: RunContent, out: Path) -> object:
        """Write what the run has to say; all else is as for `Exporter.export`."""


class ModelExporter(Exporter):
    """Takes an adapted model to another program."""

    takes: ClassVar[Literal["run", "model"]] = "model"

    @abstractmethod
    def export(self, content: ModelContent, out: Path) -> object:
        """Write the model; all else is as for `Exporter.export`."""


class Tracker(RunExporter):
    """Takes a run to a program that follows trainings; while it trains (`metai2i run --log NAME`), or afterwards.

    All its methods are called from one thread: `begin`, then the others in any order, then `end`. Whatever they raise
    while a run trains ends the logging, never the training.
    """

    @abstractmethod
    def begin(self, name: str, recipe: Mapping[str, object], out: Path) -> None:
        """Open a run of that name.

        Args:
            name: the recipe's.
            recipe: every key of it.
            out: the folder to write to, where `ending` names one.
        """

    @abstractmethod
    def scalar(self, series: str, term: str, step: int, value: float) -> None:
        """Take in a loss; `series` is the stage and its rows. The value may be NaN or infinite."""

    @abstractmethod
    def number(self, number: RowNumber) -> None:
        """Take in a row's mean of a metric."""

    @abstractmethod
    def image(self, tag: str, path: Path) -> None:
        """Take in an image, a PNG file."""

    @abstractmethod
    def end(self, failed: bool) -> object:
        """Close the run.

        Args:
            failed: whether it was stopped, or has failed, before it was done.

        Returns:
            one sentence that tells where to look at it, or None.
        """

    def export(self, content: RunContent, out: Path) -> object:
        """Hand over all curves, numbers and images of a finished run."""
        self.begin(content.name, content.recipe, out)
        try:
            for curve in content.curves:
                for step, value in zip(curve["steps"], curve["values"], strict=True):
                    self.scalar(curve["series"], curve["term"], step, value)
            for number in content.numbers:
                self.number(number)
            for image in content.images:
                self.image(image["tag"], image["path"])
        except BaseException:
            self.end(True)
            raise
        return self.end(False)
