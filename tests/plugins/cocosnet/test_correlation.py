import pytest
import torch
from metai2i_cocosnet.correlation import attend, flat, matrix_bytes, positions, unflat
from metai2i_cocosnet.correspondence import Correlation, patches, pooled, unpatched

GRID = (6, 5)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def correlation(queries: torch.Tensor, keys: torch.Tensor, chunk: int | None = None, tau: float = 0.01) -> Correlation:
    """Of features (B, C, h, w), as the network makes it of theirs."""
    return Correlation(positions(queries, 3), positions(keys, 3), GRID, tau, chunk, queries)


def test_weights_are_a_softmax_at_a_hundredth():
    likeness = torch.tensor([0.9, 0.8, 0.5])
    shares = attend(torch.tensor([[[1.0]]]), likeness[None, :, None], torch.eye(3)[None], 0.01)[0, 0]
    assert shares.tolist() == pytest.approx([0.999955, 4.54e-5, 4.2e-18], rel=2e-2)
    assert float(shares[0]) == pytest.approx(0.999955, abs=1e-6)


@pytest.mark.parametrize("chunk", [None, 4])
def test_rows_of_the_correlation_add_up_to_one(chunk):
    shares = correlation(drawn(2, 8, *GRID), drawn(2, 8, *GRID, seed=1), chunk, 0.1).warp(
        torch.eye(30).reshape(1, 30, *GRID).expand(2, -1, -1, -1)
    )
    torch.testing.assert_close(shares.sum(1), torch.ones(2, *GRID))
    assert float(shares.min()) >= 0


@pytest.mark.parametrize("chunk", [1, 7, 29, 30, 100])
def test_pieces_give_what_all_at_once_gives_and_so_do_their_gradients(chunk):
    outputs, gradients = [], []
    for size in (None, chunk):
        sides = [drawn(2, 8, *GRID, seed=n).requires_grad_() for n in range(3)]
        warped = correlation(sides[0], sides[1], size, 0.1).warp(sides[2])
        gradients.append(torch.autograd.grad((warped * drawn(2, 8, *GRID, seed=9)).sum(), sides))
        outputs.append(warped.detach())
        with torch.no_grad():
            torch.testing.assert_close(correlation(sides[0], sides[1], size, 0.1).warp(sides[2]), outputs[-1])
    torch.testing.assert_close(*outputs)
    for whole, pieces in zip(*gradients, strict=True):
        assert float(whole.abs().max()) > 1e-3
        torch.testing.assert_close(whole, pieces)


def test_pieces_have_the_gradients_of_a_second_order_too():
    seconds = []
    for chunk in (None, 7):
        sides = [drawn(1, 4, *GRID, seed=n).requires_grad_() for n in range(3)]
        loss = correlation(sides[0], sides[1], chunk, 0.1).warp(sides[2]).square().sum()
        (first,) = torch.autograd.grad(loss, sides[:1], create_graph=True)
        seconds.append(torch.autograd.grad(first.square().sum(), sides))
    for whole, pieces in zip(*seconds, strict=True):
        torch.testing.assert_close(whole, pieces, rtol=1e-4, atol=1e-4)


def test_gradients_in_pieces_are_those_of_finite_differences_in_both_orders():
    sides = [drawn(2, *shape, seed=n).double().requires_grad_() for n, shape in enumerate(((5, 3), (4, 3), (4, 2)))]

    def pieces(*sides: torch.Tensor) -> torch.Tensor:
        return attend(*sides, 0.5, 2)

    assert torch.autograd.gradcheck(pieces, sides)
    assert torch.autograd.gradgradcheck(pieces, sides)


def test_a_side_that_wants_no_gradient_gets_none():
    queries, keys, values = drawn(1, 6, 3).requires_grad_(), drawn(1, 4, 3, seed=1), drawn(1, 4, 2, seed=2)
    attend(queries, keys, values, 0.5, 2).sum().backward()
    assert float(queries.grad.abs().max()) > 0
    assert keys.grad is values.grad is None


def test_no_more_rows_than_asked_for_are_held_with_and_without_a_gradient():
    """The matrix of 30 by 30 is looked for among what is allocated, and among what is kept for the gradient."""

    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        rows = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            output = func(*args, **(kwargs or {}))
            if isinstance(output, torch.Tensor) and output.ndim == 3 and output.shape[-1] == 30:
                Largest.rows = max(Largest.rows, output.shape[-2])
            return output

    queries, keys, values = (drawn(1, 30, width, seed=n).requires_grad_() for n, width in enumerate((8, 8, 3)))
    for chunk, rows in ((None, 30), (10, 10)):
        kept: list[tuple[int, ...]] = []
        Largest.rows = 0
        with (
            Largest(),
            torch.autograd.graph.saved_tensors_hooks(lambda t, k=kept: (k.append(t.shape), t)[1], lambda t: t),
        ):
            warped = attend(queries, keys, values, 0.1, chunk)
        assert Largest.rows == rows
        assert (any(shape[-1] == 30 and shape[-2] == 30 for shape in kept)) == (chunk is None)
        with Largest():
            warped.sum().backward()
        assert Largest.rows == rows


