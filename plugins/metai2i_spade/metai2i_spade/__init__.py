"""SPADE for metai2i.

The names of `__all__` are what other plugins may build on; the modules of this package may change.
"""

from metai2i import Register, hookimpl
from metai2i_spade.discriminator import MultiscaleDiscriminator as MultiscaleDiscriminator
from metai2i_spade.discriminator import PatchScale as PatchScale
from metai2i_spade.edges import edges as edges
from metai2i_spade.encoder import Encoder as Encoder
from metai2i_spade.generator import FromCode as FromCode
from metai2i_spade.generator import FromMap as FromMap
from metai2i_spade.generator import Generator as Generator
from metai2i_spade.generator import Layers as Layers
from metai2i_spade.generator import SpadeBlock as SpadeBlock
from metai2i_spade.generator import spade_layers as spade_layers
from metai2i_spade.generator import widths_of as widths_of
from metai2i_spade.judged import Fakes as Fakes
from metai2i_spade.judged import JudgedGenerator as JudgedGenerator
from metai2i_spade.layers import GuidedConv2d as GuidedConv2d
from metai2i_spade.layers import Nearest as Nearest
from metai2i_spade.layers import initialise as initialise
from metai2i_spade.layers import plain_conv as plain_conv
from metai2i_spade.layers import spectral_conv as spectral_conv
from metai2i_spade.losses import divergence as divergence
from metai2i_spade.losses import feature_matching as feature_matching
from metai2i_spade.norm import Guide as Guide
from metai2i_spade.norm import PlainNorm as PlainNorm
from metai2i_spade.norm import PositionNorm as PositionNorm
from metai2i_spade.norm import SpadeNorm as SpadeNorm
from metai2i_spade.norm import normalisation as normalisation
from metai2i_spade.sizes import doublings_of as doublings_of
from metai2i_spade.translator import Spade as Spade
from metai2i_spade.translator import SpadeInstances as SpadeInstances

__all__ = [
    "Encoder",
    "Fakes",
    "FromCode",
    "FromMap",
    "Generator",
    "Guide",
    "GuidedConv2d",
    "JudgedGenerator",
    "Layers",
    "MultiscaleDiscriminator",
    "Nearest",
    "PatchScale",
    "PlainNorm",
    "PositionNorm",
    "Spade",
    "SpadeBlock",
    "SpadeInstances",
    "SpadeNorm",
    "divergence",
    "doublings_of",
    "edges",
    "feature_matching",
    "initialise",
    "normalisation",
    "plain_conv",
    "spade_layers",
    "spectral_conv",
    "widths_of",
]


@hookimpl
def register_translators(register: Register) -> None:
    """Hand over `Spade` and `SpadeInstances`."""
    register("spade", Spade)
    register("spade_instances", SpadeInstances)
