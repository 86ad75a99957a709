"""`AsNew`: episodes in which the domain of their scene is one that training has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.errors import UserError
from metai2i.field import EXEMPLAR, NEW_DOMAIN
from metai2i.tasks import Episode, TaskSpec

_DOMAIN = "domain"
_OF_EXEMPLAR = f"{EXEMPLAR}_{_DOMAIN}"


@dataclass(frozen=True)
class AsNew:
    """Gives the domain of an episode's scene the number of a new one.

    A translator has parameters for each domain that trains, and spare ones for all others. Episodes of known domains
    leave the spare ones alone, so that meta-training would prepare what no unseen domain uses.

    Args:
        domains: how many domains train; those of higher numbers are new already.
        number: of a new domain.
    """

    domains: int
    number: int

    @classmethod
    def of(cls, spec: TaskSpec) -> AsNew:
        """Return that for data.

        Raises:
            UserError: when its samples have no domain, or its domains have no number for a new one.
        """
        known = spec.known_field(_DOMAIN) if spec.domains and {_DOMAIN, _OF_EXEMPLAR} & spec.fields else None
        if known is None or NEW_DOMAIN not in known.names:
            raise UserError(
                "episodes.as_new: the data has no domains to which a new one could be added",
                hint="it is for data such as `domains`, `sketches` and `emoji`; leave as_new out",
            )
        return cls(spec.domains, known.names.index(NEW_DOMAIN))

    def __call__(self, episode: Episode) -> Episode:
        """Return the episode with the new number wherever support and query have that of the scene's domain: what is
        translated into, where samples have exemplars, else what they are of.

        Raises:
            UserError: when the support is of several domains.
        """
        domain = self.known_domain(episode)
        if domain is None:
            return episode
        parts = episode.support, episode.query
        support, query = (part.replace(**self._renumbered(part, domain)) for part in parts)
        return replace(episode, support=support, query=query)

    def known_domain(self, episode: Episode) -> int | None:
        """Return the domain of an episode's scene; None where it is not one of those that train.

        Raises:
            UserError: when the support is of several domains.
        """
        shown = episode.support[_OF_EXEMPLAR if _OF_EXEMPLAR in episode.support else _DOMAIN]
        domains = sorted(set(shown.tolist()))
        if len(domains) > 1:
            what = f"episodes.as_new: the scene {episode.task!r} is of {len(domains)} domains, expected one"
            raise UserError(what, hint="scenes of one domain each, or leave as_new out")
        domain: int = domains[0]
        return domain if domain < self.domains else None

    def _renumbered(self, batch: Batch, domain: int) -> Mapping[str, Tensor]:
        """Return the labels in which a domain has the new number."""
        labels = {name: batch[name] for name in (_DOMAIN, _OF_EXEMPLAR) if name in batch}
        return {name: torch.where(label == domain, self.number, label) for name, label in labels.items()}
