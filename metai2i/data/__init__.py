"""From files to batches: decoding, caches, sampling, augmentation.

The names below are what plugins may use; the modules of this folder may change.
"""

from typing import TYPE_CHECKING

from metai2i.lazy import exported

if TYPE_CHECKING:
    from metai2i.data.bad_files import DAMAGED as DAMAGED
    from metai2i.data.bad_files import as_one_error as as_one_error
    from metai2i.data.bad_files import failing as failing
    from metai2i.data.bad_files import tell_left_out as tell_left_out
    from metai2i.data.contact_sheet import MOST_CELLS as MOST_CELLS
    from metai2i.data.contact_sheet import cell as cell
    from metai2i.data.contact_sheet import save_sheet as save_sheet
    from metai2i.data.decoding import Size as Size
    from metai2i.data.decoding import check_same_size as check_same_size
    from metai2i.data.decoding import covering as covering
    from metai2i.data.decoding import fit_labels as fit_labels
    from metai2i.data.decoding import fit_photo as fit_photo
    from metai2i.data.decoding import header as header
    from metai2i.data.decoding import kind_of_pixels as kind_of_pixels
    from metai2i.data.decoding import opened as opened
    from metai2i.data.decoding import same_aspect as same_aspect
    from metai2i.data.decoding import size_in_words as size_in_words
    from metai2i.data.digests import content_digests as content_digests
    from metai2i.data.digests import files_digest as files_digest
    from metai2i.data.disk_cache import cached as cached
    from metai2i.data.disk_cache import file_identity as file_identity
    from metai2i.data.disk_cache import settled as settled
    from metai2i.data.domain_source import DomainSource as DomainSource
    from metai2i.data.domain_source import refuse_twice as refuse_twice
    from metai2i.data.domain_source import split_parts as split_parts
    from metai2i.data.drawings import check_drawing as check_drawing
    from metai2i.data.drawings import fitted_drawing as fitted_drawing
    from metai2i.data.exemplar_list import ExemplarLine as ExemplarLine
    from metai2i.data.exemplar_list import read_exemplar_list as read_exemplar_list
    from metai2i.data.exemplar_list import samples_listed as samples_listed
    from metai2i.data.folders import by_stem as by_stem
    from metai2i.data.folders import check_name as check_name
    from metai2i.data.folders import entries as entries
    from metai2i.data.folders import is_broken_link as is_broken_link
    from metai2i.data.folders import refuse_twins as refuse_twins
    from metai2i.data.folders import subfolders as subfolders
    from metai2i.data.images import as_photographs as as_photographs
    from metai2i.data.images import channels_first as channels_first
    from metai2i.data.images import class_colours as class_colours
    from metai2i.data.images import to_uint8 as to_uint8
    from metai2i.data.json_places import json_place as json_place
    from metai2i.data.kept_photographs import KeptPhotographs as KeptPhotographs
    from metai2i.data.label_maps import LabelMap as LabelMap
    from metai2i.data.label_maps import Legend as Legend
    from metai2i.data.label_maps import read_exact as read_exact
    from metai2i.data.label_maps import read_label_map as read_label_map
    from metai2i.data.leaks import refuse_in_two_domains as refuse_in_two_domains
    from metai2i.data.leaks import refuse_shared as refuse_shared
    from metai2i.data.map_iou import summed_iou as summed_iou
    from metai2i.data.memory_cache import MemoryCache as MemoryCache
    from metai2i.data.paired_files import PairedScene as PairedScene
    from metai2i.data.paired_files import PairReader as PairReader
    from metai2i.data.pairs_in_folders import PHOTO_ENDINGS as PHOTO_ENDINGS
    from metai2i.data.pairs_in_folders import PairFiles as PairFiles
    from metai2i.data.pairs_in_folders import check_view as check_view
    from metai2i.data.pairs_in_folders import has_folders_of_pairs as has_folders_of_pairs
    from metai2i.data.pairs_in_folders import pairs_in as pairs_in
    from metai2i.data.photographs import read_photograph as read_photograph
    from metai2i.data.places import cache_folder as cache_folder
    from metai2i.data.places import expanded as expanded
    from metai2i.data.remarks import Remark as Remark
    from metai2i.data.remarks import Remarks as Remarks
    from metai2i.data.remarks import cached_unless_remarked as cached_unless_remarked
    from metai2i.data.scene_folders import Member as Member
    from metai2i.data.scene_folders import missing_folder as missing_folder
    from metai2i.data.scene_folders import named_member as named_member
    from metai2i.data.scene_folders import refuse_same as refuse_same
    from metai2i.data.spacing import evenly_chosen as evenly_chosen
    from metai2i.data.spacing import evenly_spaced as evenly_spaced
    from metai2i.data.text_lists import listed_lines as listed_lines
    from metai2i.data.unpaired import Pool as Pool
    from metai2i.data.unpaired import ReadMap as ReadMap
    from metai2i.data.unpaired import UnpairedScene as UnpairedScene

