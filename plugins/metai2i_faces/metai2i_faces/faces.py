"""`Faces`: photographs of people with region maps, one scene per person."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from metai2i import (
    SPLITS,
    Count,
    Side,
    Split,
    Task,
    TaskSource,
    TaskSpec,
    UserError,
    Whole,
    check_range,
    did_you_mean,
)
from metai2i.data import (
    Member,
    MemoryCache,
    as_one_error,
    evenly_chosen,
    expanded,
    failing,
    files_digest,
    refuse_same,
    refuse_shared,
)
from metai2i_faces.images import READING, Images, check
from metai2i_faces.people import Pair, People, check_names, find_people, no_images, pairs
from metai2i_faces.person import Person
from metai2i_faces.regions import CLASSES, PALETTE

log = logging.getLogger("metai2i")

SHOWN = 8
"""Bad files that are told one by one; the others are counted."""


class Faces(TaskSource):
    """Faces with region maps (background, face, eyebrows, eyes, nose, lips, inner-mouth), one scene per person.

    `root` has a splits.json of lists of folder names, {"train": [...], "test": [...]} and perhaps "val", and a folder
    for every person with NAME.jpg beside NAME.png, whose pixels are region ids 0 to 6 in the order above, or have the
    regions' colours. Without a splits.json, the folders of people lie in train/, val/ and test/. `metai2i data faces`
    makes such a folder from videos.

    Images are resized to cover `size` with their aspect kept (photographs by Lanczos, maps by the nearest pixel), and
    the middle is cut out.

    Args:
        root: the folder of the people; `~` is the home folder, a relative path starts at the current directory.
        size: height and width of the images.
        val: so many training people, evenly spaced, validate and do not train; with 0 those do that splits.json lists
            under "val", if any. Clips of one video (ID--0, ID--1, ... of `metai2i data faces`) are one person: the
            first of them validates, and none trains.
        test: the list of splits.json whose people test.
        test_root: another folder from which the people that test are taken, to test the same models on other data;
            null for `root`.
        train_tasks: take at most so many training people, evenly spaced.
        val_tasks: take at most so many validation people, evenly spaced.
        test_tasks: take at most so many test people, evenly spaced.
        frames: take at most so many pairs of each person, evenly spaced.
        on_bad_file: what to do about files that are missing, damaged or at odds with each other: "error" stops, at
            once for what names and headers tell, else when the file is read; "skip" reads every file at the start,
            leaves bad pairs (and people without a good one) out and lists them in the log. Folders that systems leave
            behind (`__MACOSX`, `@eaDir`, `.ipynb_checkpoints` and such) are never looked at.
        cache_mb: memory for decoded images, in MB.

    Raises:
        UserError: when there are no people to train or to test on; when files are bad and `on_bad_file` is "error";
            when two people have one name or one folder, or a photograph is in two splits.
    """

    test_options = frozenset({"test", "test_root", "test_tasks"})

    def __init__(
        self,
        *,
        root: Path,
        size: tuple[Side, Side] = (128, 128),
        val: Whole = 0,
        test: Literal["test", "cross_test"] = "test",
        test_root: Path | None = None,
        train_tasks: Count | None = None,
        val_tasks: Count | None = None,
        test_tasks: Count | None = None,
        frames: Count | None = None,
        on_bad_file: Literal["error", "skip"] = "error",
        cache_mb: Whole = 1024,
    ) -> None:
        limits: dict[Split, int | None] = {"train": train_tasks, "val": val_tasks, "test": test_tasks}
        counts = {"frames": frames, **{f"{split}_tasks": limit for split, limit in limits.items()}}
        for option, count in counts.items():
            check_range(f"tasks.{option}", count, Count | None)
        for option, count in {"val": val, "cache_mb": cache_mb}.items():
            check_range(f"tasks.{option}", count, Whole)
        check_range("tasks.size", size, tuple[Side, Side])
        self.size = (size[0], size[1])
        self.images = Images(self.size, MemoryCache(cache_mb * 2**20))
        self.frames = frames
        skip = on_bad_file == "skip"
        people = self._found(root, skip=skip)
        elsewhere = people if test_root is None else self._found(test_root, skip=skip)
        self._roots: dict[Split, Path] = {"train": people.root, "val": people.root, "test": elsewhere.root}
        chosen: dict[Split, Sequence[Member]] = {**train_and_val(people, val), "test": elsewhere.of(test)}
        if elsewhere is not people:
            prefix = f"{elsewhere.root.absolute().name}/"
            chosen["test"] = [Member(f"{prefix}{member.id}", member.path) for member in chosen["test"]]
            refuse_same(chosen.items(), elsewhere.root)
        named = {
            split: {member.id: self._pairs(member) for member in evenly_chosen(chosen[split], limits[split])}
            for split in SPLITS
        }
        bad = self._bad([pair for people in named.values() for each in people.values() for pair in each], skip=skip)
        photographs = {
            split: [(id, pair.photo) for id, each in people.items() for pair in each] for split, people in named.items()
        }
        shared = refuse_shared("faces", photographs, skip=skip)
        self._people: dict[Split, list[Person]] = {split: self._good(named[split], bad, shared) for split in SPLITS}
        for split in ("train", "test"):
            if not self._people[split]:
                raise UserError(f"no {split} person has a good pair", where=self._roots[split])

    def _found(self, root: Path, *, skip: bool) -> People:
        """Return the people of a folder; those that are not there, or of whom there is no image, are an error or
        told.
        """
        people = find_people(expanded(root))
        tell_misnamed(people)
        if not skip:
            if people.missing:
                raise as_one_error(people.missing)
            return people
        people = people.with_images()
        if people.missing:
            log.warning("faces: left out %d people:", len(people.missing))
            tell(people.missing)
        return people

    def _pairs(self, person: Member) -> Sequence[Pair]:
        everything = pairs(person.path)
        if not everything:
            raise no_images(person)
        return evenly_chosen(everything, self.frames)

    def _bad(self, pairs: Sequence[Pair], *, skip: bool) -> Collection[Pair]:
        if not skip:
            errors = list(failing(pairs, check_files).values())
            if errors:
                raise as_one_error(errors)
            return ()
        bad = failing(pairs, self._read)
        if bad:
            log.warning("faces: skipped %d of %d pairs:", len(bad), len(pairs))
            tell(list(bad.values()))
        return bad

    def _read(self, pair: Pair) -> None:
        check_files(pair)
        self.images.labels(pair)
        self.images.photo(pair)

    def _good(
        self, people: Mapping[str, Sequence[Pair]], bad: Collection[Pair], shared: Collection[Path]
    ) -> list[Person]:
        good = {
            id: [pair for pair in each if pair not in bad and pair.photo not in shared] for id, each in people.items()
        }
        empty = [id for id, each in good.items() if not each]
        if empty:
            log.warning("faces: left out %d people without a good pair: %s", len(empty), ", ".join(empty))
        return [Person(id, each, self.images) for id, each in good.items() if each]

    def spec(self) -> TaskSpec:
        """Return seven one-hot channels, with names and colours."""
        return TaskSpec(structure_channels=len(CLASSES), size=self.size, classes=CLASSES, palette=PALETTE)

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the people of a split, in the order of splits.json, or by name."""
        return self._people[split]

    def remarks(self) -> Sequence[str]:
        """Return what is to be said about the maps read so far."""
        return self.images.remarks.sentences()

    def fingerprint(self, split: Split) -> str:
        """Return a hash over the people, the relative names and the content of their files, and the options that shape
        them.

        Times do not count, so that a copied folder has the same.
        """
        people = self._people[split]
        files = [path for person in people for path in person.files]
        members = [(person.id, len(person.files)) for person in people]
        return f"faces-{files_digest(files, self._roots[split], READING, self.size, members)}"


