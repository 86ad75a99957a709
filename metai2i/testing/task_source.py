"""The contracts of a `TaskSource`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.data.digests import reading_anew
from metai2i.tasks import SPLITS, Task, TaskSource, TaskSpec
from metai2i.testing.bench import QUERIES, SHOTS, Bench, address
from metai2i.testing.contract import Contract, NotApplicable, promise, require
from metai2i.testing.probes import SLACK, disturb, global_generators_alone

CONTRACTS: list[Contract] = []
READ = "docs/write-a-translator.md#task-sources"
_SCENES = 2
"""Of so many scenes of each split samples are read."""


def some_scenes(bench: Bench) -> Iterator[Task]:
    """Yield the first scenes of each split."""
    source: TaskSource = bench.make()
    for split in SPLITS:
        yield from source.tasks(split)[:_SCENES]


@promise(CONTRACTS, READ, gate=True)
def it_is_made_and_has_scenes_to_train_on(bench: Bench) -> None:
    """It is constructed, and its training split has scenes, each with an id and at least one sample."""
    source: TaskSource = bench.make()
    require(len(source.tasks("train")) > 0, "scenes to train on", "none")
    for task in source.tasks("train")[:_SCENES]:
        require(isinstance(task.id, str) and bool(task.id), "the id of a scene as a string", repr(task.id))
        require(len(task) > 0, f"samples in the scene {task.id!r}", "none")


@promise(CONTRACTS, READ)
def its_spec_fits_together(bench: Bench) -> None:
    """`spec()` has a size, as many names and colours as structure channels (or none), and names the fields that
    `provides` has."""
    source: TaskSource = bench.make()
    spec: TaskSpec = source.spec()
    sized = len(spec.size) == 2 and all(isinstance(side, int) and side > 0 for side in spec.size)
    require(sized, "a size of (H, W) in pixels", repr(spec.size))
    for what, named in (("names of classes", spec.classes), ("colours", spec.palette)):
        fits = len(named) in (0, spec.structure_channels)
        require(fits, f"{spec.structure_channels} {what}, as there are structure channels", str(len(named)))
    in_bytes = all(len(colour) == 3 and all(0 <= value <= 255 for value in colour) for colour in spec.palette)
    require(in_bytes, "colours as (R, G, B) in 0..255", repr(spec.palette))
    same = spec.fields == source.provides
    require(same, f"the fields of provides ({', '.join(sorted(source.provides))})", ", ".join(sorted(spec.fields)))


@promise(CONTRACTS, READ)
def no_scene_is_in_two_splits(bench: Bench) -> None:
    """All ids of all splits are different, and every call gives the same scenes in the same order."""
    source: TaskSource = bench.make()
    home: dict[str, str] = {}
    for split in SPLITS:
        ids = [task.id for task in source.tasks(split)]
        for name in ids:
            require(name not in home, "each scene once, in one split", f"{name!r} in {home.get(name)} and {split}")
            home[name] = split
        again = [task.id for task in source.tasks(split)]
        require(ids == again, f"the same scenes of {split} at every call", "others, or another order")


@promise(CONTRACTS, READ)
def its_batches_have_what_it_provides(bench: Bench) -> None:
    """`load` gives every field of `provides` with the shape, the type and the range that docs/interfaces.md and
    `Batch` say, as many samples as asked for, on the CPU."""
    spec = bench.make().spec()
    provides = bench.make().provides
    for task in some_scenes(bench):
        batch = task.load([0, len(task) - 1])
        require(isinstance(batch, Batch), "a Batch from load", type(batch).__name__)
        require(batch.size == 2, f"2 samples of {task.id!r}", str(batch.size))
        missing = sorted(provides - set(batch))
        require(not missing, f"the fields of provides ({', '.join(sorted(provides))})", f"no {', '.join(missing)}")
        for name, field in batch.items():
            require(field.device.type == "cpu", f"{name} on the CPU", str(field.device))
            check_field(name, field, spec)


def check_field(name: str, field: Tensor, spec: TaskSpec) -> None:
    """Require what a field of its kind is; of names of which neither the spec nor `Batch` says anything, nothing.

    Raises:
        ContractError: where it is otherwise.
    """
    shape, known = tuple(field.shape[1:]), spec.known_field(name)
    if known is None:
        return
    wanted = known.shape(spec.size)
    sides = f"(B{''.join(f', {side}' for side in wanted or shape)})"
    if known.is_whole:
        fits = shape == wanted and field.dtype == torch.int64
        require(fits, f"{name} of the shape {sides}, int64", f"{shape}, {field.dtype}")
        return
    require(wanted is None or shape == wanted, f"{name} of the shape {sides}", str(shape))
    check_floats(name, field, known.lowest)
    if known.kind == "onehot" and known.channels > 1 and bool(((field == 0) | (field == 1)).all()):
        sums = field.sum(1)
        require(bool((sums == 1).all()), "one class at each pixel of a map of 0 and 1", f"{sums.max():.0f} at one")


def check_floats(name: str, field: Tensor, low: float | None) -> None:
    """Require finite floats in [low, 1], or any that are finite where there is no lowest.

    Raises:
        ContractError: where they are not.
    """
    require(field.is_floating_point(), f"{name} as floats", str(field.dtype))
    require(bool(torch.isfinite(field).all()), f"finite {name}", "NaN or infinite values")
    if low is None:
        return
    least, most = float(field.min()), float(field.max())
    inside = least >= low - SLACK and most <= 1 + SLACK
    require(inside, f"{name} in [{low:.0f}, 1]", f"values in [{least:.3g}, {most:.3g}]")


@promise(CONTRACTS, READ)
def its_samples_are_the_same_at_every_call(bench: Bench) -> None:
    """`load` gives the same samples at every call and in every instance, in the order asked for, wherever the global
    generators stand."""
    for task, again in zip(some_scenes(bench), some_scenes(bench), strict=True):
        last = len(task) - 1
        disturb(0)
        first = task.load([0, last])
        disturb(1)
        with global_generators_alone("load"):
            second = again.load([last, 0]).select([1, 0])
        for name in first:
            same = torch.equal(first[name], second[name])
            require(same, f"the same {name} of {task.id!r} at every call, in the order asked for", "another")


@promise(CONTRACTS, READ)
def what_it_pairs_by_chance_is_decided_by_its_address(bench: Bench) -> None:
    """Of scenes with a `draw` of their own: the same address gives the same sample, one, with the fields and shapes of
    `load`, wherever the global generators stand."""
    for task in some_scenes(bench):
        if type(task).draw is Task.draw:
            continue
        disturb(0)
        first = task.draw(0, address("draw", task.id))
        disturb(1)
        with global_generators_alone("draw"):
            again = task.draw(0, address("draw", task.id))
        shapes = [{name: tuple(values.shape) for name, values in each.items()} for each in (task.load([0]), first)]
        require(shapes[0] == shapes[1], f"one sample like those of load, {shapes[0]}", str(shapes[1]))
        same = all(torch.equal(first[name], again[name]) for name in first)
        require(same, f"the same draw of {task.id!r} at one address", "another")


@promise(CONTRACTS, READ)
def an_episode_is_decided_by_its_address(bench: Bench) -> None:
    """The same address gives the same support and query, with as many samples as asked for."""
    for task in long_enough(bench):
        first, again = (task.episode(SHOTS, QUERIES, address("draw", task.id)) for _ in range(2))
        sizes = (first.support.size, first.query.size)
        require(sizes == (SHOTS, QUERIES), f"{SHOTS} shots and {QUERIES} queries", f"{sizes[0]} and {sizes[1]}")
        for left, other in ((first.support, again.support), (first.query, again.query)):
            same = all(torch.equal(left[name], other[name]) for name in left)
            require(same, f"the same episode of {task.id!r} at one address", "another")


@promise(CONTRACTS, READ)
def no_query_is_in_its_support(bench: Bench) -> None:
    """In a few episodes of each scene, no query has the pixels of a support sample."""
    for task in long_enough(bench):
        for draw in range(3):
            episode = task.episode(SHOTS, QUERIES, address("draw", task.id, draw))
            shown = {pixels(episode.support, n) for n in range(SHOTS)}
            seen = [n for n in range(QUERIES) if pixels(episode.query, n) in shown]
            require(not seen, f"queries of {task.id!r} that are not in the support", f"query {seen[:1]} in it")


def long_enough(bench: Bench) -> list[Task]:
    """Return scenes that an episode can be drawn from.

    Raises:
        NotApplicable: when there are none (a scene of one pair is its own query, varied).
    """
    long = [task for task in some_scenes(bench) if len(task) >= SHOTS + QUERIES]
    if not long:
        raise NotApplicable(f"no scene looked at has {SHOTS + QUERIES} samples")
    return long


def pixels(batch: Batch, index: int) -> bytes:
    """Return the fields of one sample, as bytes."""
    return b"".join(batch[name][index].contiguous().numpy().tobytes() for name in sorted(batch))


@promise(CONTRACTS, READ)
def its_maps_are_class_ids(bench: Bench) -> None:
    """`maps(limit)` gives at most `limit` maps (N, H, W) of int64 class ids."""
    if "structure" not in bench.make().provides:
        raise NotApplicable("it provides no structure")
    spec = bench.make().spec()
    for task in some_scenes(bench):
        maps: Any = task.maps(limit=2)
        fits = maps.ndim == 3 and 1 <= len(maps) <= 2 and tuple(maps.shape[1:]) == tuple(spec.size)
        wanted = f"at most 2 maps of {spec.size[0]}x{spec.size[1]}"
        require(fits and maps.dtype == torch.int64, f"{wanted}, int64", f"{tuple(maps.shape)}, {maps.dtype}")
        inside = int(maps.min()) >= 0 and int(maps.max()) < spec.structure_channels
        require(inside, f"class ids from 0 to {spec.structure_channels - 1}", f"up to {int(maps.max())}")


@promise(CONTRACTS, READ)
def its_fingerprint_stays(bench: Bench) -> None:
    """Two instances with the same options have the same fingerprints, at every call: trained stages are kept under
    them."""
    first, again = bench.make(), bench.make()
    for split in SPLITS:
        kept = first.fingerprint(split)
        require(isinstance(kept, str) and bool(kept), "a fingerprint as a string", repr(kept))
        require(kept == first.fingerprint(split), "the same fingerprint at every call", "another")
        require(
            kept == again.fingerprint(split), "the same fingerprint of the same data in another instance", "another"
        )


@promise(CONTRACTS, READ)
def its_fingerprint_tells_by_content(bench: Bench) -> None:
    """`fingerprint` reads the files that `load` reads: names, sizes and times may stay when a file changes."""
    with reading_anew():
        for split in SPLITS:
            source, other = bench.make(), bench.make()
            with opened_files() as loaded:
                for task in source.tasks(split)[:_SCENES]:
                    task.load([0, len(task) - 1])
            with reading_anew(), opened_files() as hashed:  # what the constructor has read is forgotten, too
                other.fingerprint(split)
            missed = sorted(loaded - hashed)
            wanted = f"a fingerprint of {split} that reads what is in its files (metai2i.data.digests.content_digests)"
            require(not missed, wanted, f"one that does not read {missed[0] if missed else ''}")


@contextmanager
def opened_files() -> Iterator[set[str]]:
    """Collect the files that Python opens to read within it, without sources and what belongs to Python or to the
    system.
    """
    seen: set[str] = set()
    if not _watching:
        sys.addaudithook(_note_opened)
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching[-1] = set()


_watching: list[set[str]] = []


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | os.PathLike) and not set("wax+") & set(arguments[1] or "r"):
        path = Path(os.path.abspath(os.fspath(arguments[0])))
        outside = not path.is_relative_to(sys.prefix) and not path.is_relative_to(sys.base_prefix)
        if outside and path.suffix not in (".py", ".pyc") and path.parts[1:2] not in (("proc",), ("sys",), ("dev",)):
            _watching[-1].add(str(path))


@promise(CONTRACTS, READ)
def its_test_options_are_its_own(bench: Bench) -> None:
    """`test_options` names options of its constructor: what is misspelt there would train anew for every test set."""
    for name in sorted(bench.component.test_options):  # type: ignore[attr-defined]
        known = sorted(signature(bench.component).parameters)
        require(name in known, f"names of options in test_options ({', '.join(known)})", repr(name))
