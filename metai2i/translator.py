"""The first interface, `Translator`: networks and objectives of one image-to-image system."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from torch import Tensor, nn

from metai2i.batch import Batch
from metai2i.precision import Precision
from metai2i.randomness import Randomness

Losses = Mapping[str, Tensor]
"""Named scalar terms, already weighted: their sum is what a player minimises."""

Move = tuple[str | tuple[str, ...], Losses]
"""Who moves (one player, or several at once) and what they minimise."""

Role = Literal["train", "adapt", "query"]
"""What a training step is for: "train", plain training of the model itself; "adapt", a step of an inner loop, on a
copy; "query", the losses of an adapted copy on its scene's query, which drive the outer loop."""


@dataclass(frozen=True)
class Step:
    """Where in a run a step happens; all that a translator or a strategy may depend on besides its batch.

    Args:
        rng: the address of this step's randomness.
        index: the step's number, from 0.
        total: how many steps there will be; `index / total` drives schedules.
        phase: one of the translator's `phases`.
        inner: True while an instance-specific copy is adapted, that is in the role "adapt".
        role: what the step is for. Averaged (EMA) copies follow in the role "train" alone.
    """

    rng: Randomness = field(default_factory=Randomness)
    index: int = 0
    total: int = 1
    phase: str = "train"
    inner: bool = False
    role: Role = "train"

    def __post_init__(self) -> None:
        if self.inner and self.role == "train":
            object.__setattr__(self, "role", "adapt")
        object.__setattr__(self, "inner", self.role == "adapt")

    def at(self, *more: int | str, inner: bool | None = None, role: Role | None = None) -> Step:
        """Return the same step with its randomness further down (for one task of many, say), perhaps in another role.

        Args:
            more: the address.
            inner: True for the role "adapt", False for "train".
            role: the role itself.
        """
        if role is None:
            role = self.role if inner is None else "adapt" if inner else "train"
        return replace(self, rng=self.rng.at(*more), inner=role == "adapt", role=role)


class Translator(nn.Module, ABC):
    """Networks and objectives of one image-to-image system, for one set of players.

    The constructor takes `spec: TaskSpec` and `objective: Objective` from the host; its other keyword-only arguments
    are the option schema of `translator:` in a recipe. Parameters that belong to no player stay frozen.

    A translator in full::

        class Line(Translator):
            def __init__(self, *, spec: TaskSpec, objective: Objective) -> None:
                super().__init__()
                self.objective = objective
                self.generator = nn.Conv2d(spec.structure_channels, 3, 1)

            def players(self):
                return {"generator": self.generator.parameters()}

            def training_step(self, batch, step):
                yield "generator", self.objective.generator(self.translate(batch), batch["target"])

            def translate(self, batch):
                return self.generator(batch["structure"]).tanh()
    """

    needs: ClassVar[frozenset[str]] = frozenset({"structure", "target"})
    """The batch fields it reads."""
    phases: tuple[str, ...] = ("train",)
    """Training runs through these one after the other; adapting and meta-training are in the last."""
    rates: ClassVar[Mapping[str, float]] = {}
    """Learning rates of single players as multiples of the recipe's (StarGAN v2: {"mapping": 0.01})."""
    ways: ClassVar[Mapping[str, frozenset[str]]] = {}
    """The ways in which it can be asked for images, by name, each with the fields of `needs` that it reads:
    {"latent": {"source", "reference_domain"}, "exemplar": {"source", "reference", "reference_domain"}}.

    Recipes and the command line name one (`evaluate.way`, `--way`), the first is taken where they do not, and
    `translate` is handed its fields alone, and its name as `way`. Without any there is one way, which has no name."""
    paint_options: ClassVar[frozenset[str]] = frozenset()
    """The options of its constructor that matter only when it makes images: steps of a sampler, guidance, a threshold.
    Rows that differ in these alone share what they train; training steps must give the same bits with any of them."""
    precision: Precision = "fp32"
    """How its forward passes are computed; set by the host to the recipe's, and seen to by `metai2i.training.drive`."""

    @property
    def replayable(self) -> bool:
        """Return whether all training steps of a phase do the same operations, whatever the step's number.

        They then neither draw nor have Python look at numbers, and a GPU may record one of them and replay it, which is
        several times as fast for small networks (`metai2i.training.cuda_graphs`). False where that is not sure. A class
        may say `replayable = True` instead of having a property. What `draws` gives is part of the batch, so steps that
        take all their chance and their schedules from there are alike.
        """
        return False

    @property
    def samples(self) -> bool | frozenset[str]:
        """Return whether `translate` draws, so that outputs for one input differ: in all its ways, or in those named.

        A class may say `samples = True` or `samples = frozenset({"latent"})` instead of having a property. Recipes ask
        for several outputs by `evaluate.samples`, the command line by `--samples`.
        """
        return False

    def draws(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        """Return what a training step draws, by names of its own; the host puts it into the batch. None by default.

        Latents, noise, a weight that falls with `step.index`: each a tensor whose first dimension is `batch.size`,
        drawn from `step.rng` by the batch's shapes and the step alone, on any device::

            def draws(self, batch, step):
                return {"z": torch.randn(batch.size, 16, generator=step.rng.at("z").generator())}

        `training_step` then reads `batch["z"]`, on the networks' device.
        """
        return {}

    @abstractmethod
    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the parameters of each player, read off the modules anew at each call, so that it holds for copies."""

    @abstractmethod
    def training_step(self, batch: Batch, step: Step) -> Iterator[Move]:
        """Yield `(player, losses)` in the order in which the players move.

        Whoever drives it has updated that player when it resumes. So a forward pass shared by two moves is a local
        variable, and what must happen after an update (an EMA copy) stands behind its `yield`.
        """

    def begin(self, phase: str, data: Callable[[], Iterator[Batch]]) -> None:
        """Look through all training data before a phase; nothing by default.

        The host calls it before the first step of each phase of a stage that trains, in evaluation mode. What it
        gathers goes into buffers, which may change their sizes, or into parameters: these are saved with the stage,
        and a resumed one goes on with them. It may draw from torch's global generator, which is seeded by address.

        Args:
            phase: that comes.
            data: gives all samples of all training scenes, as `Task.load` has them, on the networks' device, a few at a
                time, in the same order whenever it is called.
        """

    def end(self, phase: str, data: Callable[[], Iterator[Batch]]) -> None:
        """Look through all training data after a phase; nothing by default. All else is as for `begin`.

        After the last phase of a stage the weights are those that it leaves, averages where the recipe has some: a
        place to fit what builds on a trained encoder.
        """

    @abstractmethod
    def translate(self, batch: Batch) -> Tensor:
        """Return the images for a batch: (B, 3, H, W) in [-1, 1]. Must not read `batch["target"]`.

        A translator with `ways` takes the name of one as a second argument: `translate(self, batch, way="latent")`. It
        has no step: what it draws comes from torch's global generator, which the host seeds by the batch's address.
        """

    def adopted(self, part: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the tensors of a file that another program wrote under the names that they have here.

        It is asked for `start: {PART: {file: ...}}`; what it gives must have all of the part's names and shapes.
        Tensors under our own names it gives as they are. By default all are.

        Args:
            part: which part of the translator, as the recipe names it; `translator` for all of it.
            tensors: of the file, by name.
        """
        return tensors

    def shown(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return further images for the report by their names, each (B, 3, H, W) in [-1, 1]: a warped exemplar, masks.

        It is called where images are kept, under the conditions of `translate`. None by default; `samples` is the name
        of the outputs for a query side by side.
        """
        return {}
