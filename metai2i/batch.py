"""`Batch`: B aligned samples as named tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from metai2i.errors import UserError


class Batch(Mapping[str, Tensor]):
    """B aligned samples as named tensors, immutable as a mapping.

    Standard names:

    =============== ===================  =========================================================
    `structure`     (B, C, H, W) float   one-hot label map, or continuous in [0, 1]
    `target`        (B, 3, H, W) float   the photograph, in [-1, 1]
    `reference`     (B, 3, H, W) float   the photograph of the sample chosen as exemplar, in [-1, 1]
    `reference2`    (B, 3, H, W) float   another photograph of the domain of `reference`, in [-1, 1]
    `instances`     (B, H, W) int64      instance ids
    `source`        (B, 3, H, W) float   the input of unpaired translation, in [-1, 1]
    `domain`        (B,) int64           the domain of `target` or `source`
    `self_exemplar` (B,) int64           1 where the exemplar is of the sample itself, in a crop of its own
    `fake`          (B, 3, H, W) float   what the general model makes of the sample, for retrievers, in [-1, 1]
    =============== ===================  =========================================================

    Raises:
        ValueError: when the fields do not agree on B.

    >>> batch = Batch(structure=torch.zeros(2, 7, 8, 8), target=torch.zeros(2, 3, 8, 8))
    >>> batch.size, sorted(batch)
    (2, ['structure', 'target'])
    """

    def __init__(self, **fields: Tensor) -> None:
        sizes = {name: len(tensor) for name, tensor in fields.items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"fields of a batch must hold the same number of samples, got {sizes}")
        self._fields = fields

    @property
    def size(self) -> int:
        """Return B, the number of samples (0 for a batch without fields)."""
        return len(next(iter(self._fields.values()))) if self._fields else 0

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self._fields[name]
        except KeyError:
            there = ", ".join(sorted(self._fields))
            raise KeyError(f"this batch has no {name!r}; it has {there} (`needs` says what is handed over)") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Batch({', '.join(f'{name}={tuple(t.shape)}' for name, t in self._fields.items())})"

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with every field changed."""
        return Batch(**{name: change(tensor) for name, tensor in self._fields.items()})

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def select(self, indices: Sequence[int] | Tensor) -> Batch:
        """Return the samples at `indices`, in that order; an index may come twice."""
        index = torch.as_tensor(indices, dtype=torch.long)
        return self.map(lambda tensor: tensor[index.to(tensor.device)])

    def replace(self, **fields: Tensor) -> Batch:
        """Return the batch with some fields put in or put in the place of others."""
        return Batch(**{**self._fields, **fields})

    @staticmethod
    def cat(batches: Sequence[Batch]) -> Batch:
        """Return the samples of all batches, one after the other; only the fields that all have."""
        names = [name for name in batches[0] if all(name in batch for batch in batches)]
        return Batch(**{name: torch.cat([batch[name] for batch in batches]) for name in names})


def refuse_new_domains(domain: Tensor, domains: int, who: str) -> None:
    """Refuse samples of domains that training has not seen, for a translator that has nothing for them.

    Args:
        domain: (B,) int64.
        domains: how many train, numbered from 0.
        who: the translator, for the message.

    Raises:
        UserError: with the number of one.
    """
    if bool((domain >= domains).any()):
        what = f"{who}: domain {int(domain.max())} is none of the {domains} that train"
        raise UserError(f"{what}, and without spare parameters there are none for it", hint="translator: {spare: true}")
