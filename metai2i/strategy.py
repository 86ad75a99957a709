"""The third interface, `MetaStrategy`: how a general model learns to adapt, and how it is adapted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from metai2i.batch import Batch
from metai2i.errors import Location, UserError
from metai2i.scene_state import differing, overlaid
from metai2i.tasks import Episode, Task
from metai2i.translator import Losses, Step, Translator


class MetaStrategy(ABC):
    """Two levels: a general-purpose model (the paper's GP) and instance-specific copies of it (IS).

    The constructor takes `inner: Adaptation` (the recipe's `adapt:` section) from the host. If it takes inner steps, it
    keeps that as `self.inner`, to which the host gives the pairs that join the batches of one scene. Its other
    keyword-only arguments are the option schema of `strategy:` in a recipe.
    """

    meta: ClassVar[bool] = True
    """False for strategies without a meta-gradient: the driver then skips meta-training."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """The batch fields that it reads itself, besides what it hands to the translator; `structure` stands for label maps
    of scenes, too. A task source that lacks one is refused before anything runs."""
    order: Literal["first", "second"] = "first"
    """The derivatives of the inner loop that are taken: "second" where inner gradients are differentiated, too."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse the signature of before 0.2, which took all episodes of an outer step at once.

        Raises:
            UserError: with the place of the method, and its new form.
        """
        super().__init_subclass__(**kwargs)
        code = getattr(vars(cls).get("meta_gradient"), "__code__", None)
        if code is not None and "episodes" in code.co_varnames[: code.co_argcount]:
            raise UserError(
                f"{cls.__name__}.meta_gradient takes `episodes`, expected meta_gradient(self, gp, episode, step)",
                where=Location(code.co_filename, code.co_firstlineno),
                hint="it is called once for each episode, and the host takes the mean: leave out the loop and the "
                "division by len(episodes)",
            )

    def prepare(self, gp: Translator) -> None:
        """Make the meta-parameters, if there are any, to fit the general model. Called before all else, with torch's
        global generators seeded by the recipe's seed.
        """

    def meta_parameters(self) -> Mapping[str, nn.Parameter]:
        """Return the parameters that the strategy learns besides the general model's (Meta-SGD's step sizes). They are
        saved with it.
        """
        return {}

    def outer(self, groups: Iterable[Mapping[str, Any]], lr: float) -> torch.optim.Optimizer:
        """Return the optimiser of the outer loop over parameter groups that carry their `lr`; the paper's Adam by
        default. What it keeps are tensors and numbers in its state: an interrupted run goes on with them, and with
        nothing that stands in its groups.
        """
        return torch.optim.Adam([dict(group) for group in groups], lr=lr, betas=(0.5, 0.999))

    def cost(self, shots: int, queries: int) -> int:
        """Return samples that go forward and backward for one episode of meta-training; what a fair baseline may spend
        too. It counts `inner.iterations` if and only if meta-training depends on them.
        """
        return 0

    def choices(self) -> Mapping[str, str]:
        """Return what it chose where the recipe left it open, by the option's name; stands in the record of
        meta-training.
        """
        return {}

    def meta_gradient(self, gp: Translator, episode: Episode, step: Step) -> Losses:
        """Add the meta-gradient of one episode to `.grad` of every player's (and meta-) parameters.

        The host calls this once for each episode of an outer step, takes the mean, clips it and steps
        (`metai2i.training.add_gradients` does the adding). `gp` is otherwise untouched, buffers included.

        Returns:
            What is worth logging; for the bilevel family at least `query/...`, the adapted model's losses on the query.
        """
        raise NotImplementedError(f"{type(self).__name__} has no meta_gradient: write it, or say meta = False")

    def with_retrieved(self, tasks: Sequence[Task], step: Step) -> MetaStrategy | None:
        """Return a strategy that adapts to one unseen scene with the training scenes retrieved for it; `self` is
        untouched.

        None, the default, leaves them to the host, which fine-tunes a copy of the general model on them (Alg. 2), or
        gives pairs of theirs to `inner`.
        """
        return None

    @abstractmethod
    def adapt(self, gp: Translator, support: Batch, step: Step) -> Translator:
        """Return an instance-specific copy of `gp`, adapted to `support`; `gp` is untouched, buffers included."""

    def kept(self, gp: Translator, adapted: Translator) -> Mapping[str, Tensor]:
        """Return the tensors that make a scene's model, given the general model: all that must be stored of the scene.

        By default the parameters and buffers in which the two differ. A strategy that knows of less (adapters of low
        rank, a code) overrides this and `restored` together.

        Args:
            gp: the general model.
            adapted: what `adapt` of this strategy has made of it.
        """
        return differing(gp, adapted)

    @classmethod
    def restored(cls, gp: Translator, kept: Mapping[str, Tensor]) -> Translator:
        """Return the scene's model again, bit for bit, from the general model and what `kept` gave; `gp` is
        untouched.
        """
        return overlaid(gp, kept)
