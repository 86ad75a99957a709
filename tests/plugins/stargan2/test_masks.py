"""The masks of StarGAN v2's high-pass skip, and the network that sees landmarks."""

from __future__ import annotations

import pytest
import torch
from metai2i_stargan2 import Fan, StarGan2, StarGan2Landmarks
from metai2i_stargan2.fan import LandmarkMaps, coordinates
from metai2i_stargan2.masks import fan_masks, part_masks

from metai2i import Batch, Objective, Step, TaskSpec, UserError

SMALL = {"width": 2, "widest": 4, "style": 3, "latent": 2, "hidden": 4}
OBJECTIVE = Objective(l1=1, adversarial=1, perceptual=0)


def spots(*landmarks, level=1.0):
    """Maps that are a level at row 100, column 60 for some landmarks, half of it at row 200, and 0 elsewhere."""
    maps = torch.zeros(1, 98, 256, 256)
    for landmark in landmarks:
        maps[0, landmark, 100, 60], maps[0, landmark, 200, 60] = level, level / 2
    return maps


def lit(mask):
    """The rows of column 60 at which a mask is lit, with its level; the mask is 0 everywhere else."""
    rows = {int(row): round(float(mask[0, 0, row, 60]), 4) for row in torch.nonzero(mask[0, 0, :, 60]).flatten()}
    assert float(mask.sum()) == pytest.approx(sum(rows.values()), abs=1e-2)
    return rows


@pytest.mark.parametrize(
    ("landmark", "rows", "in_second"),
    [
        (16, {100: 1, 200: 0.125}, False),  # the chin
        (40, {107: 1, 207: 0.25}, False),  # a brow
        (51, {100: 1, 200: 0.5}, True),  # the bridge of the nose
        (53, {96: 1, 196: 0.5}, True),  # its tip
        (57, {92: 1, 192: 0.0625}, True),  # a nostril
        (65, {108: 1, 208: 0.125, 124: 1, 224: 0.5}, True),  # an eye
        (79, {108: 1, 208: 0.0625}, False),  # the upper lip
        (85, {92: 1, 192: 0.0625}, False),  # the lower one
        (90, {102: 1, 202: 0.125}, False),  # between them
        (96, {100: 1, 200: 0.5}, True),  # a pupil
    ],
)
def test_each_part_of_a_face_is_moved_and_made_smaller_as_published(landmark, rows, in_second):
    first, second = fan_masks(spots(landmark))
    assert lit(first) == pytest.approx(rows, abs=1e-4)
    assert lit(second) == pytest.approx(rows if in_second else {}, abs=1e-4)


@pytest.mark.parametrize("landmark", [0, 7, 25, 32, 33, 46, 76, 82])
def test_the_ends_of_outline_brows_and_mouth_are_left_out(landmark):
    assert [lit(mask) for mask in fan_masks(spots(landmark))] == [{}, {}]


def test_what_is_faint_is_no_landmark_and_where_several_meet_a_mask_is_1():
    assert [lit(mask) for mask in fan_masks(spots(51, level=0.09))] == [{}, {}]
    assert lit(fan_masks(spots(51, 96))[0]) == pytest.approx({100: 1, 200: 1}, abs=1e-4)
    assert lit(fan_masks(spots(51, level=0.5))[0]) == pytest.approx({100: 1, 200: 0.5}, abs=1e-4)


def test_masks_of_known_landmarks_are_all_parts_and_eyes_and_nose():
    landmarks = torch.zeros(1, 3, 1, 4)
    for channel in range(3):
        landmarks[0, channel, 0, channel] = 0.5
    landmarks[0, :, 0, 3] = 0.5
    first, second = part_masks(landmarks)
    assert first[0, 0, 0].tolist() == [0.5, 0.5, 0.5, 1]
    assert second[0, 0, 0].tolist() == [0, 0.5, 0.5, 1]


def test_the_network_of_landmarks_has_the_published_number_of_parameters():
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in LandmarkMaps().parameters()) == 6_333_603


