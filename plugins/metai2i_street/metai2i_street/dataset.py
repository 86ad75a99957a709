"""A data set that has been found and looked through: the scenes that its good pairs make."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from metai2i import UserError
from metai2i.data import MemoryCache, Remarks, Size, as_one_error, tell_left_out
from metai2i_street.clips import Clip, cut, is_frame
from metai2i_street.find import TITLES, find
from metai2i_street.instances import check_size
from metai2i_street.layouts import LAYOUTS, Layout
from metai2i_street.readers import InstanceReader
from metai2i_street.records import DatasetName, Listing, Part, Record
from metai2i_street.scan import headers, pixels
from metai2i_street.scenes import Images, Scene
from metai2i_street.tables import Tables

log = logging.getLogger("metai2i")

READING = "2"
"""Changes when the same files would give other images or maps."""

OnBadFile = Literal["error", "skip"]


@dataclass(frozen=True)
class Dataset:
    """What was found.

    Args:
        name: which data set.
        folder: where it lies.
        layout: the name of the layout it has.
        scenes: each with the group that splits are made of: CamVid's sequence, the own split of the others.
        groups: all groups, also those without a scene.
        summary: what there is, for people.
        remarks: what is to be said about the maps that were read.
    """

    name: DatasetName
    folder: Path
    layout: str
    scenes: tuple[tuple[str, Scene], ...]
    groups: tuple[str, ...]
    summary: str
    remarks: Remarks

    def of(self, groups: Collection[str]) -> list[Scene]:
        """Return the scenes of some groups, in order."""
        return [scene for group, scene in self.scenes if group in groups]


def open_dataset(
    name: DatasetName,
    root: Path,
    *,
    parts: Collection[Part],
    clip: int,
    tables: Tables,
    on_bad_file: OnBadFile,
    size: Size,
    cache: MemoryCache,
    instances: bool = False,
) -> Dataset:
    """Find a data set, look through its files and make scenes; say in the log what it is.

    Args:
        name: which.
        root: where to look.
        parts: the splits that are wanted of data sets that have splits.
        clip: frames in a clip of CamVid.
        tables: the mapping tables.
        on_bad_file: whether bad files are an error or left out.
        size: of the images.
        cache: of decoded images.
        instances: whether each pair must have an instance map as well.

    Raises:
        UserError: when it is not there, has no instances that are asked for, or has bad files and `on_bad_file` is
            "error".
    """
    folder, layout = find(name, root)
    reader = layout.reader(folder, tables)
    table = hashlib.sha256(repr(getattr(reader, "table", None)).encode()).hexdigest()  # a layout may bring its own
    salt = f"{READING}|{layout.name}|{layout.dataset}|{tables.digest()}|{table}"
    images = Images(
        reader, size, cache, salt, Remarks(f"street: {TITLES[name]}"), InstanceReader(tables) if instances else None
    )
    listing = layout.pairs(folder, parts)
    _tell_unpaired(name, listing)
    listed = [_with_instances(layout, folder, each) for each in listing.records] if instances else listing.records
    records = _good(name, listed, images, on_bad_file=on_bad_file)
    if name == "camvid":
        where = folder if on_bad_file == "error" else None
        scenes, summary = _clips(layout.clips(folder), records, clip, images, where=where)
        groups = tuple(sorted({record.name.split("_")[0] for record in records}))
    else:
        scenes = [(str(record.part), Scene(record.name, [record], images)) for record in records]
        counts = Counter(record.part for record in records)
        summary = ", ".join(f"{counts[part]} {part}" for part in counts)
        _tell_shared_places(records)
        groups = tuple(map(str, counts))
    log.info("street: %s in %s, layout %r, %d pairs, %s", name, folder, layout.name, len(records), summary)
    return Dataset(name, folder, layout.name, tuple(scenes), groups, summary, images.remarks)


def _with_instances(layout: Layout, folder: Path, record: Record) -> Record:
    """Return the record with the place of its instance map."""
    path = layout.instances(folder, record)
    if path is None:
        with_them = [each.name for each in LAYOUTS if type(each).instances is not Layout.instances]
        raise UserError(
            f"{TITLES[layout.dataset]} in the layout {layout.name!r} has no instance maps",
            where=folder,
            hint=f"layouts that have them: {', '.join(with_them)}; without instances, tasks.use: street",
        )
    return replace(record, instances=path)


def _good(name: DatasetName, records: Sequence[Record], images: Images, *, on_bad_file: OnBadFile) -> list[Record]:
    """Return the records without bad ones, which are an error or told in the log."""

    def check(record: Record) -> None:
        if name == "camvid" and not is_frame(record.name):
            raise UserError(
                f"cannot tell sequence and frame number from the name {record.name!r}",
                where=record.photo,
                hint="CamVid's frames are called like 0001TP_006690 or Seq05VD_f00030",
            )
        images.reader.check(record)
        if record.instances is not None:
            check_size(record.photo, record.instances)

    def read(record: Record) -> None:
        images.photo(record)
        images.labels(record)
        if record.instances is not None:
            images.instances(record)

    bad = headers(records, check)
    if on_bad_file == "error":
        if bad:
            raise as_one_error([error for _, error in bad])
        return list(records)
    failed = {record for record, _ in bad}
    bad += pixels([record for record in records if record not in failed], read, images.reading)
    failed = {record for record, _ in bad}
    good = [record for record in records if record not in failed]
    tell_left_out("street", [error for _, error in bad], len(records), f"pairs of {TITLES[name]}")
    return good


def _clips(
    given: Sequence[Clip] | None, records: Sequence[Record], length: int, images: Images, *, where: Path | None
) -> tuple[list[tuple[str, Scene]], str]:
    """Return CamVid's scenes: the clips that the layout lists, if they have the wanted length, or clips cut by name.

    Args:
        given: the clips that the layout lists.
        records: the good pairs.
        length: the wanted length.
        images: what reads them.
        where: the folder to name when a listed clip lacks a frame; None leaves such clips out.
    """
    by_name = {record.name: record for record in records}
    notes = []
    if given is not None and all(len(clip.frames) == length for clip in given):
        clips = [clip for clip in given if all(frame in by_name for frame in clip.frames)]
        lost = [(clip.id, frame) for clip in given for frame in clip.frames if frame not in by_name]
        if lost and where is not None:
            raise UserError(f"clip {lost[0][0]!r} names frame {lost[0][1]!r}, which is not there", where=where)
        if lost:
            notes.append(f"{len(given) - len(clips)} lost to bad frames")
    else:
        cut_clips = cut(by_name, length)
        clips = list(cut_clips.clips)
        if cut_clips.gaps:
            notes.append(_count(cut_clips.gaps, "gap or change of pace", "gaps or changes of pace"))
        if not clips:
            longest = max(map(len, cut_clips.segments), default=0)
            notes.append(f"the longest stretch without a gap has {longest} frames")
    used = {frame for clip in clips for frame in clip.frames}
    if len(used) < len(by_name):
        notes.append(_count(len(by_name) - len(used), "frame in no clip", "frames in no clip"))
    summary = f"{_count(len(clips), 'clip', 'clips')} of {length}" + (f" ({', '.join(notes)})" if notes else "")
    return [(clip.sequence, Scene(clip.id, [by_name[f] for f in clip.frames], images)) for clip in clips], summary


def _count(count: int, singular: str, many: str) -> str:
    return f"{count} {singular if count == 1 else many}"


def _tell_unpaired(name: DatasetName, listing: Listing) -> None:
    if listing.unpaired:
        log.info(
            "street: %d files of %s are not used, for they have no partner or are not in its list, such as %s",
            len(listing.unpaired),
            name,
            listing.unpaired[0],
        )


def _tell_shared_places(records: Sequence[Record]) -> None:
    parts: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.place is not None:
            parts[record.place].add(str(record.part))
    shared = sorted(place for place, its in parts.items() if len(its) > 1)
    if shared:
        log.warning("street: %d cities are in several splits: %s", len(shared), ", ".join(shared))
