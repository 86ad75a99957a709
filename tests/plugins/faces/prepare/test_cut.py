"""How videos are cut into clips."""

import pytest
from metai2i_faces.prepare.cut import ROTATE, SCALE, Warp, cut, draw_warp

from metai2i import Randomness

RNG = Randomness((0, "video"))


def test_a_training_video_makes_seven_clips_of_which_six_are_augmented():
    pieces = cut(350, clips=7, frames=25, least=11, rng=RNG)
    assert [len(piece.frames) for piece in pieces] == [25] * 7
    assert [piece.frames[0] for piece in pieces] == [0, 50, 100, 150, 200, 250, 300]
    assert [piece.warp == Warp() for piece in pieces] == [True] + [False] * 6
    assert len({piece.warp for piece in pieces}) == 7


def test_no_frame_is_in_two_clips():
    frames = [number for piece in cut(103, clips=7, frames=100, least=2, rng=RNG) for number in piece.frames]
    assert frames == list(range(103))


def test_a_video_that_is_not_cut_gives_frames_of_its_whole_length():
    (piece,) = cut(100, clips=1, frames=4, least=4, rng=RNG)
    assert piece.frames == (0, 25, 50, 75)
    assert piece.warp == Warp()


@pytest.mark.parametrize(("count", "clips"), [(5, 1), (21, 1), (22, 2), (76, 6), (77, 7), (1000, 7)])
def test_a_short_video_makes_fewer_clips(count, clips):
    assert len(cut(count, clips=7, frames=50, least=11, rng=RNG)) == clips


def test_the_warps_of_a_video_are_decided_by_its_address_alone():
    few, many = (cut(count, clips=7, frames=5, least=5, rng=RNG) for count in (70, 700))
    assert [piece.warp for piece in few] == [piece.warp for piece in many]
    other = cut(70, clips=7, frames=5, least=5, rng=Randomness((0, "another")))
    assert [piece.warp for piece in few[1:]] != [piece.warp for piece in other[1:]]


def test_warps_fill_their_ranges():
    drawn = [draw_warp(RNG.at(n)) for n in range(400)]
    assert 150 < sum(warp.flip for warp in drawn) < 250
    assert max(abs(warp.degrees) for warp in drawn) == pytest.approx(ROTATE, rel=0.05)
    assert min(warp.scale for warp in drawn) == pytest.approx(1 - SCALE, abs=0.01)
    assert max(warp.scale for warp in drawn) == pytest.approx(1 + SCALE, abs=0.01)
