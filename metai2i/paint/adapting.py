"""Adapting from the page: step after step, with the images of the support, while the page goes on painting."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from metai2i.data.contact_sheet import coloured
from metai2i.data.images import to_uint8
from metai2i.errors import UserError, counted
from metai2i.field import EXEMPLAR, PHOTOGRAPH
from metai2i.guards.faults import user_errors_from
from metai2i.guards.handed_over import adapted_by
from metai2i.inference.adapt import (
    LEVELS,
    check_kind,
    check_model_path,
    keep_model,
    model_of,
    origin_of,
    painted_support,
)
from metai2i.inference.support_files import SupportFiles, find_support
from metai2i.inference.trained_run import general_model
from metai2i.paint.models import PageModel, check_paintable
from metai2i.paint.studio import PageRow, Studio
from metai2i.pipeline.assemble import Assembler
from metai2i.randomness import Randomness
from metai2i.translator import Step

MOST_STEPS = 10_000
MOST_ROUNDS = 12
"""Numbers of steps of which each gives a model."""
SHOWN_SAMPLES = 8
"""The most samples of the support whose images are shown."""


@dataclass(frozen=True)
class Round:
    """A row's model after some steps.

    Args:
        row: the row's title.
        steps: how many.
        model: its key on the page.
        images: (N, 3, H, W) uint8 of the first samples of the support.
        off_by: how far they are from its photographs, in grey levels of 255; None without photographs.
    """

    row: str
    steps: int
    model: str
    images: Tensor
    off_by: float | None


@dataclass
class SupportOnPage:
    """A support that the page has handed over, read for a row.

    Args:
        title: what the page calls it.
        files: where it is.
        names: of its samples.
        photos: (N, 3, H, W) uint8 of the first samples; None without photographs.
        maps: each (3, H, W) uint8, in the colours of the classes; None without maps.
        key: by which the page asks for it.
    """

    title: str
    files: SupportFiles
    names: Sequence[str]
    photos: Tensor | None
    maps: Sequence[Tensor] | None
    key: str = ""


def read_support(studio: Studio, folder: Path, row: PageRow, title: str | None = None) -> SupportOnPage:
    """Return the support in a folder, as `metai2i adapt` reads it for a row.

    Args:
        title: what the page calls it; None for the names of its samples.

    Raises:
        UserError: for what it refuses: a photograph without its map, a file that cannot be read.
    """
    files = find_support(folder)
    assembler = Assembler(studio.registry, row.run.recipe.seed, studio.device)
    with studio.torch_lock:
        general = general_model(row.run, assembler, row.name, iterations=0)
    batch = files.read(general.spec, general.gp.needs)
    photo = PHOTOGRAPH if PHOTOGRAPH in batch else EXEMPLAR
    maps = (
        [coloured(each, studio.spec) for each in batch["structure"][:SHOWN_SAMPLES]] if "structure" in batch else None
    )
    title = ", ".join([*files.names[:3], *(["…"] if len(files.names) > 3 else [])]) if title is None else title
    return SupportOnPage(
        title, files, files.names, to_uint8(batch[photo][:SHOWN_SAMPLES]) if photo in batch else None, maps
    )


@dataclass
class AdaptJob:
    """Adapts some rows by several numbers of steps, in a thread of its own; each is adapted from the beginning, as
    `metai2i adapt --iterations` does.

    Args:
        studio: gets the models.
        support: to which.
        rows: whose general models.
        steps: how many steps, each a model.
        lr: the inner rate; None for each row's.
    """

    studio: Studio
    support: SupportOnPage
    rows: Sequence[PageRow]
    steps: Sequence[int]
    lr: float | None = None
    rounds: list[Round] = field(default_factory=list)
    state: str = "running"
    error: str | None = None
    done: int = 0
    seconds_for_step: float | None = None

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="metai2i paint: adapting", daemon=True)

    @property
    def total(self) -> int:
        """Return all steps that are made, counting the images after each number of them as one."""
        return len(self.rows) * sum(steps + 1 for steps in self.steps)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, patience: float = 0.0) -> None:
        """End after the number of steps that is worked on; what is there stays.

        Args:
            patience: seconds to wait for that.
        """
        self._stop.set()
        if patience and self._thread.is_alive():
            self._thread.join(patience)

    def about(self) -> dict[str, object]:
        """Return what the page is told of it."""
        return {
            "state": self.state,
            "error": self.error,
            "done": self.done,
            "total": self.total,
            "rows": [row.title for row in self.rows],
            "steps": list(self.steps),
            "seconds": round(time.monotonic() - self.began, 1),
            "seconds_for_step": self.seconds_for_step,
            "names": list(self.support.names)[:SHOWN_SAMPLES],
            "pairs": len(self.support.names),
            "support": self.support.key,
            "photos": self.support.photos is not None,
            "rounds": [
                {"row": each.row, "steps": each.steps, "model": each.model, "off_by": each.off_by}
                for each in list(self.rounds)
            ],
        }

    def _work(self) -> None:
        state = "failed"  # where something comes that nobody has thought of
        try:
            errors = [error for row in self.rows if (error := self._row(row)) is not None]
            self.error = "\n".join(errors) or None
            state = "stopped" if self._stop.is_set() else "done" if self.rounds else "failed"
        finally:
            self.state = state

    def _row(self, row: PageRow) -> str | None:
        """Adapt a row by all numbers of steps; return why it cannot be, or None."""
        try:
            for steps in self.steps:
                if not self._stop.is_set():
                    self._round(row, steps)
        except UserError as error:
            return self.studio.uploads.shown(str(error))
        return None

    def _round(self, row: PageRow, steps: int) -> None:
        studio, began = self.studio, time.monotonic()
        with studio.torch_lock, user_errors_from(f"adapting row {row.title!r}", None):
            assembler = Assembler(studio.registry, row.run.recipe.seed, studio.device)
            general = general_model(row.run, assembler, row.name, iterations=steps, lr=self.lr)
            support = self.support.files.read(general.spec, general.gp.needs)
            step = Step(Randomness((row.run.recipe.seed, "adapt")), phase=general.gp.phases[-1])
            translator = adapted_by(general.strategy, general.gp, support.to(studio.device), step.at("adapt"))
            check_kind(translator, general)
            images = painted_support(translator, general, support, step.at("look"))
        off_by = (images - support[PHOTOGRAPH]).abs().mean().item() * LEVELS if PHOTOGRAPH in support else None
        seconds = time.monotonic() - began
        origin = origin_of(
            row.run, general, self.support.files.names, row.run.recipe.seed, studio.device, round(seconds, 3)
        )
        plugin = studio.registry.identity("translator", general.row.translator.use)
        model = model_of(translator, general, support, plugin, origin)
        check_paintable(model, row.title)
        scene = self.support.title if self.lr is None else f"{self.support.title} at {self.lr:g}"
        detail = f"{counted(steps, 'step')} on {scene}"
        studio.models.forget(row.title, scene, steps, model.support)
        page_model = studio.models.add(lambda key: PageModel(key, row.title, detail, model, scene, steps))
        self.rounds.append(Round(row.title, steps, page_model.key, to_uint8(images[:SHOWN_SAMPLES]), off_by))
        self.done += steps + 1
        self.seconds_for_step = seconds / (steps + 1)


def checked_steps(given: object) -> list[int]:
    """Return numbers of steps, smallest first, each once.

    Raises:
        UserError: for what are none.
    """
    numbers = given if isinstance(given, list) else []
    if not numbers or not all(type(n) is int and 0 <= n <= MOST_STEPS for n in numbers):
        raise UserError(f"steps: expected whole numbers from 0 to {MOST_STEPS:,}, such as 0, 5, 20")
    unique = sorted(set(numbers))
    if len(unique) > MOST_ROUNDS:
        raise UserError(f"steps: got {len(unique)} numbers, expected at most {MOST_ROUNDS}")
    return unique


def keep_on_disk(studio: Studio, key: str, name: str) -> Path:
    """Write a model that was adapted on the page to a file of its own, and return the file. No file is ever replaced.

    Args:
        key: of the model.
        name: of the file, without its ending or with it; it lies in the studio's folder.

    Raises:
        UserError: for a name that is none or is taken, and for a model that cannot be kept.
    """
    page_model = studio.models.get(key)
    if page_model.scene is None:
        raise UserError(f"{page_model.title!r} was not adapted on this page", hint="adapt it to a scene first")
    name = name.strip().removesuffix(".safetensors")
    if not name or name.startswith(".") or any(c in '/\\:*?"<>|' or not c.isprintable() for c in name):
        raise UserError(f"no file may be called {name[:60]!r}", hint="expected a name such as my_street")
    if len(name.encode("utf-8", "surrogatepass")) > 200:
        raise UserError("the name is too long", hint="expected a name such as my_street")
    out = studio.out / f"{name}.safetensors"
    with studio.torch_lock:
        if out.exists():
            raise UserError("a file of this name is there already", where=out, hint="choose another name")
        check_model_path(out)
        with user_errors_from(f"keeping {page_model.title!r}", None):
            keep_model(out, page_model.model, studio.registry, studio.device)
        page_model.file = out
    return out