def tell_misnamed(people: People) -> None:
    """Warn of a list that nobody uses where its name is nearly that of a split which is missing (`valid`)."""
    for name, members in people.splits.items():
        hints = [did_you_mean(name, [split]) or "" for split in SPLITS if split not in people.splits]
        near = next((hint for hint in hints if hint.startswith("did")), None)
        if near is not None:
            log.warning(
                "faces: %s: the list %r (%d people) is no split, and nothing is taken from it; %s",
                people.root / "splits.json", name, len(members), near,
            )  # fmt: skip


def tell(errors: Sequence[UserError]) -> None:
    """List in the log what was left out."""
    for error in errors[:SHOWN]:
        log.warning("faces:   %s", error)
    if len(errors) > SHOWN:
        log.warning("faces:   and %d more", len(errors) - SHOWN)


def check_files(pair: Pair) -> None:
    """Look at the names and headers of a pair.

    Raises:
        UserError: naming the file.
    """
    check_names(pair)
    check(pair)


def train_and_val(people: People, val: int) -> dict[Split, Sequence[Member]]:
    """Return the people that train and those that validate.

    Args:
        people: of the root.
        val: how many of those that train are set aside; clips of one video are one person.

    Raises:
        UserError: when the folder has validation people of its own, or none would be left to train.
    """
    train = people.of("train")
    listed = people.splits.get("val", ())
    if not val:
        return {"train": train, "val": listed}
    if listed:
        raise UserError(
            f"tasks.val sets {val} training people aside, but there are {len(listed)} people for validation already",
            where=people.root,
            hint="leave tasks.val out to use these",
        )
    clips: dict[str, list[Member]] = {}
    for member in train:
        clips.setdefault(person_of(member), []).append(member)
    if val >= len(clips):
        raise UserError(f"tasks.val is {val}, but there are only {len(clips)} training people", where=people.root)
    aside = set(evenly_chosen(list(clips), val))
    return {
        "train": [member for member in train if person_of(member) not in aside],
        "val": [clips[person][0] for person in clips if person in aside],
    }


def person_of(member: Member) -> str:
    """Return whose clip a folder is: `metai2i data faces` calls the clips of ID ID--0, ID--1 and so on."""
    return member.id.partition("--")[0]
