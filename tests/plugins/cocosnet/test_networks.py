from itertools import chain

import pytest
import torch
from metai2i_cocosnet.attention import Attention
from metai2i_cocosnet.correspondence import Adaptor, Correspondence, MatchBlock, coordinates
from metai2i_cocosnet.networks import attentive_discriminator, check_judged, smallest_side, translation_generator
from metai2i_spade import Guide, SpadeBlock

from metai2i import UserError


def count(*networks: torch.nn.Module) -> int:
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


@pytest.mark.parametrize(
    ("channels", "kernel", "map_too", "of_correspondence", "of_generator", "of_discriminator"),
    [
        (151, 3, True, 59_315_716, 96_664_260, 6_000_772),  # ADE20K
        (19, 4, True, 53_574_564, 92_710_596, 5_730_436),  # face masks
        (19, 3, True, 51_624_868, 92_710_596, 5_730_436),
        (15, 4, True, 53_380_676, 92_590_788, 5_722_244),  # face edges
        (20, 4, False, 52_846_916, 92_740_548, 5_732_484),  # DeepFashion
    ],
)
def test_networks_have_the_references_number_of_parameters(
    channels, kernel, map_too, of_correspondence, of_generator, of_discriminator
):
    with torch.device("meta"):
        assert count(Correspondence(channels, kernel=kernel, map_too=map_too)) == of_correspondence
        assert count(translation_generator(channels + 3, (8, 8), 64, 128, 5, True, None)) == of_generator
        assert count(attentive_discriminator(channels + 3, 64, 4, 2)) == of_discriminator


@pytest.mark.parametrize(
    ("channels", "of_discriminator"),
    [(151, 6_862_194), (19, 6_515_562), (15, 6_505_058), (20, 6_518_188)],
)
def test_the_published_discriminator_also_has_a_decoder_that_nothing_calls(channels, of_discriminator):
    """For each scale it would bring 256 features back to the map's channels: 1x1, or transposed 4x4, convolutions."""
    with torch.device("meta"):
        used = count(attentive_discriminator(channels + 3, 64, 4, 2))
    decoder = of_discriminator - used
    assert decoder == {151: 861_422, 19: 785_126, 15: 782_814, 20: 785_704}[channels]
    assert (861_422 - 785_126) % (151 - 19) == 0  # it grows evenly with the channels of the map
    assert (decoder - 785_126) == (channels - 19) * 578


def test_parts_of_the_correspondence_have_the_references_number_of_parameters():
    with torch.device("meta"):
        network = Correspondence(19, kernel=4)
    assert [count(network.of_map), count(network.of_image)] == [24_062_144, 23_923_904]
    assert count(network.blocks) == 5_447_204
    assert count(network.theta, network.phi) == 141_312
    assert network.of_map is not network.of_image


