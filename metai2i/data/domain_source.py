"""`DomainSource`: what task sources whose samples are of domains have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from metai2i.data.digests import content_digests
from metai2i.errors import UserError
from metai2i.field import NEW_DOMAIN, Field
from metai2i.tasks import SPLITS, Split, Task, TaskSource, TaskSpec

T = TypeVar("T")
DataPart = Literal["train", "val", "test", "whole"]
"""What a folder of data is for; `whole` is of no part."""


class DomainSource(TaskSource):
    """A task source whose samples have a `domain`: a kind of animal, a hand that draws, a class of objects.

    Domains that train are numbered first, then those that are here and do not train; the last number is for a domain
    that is not here. A subclass says what its samples have by `provides`, `called` and `fields`, and its constructor
    sets `size`, `trains`, `names`, `scenes` and `reading`.
    """

    called: ClassVar[str]
    """How its fingerprints begin."""
    fields: ClassVar[Mapping[str, Field]] = {}
    """What its fields are, besides `domain`, where their names do not say so."""

    size: tuple[int, int]
    """Height and width of the images."""
    trains: tuple[str, ...]
    """The names of the domains that train."""
    names: tuple[str, ...]
    """The names of all domains, those that train first."""
    scenes: Mapping[Split, Sequence[Task]]
    """Of each split; each scene has a fingerprint."""
    reading: tuple[object, ...]
    """What decides, beside the scenes, how samples turn out: a version, the size."""

    def spec(self) -> TaskSpec:
        """Return how many domains train, the names of all, and what the fields are."""
        names = (*self.names, NEW_DOMAIN)
        also = {**self.fields, "domain": Field("label", len(names), names)}
        channels = also["structure"].channels if "structure" in also else 0
        return TaskSpec(channels, self.size, self.provides, domains=len(self.trains), also=also)

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the scenes of a split."""
        return self.scenes[split]

    def fingerprint(self, split: Split) -> str:
        """Return a hash over the domains that train, the scenes, and names and content of the files; times do not
        count.
        """
        about = [(scene.id, scene.fingerprint()) for scene in self.scenes[split]]
        how = (*self.reading, self.trains, about)
        return f"{self.called}-{hashlib.sha256(repr(how).encode()).hexdigest()}"


def refuse_twice(option: str, names: Iterable[str]) -> None:
    """Refuse a list of domains that has one of them twice.

    Args:
        option: that has the list, as it is written: `tasks.val`.
        names: that it lists.

    Raises:
        UserError: naming the first.
    """
    listed: set[str] = set()
    for name in names:
        if name in listed:
            raise UserError(f"{option} lists {name!r} twice")
        listed.add(name)


def split_parts(
    parts: Mapping[DataPart, Sequence[T]], test_share: float, file_of: Callable[[T], Path], *, val_share: float = 0.0
) -> dict[Split, tuple[T, ...]]:
    """Return the images of a domain that trains by what they are for.

    A folder of no part (`whole`) is split by content, so that an image stays on its side when others come or go. Where
    there is no `test`, `val` tests. Where nothing validates, a share of what trains does, by its content as well.

    Args:
        parts: the images of `train`, `val` and `test`, or of `whole`.
        test_share: the share of images of `whole` that test.
        file_of: gives the file of an image, whose content decides.
        val_share: the share of images of `train`, or of what `whole` leaves to train, that validate.
    """
    split: dict[Split, tuple[T, ...]]
    if "whole" in parts:
        test, train = _share(parts["whole"], test_share, file_of, 0)
        split = {"train": train, "test": test}
    elif "test" not in parts:
        split = {"train": tuple(parts.get("train", ())), "test": tuple(parts.get("val", ()))}
    else:
        split = {name: tuple(parts[name]) for name in SPLITS if name in parts}
    if val_share and "val" not in split:
        split["val"], split["train"] = _share(split["train"], val_share, file_of, 1)
    return split


def _share(
    images: Sequence[T], share: float, file_of: Callable[[T], Path], which: int
) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """Return about a share of some images, and the others, as the `which`-th part of their digests says."""
    digests = content_digests([file_of(image) for image in images])
    chosen = [int(digest[12 * which : 12 * which + 12], 16) / 16**12 < share for digest in digests]
    return (
        tuple(image for image, taken in zip(images, chosen, strict=True) if taken),
        tuple(image for image, taken in zip(images, chosen, strict=True) if not taken),
    )
