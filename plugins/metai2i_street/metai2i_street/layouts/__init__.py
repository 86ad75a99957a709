"""The layouts in which people have the data sets. One file each; a new one is entered here."""

from metai2i_street.layouts.base import Layout
from metai2i_street.layouts.bdd100k import Bdd100kImages, Bdd100kSeg
from metai2i_street.layouts.camvid_colours import ColourLabels
from metai2i_street.layouts.camvid_official import OfficialCamVid
from metai2i_street.layouts.camvid_segnet import SegNet
from metai2i_street.layouts.cityscapes_official import OfficialCityscapes
from metai2i_street.layouts.cityscapes_pix2pix import Pix2pixPairs
from metai2i_street.layouts.compact import CompactCamVid, CompactCityscapes
from metai2i_street.layouts.pix2pixhd import Pix2pixHD

LAYOUTS: tuple[Layout, ...] = (
    CompactCamVid(),
    SegNet(),
    ColourLabels(),
    OfficialCamVid(),
    CompactCityscapes(),
    Pix2pixPairs(),
    OfficialCityscapes(),
    Pix2pixHD(),
    Bdd100kSeg(),
    Bdd100kImages(),
)
"""In the order in which they are tried."""

__all__ = ["LAYOUTS", "Layout"]