def test_it_sees_where_a_pixel_is():
    rows, columns, distance = coordinates(torch.zeros(2, 5, 3, 5))[1]
    assert rows[:, 0].tolist() == [-1, 0, 1]
    assert columns[0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert (float(distance[1, 2]), float(distance[0, 0])) == (0, 1)


def test_it_reads_the_published_file_by_its_names():
    theirs = LandmarkMaps().state_dict()
    file = {f"state_dict.{name}": tensor for name, tensor in theirs.items() if "num_batches" not in name}
    ours = Fan().build({**file, "epoch": torch.tensor(3)}).state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    del file["state_dict.l0.bias"]
    with pytest.raises(KeyError, match=r"l0\.bias"):
        Fan().build(file)


def test_it_gives_a_map_for_each_landmark():
    maps = LandmarkMaps().eval()(torch.zeros(1, 3, 32, 32))
    assert maps.shape == (1, 98, 256, 256)


def batch(size=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    source, reference, reference2, landmarks = torch.rand(4, size, 3, 32, 32, generator=rng)
    domain = torch.arange(size) % 2
    return Batch(
        source=source * 2 - 1, reference=reference * 2 - 1, reference2=reference2 * 2 - 1, landmarks=landmarks,
        domain=domain, reference_domain=1 - domain,
    )  # fmt: skip


def with_landmarks(**options):
    torch.manual_seed(0)
    spec = TaskSpec(0, (32, 32), StarGan2Landmarks.needs, domains=2)
    return StarGan2Landmarks(spec=spec, objective=OBJECTIVE, **{**SMALL, **options})


def test_landmarks_of_the_data_keep_details_and_without_any_there_are_none():
    translator, samples = with_landmarks(high_pass=1.0), batch()
    nowhere = samples.replace(landmarks=torch.zeros_like(samples["landmarks"]))
    style = translator.style(samples["reference"], samples["reference_domain"])
    plain = translator.generator(samples["source"], style).clamp(-1, 1)
    torch.testing.assert_close(translator.translate(nowhere, "exemplar"), plain)
    assert not torch.allclose(translator.translate(samples, "exemplar"), plain)
    first, second = part_masks(samples["landmarks"])
    masked = translator.generator(samples["source"], style, (first, second)).clamp(-1, 1)
    torch.testing.assert_close(translator.translate(samples, "exemplar"), masked)


def test_on_its_way_back_an_image_is_masked_as_its_source_was():
    translator, samples = with_landmarks(high_pass=1.0, diversity=0), batch()
    into, masks = samples["reference_domain"], part_masks(samples["landmarks"])
    latents = translator.draws(samples, Step())["latents"]
    fake = translator.generator(samples["source"], translator.mapping(latents[:, 0], into), masks)
    back = translator.generator(fake, translator.style(samples["source"], samples["domain"]), masks)
    drawn = samples.replace(**translator.draws(samples, Step()))
    _, terms = list(translator.training_step(drawn, Step()))[2]
    torch.testing.assert_close(terms["l1"], (back - samples["source"]).abs().mean())


def test_without_a_high_pass_skip_landmarks_change_nothing():
    translator, samples = with_landmarks(), batch()
    nowhere = samples.replace(landmarks=torch.zeros_like(samples["landmarks"]))
    assert torch.equal(translator.translate(samples, "exemplar"), translator.translate(nowhere, "exemplar"))


def test_a_high_pass_skip_without_the_networks_file_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("METAI2I_WEIGHTS", str(tmp_path))
    spec = TaskSpec(0, (32, 32), StarGan2.needs, domains=2)
    from metai2i.losses.networks import looking_in
    from metai2i.registry import Registry

    with looking_in(Registry()) as asked:
        translator = StarGan2(spec=spec, objective=OBJECTIVE, high_pass=1.0, **SMALL)
    assert asked == {"fan"}
    with pytest.raises(UserError, match=r"no weights for the network 'fan' \(Landmarks of faces.*wing\.ckpt"):
        translator.translate(batch(), "latent")
