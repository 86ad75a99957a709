"""Following a person through drawn frames."""

import numpy as np
import pytest
from metai2i_faces.prepare.landmarks import Face
from metai2i_faces.prepare.tracks import follow, person_of, sight

RED, BLUE, GREY = (220, 40, 40), (40, 40, 220), (120, 120, 120)
ANN, BEN = np.zeros(4), np.ones(4)


@pytest.fixture
def see(face):
    """The sights of a frame, of (x, colour, score, unit, identity) each; a face of unit 20 is about 40 pixels wide."""

    def seen(number, *people):
        frame = np.full((100, 400, 3), 90, np.uint8)
        for x, colour, *_ in reversed(people):  # the first is in front
            frame[:, max(0, x - 25) : x + 25] = colour
        sights = []
        for x, _, score, unit, who in people:
            identity = None if who is None else lambda who=who: who
            sights.append(sight(number, Face(face(x, 40, unit), score, identity), frame))
        return sights

    def frames(*each):
        """Of people given by (x, colour), and perhaps score, unit and identity."""
        defaults = (None, None, 1.0, 20, None)
        return [seen(n, *[(*person, *defaults[len(person) :]) for person in people]) for n, people in enumerate(each)]

    return frames


def places(sights):
    """The frames and middles of the sights of a person."""
    return [(each.frame, round(float(each.face.points[:17, 0].mean()))) for each in sights]


def test_a_face_that_moves_is_the_same(see):
    frames = see(*[[(50 + 30 * n, RED)] for n in range(8)])
    assert places(person_of(frames, album=False)) == [(n, 50 + 30 * n) for n in range(8)]


def test_a_face_that_jumps_by_more_than_its_own_size_is_another(see):
    (unit_size,) = {round(each.face.size) for sights in see([(50, RED)]) for each in sights}
    near = see([(50, RED)], [(50 + unit_size - 1, RED)])
    far = see([(50, RED)], [(50 + unit_size + 1, RED)])
    assert [len(track.sights) for track in follow(near)] == [2]
    assert [len(track.sights) for track in follow(far)] == [1, 1]


def test_a_lost_face_is_a_gap_and_nobody_takes_its_place(see):
    both, other = [(80, RED, 2.0), (200, BLUE)], [(200, BLUE)]
    frames = see(*[both] * 4, *[other] * 4, *[both] * 4)
    assert places(person_of(frames, album=False)) == [(n, 80) for n in (0, 1, 2, 3, 8, 9, 10, 11)]


def test_who_never_comes_back_is_not_replaced(see):
    frames = see(*[[(80, RED, 3.0), (200, BLUE)]] * 6, *[[(200, BLUE)]] * 4)
    assert places(person_of(frames, album=False)) == [(n, 80) for n in range(6)]


def test_somebody_else_in_the_place_of_a_lost_face_is_not_taken_up(see):
    frames = see(*[[(80, RED)]] * 6, [], *[[(80, BLUE)]] * 4)
    assert places(person_of(frames, album=False)) == [(n, 80) for n in range(6)]


def test_somebody_of_another_size_in_the_place_of_a_lost_face_is_not_taken_up(see):
    frames = see(*[[(80, GREY)]] * 6, [], *[[(80, GREY, 1.0, 8)]] * 4)
    assert places(person_of(frames, album=False)) == [(n, 80) for n in range(6)]


def test_somebody_else_in_the_same_place_at_once_is_another(see):
    frames = see(*[[(80, RED)]] * 6, *[[(80, BLUE)]] * 4)
    assert places(person_of(frames, album=False)) == [(n, 80) for n in range(6)]


@pytest.mark.parametrize("colours", [(RED, BLUE), (GREY, GREY)], ids=["told by colour", "alike"])
def test_two_faces_that_cross_keep_their_people(see, colours):
    frames = see(*[[(60 + 16 * n, colours[0], 2.0), (300 - 16 * n, colours[1])] for n in range(16)])
    assert places(person_of(frames, album=False)) == [(n, 60 + 16 * n) for n in range(16)]


def test_two_faces_that_cross_while_one_hides_the_other_keep_their_people(see):
    def at(n):
        front, back = (60 + 16 * n, RED, 2.0), (300 - 16 * n, BLUE)
        return [front] if n in (7, 8) else [front, back]

    tracks = follow(see(*[at(n) for n in range(16)]))
    assert [places(track.sights) for track in tracks[:2]] == [
        [(n, 60 + 16 * n) for n in range(16)],
        [(n, 300 - 16 * n) for n in range(16) if n not in (7, 8)],
    ]


def test_the_person_is_who_is_seen_longest_not_who_scores_best_at_first(see):
    frames = see([(80, RED, 3.0), (250, BLUE)], *[[(80, RED), (250, BLUE, 2.0)]] * 5)
    assert places(person_of(frames, album=False)) == [(n, 250) for n in range(6)]


def test_the_person_is_who_is_seen_largest(see):
    frames = see(*[[(80, RED, 1.5, 10), (250, BLUE, 1.0, 20)]] * 5)
    assert places(person_of(frames, album=False)) == [(n, 250) for n in range(5)]


def test_an_identity_decides_after_a_jump(see):
    ann, ben = (1.0, 20, ANN), (1.0, 20, BEN)
    back = see(*[[(80, GREY, *ann)]] * 4, [], *[[(300, GREY, *ann)]] * 3)
    assert [frame for frame, _ in places(person_of(back, album=False))] == [0, 1, 2, 3, 5, 6, 7]
    other = see(*[[(80, GREY, *ann)]] * 4, [], *[[(80, GREY, *ben)]] * 3)
    assert [frame for frame, _ in places(person_of(other, album=False))] == [0, 1, 2, 3]


def test_identities_are_not_asked_for_where_there_is_no_doubt(see):
    def never():
        raise AssertionError

    frames = see(*[[(80 + 5 * n, RED), (300, BLUE)] for n in range(6)])
    for sights in frames:
        for each in sights:
            object.__setattr__(each.face, "identity", never)
    assert len(person_of(frames, album=False)) == 6


def test_frames_without_a_face_give_nobody(see):
    assert person_of(see([], []), album=False) == []
    assert person_of(see([], []), album=True) == []


def test_the_only_face_of_a_photograph_is_taken_wherever_it_is(see):
    frames = see([(80, RED)], [(300, BLUE)], [(180, GREY)])
    assert places(person_of(frames, album=True)) == [(0, 80), (1, 300), (2, 180)]


def test_of_the_faces_of_a_photograph_the_largest_is_taken_if_it_stands_out(see):
    frames = see([(80, RED, 1.0, 20), (300, BLUE, 1.0, 8)], [(80, RED, 1.0, 20), (300, BLUE, 1.0, 18)])
    assert places(person_of(frames, album=True)) == [(0, 80)]


def test_identities_tell_who_an_album_is_of(see):
    ann, ben = (1.0, 20, ANN), (2.0, 22, BEN)
    frames = see(
        [(80, GREY, *ann)],
        [(80, GREY, *ben), (300, GREY, *ann)],
        [(200, GREY, *ann)],
        [(200, GREY, *ben)],
        [(50, GREY, *ann)],
    )
    assert places(person_of(frames, album=True)) == [(0, 80), (1, 300), (2, 200), (4, 50)]
