"""`Domains`: images of several domains without pairs; to translate into a domain is a task."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from metai2i import (
    SPLITS,
    Count,
    Field,
    Share,
    Side,
    Split,
    Task,
    UserError,
    Whole,
    counted,
)
from metai2i.data import (
    DomainSource,
    KeptPhotographs,
    MemoryCache,
    Pool,
    ReadMap,
    UnpairedScene,
    as_one_error,
    by_stem,
    evenly_chosen,
    failing,
    header,
    read_photograph,
    refuse_in_two_domains,
    refuse_shared,
    refuse_twice,
    split_parts,
    tell_left_out,
)
from metai2i_domains.landmarks import LANDMARKS, PARTS, landmark_map, read_landmarks
from metai2i_domains.layouts import Part, Tree, find_tree, images_in, refuse_one_name

log = logging.getLogger("metai2i")

READING = "1"
"""Changes when the same files would give other images or samples."""

Photographs = Mapping[Part, tuple[Path, ...]]


class Domains(DomainSource):
    """Folders of images, one for each domain, without pairs: to translate into a domain is a task.

    Samples have `source` and its `domain`, a `reference` of the domain that is translated into, a second one
    (`reference2`), and their `reference_domain`. In plain training source and references are drawn independently at
    each step. A query of a scene that tests has its exemplars of the support, so set metrics compare outputs with
    photographs of the domain that no model was shown.

    The layouts, recognised by what lies in `root` or in the single folder in it that has one:

    - train/DOMAIN/*.jpg and test/DOMAIN/*.jpg (AFHQ v2, any ImageFolder, GP-UNIT's Train/N_NAME/), or with val/, which
      tests where there is no test/ (AFHQ, CelebA-HQ as StarGAN v2 has it) and validates where there is;
    - trainA/, trainB/, testA/, testB/: the domains A and B;
    - DOMAIN/*.jpg: the content of an image alone decides whether it tests, so that it stays when others come or go.

    Domains are numbered in the order of their names, or of the numbers that all names begin with. Images are resized to
    cover `size` with their aspect kept, and the middle is cut out.

    Args:
        root: the folder to look in; `~` is the home folder, a relative path starts at the current directory.
        each: what a task is: a domain that is translated into from all others, or an ordered pair of domains.
        domains: the domains that train; all but `val` and `unseen` when empty.
        val: domains that validate: they neither train nor test.
        unseen: domains that training never sees: they test.
        unseen_root: another folder whose domains are all unseen.
        folders: domains that are made of several folders, by name; see GP-UNIT's lists of folders for each side. The
            names are of folders in train/ and test/, or of any folders.
        sources: translate from these domains only; from all that train when empty.
        references: translate into these domains only; into all when empty.
        test: which domains test: those that training has seen or those that it has not; the latter when null, if there
            are any.
        itself: whether inputs of plain training may be of the very domain that is translated into, as StarGAN v2 draws
            them.
        size: height and width of the images.
        images: take at most so many images of each domain and part, evenly spaced.
        test_share: the share of images that test, where folders have no parts.
        val_share: the share of the images of each domain that train which validate, and do not train, where nothing
            else validates; a row is tuned on these.
        on_bad_file: what to do about images that are missing, damaged or in two places: "error" stops, at once for
            what names and headers tell, else when the image is read; "skip" reads every file at the start, leaves bad
            ones out and lists them in the log.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when there are fewer than two domains to train on, a domain has fewer than two images in a split,
            two domains have one name, an image is in two splits or two domains, or files are bad.
    """

    provides = frozenset({"source", "domain", "reference", "reference2", "reference_domain"})
    test_options = frozenset({"unseen", "unseen_root", "test"})
    called = "domains"
    fields: ClassVar[Mapping[str, Field]] = {"reference2": Field("photo")}

    def __init__(
        self,
        *,
        root: Path,
        each: Literal["domain", "pair"] = "domain",
        domains: tuple[str, ...] = (),
        val: tuple[str, ...] = (),
        unseen: tuple[str, ...] = (),
        unseen_root: Path | None = None,
        folders: dict[str, tuple[str, ...]] | None = None,
        sources: tuple[str, ...] = (),
        references: tuple[str, ...] = (),
        test: Literal["seen", "unseen"] | None = None,
        itself: bool = False,
        size: tuple[Side, Side] = (256, 256),
        images: Count | None = None,
        test_share: Share = 0.2,
        val_share: Share = 0.0,
        on_bad_file: Literal["error", "skip"] = "error",
        cache_mb: Whole = 1024,
    ) -> None:
        self.size, self.each, self.itself = (size[0], size[1]), each, itself
        self.reading, self.val_share = (READING, self.size), val_share
        self._read = KeptPhotographs("domains", self.size, MemoryCache(cache_mb * 2**20), READING)
        tree = find_tree(root, folders or {}, self.images_of)
        far = find_tree(unseen_root, {}, self.images_of) if unseen_root is not None else None
        roles = _roles(tree, far, domains, val, unseen)
        for option, names in (("sources", sources), ("references", references)):
            _check_chosen(option, names, roles, tree)
        refuse_one_name([*tree.domains, *(far.domains if far else ())], tree.root)
        self._roots = [tree.root, *([far.root] if far else [])]
        every = {**tree.domains, **(far.domains if far else {})}  # where both have a name, the root's takes no part
        self.names = tuple(name for names in roles.values() for name in names)
        taken: Mapping[str, Photographs] = {
            name: {part: tuple(evenly_chosen(files, images)) for part, files in every[name].items()}
            for name in self.names
        }
        taken = self._without_bad(taken, skip=on_bad_file == "skip")
        files = {name: _by_split(name, taken[name], roles, test_share, val_share) for name in self.names}
        files = self._once_each(files, skip=on_bad_file == "skip")
        self._pools = {
            name: {split: Pool(self.names.index(name), paths) for split, paths in by_split.items()}
            for name, by_split in files.items()
        }
        self.trains = roles["train"]
        late = roles["test"] if test == "unseen" or (test is None and roles["test"]) else roles["train"]
        if not late:
            raise UserError(
                "tasks.test is 'unseen', but no domain is", hint="tasks.unseen or tasks.unseen_root names some"
            )
        judged: dict[Split, tuple[str, ...]] = {
            "train": roles["train"],
            "val": roles["val"] or roles["train"],
            "test": late,
        }
        if not roles["val"] and not all("val" in self._pools[name] for name in roles["train"]):
            judged["val"] = ()
        self.scenes = {
            split: self._scenes(
                split, [name for name in judged[split] if not references or name in references], sources
            )
            for split in SPLITS
        }
        for split in ("train", "test"):
            if not self.scenes[split]:
                what = f"there is nothing to translate into in the split {split}"
                raise UserError(what, where=tree.root, hint="tasks.references leaves none of its domains")

    def images_of(self, folder: Path) -> Sequence[Path]:
        """Return the images in a folder."""
        return images_in(folder)

    def maps_of_inputs(self) -> Mapping[str, ReadMap]:
        """Return what gives the further fields of inputs; none."""
        return {}

    def files_beside(self, inputs: Sequence[Pool]) -> Sequence[Path]:
        """Return the files that these are read from; none."""
        return ()

    def _scenes(self, split: Split, targets: Sequence[str], sources: Sequence[str]) -> list[Task]:
        """Return the scenes of a split."""
        scenes: list[Task] = []
        for name in targets:
            target = self._pool(name, split)
            others = [other for other in self.trains if other != name and (not sources or other in sources)]
            inputs = {other: self._inputs(other, split) for other in others}
            if not inputs:
                what = f"there is no domain to translate into {name!r} from"
                raise UserError(what, where=self._roots[0], hint="tasks.sources and tasks.domains leave none")
            drawn = [*inputs.values(), *([target] if self.itself and split == "train" and name in self.trains else [])]
            groups = [("", list(inputs.values()), drawn)]
            if self.each == "pair":
                groups = [(f"{other}-to-", [pool], [pool]) for other, pool in inputs.items()]
            scenes += [
                UnpairedScene(
                    f"{split}/{prefix}{name}",
                    target,
                    pools,
                    self._read,
                    reading=f"domains {READING} {self.size}",
                    of_support=split != "train",
                    drawn=chances,
                    maps=self.maps_of_inputs(),
                    beside=self.files_beside([*pools, *chances]),
                )
                for prefix, pools, chances in groups
            ]
        return scenes

    def _inputs(self, name: str, split: Split) -> Pool:
        """Return the images of a domain that trains as inputs; those that train where none validate."""
        pools = self._pools[name]
        return pools.get("val", pools["train"]) if split == "val" else self._pool(name, split, least=1)

    def _pool(self, name: str, split: Split, least: int = 2) -> Pool:
        """Return the images of a domain in a split.

        Raises:
            UserError: for too few of them.
        """
        pool = self._pools[name].get(split)
        count = len(pool.files) if pool else 0
        if pool is None or count < least:
            few = counted(count, "image")
            shared = f"tasks.val_share is {self.val_share:g}; " if self.val_share and split != "test" else ""
            raise UserError(
                f"the domain {name!r} has {few} in the split {split}, expected {least} or more",
                where=pool.files[0].parent if pool and pool.files else self._roots[0],
                hint=f"{shared}add some, or leave the domain out by tasks.domains",
            )
        return pool

    def _without_bad(self, taken: Mapping[str, Photographs], *, skip: bool) -> dict[str, Photographs]:
        """Return the images of domains that can be read; others are an error or told."""
        every = [path for parts in taken.values() for files in parts.values() for path in files]
        bad = failing(every, self._whole if skip else header)
        if bad and not skip:
            raise as_one_error(list(bad.values()))
        tell_left_out("domains", list(bad.values()), len(every), "images")
        return {
            name: {part: tuple(path for path in files if path not in bad) for part, files in parts.items()}
            for name, parts in taken.items()
        }

    def _whole(self, path: Path) -> None:
        read_photograph(path)

    def _once_each(
        self, files: Mapping[str, Mapping[Split, tuple[Path, ...]]], *, skip: bool
    ) -> dict[str, dict[Split, tuple[Path, ...]]]:
        """Return the images of domains that are in no other split and in no other domain."""
        splits: dict[Split, list[tuple[str, Path]]] = {split: [] for split in SPLITS}
        for name, by_split in files.items():
            for split, paths in by_split.items():
                splits[split] += [(name, path) for path in paths]
        away = refuse_in_two_domains(
            "domains",
            {name: [path for paths in by_split.values() for path in paths] for name, by_split in files.items()},
            skip=skip,
        )
        kept = {
            split: [(name, path) for name, path in photographs if path not in away]
            for split, photographs in splits.items()
        }
        away |= refuse_shared("domains", kept, skip=skip)
        return {
            name: {split: tuple(path for path in paths if path not in away) for split, paths in by_split.items()}
            for name, by_split in files.items()
        }


class DomainsLandmarks(Domains):
    """Folders of faces whose landmarks are known, one for each domain, as `metai2i data faces` writes one for each
    person: NAME.jpg, and landmarks.npz with the 68 points of each.

    Options, layouts and fields are those of `domains`; an input also has `landmarks`, a map of three channels: spots on
    outline, brows and mouth, on the eyes, and on the nose.
    """

    provides = Domains.provides | {"landmarks"}
    fields: ClassVar[Mapping[str, Field]] = {**Domains.fields, "landmarks": Field("map", len(PARTS), PARTS)}

    def images_of(self, folder: Path) -> Sequence[Path]:
        """Return the photographs that the landmarks in a folder are of; other images, such as region maps, are none."""
        photos = by_stem(folder, (".jpg", ".jpeg"))
        names = read_landmarks(folder)
        lacking = [path for stem, paths in photos.items() if stem not in names for path in paths]
        if lacking:
            raise UserError("this photograph has no landmarks", where=lacking[0], hint=f"{folder / LANDMARKS} has none")
        return [photos[stem][0] for stem in sorted(photos)]

    def maps_of_inputs(self) -> Mapping[str, ReadMap]:
        """Return what gives the landmarks of an input."""
        points = cache(read_landmarks)

        def read(path: Path) -> np.ndarray:
            width, height = header(path).size
            return landmark_map(points(path.parent)[path.stem], (height, width), self.size)

        return {"landmarks": read}

    def files_beside(self, inputs: Sequence[Pool]) -> Sequence[Path]:
        """Return the files of the landmarks of inputs."""
        return [folder / LANDMARKS for folder in sorted({path.parent for pool in inputs for path in pool.files})]


def _roles(
    tree: Tree, far: Tree | None, domains: Sequence[str], val: Sequence[str], unseen: Sequence[str]
) -> dict[Split, tuple[str, ...]]:
    """Return the names of the domains that train, validate and test as unseen ones, each in their order.

    Raises:
        UserError: for a name that no domain has or that has two roles, and for fewer than two that train.
    """
    listed = {"domains": domains, "val": val, "unseen": unseen}
    for option, names in listed.items():
        tree.check_names(option, names)
        refuse_twice(f"tasks.{option}", names)
    for first, second in (("domains", "val"), ("domains", "unseen"), ("val", "unseen")):
        both = [name for name in listed[first] if name in listed[second]]
        if both:
            raise UserError(f"{both[0]!r} is in tasks.{first} and in tasks.{second}", hint="a domain has one role")
    trains = [name for name in tree.domains if (name in domains if domains else name not in (*val, *unseen))]
    if far is not None:
        again = [name for name in far.domains if name in trains or name in val or name in unseen]
        if again:
            what = f"the domain {again[0]!r} is in tasks.root and in tasks.unseen_root"
            raise UserError(
                what, where=far.root, hint="unseen domains must not train: rename one of the two if it is another"
            )
    if len(trains) < 2:
        some = f"only {trains[0]!r}" if trains else "none"
        raise UserError(
            f"{some} of the domains {', '.join(tree.domains)} trains, expected two or more", where=tree.root
        )
    ordered = {name: n for n, name in enumerate(tree.domains)}
    return {
        "train": tuple(trains),
        "val": tuple(sorted(val, key=ordered.__getitem__)),
        "test": (*sorted(unseen, key=ordered.__getitem__), *(far.domains if far is not None else ())),
    }


def _check_chosen(option: str, names: Sequence[str], roles: Mapping[Split, Sequence[str]], tree: Tree) -> None:
    """Refuse sources and references that cannot be.

    Raises:
        UserError: for a name that no domain has, and for inputs of a domain that does not train.
    """
    tree_names = {name for each in roles.values() for name in each}
    strange = [name for name in names if name not in tree_names]
    if strange:
        tree.check_names(option, strange)
        raise UserError(f"tasks.{option}: the domain {strange[0]!r} is left out by tasks.domains", where=tree.root)
    late = [name for name in names if name not in roles["train"]]
    if option == "sources" and late:
        raise UserError(f"tasks.sources: the domain {late[0]!r} does not train", hint="inputs are of domains that do")


def _by_split(
    name: str, parts: Photographs, roles: Mapping[Split, Sequence[str]], test_share: float, val_share: float
) -> dict[Split, tuple[Path, ...]]:
    """Return the images of a domain by what they are for.

    Raises:
        UserError: for a domain that trains without images to train on.
    """
    if name not in roles["train"]:
        split: Split = "val" if name in roles["val"] else "test"
        return {split: tuple(path for files in parts.values() for path in files)}
    if not {"train", "whole"} & set(parts):
        there = next(iter(parts.values()))[0].parent
        raise UserError(
            f"the domain {name!r} has images to test on, and none to train on",
            where=there,
            hint="give it a folder in train/, or list it under tasks.unseen",
        )
    # Domains that validate leave those that train whole.
    return split_parts(parts, test_share, lambda path: path, val_share=0.0 if roles["val"] else val_share)