_HOME = {
    "DomainSource": "domain_source",
    "check_drawing": "drawings",
    "fitted_drawing": "drawings",
    "refuse_twice": "domain_source",
    "json_place": "json_places",
    "split_parts": "domain_source",
    "ExemplarLine": "exemplar_list",
    "read_exemplar_list": "exemplar_list",
    "samples_listed": "exemplar_list",
    "DAMAGED": "bad_files",
    "failing": "bad_files",
    "tell_left_out": "bad_files",
    "as_one_error": "bad_files",
    "MemoryCache": "memory_cache",
    "KeptPhotographs": "kept_photographs",
    "LabelMap": "label_maps",
    "Legend": "label_maps",
    "Member": "scene_folders",
    "Remark": "remarks",
    "Remarks": "remarks",
    "Size": "decoding",
    "by_stem": "folders",
    "cache_folder": "places",
    "cell": "contact_sheet",
    "as_photographs": "images",
    "channels_first": "images",
    "class_colours": "images",
    "check_name": "folders",
    "check_same_size": "decoding",
    "content_digests": "digests",
    "files_digest": "digests",
    "entries": "folders",
    "expanded": "places",
    "file_identity": "disk_cache",
    "covering": "decoding",
    "fit_labels": "decoding",
    "fit_photo": "decoding",
    "header": "decoding",
    "same_aspect": "decoding",
    "kind_of_pixels": "decoding",
    "size_in_words": "decoding",
    "is_broken_link": "folders",
    "listed_lines": "text_lists",
    "cached": "disk_cache",
    "cached_unless_remarked": "remarks",
    "missing_folder": "scene_folders",
    "named_member": "scene_folders",
    "opened": "decoding",
    "read_exact": "label_maps",
    "read_label_map": "label_maps",
    "read_photograph": "photographs",
    "refuse_same": "scene_folders",
    "refuse_in_two_domains": "leaks",
    "refuse_shared": "leaks",
    "refuse_twins": "folders",
    "save_sheet": "contact_sheet",
    "settled": "disk_cache",
    "evenly_spaced": "spacing",
    "evenly_chosen": "spacing",
    "MOST_CELLS": "contact_sheet",
    "PairedScene": "paired_files",
    "PairReader": "paired_files",
    "PHOTO_ENDINGS": "pairs_in_folders",
    "PairFiles": "pairs_in_folders",
    "check_view": "pairs_in_folders",
    "has_folders_of_pairs": "pairs_in_folders",
    "pairs_in": "pairs_in_folders",
    "Pool": "unpaired",
    "ReadMap": "unpaired",
    "UnpairedScene": "unpaired",
    "subfolders": "folders",
    "summed_iou": "map_iou",
    "to_uint8": "images",
}
__all__ = [*_HOME]  # noqa: PLE0604
__getattr__ = exported(__name__, _HOME)
