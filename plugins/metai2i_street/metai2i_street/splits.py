"""Which scenes train, which validate and which test; no scene does two of these."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from metai2i import Split, UserError, did_you_mean
from metai2i_street.find import TITLES
from metai2i_street.records import DatasetName, Part

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """Where the scenes of each split come from.

    Cityscapes and BDD100K have splits of their own: "train" trains, "val" validates or tests (their test labels are not
    public). CamVid goes by whole sequences, because its neighbouring frames are alike.

    Raises:
        UserError: when a scene would be in two splits.
    """

    train: DatasetName
    test: DatasetName
    val: DatasetName | None
    val_sequences: tuple[str, ...] = ()
    test_sequences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.val_sequences and self.val not in (None, "camvid"):
            raise UserError(
                f"tasks.val_sequences are CamVid's, but tasks.val is {self.val}", hint="leave out one of the two"
            )
        if self.val_sequences:
            object.__setattr__(self, "val", "camvid")
        elif self.val == "camvid" and "camvid" in (self.train, self.test):
            raise UserError(
                "CamVid cannot validate with the scenes it trains or tests on",
                hint="set sequences aside by tasks.val_sequences, such as ['0016E5']",
            )
        if self.val is not None and self.val == self.test != "camvid":
            raise UserError(
                f"validation and test would both take the val split of {TITLES[self.val]}",
                hint="take tasks.val from another data set, or leave it out",
            )
        both = sorted(set(self.val_sequences) & set(self.test_sequences))
        if both and self.train == self.test == "camvid":
            raise UserError(f"sequence {both[0]!r} is in tasks.val_sequences and in tasks.test_sequences")

    def dataset(self, split: Split) -> DatasetName | None:
        """Return the data set of a split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]

    def parts(self, dataset: DatasetName) -> tuple[Part, ...]:
        """Return the data set's own splits that are wanted of it."""
        trains = ("train",) if self.train == dataset else ()
        judges = ("val",) if dataset in (self.val, self.test) else ()
        return (*trains, *judges)

    def groups(self, split: Split, groups: Sequence[str]) -> list[str]:
        """Return the groups of its data set that make a split.

        Args:
            split: which.
            groups: all of the data set: own splits, or CamVid's sequences.

        Raises:
            UserError: for a sequence that is not there.
        """
        if self.dataset(split) != "camvid":
            return ["train" if split == "train" else "val"]
        both = self.train == self.test == "camvid"
        _known("val_sequences", self.val_sequences, groups)
        if both:
            _known("test_sequences", self.test_sequences, groups)
        if split == "val":
            return [group for group in groups if not self.val_sequences or group in self.val_sequences]
        free = [group for group in groups if group not in self.val_sequences]
        if not both:
            return free
        return [group for group in free if (group in self.test_sequences) == (split == "test")]


def _known(option: str, wanted: Collection[str], sequences: Sequence[str]) -> None:
    for sequence in wanted:
        if sequence not in sequences:
            raise UserError(
                f"tasks.{option}: CamVid has no sequence {sequence!r} here", hint=did_you_mean(sequence, sequences)
            )
