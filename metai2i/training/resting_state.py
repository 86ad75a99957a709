"""What a training step may change besides its players: buffers, and parameters that no player moves (EMA copies)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from metai2i.distributed.processes import Processes
from metai2i.guards.same_values import same_values
from metai2i.translator import Translator

TensorPlace = tuple[dict[str, Tensor | None], str, str]
"""Where a module keeps a tensor, under which name, and what it is called in the whole."""


class RestingState:
    """The tensors of a translator that no player moves: its own, or those that stand in their places for a while.

    Copies hold other tensors for the same places, so that graphs of one never see what another writes.

    Args:
        slots: the places of each tensor; a shared one stands in several.
        tensors: one for each slot; None where nothing stands.
    """

    def __init__(self, slots: Sequence[Sequence[TensorPlace]], tensors: Sequence[Tensor | None]) -> None:
        self.slots, self.tensors = slots, list(tensors)

    @classmethod
    def of(cls, translator: Translator) -> RestingState:
        """Return a translator's own."""
        moving = {id(parameter) for moved in translator.players().values() for parameter in moved}
        slots: dict[object, list[TensorPlace]] = {}
        tensors: dict[object, Tensor | None] = {}
        for path, module in translator.named_modules():
            for kept in (module._parameters, module._buffers):
                for name, tensor in kept.items():
                    if (tensor is None and kept is module._parameters) or id(tensor) in moving:
                        continue
                    full = f"{path}.{name}" if path else name
                    key = full if tensor is None else id(tensor)
                    slots.setdefault(key, []).append((kept, name, full))
                    tensors[key] = tensor
        return cls(list(slots.values()), list(tensors.values()))

    def copy(self) -> RestingState:
        """Return one with tensors of its own, of the same values."""
        return RestingState(self.slots, [None if tensor is None else clone_of(tensor) for tensor in self.tensors])

    def put_back(self) -> None:
        """Let the tensors stand in their places."""
        for places, tensor in zip(self.slots, self.tensors, strict=True):
            for kept, name, _ in places:
                kept[name] = tensor

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the tensors stand in their places within it; what stands there at the end is then this state's."""
        self.put_back()
        yield
        self.tensors = [kept[name] for ((kept, name, _), *_) in self.slots]

    @torch.no_grad()
    def take_mean(self, states: Mapping[int, tuple[int, RestingState]], size: int, processes: Processes) -> str | None:
        """Take the mean of other states, here and in other processes, where they differ from this one.

        The sum is taken in float64, where it does not depend on the order.

        Args:
            states: copies by their numbers, each with its weight.
            size: the sum of all weights.
            processes: who have states.

        Returns:
            the name of a tensor in which states differ that have no mean; None when there is none.
        """
        changed = {
            slot
            for _, state in states.values()
            for slot, (before, after) in enumerate(zip(self.tensors, state.tensors, strict=True))
            if not same_values(before, after)
        }
        slots = sorted(set().union(*processes.gather(changed)))
        without_mean = {
            n: {slot: on_cpu(state.tensors[slot]) for slot in slots if not self._has_mean(slot, state.tensors[slot])}
            for n, (_, state) in states.items()
        }
        everybodys = [each for answer in processes.gather(without_mean) for each in answer.values()]
        odd = sorted(set().union(*everybodys)) if slots else []
        for slot in odd:
            if not all(slot in each and same_values(each[slot], everybodys[0][slot]) for each in everybodys):
                return self.slots[slot][0][2]
            self._take(slot, everybodys[0][slot])
        self._take_means([slot for slot in slots if slot not in set(odd)], states.values(), size, processes)
        return None

    def _has_mean(self, slot: int, tensor: Tensor | None) -> bool:
        before = self.tensors[slot]
        if before is None or tensor is None or before.shape != tensor.shape:
            return False
        return before.is_floating_point() and tensor.is_floating_point()

    def _take(self, slot: int, value: Tensor | None) -> None:
        """Take a value that all states have."""
        before = self.tensors[slot]
        if before is not None and value is not None and before.shape == value.shape and before.dtype == value.dtype:
            before.copy_(value)
            return
        home = next((tensor.device for tensor in self.tensors if tensor is not None), torch.device("cpu"))
        self.tensors[slot] = None if value is None else value.to(home if before is None else before.device)
        self.put_back()

    def _there(self, slots: Sequence[int]) -> list[Tensor]:
        return [tensor for slot in slots if (tensor := self.tensors[slot]) is not None]

    def _take_means(
        self, slots: Sequence[int], states: Iterable[tuple[int, RestingState]], size: int, processes: Processes
    ) -> None:
        wanted = self._there(slots)
        if not wanted:
            return
        flat = torch.zeros(sum(tensor.numel() for tensor in wanted), dtype=torch.float64, device=wanted[0].device)
        sums = torch.split(flat, [tensor.numel() for tensor in wanted])
        for weight, state in states:
            for added, tensor in zip(sums, state._there(slots), strict=True):
                added.add_(tensor.detach().flatten(), alpha=weight)
        processes.add(flat)
        for tensor, added in zip(wanted, sums, strict=True):
            tensor.copy_((added / size).view_as(tensor))


def clone_of(tensor: Tensor) -> Tensor:
    """Return a copy without a graph; of a parameter a parameter."""
    clone = tensor.detach().clone()
    return nn.Parameter(clone, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else clone


def on_cpu(tensor: Tensor | None) -> Tensor | None:
    """Return the values of a tensor on the CPU, without a graph."""
    return None if tensor is None else tensor.detach().cpu()
