"""Scores of sets, scene by scene and over all scenes together, with their interval."""

from __future__ import annotations

import math

import pytest
import torch

from metai2i import Batch, Episode, SetMetric, UserError
from metai2i.stages.sets import (
    read_features,
    read_sets,
    set_features,
    set_scores,
    set_sizes,
    together,
    unmeasured,
    write_features,
    write_sets,
)

CPU = torch.device("cpu")


class Apart(SetMetric):
    """How far the mean of the outputs is from that of the real images."""

    label, higher_is_better = "apart ↓", False
    calls: list[int] = []  # noqa: RUF012  # what was looked at, in all tests

    def features(self, images):
        type(self).calls.append(len(images))
        return images.mean((2, 3))[:, :1]

    def score(self, outputs, real):
        return float(outputs.mean() - real.mean())


class Many(Apart):
    least = 5


def images(*levels):
    return torch.tensor(levels).float()[:, None, None, None].expand(-1, 3, 4, 4)


def draw(outputs, real):
    return {"outputs/apart": torch.tensor(outputs).float()[:, None], "real/apart": torch.tensor(real).float()[:, None]}


def test_metrics_of_one_function_share_features_and_rows_share_those_of_real_images():
    metrics, known = {"apart": Apart(), "many": Many()}, {}
    episode = Episode("a", Batch(), Batch(target=images(0)), Batch(target=images(1, 2, 3)))
    Apart.calls.clear()
    Many.calls = Apart.calls
    first = set_features(metrics, images(5, 7), episode, CPU, known)
    assert Apart.calls == [2, 3]
    assert set_features(metrics, images(5), episode, CPU, known)["real/apart"] is first["real/apart"]
    assert Apart.calls == [2, 3, 1]
    assert first["outputs/apart"].flatten().tolist() == [5, 7]
    assert set_sizes(metrics, first)["many"] == {"outputs": 2, "real": 3}


def test_without_further_samples_the_queries_own_are_the_real_images():
    episode = Episode("a", Batch(), Batch(target=images(4, 6)))
    features = set_features({"apart": Apart()}, images(0, 1), episode, CPU, {})
    assert features["real/apart"].flatten().tolist() == [4, 6]


def test_a_scene_has_the_mean_of_its_draws_and_none_where_a_set_is_too_small():
    draws = [draw([1, 2], [0, 0]), draw([5, 6], [0, 0])]
    assert set_scores({"apart": Apart(), "many": Many()}, draws) == {"apart": 3.5}


def test_all_scenes_together_are_one_set_with_a_jackknife_interval():
    scenes = [[draw([value, value], [0, 0])] for value in (1.0, 2.0, 6.0)]
    record = together({"apart": Apart()}, scenes)["apart"]
    assert (record["value"], record["outputs"], record["real"], record["scenes"]) == (3, 6, 6, 3)
    # Of a mean the jackknife is the usual t interval: 4.303 * sd / sqrt(3).
    half = 4.302653 * math.sqrt(7) / math.sqrt(3)
    assert (record["low"], record["high"]) == pytest.approx((3 - half, 3 + half))


def test_a_single_scene_has_no_interval_and_too_few_images_no_number():
    metrics = {"apart": Apart(), "many": Many()}
    records = together(metrics, [[draw([1, 2, 3], [0, 0, 0, 0])]])
    assert (records["apart"]["value"], records["apart"]["low"]) == (2, None)
    assert records["many"]["value"] is None
    assert unmeasured(metrics, records, {"apart": 1, "many": 0}) == [
        "1 of 1 scenes have no many of their own: many needs 5 outputs and 5 real images, and a scene has as few as 3",
        "many has no number over all scenes together: many needs 5 outputs and 5 real images, there are 3 outputs and "
        "4 real images",
    ]


def test_features_are_kept_as_they_were(tmp_path):
    draws = [draw([1, 2], [0]), draw([3, 4], [5])]
    write_features(tmp_path / "features" / "0.safetensors", draws)
    kept = read_features(tmp_path / "features" / "0.safetensors")
    assert [{name: t.tolist() for name, t in each.items()} for each in kept] == [
        {name: t.tolist() for name, t in each.items()} for each in draws
    ]


def test_features_and_scores_of_another_form_are_told_with_their_metric():
    class Flat(Apart):
        def features(self, images):
            return images.mean((1, 2, 3))

    class Wordy(Apart):
        def score(self, outputs, real):
            return "good"

    episode = Episode("a", Batch(), Batch(target=images(0, 0)))
    with pytest.raises(UserError, match=r"features\(\) of metric 'flat' .* gives \(2,\), expected \(2, D\)"):
        set_features({"flat": Flat()}, images(0, 1), episode, CPU, {})
    with pytest.raises(UserError, match=r"score\(\) of metric 'apart' .* gives str, expected a number"):
        set_scores({"apart": Wordy()}, [draw([1, 2], [0, 0])])


def test_an_infinite_score_is_none_and_can_be_written(tmp_path):
    class Endless(Apart):
        def score(self, outputs, real):
            return math.inf

    metrics = {"apart": Endless()}
    records = together(metrics, [[draw([1], [2])], [draw([3], [4])]])
    assert [records["apart"][name] for name in ("value", "low", "high")] == [None, None, None]
    assert unmeasured(metrics, records, {"apart": 2}) == [
        "apart has no number over all scenes together: it gives no finite one for 2 outputs and 2 real images"
    ]
    write_sets(tmp_path, records)
    assert read_sets(tmp_path) == records


def test_an_output_has_the_number_of_its_truth_and_an_image_the_same_in_every_draw():
    metrics, query = {"apart": Apart()}, Batch(source=images(1, 2), target=images(3, 4), reference=images(8, 9))
    first = set_features(
        metrics, images(0, 0, 5, 5), Episode("a", Batch(), query, Batch(target=images(4, 3, 6))), CPU, {}
    )
    asked, real = (first[f"{side}_of/apart"].tolist() for side in ("outputs", "real"))
    assert asked == [real[1]] * 2 + [real[0]] * 2
    assert len(set(real)) == 3
    further = set_features(metrics, images(7), Episode("a", Batch(), query.select([1])), CPU, {})
    assert further["outputs_of/apart"].tolist() == [real[0]]


def test_without_a_truth_an_output_is_of_its_input_whatever_its_exemplar_is():
    def numbers(*exemplars):
        query = Batch(source=images(1, 2), reference=images(*exemplars), reference_domain=torch.tensor([0, 1]))
        episode = Episode("a", Batch(), query, Batch(reference=images(*exemplars, 6)))
        features = set_features({"apart": Apart()}, images(0, 0), episode, CPU, {})
        return features["outputs_of/apart"].tolist(), features["real_of/apart"].tolist()

    (asked, real), (again, other) = numbers(8, 9), numbers(9, 7)
    assert asked == again
    assert not set(asked) & {*real, *other}
    assert real[1] == other[0]
