"""Augmentation of pairs: maps and photographs move together, and nothing is made up."""

import pytest
import torch
from torch.nn.functional import max_pool2d, one_hot

from metai2i import Augment, Batch, Field, Randomness, UserError

RNG = Randomness((3,))
OFF = {"flip": False, "rotate": 0.0, "crop": 1.0}


def blocks(count: int, classes: int = 6, size=(48, 80), cell: int = 16, seed: int = 0) -> torch.Tensor:
    """(count, H, W) label maps of square cells."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, classes, (count, size[0] // cell, size[1] // cell), generator=generator)
    return coarse.repeat_interleave(cell, 1).repeat_interleave(cell, 2)


def pairs(count: int, classes: int = 6, **options) -> tuple[Batch, torch.Tensor]:
    """A batch whose photograph is its map, painted by a palette; and that palette."""
    labels = blocks(count, classes, **options)
    palette = torch.rand(classes, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    photo = palette[labels].movedim(-1, 1)
    return Batch(structure=one_hot(labels, classes).movedim(-1, 1).float(), target=photo, reference=photo), palette


def ramps(count: int, height: int, width: int) -> torch.Tensor:
    """(count, 2, H, W): the x and y of each pixel, from the middle of the image."""
    x = torch.arange(width) - (width - 1) / 2
    y = torch.arange(height) - (height - 1) / 2
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)]).expand(count, -1, -1, -1)


def test_with_everything_off_the_batch_itself_comes_back():
    batch, _ = pairs(2)
    assert Augment(**OFF)(batch, RNG) is batch


def test_a_photograph_painted_from_its_map_still_agrees_with_it_away_from_edges():
    batch, palette = pairs(12)
    ids = batch["structure"].argmax(1)[:, None].float()
    inner = max_pool2d(ids, 3, 1, 1) == -max_pool2d(-ids, 3, 1, 1)  # a pixel and its eight neighbours are of one class
    out = Augment(rotate=30, crop=0.6)(batch.replace(instances=inner[:, 0].long()), RNG)
    labels = out["structure"].argmax(1)
    assert not torch.equal(labels, ids[:, 0])
    inner = out["instances"][:, None].bool().expand(-1, 3, -1, -1)
    assert 0.5 < inner.float().mean() < 0.95
    painted = palette[labels].movedim(-1, 1)
    torch.testing.assert_close(out["target"][inner], painted[inner], atol=1e-5, rtol=0)
    assert torch.equal(out["reference"], out["target"])


def test_maps_and_photographs_are_read_at_the_same_places_to_half_a_pixel():
    height, width = 40, 64
    places = ramps(20, height, width)
    ids = torch.arange(height * width).view(1, height, width).expand(20, -1, -1)
    out = Augment(rotate=40, crop=0.5)(Batch(source=places.contiguous(), instances=ids), RNG)
    read = torch.stack([out["instances"] % width - (width - 1) / 2, out["instances"] // width - (height - 1) / 2], 1)
    gap = (read - out["source"]).abs()
    assert gap.max() <= 0.5 + 1e-4
    assert gap.mean() == pytest.approx(0.25, abs=0.02)  # uniform in a pixel: no shift between the two
    assert (read - out["source"]).mean().abs() < 0.01


def test_flipping_alone_is_exactly_torch_flip_for_about_half_of_the_samples():
    batch, _ = pairs(200, size=(8, 48), cell=4)
    out = Augment(**{**OFF, "flip": True})(batch, RNG)
    flipped = [not torch.equal(new, old) for new, old in zip(out["target"], batch["target"], strict=True)]
    assert 70 < sum(flipped) < 130
    for name, field in batch.items():
        for i, mirrored in enumerate(flipped):
            assert torch.equal(out[name][i], field[i].flip(-1) if mirrored else field[i])


SIDES = Field("onehot", 4, ("skin", "l_eye", "r_eye", "l_lip"))


@pytest.mark.parametrize("warp", [{}, {"rotate": 5.0, "crop": 0.9}])
def test_in_a_mirrored_face_a_left_eye_is_a_right_one(warp):
    """A left eye in the left half and a right one in the right half are there again, mirrored or not."""
    ids = torch.zeros(100, 16, 32, dtype=torch.int64)
    ids[:, 4:12, 4:12], ids[:, 4:12, 20:28], ids[:, 14:] = 1, 2, 3
    structure = one_hot(ids, 4).movedim(-1, 1).float()
    augment = Augment(**{**OFF, **warp, "flip": True}).of({"structure": SIDES, "target": Field("photo")}.get)
    ramp = torch.linspace(-1, 1, 32).expand(100, 3, 16, 32)
    out = augment(Batch(structure=structure, target=ramp), RNG)
    mirrored = out["target"][:, 0, 8, 4] > out["target"][:, 0, 8, 27]
    assert 30 < int(mirrored.sum()) < 70
    left_half, right_half = out["structure"][..., :16].sum((2, 3)), out["structure"][..., 16:].sum((2, 3))
    assert left_half[:, 1].min() > 30
    assert right_half[:, 2].min() > 30
    assert left_half[:, 2].max() == right_half[:, 1].max() == 0
    assert out["structure"].sum(1).eq(1).all()
    assert out["structure"][:, 3].sum((1, 2)).min() > 0  # the lower lip stays a lip
    without = Augment(**{**OFF, **warp, "flip": False}).of({"structure": SIDES}.get)(Batch(structure=structure), RNG)
    assert torch.equal(out["structure"][~mirrored], without["structure"][~mirrored])


def test_cropping_alone_magnifies_a_window_within_the_image():
    height, width, crop = 32, 48, 0.6
    out = Augment(**{**OFF, "crop": crop})(Batch(source=ramps(300, height, width)), RNG)["source"]
    inner = out[:, :, 2:-2, 2:-2]  # at the border the bilinear kernel is cut off
    x_step = (inner[:, 0, :, 1:] - inner[:, 0, :, :-1]).flatten(1)
    y_step = (inner[:, 1, 1:] - inner[:, 1, :-1]).flatten(1)
    side = x_step.mean(1)
    torch.testing.assert_close(x_step, side[:, None].expand_as(x_step), atol=1e-4, rtol=0)
    torch.testing.assert_close(y_step, side[:, None].expand_as(y_step), atol=1e-4, rtol=0)
    assert crop <= side.min() < crop + 0.02
    assert 0.98 < side.max() <= 1
    assert side.mean() == pytest.approx((1 + crop) / 2, abs=0.03)
    middle = inner.mean(dim=(2, 3))  # of the window, from the image's middle
    room = torch.stack([(1 - side) * width / 2, (1 - side) * height / 2], 1)
    assert (middle.abs() <= room + 1e-3).all()
    assert (middle.abs() > 0.9 * room).any(dim=0).all()
    assert middle.mean(0).abs().max() < 0.6


def test_rotation_alone_turns_about_the_centre_by_pixels_without_shear():
    height, width, degrees = 24, 60, 30.0
    out = Augment(**{**OFF, "rotate": degrees})(Batch(source=ramps(200, height, width)), RNG)["source"]
    near = out[:, :, height // 2 - 3 : height // 2 + 3, width // 2 - 3 : width // 2 + 3]
    right = (near[:, :, :, 1:] - near[:, :, :, :-1]).mean(dim=(2, 3))
    down = (near[:, :, 1:] - near[:, :, :-1]).mean(dim=(2, 3))
    torch.testing.assert_close(near.mean(dim=(2, 3)), torch.zeros(200, 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(right.norm(dim=1), torch.ones(200), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.stack([-down[:, 1], down[:, 0]], 1), -right, atol=1e-4, rtol=0)
    angle = torch.rad2deg(torch.atan2(right[:, 1], right[:, 0]))
    assert angle.abs().max() <= degrees + 0.01
    assert angle.min() < -0.95 * degrees
    assert angle.max() > 0.95 * degrees
    assert angle.mean().abs() < 4


def test_a_half_turn_of_every_angle_stays_within_the_image():
    batch = Batch(source=ramps(50, 16, 64), instances=torch.arange(50 * 16 * 64).view(50, 16, 64))
    out = Augment(rotate=180, crop=1)(batch, RNG)
    assert out["source"][:, 0].abs().max() <= 31.5
    assert out["source"][:, 1].abs().max() <= 7.5
    assert torch.equal(out["instances"] // (16 * 64), torch.arange(50).view(-1, 1, 1).expand(50, 16, 64))


def test_nothing_black_comes_in_at_the_corners():
    bright = torch.full((30, 3, 32, 32), 0.75)
    out = Augment(rotate=45, crop=0.9)(Batch(target=bright), RNG)["target"]
    torch.testing.assert_close(out, bright, atol=1e-6, rtol=0)


def test_what_lies_beyond_the_border_is_mirrored_there():
    height, width = 24, 40
    out = Augment(**{**OFF, "rotate": 60.0})(Batch(source=ramps(40, height, width)), RNG)["source"]
    middle = out[:, :, height // 2 - 1 : height // 2 + 1, width // 2 - 1 : width // 2 + 1]
    cos, sin = (middle[:, :, :, 1] - middle[:, :, :, 0]).mean(dim=2)[:, :, None, None].unbind(1)
    u, v = ramps(40, height, width).unbind(1)
    wanted = torch.stack([cos * u - sin * v, sin * u + cos * v], 1)
    half = torch.tensor([width / 2, height / 2]).view(2, 1, 1)
    mirrored = torch.where(wanted.abs() > half, wanted.sign() * 2 * half - wanted, wanted)
    clear = mirrored.abs() < half - 0.5
    beyond = clear & (wanted.abs() > half)
    assert beyond.float().mean() > 0.05
    torch.testing.assert_close(out[clear], mirrored[clear], atol=1e-3, rtol=0)


def test_values_stay_in_range():
    photo = torch.rand(8, 3, 33, 47, generator=torch.Generator().manual_seed(0)) * 2 - 1
    out = Augment(rotate=90, crop=0.3)(Batch(target=photo), RNG)["target"]
    assert out.abs().max() <= 1 + 1e-6
    assert out.isfinite().all()


def test_one_hot_maps_stay_one_hot():
    batch, _ = pairs(9)
    out = Augment(rotate=25, crop=0.7)(batch, RNG)["structure"]
    assert set(out.unique().tolist()) == {0.0, 1.0}
    assert (out.sum(1) == 1).all()


def test_unlabelled_pixels_stay_unlabelled_and_continuous_structures_keep_their_values():
    void = torch.zeros(4, 3, 16, 16)
    soft = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert not Augment()(Batch(structure=void), RNG)["structure"].any()
    out = Augment()(Batch(structure=soft), RNG)["structure"]
    assert set(out.unique().tolist()) <= set(soft.unique().tolist())


def test_instance_ids_beyond_float32_are_exact():
    ids = 2**24 + blocks(6).long() * 2 + 1  # odd: in float32 only even ones are left
    out = Augment(rotate=20)(Batch(instances=ids), RNG)["instances"]
    assert out.dtype == torch.int64
    assert set(out.unique().tolist()) <= set(ids.unique().tolist())


def test_instances_move_with_their_structure():
    labels = blocks(10)
    batch = Batch(structure=one_hot(labels, 6).movedim(-1, 1).float(), instances=labels)
    out = Augment(rotate=30, crop=0.5)(batch, RNG)
    assert torch.equal(out["structure"].argmax(1), out["instances"])


def test_fields_of_half_the_size_move_with_the_others():
    large = ramps(8, 32, 64)
    small = large[:, :, ::2, ::2] + 0.5  # the means of 2x2 pixels
    out = Augment(**{**OFF, "crop": 0.6})(Batch(source=large, reference=small), RNG)
    halved = torch.nn.functional.avg_pool2d(out["source"], 2)
    torch.testing.assert_close(out["reference"][:, :, 2:-2, 2:-2], halved[:, :, 2:-2, 2:-2], atol=1e-4, rtol=0)


def test_copies_of_one_pair_are_augmented_each_on_their_own():
    batch, _ = pairs(1)
    out = Augment()(batch.select([0] * 8), RNG)["target"]
    assert all(not torch.equal(out[i], out[j]) for i in range(8) for j in range(i))


def test_the_draw_depends_on_the_address_alone():
    batch, _ = pairs(5)
    augment = Augment()
    first = augment(batch, RNG.at("step", 4))
    torch.manual_seed(1)
    torch.rand(7)
    augment(batch, RNG.at("step", 5))
    again = Augment()(batch, RNG.at("step", 4))
    assert all(torch.equal(first[name], again[name]) for name in batch)
    assert not torch.equal(first["target"], augment(batch, RNG.at("step", 5))["target"])


def test_the_global_generator_is_left_alone():
    batch, _ = pairs(2)
    before = torch.get_rng_state()
    Augment()(batch, RNG)
    assert torch.equal(torch.get_rng_state(), before)


def test_its_input_is_left_alone_and_what_is_no_image_is_handed_through():
    batch, _ = pairs(3)
    batch = batch.replace(domain=torch.tensor([2, 0, 1]), style=torch.rand(3, 8))
    before = {name: field.clone() for name, field in batch.items()}
    out = Augment()(batch, RNG)
    assert list(out) == list(batch)
    assert out["domain"] is batch["domain"]
    assert out["style"] is batch["style"]
    assert all(torch.equal(batch[name], old) for name, old in before.items())


def test_batches_without_images_or_samples_come_back():
    labels = Batch(domain=torch.tensor([1, 2]))
    none = Batch(target=torch.zeros(0, 3, 8, 8))
    assert Augment()(labels, RNG) is labels
    assert Augment()(none, RNG) is none


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_shapes_and_dtypes_are_kept(dtype):
    photo = torch.rand(2, 3, 20, 30, dtype=torch.float64).to(dtype)
    out = Augment()(Batch(target=photo), RNG)["target"]
    assert (out.dtype, out.shape) == (dtype, photo.shape)
    exact = Augment()(Batch(target=photo.double()), RNG)["target"]
    torch.testing.assert_close(out.double(), exact, atol=1e-2 if dtype != torch.float64 else 0, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_autocast_moves_no_pixel(dtype):
    batch, _ = pairs(4)
    expected = Augment()(batch, RNG)
    with torch.autocast("cpu", dtype=dtype):
        out = Augment()(batch, RNG)
    assert all(torch.equal(out[name], expected[name]) for name in batch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 0.0}, "augment.crop: got 0.0, expected more than 0"),
        ({"crop": 1.5}, "augment.crop: got 1.5, expected at most 1"),
        ({"crop": float("nan")}, "augment.crop: got .nan, expected a finite number"),
        ({"rotate": -1.0}, "augment.rotate: got -1.0, expected at least 0"),
        ({"rotate": 181.0}, "augment.rotate: got 181.0, expected at most 180"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(UserError) as caught:
        Augment(**options)
    assert str(caught.value) == message


@pytest.mark.gpu
def test_a_gpu_gives_the_same_as_the_cpu():
    batch, _ = pairs(6)
    expected = Augment()(batch, RNG)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        out = Augment()(batch.to("cuda"), RNG)
    assert all(out[name].device.type == "cuda" for name in batch)
    torch.testing.assert_close(out["target"].cpu(), expected["target"], atol=1e-4, rtol=0)
    assert (out["structure"].cpu() != expected["structure"]).float().mean() < 1e-4  # ties, by rounding
