from __future__ import annotations

import pytest
import torch
from metai2i_panoptic.borders import band, shared_borders
from metai2i_panoptic.metrics import InstanceBand, InstanceEdges, InstanceLpips, edges

from metai2i import Batch
from metai2i.losses import lpips_at_pixels
from metai2i.metric import metric_values

SIDE = 16


def halves(column: int = 8, low: float = -0.5, high: float = 0.5) -> torch.Tensor:
    """(1, 3, H, W): dark on the left of a column, bright from there on."""
    images = torch.full((1, 3, SIDE, SIDE), low)
    images[..., column:] = high
    return images


def query(ids: torch.Tensor | None = None, classes: torch.Tensor | None = None, target: torch.Tensor | None = None):
    """Two instances of one class, left and right of the middle."""
    instances = torch.ones(1, SIDE, SIDE, dtype=torch.long)
    instances[..., 8:] = 2
    instances = instances if ids is None else ids
    numbers = torch.zeros_like(instances) if classes is None else classes
    structure = torch.nn.functional.one_hot(numbers, 3).permute(0, 3, 1, 2).float()
    return Batch(structure=structure, instances=instances, target=halves() if target is None else target)


def test_a_border_is_both_pixels_of_a_pair_of_one_class_and_two_instances():
    ids = torch.tensor([[[11, 11, 12], [11, 21, 12], [30, 21, 12]]])
    classes = torch.tensor([[[0, 0, 0], [0, 1, 0], [2, 1, 0]]])
    marked = shared_borders(query(ids, classes)["structure"], ids)
    assert marked[0, 0].tolist() == [[False, True, True], [False, False, False], [False, False, False]]


def test_the_band_has_three_pixels_on_each_side():
    inside = band(query()["structure"], query()["instances"])
    assert inside[0, 0].any(0).nonzero().flatten().tolist() == [5, 6, 7, 8, 9, 10]
    assert inside.sum() == 6 * SIDE


def test_the_error_is_the_mean_over_the_band_alone():
    """The image differs by 0.4 of the range [-1, 1] in one of the six columns, and by more outside of them."""
    sample = query()
    images = sample["target"].clone()
    images[..., 5] += 51 / 127.5
    images[..., :5] = 1
    assert InstanceBand()(images, sample).tolist() == pytest.approx([51 / 127.5 / 6])
    assert InstanceBand()(sample["target"], sample).tolist() == [0]


def test_lpips_is_the_mean_over_the_band_of_the_distance_at_each_pixel():
    wide = Batch(
        structure=torch.ones(1, 1, 32, 40),
        instances=torch.ones(1, 32, 40, dtype=torch.long).index_fill(2, torch.arange(20, 40), 2),
        target=torch.rand(1, 3, 32, 40) * 2 - 1,
    )
    images = torch.rand(1, 3, 32, 40) * 2 - 1
    at_pixels = lpips_at_pixels(*(((side + 1) * 127.5).round() / 127.5 - 1 for side in (images, wide["target"])))
    assert InstanceLpips()(images, wide).tolist() == pytest.approx([at_pixels[0, 0, :, 17:23].mean().item()], rel=1e-4)
    assert InstanceLpips()(wide["target"], wide).tolist() == [0]


def test_equal_images_have_all_their_edges():
    assert InstanceEdges()(halves(), query()).tolist() == [1]


@pytest.mark.parametrize(("column", "score"), [(7, 1.0), (8, 1.0), (9, 1.0), (10, 0.5), (11, 0.0), (2, 0.0)])
def test_an_edge_that_is_shifted_counts_as_long_as_it_is_near(column, score):
    """An edge before column c has both pixels c-1 and c; one of them is still near when it is shifted by two."""
    assert InstanceEdges()(halves(column), query()).tolist() == pytest.approx([score])


def test_an_image_without_edges_scores_nothing():
    assert InstanceEdges()(torch.zeros(1, 3, SIDE, SIDE), query()).tolist() == [0]


def test_edges_that_are_not_there_cost_precision():
    """Beside the true edge, one four columns further, of which both pixels are in the band, but near none: P = 1/2."""
    sample = query(target=halves(6))
    images = halves(6)
    images[..., 10:] = -0.5
    assert InstanceEdges()(images, sample).tolist() == pytest.approx([2 * 0.5 / 1.5])


def test_half_of_an_edge_costs_recall():
    """The lower half has none; what is left is where the photograph has it, but for the corner."""
    images = halves()
    images[..., 8:, :] = -0.5
    (value,) = InstanceEdges()(images, query()).tolist()
    assert 0.5 < value < 0.85


def test_a_weak_contrast_is_no_edge():
    assert not edges(halves(low=0.0, high=0.1)).any()
    assert edges(halves(low=0.0, high=0.4)).any()


def test_edges_are_found_alike_in_all_four_directions():
    image = halves()
    for turned in (image.flip(-1), image.transpose(-1, -2), image.transpose(-1, -2).flip(-2)):
        assert edges(turned).sum() == edges(image).sum() == 2 * SIDE


def test_queries_without_such_a_border_or_without_an_edge_there_are_left_out():
    apart = query(classes=query()["instances"])
    images = torch.rand(1, 3, SIDE, SIDE)
    assert InstanceBand()(images, apart).isnan().all()
    assert InstanceEdges()(images, apart).isnan().all()
    flat = query(target=torch.zeros(1, 3, SIDE, SIDE))
    assert InstanceEdges()(images, flat).isnan().all()
    assert not InstanceBand()(images, flat).isnan().any()


def test_with_ids_collapsed_to_classes_there_is_nothing_to_measure():
    sample = query()
    collapsed = sample.replace(instances=sample["structure"].argmax(1))
    assert InstanceBand()(halves(), collapsed).isnan().all()


def test_a_batch_has_the_numbers_of_its_samples():
    samples = Batch.cat([query(), query(target=halves(9)), query(classes=query()["instances"])])
    images = torch.cat([halves(9), halves(5), halves(8)])
    metrics = {"instance_band": InstanceBand(), "instance_edges": InstanceEdges()}
    together = metric_values(metrics, images, samples)
    for n in range(3):
        alone = metric_values(metrics, images[n : n + 1], samples.select([n]))
        for name in metrics:
            assert together[name][n] == pytest.approx(alone[name][0], nan_ok=True)


@pytest.mark.parametrize("metric", [InstanceBand, InstanceEdges, InstanceLpips])
def test_they_say_what_they_read_so_that_data_without_instances_is_refused_by_the_host(metric):
    assert metric.needs == {"target", "structure", "instances"}


def test_all_are_registered():
    import metai2i_panoptic

    seen: dict[str, type] = {}
    metai2i_panoptic.register_metrics(seen.__setitem__)
    assert seen == {
        "instance_band": InstanceBand,
        "instance_edges": InstanceEdges,
        "instance_lpips": InstanceLpips,
    }