def test_the_warp_of_an_exemplar_by_its_own_map_is_itself():
    """Where every position differs from every other, each finds itself; so the warp is right to one position."""
    features, exemplar = drawn(2, 8, *GRID), drawn(2, 3, *GRID, seed=1)
    for chunk in (None, 4):
        warped = correlation(features, features, chunk).warp(exemplar)
        torch.testing.assert_close(warped, exemplar, atol=1e-4, rtol=0)
    places = torch.stack(torch.meshgrid(torch.arange(6.0), torch.arange(5.0), indexing="ij"))[None].expand(
        2, -1, -1, -1
    )
    landed = correlation(features, features).warp(places)
    assert float((landed - places).abs().max()) < 1


def test_a_layout_that_is_shifted_has_its_exemplar_shifted():
    features, exemplar = drawn(1, 8, *GRID), drawn(1, 3, *GRID, seed=1)
    shifted = correlation(features.roll(1, 3), features).warp(exemplar)
    torch.testing.assert_close(shifted[..., 1:-1, 2:-1], exemplar.roll(1, 3)[..., 1:-1, 2:-1], atol=1e-2, rtol=0)


def test_warping_is_linear_in_the_exemplar():
    matrix = correlation(drawn(2, 8, *GRID), drawn(2, 8, *GRID, seed=1), 7, 0.1)
    first, second = drawn(2, 3, *GRID, seed=2), drawn(2, 3, *GRID, seed=3)
    torch.testing.assert_close(
        matrix.warp(2 * first - 3 * second), 2 * matrix.warp(first) - 3 * matrix.warp(second), atol=1e-5, rtol=1e-5
    )
    constant = torch.full_like(first, 0.7)
    torch.testing.assert_close(matrix.warp(constant), constant)


def test_what_is_warped_there_and_back_by_a_sharp_correlation_is_itself():
    features, exemplar = drawn(1, 8, *GRID), drawn(1, 3, *GRID, seed=1)
    there = correlation(features.roll(1, 3), features, 4)
    inside = (..., slice(1, -1), slice(1, -2))
    torch.testing.assert_close(there.back(there.warp(exemplar))[inside], exemplar[inside], atol=0.05, rtol=0)


def test_positions_are_three_by_three_centred_over_their_channels_and_of_length_one():
    features = drawn(1, 4, *GRID)
    vectors = positions(features, 3)
    assert vectors.shape == (1, 30, 36)
    torch.testing.assert_close(vectors.mean(2), torch.zeros(1, 30), atol=1e-6, rtol=0)
    torch.testing.assert_close(vectors.norm(dim=2), torch.ones(1, 30))
    window = features[0, :, 1:4, 2:5].reshape(-1)
    centred = window - window.mean()
    torch.testing.assert_close(vectors[0, 2 * 5 + 3], centred / centred.norm())
    assert positions(features, 1).shape == (1, 30, 4)


def test_half_precision_is_compared_in_single():
    vectors = [drawn(1, 30, 8, seed=n).bfloat16() for n in range(3)]
    assert attend(*vectors, 0.01, 7).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        inside = attend(*(v.float() for v in vectors), 0.01)
    torch.testing.assert_close(inside, attend(*vectors, 0.01))


def test_gradients_in_pieces_are_of_single_precision_inside_autocast_too():
    gradients = []
    for enabled in (False, True):
        sides = [drawn(1, 30, 8, seed=n).requires_grad_() for n in range(3)]
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            gradients.append(torch.autograd.grad(attend(*sides, 0.5, 7).square().sum(), sides))
    for plain, inside in zip(*gradients, strict=True):
        assert torch.equal(plain, inside)


def test_patches_are_put_back_and_pooled_colours_are_their_means():
    images = drawn(2, 3, 8, 12)
    assert patches(images, 4).shape == (2, 48, 2, 3)
    assert torch.equal(unpatched(patches(images, 4), 4), images)
    torch.testing.assert_close(pooled(images, 4)[0, 1, 1, 2], images[0, 1, 4:8, 8:12].mean())


def test_values_of_positions_are_rows_of_an_image():
    image = drawn(2, 3, *GRID)
    assert flat(image)[1, 5 + 2].tolist() == image[1, :, 1, 2].tolist()
    assert torch.equal(unflat(flat(image), GRID), image)


def test_memory_is_told_by_rows_times_positions():
    assert matrix_bytes(4096, None) == 64 * 2**20
    assert matrix_bytes(4096, 1024) == 16 * 2**20
    assert matrix_bytes(256, 1024) == 256 * 256 * 4
