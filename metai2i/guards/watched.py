"""A strategy's meta-gradient with a look at what it must leave alone: the general model, and itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from metai2i.errors import UserError
from metai2i.guards.same_values import same_values
from metai2i.meta.plain_state import changed_names, plain_state, shared_state
from metai2i.registry.declared import of_kind
from metai2i.registry.discovery import label_of
from metai2i.strategy import MetaStrategy
from metai2i.tasks import Episode
from metai2i.translator import Losses, Step, Translator


def meta_gradient(gp: Translator, strategy: MetaStrategy, episode: Episode, step: Step) -> Losses:
    """Return what a strategy's `meta_gradient` logs.

    Raises:
        UserError: naming the strategy, when that is not a mapping of scalars by name.
    """
    losses: Any = strategy.meta_gradient(gp, episode, step)
    if not isinstance(losses, Mapping):
        raise UserError(f"meta_gradient of {_named(strategy)} gives {of_kind(losses)}, expected losses by name")
    for name, value in losses.items():
        if not isinstance(value, Tensor) or value.numel() != 1:
            what = f"the shape {tuple(value.shape)}" if isinstance(value, Tensor) else of_kind(value)
            raise UserError(f"meta_gradient of {_named(strategy)}: {name!r} is {what}, expected a scalar tensor")
    return losses


def watched_meta_gradient(gp: Translator, strategy: MetaStrategy, episode: Episode, step: Step) -> Losses:
    """Return the same, and refuse a strategy that has changed the general model or remembers the episode.

    It takes the memory of one more model while it runs. Where a plugin keeps something that has changed, the
    meta-gradient is computed once more, which must give the same numbers.

    Raises:
        UserError: naming the strategy.
    """
    before, state = weights_of(gp, strategy), _kept_by(gp, strategy)
    losses = meta_gradient(gp, strategy, episode, step)
    _refuse_changed(before, gp, strategy)
    names = changed_names(state, _kept_by(gp, strategy))
    if names and next(iter(gp.parameters())).device.type == "cpu":  # a GPU's numbers may differ by rounding
        learned = [*gp.parameters(), *strategy.meta_parameters().values()]
        first = [None if p.grad is None else p.grad.clone() for p in learned]
        for parameter in learned:
            parameter.grad = None
        meta_gradient(gp, strategy, episode, step)
        if not all(map(same_values, first, [p.grad for p in learned])):
            raise UserError(
                f"meta_gradient of {_named(strategy)} gives other numbers when it is called again with the same model, "
                f"episode and step: what is kept goes from episode to episode ({', '.join(names[:5])})",
                hint="keep nothing between episodes; what is learned belongs into meta_parameters()",
            )
    return losses


def weights_of(gp: Translator, strategy: MetaStrategy) -> dict[str, Tensor]:
    """Return copies of all that training makes: parameters and buffers of the model, and meta-parameters."""
    learned: dict[str, nn.Parameter] = {f"meta-parameter {k}": v for k, v in strategy.meta_parameters().items()}
    named_tensors = {**dict(gp.named_parameters()), **dict(gp.named_buffers()), **learned}
    return {name: tensor.detach().clone() for name, tensor in named_tensors.items()}


def _refuse_changed(before: Mapping[str, Tensor], gp: Translator, strategy: MetaStrategy) -> None:
    """Refuse a model or meta-parameters that are not what they were.

    Raises:
        UserError: naming the strategy and what has changed.
    """
    after = weights_of(gp, strategy)
    off = [name for name in before if name not in after or not same_values(before[name], after[name])]
    if off:
        raise UserError(
            f"meta_gradient has changed the general model ({', '.join(off[:3])}): {_named(strategy)} or the translator "
            f"{type(gp).__name__} of {label_of(type(gp))} does it",
            hint="it must work on a copy (metai2i.meta.instance_of) and add to .grad alone; the host takes the step",
        )


def _kept_by(gp: Translator, strategy: MetaStrategy) -> dict[str, str]:
    """Return digests of what both keep besides parameters and buffers."""
    values: dict[str, str] = {}
    for part in (gp, strategy):
        values |= {f"{type(part).__name__}.{name}": value for name, value in plain_state(part).items()}
        values |= shared_state(part)
    return values


def _named(strategy: MetaStrategy) -> str:
    """Return what messages call a strategy."""
    strategy_class = type(strategy)
    return f"the strategy {strategy_class.__name__} of {label_of(strategy_class)}"
