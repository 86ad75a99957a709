from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metai2i_street.clips import cut, frame_of, segments


def frames(sequence, *numbers):
    return [f"{sequence}_{number:06d}" for number in numbers]


def test_names_give_sequence_and_frame_number():
    assert frame_of("0001TP_006690") == ("0001TP", 6690)
    assert frame_of("Seq05VD_f00030") == ("Seq05VD", 30)
    assert frame_of("0006R0_f01260") == ("0006R0", 1260)
    with pytest.raises(ValueError, match="SEQUENCE_NUMBER"):
        frame_of("aachen_000000_000019")


def test_a_frame_early_or_late_does_not_end_a_clip():
    assert segments([0, 30, 61, 90, 120]) == [[0, 30, 61, 90, 120]]


def test_a_missing_frame_ends_a_clip():
    assert segments([0, 30, 90, 120]) == [[0, 30], [90, 120]]


def test_a_change_of_pace_ends_a_clip():
    assert segments([0, 30, 60, 62, 64, 66, 97, 127]) == [[0, 30, 60], [62, 64, 66], [97, 127]]


def test_a_stray_frame_does_not_spoil_the_stretch_after_it():
    assert segments([20, 30, 60, 90]) == [[20], [30, 60, 90]]


def test_the_701_official_frames_make_68_clips():
    """Whole sequences (124 + 101 + 305 + 171 frames) cut in tens would be 69; the gaps of 0016E5 cost one."""
    names = frames("0001TP", *range(6690, 10381, 30)) + frames("0006R0", *range(930, 3931, 30))
    a = [*range(390, 871, 30), 901, *range(930, 2401, 30)]
    b, fast, c = range(4350, 7921, 30), range(7959, 8160, 2), range(8190, 8641, 30)
    names += frames("0016E5", *a, *b, *fast, *c) + frames("Seq05VD", *range(0, 5101, 30))
    assert len(names) == 701
    clips = cut(names, 10)
    assert (len(clips.clips), clips.sequences, clips.gaps) == (68, 4, 3)
    assert clips.left_over == 701 - 680
    assert sum(sequence // 10 for sequence in (124, 101, 305, 171)) == 69


def test_remainders_are_dropped_and_clips_keep_the_order():
    clips = cut(reversed(frames("0001TP", *range(0, 750, 30))), 10)
    assert [clip.id for clip in clips.clips] == ["0001TP_000000-000270", "0001TP_000300-000570"]
    assert clips.clips[0].frames == tuple(frames("0001TP", *range(0, 300, 30)))
    assert clips.left_over == 5


@given(st.lists(st.sampled_from([1, 2, 5, 29, 30, 31, 32, 60, 900]), max_size=60), st.integers(2, 5))
def test_clips_never_cross_a_gap_or_a_change_of_pace(steps, length):
    numbers = [0]
    for step in steps:
        numbers.append(numbers[-1] + step)
    clips = cut(frames("0016E5", *numbers), length)
    for clip in clips.clips:
        assert len(clip.frames) == length
        ticks = [frame_of(name)[1] for name in clip.frames]
        paces = {later - earlier for earlier, later in pairwise(ticks)}
        assert paces <= {29, 30, 31} or len(paces) == 1
        assert max(paces) <= 31
    assert sorted(name for segment in clips.segments for name in segment) == sorted(frames("0016E5", *numbers))
    used = [name for clip in clips.clips for name in clip.frames]
    assert len(used) == len(set(used))
