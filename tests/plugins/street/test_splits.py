import pytest
from metai2i_street.splits import Plan

from metai2i import UserError

SEQUENCES = ["0001TP", "0006R0", "0016E5", "Seq05VD"]


def test_cityscapes_trains_and_all_of_camvid_tests():
    plan = Plan("cityscapes", "camvid", None)
    assert plan.groups("test", SEQUENCES) == SEQUENCES
    assert plan.groups("train", ["train", "val"]) == ["train"]
    assert (plan.parts("cityscapes"), plan.parts("camvid")) == (("train",), ("val",))


def test_sequences_set_aside_validate_and_do_not_test():
    plan = Plan("bdd100k", "camvid", None, val_sequences=("0016E5",))
    assert plan.val == "camvid"
    assert plan.groups("val", SEQUENCES) == ["0016E5"]
    assert plan.groups("test", SEQUENCES) == ["0001TP", "0006R0", "Seq05VD"]


def test_camvid_can_train_and_test_by_sequences():
    plan = Plan("camvid", "camvid", None, val_sequences=("0006R0",), test_sequences=("Seq05VD",))
    groups = {split: plan.groups(split, SEQUENCES) for split in ("train", "val", "test")}
    assert groups == {"train": ["0001TP", "0016E5"], "val": ["0006R0"], "test": ["Seq05VD"]}


def test_camvid_can_train_alone():
    assert Plan("camvid", "cityscapes", None).groups("train", SEQUENCES) == SEQUENCES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("cityscapes", "cityscapes", "cityscapes"), "both take the val split of Cityscapes"),
        (("cityscapes", "camvid", "camvid"), "CamVid cannot validate with the scenes it trains or tests on"),
        (("cityscapes", "camvid", "cityscapes", ("0016E5",)), "val_sequences are CamVid's"),
        (("camvid", "camvid", None, ("Seq05VD",), ("Seq05VD",)), "'Seq05VD' is in tasks.val_sequences and in"),
    ],
)
def test_no_scene_can_be_put_in_two_splits(options, message):
    with pytest.raises(UserError, match=message):
        Plan(*options)


def test_an_unknown_sequence_is_told_with_the_nearest():
    with pytest.raises(UserError, match=r"tasks.val_sequences.*'0016E6' here \(did you mean '0016E5'"):
        Plan("cityscapes", "camvid", None, ("0016E6",)).groups("test", SEQUENCES)