@pytest.mark.parametrize(("stride", "kernel"), [(4, 3), (4, 4), (2, 3), (2, 4), (1, 3)])
def test_an_adaptor_gives_four_times_its_width_at_its_stride_of_length_one(stride, kernel):
    with torch.device("meta"):
        assert Adaptor(5, 64, stride, kernel)(torch.empty(2, 5, 64, 32)).shape == (2, 256, 64 // stride, 32 // stride)
    features = Adaptor(5, 2, stride, kernel)(torch.randn(2, 5, 16, 16))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2, 16 // stride, 16 // stride))


def test_there_is_no_activation_behind_an_adaptors_last_convolution():
    """So what its first block is shown has a mean of 0 in every channel, and as many values below as above."""
    adaptor, shown = Adaptor(5, 4, 4, 3), []
    adaptor.blocks[0].register_forward_pre_hook(lambda _, given: shown.append(given[0]))
    adaptor(torch.randn(2, 5, 32, 32))
    assert shown[0].mean((2, 3)).abs().max() < 1e-5
    assert 0.3 < (shown[0] < -0.3).float().mean() < 0.5


def test_convolutions_of_the_adaptors_have_no_bias_and_those_of_the_matching_blocks_one():
    network = Correspondence(5, 2)
    names = [name for name, _ in network.named_parameters() if ".convs." in name]
    assert not any(name.endswith(".bias") for name in names)
    assert len(names) == 2 * 5
    assert [block.conv_0.bias is not None for block in network.blocks] == [True] * 4


def test_both_activations_of_a_matching_block_share_a_slope():
    block = MatchBlock(3)
    assert [tuple(p.shape) for name, p in block.named_parameters() if "activation" in name] == [(1,)]
    features = torch.randn(2, 3, 5, 5)

    def prelu(x):
        return torch.where(x > 0, x, 0.25 * x)

    changed = block.norm(block.conv_1(prelu(block.norm(block.conv_0(features)))))
    torch.testing.assert_close(block(features), prelu(features + changed))


def test_matching_layers_are_shown_maps_and_coordinates_where_they_are_asked_for():
    assert [
        Correspondence(5, 2, map_too=maps, coordinates=places).theta.in_channels
        for maps in (True, False)
        for places in (True, False)
    ] == [16, 13, 11, 8]
    x, y, radius = coordinates((3, 5))[0]
    assert x[0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert y[:, 0].tolist() == [-1, 0, 1]
    assert radius[1, 2] == 0
    assert radius[0, 0] == pytest.approx(2**0.5)


def test_an_exemplars_map_is_seen_by_the_matching_layers():
    network, maps = Correspondence(3, 2).eval(), torch.eye(3)[torch.randint(3, (2, 16, 16))].permute(0, 3, 1, 2)
    exemplar = torch.rand(2, 3, 16, 16)
    first, other = (network(maps, exemplar, seen) for seen in (maps, maps.flip(1)))
    assert torch.equal(first.queries, other.queries)
    assert not torch.equal(first.keys, other.keys)


def test_attention_stands_at_half_the_images_size_and_begins_as_nothing():
    generator = translation_generator(5, (4, 4), 4, 8, 4, True, None)
    at = [isinstance(module, Attention) for module in generator.body].index(True)
    seen = []
    generator.body[at].register_forward_hook(lambda _, given, output: seen.append((given[0], output)))
    generator(Guide(torch.randn(1, 5, 64, 64)))
    assert seen[0][0].shape == (1, 16, 32, 32)
    assert torch.equal(*seen[0])
    after = generator.body[at + 1]
    assert isinstance(after, SpadeBlock)
    assert after.conv_s.out_channels == 8
    assert not any(isinstance(m, Attention) for m in translation_generator(5, (4, 4), 4, 8, 4, False, None).body)


def test_attention_adds_a_mean_of_pooled_values_by_softmax_and_the_same_in_pieces():
    attention, pieces = Attention(16), Attention(16, 7)
    pieces.load_state_dict(attention.state_dict())
    features = torch.randn(2, 16, 4, 6)
    for each in (attention, pieces):
        with torch.no_grad():
            each.gain.fill_(0.5)
        each.eval()
    query = attention.query(features).flatten(2)
    key, value = (torch.nn.functional.max_pool2d(c(features), 2).flatten(2) for c in (attention.key, attention.value))
    weights = (query.transpose(1, 2) @ key).softmax(2)
    by_hand = features + 0.5 * attention.out((weights @ value.transpose(1, 2)).transpose(1, 2).unflatten(2, (4, 6)))
    torch.testing.assert_close(attention(features), by_hand)
    torch.testing.assert_close(pieces(features), by_hand)


def test_norms_of_the_generator_are_over_channels_and_borders_are_reflected():
    generator = translation_generator(5, (4, 4), 4, 8, 3, True, None)
    block = generator.body[0]
    features = block.norm_0.norm(torch.randn(2, 16, 4, 4))
    torch.testing.assert_close(features.mean(1), torch.zeros(2, 4, 4), atol=1e-6, rtol=0)
    torch.testing.assert_close(features.var(1), torch.ones(2, 4, 4), atol=1e-3, rtol=0)
    assert {block.norm_0.shared.padding_mode, block.norm_0.scale.padding_mode, block.conv_0.padding_mode} == {"reflect"}


def test_sizes_within_the_discriminator_are_the_references():
    scales = attentive_discriminator(5, 2, 4, 2)(torch.zeros(1, 5, 256, 256))
    assert [[output.shape[-1] for output in scale] for scale in scales] == [[128, 64, 32, 31, 30], [64, 32, 16, 15, 14]]


def test_the_discriminator_attends_before_its_last_convolution_of_features():
    discriminator, seen = attentive_discriminator(5, 4, 4, 2), []
    for scale in discriminator.scales:
        scale.attention.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    discriminator(torch.randn(1, 5, 64, 64))
    assert seen == [(1, 16, 8, 8), (1, 16, 4, 4)]


@pytest.mark.parametrize(("side", "layers", "scales"), [(32, 3, 2), (64, 4, 2), (32, 4, 1), (16, 2, 2), (24, 3, 2)])
def test_what_is_checked_is_the_smallest_side_of_its_features(side, layers, scales):
    outputs = attentive_discriminator(5, 2, layers, scales)(torch.zeros(1, 5, side, 2 * side))
    assert min(output.shape[-2] for output in chain(*[scale[:-1] for scale in outputs])) == smallest_side(
        (side, 2 * side), layers, scales
    )


def test_a_discriminator_that_leaves_too_little_is_refused_with_what_will_do():
    check_judged((32, 64), 3, 2)
    with pytest.raises(UserError, match="4 layers of the discriminator leave too little of its scale 2") as caught:
        check_judged((32, 64), 4, 2)
    assert caught.value.hint == "d_layers: 3"
    with pytest.raises(UserError) as caught:
        check_judged((4, 4), 1, 4)
    assert caught.value.hint == "lower d_scales"
