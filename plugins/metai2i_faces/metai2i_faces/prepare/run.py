"""Preparing a whole folder: one source after the other, so that a run that was killed goes on where it stopped.

In the output folder, `.done/ID.json` says that a source has been worked through and what came of it; it is written
after all its clips are in their place. What is being made lies in `.part/`. `splits.json` is made of the former at the
end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from metai2i import Split, UserError
from metai2i.array_cache import Cache
from metai2i.contact_sheet import cell, save_sheet, spread
from metai2i.files import read_json, reason, write_json
from metai2i.progress import StageProgress
from metai2i.tasks import TaskSpec
from metai2i_faces.people import pairs
from metai2i_faces.person import Person
from metai2i_faces.pictures import Pictures
from metai2i_faces.prepare.landmarks import Finder, dlib_finder
from metai2i_faces.prepare.missing import needed
from metai2i_faces.prepare.portraits import Made, Settings, make, save
from metai2i_faces.prepare.sources import LISTING, SPLITS, Fractions, Source, find_sources
from metai2i_faces.prepare.summary import Summary
from metai2i_faces.regions import CLASSES, PALETTE

VERSION = 1
"""Changes when the same videos and options would give other pictures or maps."""


def prepare(videos: Path, out: Path, settings: Settings, find: Finder | None = None) -> Summary:
    """Makes people of videos and folders of pictures, and writes them as `Faces` reads them.

    Args:
        videos: the folder of the videos.
        out: the folder to write to; where it has been begun with the same options, what is done is left as it is.
        settings: how.
        find: finds the faces of a frame; dlib does when it is not given.

    Raises:
        UserError: when there is nothing to prepare, `out` holds something else, or nothing came out.
    """
    sources = find_sources(videos, Fractions(settings.val_fraction, settings.test_fraction))
    if any(source.kind == "video" for source in sources):
        needed("av")
    find = find or dlib_finder()
    claim(out, settings)
    waiting = [source for source in sources if not marker(out, source).exists()]
    summary = Summary(sources=len(sources), before=len(sources) - len(waiting))
    with StageProgress("faces", len(sources), start=summary.before) as bar:
        for number, source in enumerate(waiting, start=summary.before + 1):
            try:
                made = make(source, find, settings)
            except UserError as error:
                summary.bad.append(error)
            else:
                keep(source, made, out, settings.min_frames)
            bar.advance(number, source.id)
    shutil.rmtree(out / ".part", ignore_errors=True)
    done = [read_json(marker(out, source)) for source in sources if marker(out, source).exists()]
    for each in done:
        summary.add(each)
    splits = splits_of(done)
    if not splits:
        first = f"the first that cannot be read is {summary.bad[0]}" if summary.bad else None
        raise UserError(f"no clip came out of {len(sources)} videos: {summary.frames_told()}", where=videos, hint=first)
    write_json(out / "splits.json", splits)
    contact_sheet(out, [name for names in splits.values() for name in names], settings.size)
    return summary


def claim(out: Path, settings: Settings) -> None:
    """Makes the output folder, or sees that what is there was made with the same options; removes what was not done.

    Raises:
        UserError: when it was not.
    """
    listing = out / LISTING
    wanted = {"version": VERSION, **asdict(settings)}
    if listing.exists():
        other = read_json(listing)
        differing = [name for name in wanted if not isinstance(other, dict) or other.get(name) != wanted[name]]
        if differing:
            names = ", ".join(name.replace("_", "-") for name in differing)
            raise UserError(f"was made with another {names}", where=out, hint="name another folder, or remove this one")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError("expected a new or an empty folder, or one that this command has begun", where=out)
    else:
        write_json(listing, wanted)
    shutil.rmtree(out / ".part", ignore_errors=True)


def marker(out: Path, source: Source) -> Path:
    """The file that says that a source is done."""
    return out / ".done" / f"{source.id}.json"


def keep(source: Source, made: Made, out: Path, least: int) -> None:
    """Puts the clips that have at least `least` pairs, and after them the marker, in their place whole.

    Raises:
        UserError: when they cannot be written.
    """
    named = dict(zip(clip_names(source, made), made.clips, strict=True))
    kept = {name: clip for name, clip in named.items() if len(clip.portraits) >= least}
    part = out / ".part" / source.id
    try:
        for name, clip in kept.items():
            save(part / name, clip.portraits, made.count)
        for name in kept:
            shutil.rmtree(out / name, ignore_errors=True)  # of a run that was killed before the marker was written
            os.replace(part / name, out / name)
    except OSError as error:
        raise UserError(f"cannot write: {reason(error)}", where=out, hint="what is done is kept") from error
    content = {
        "split": source.split,
        "frames": sum(len(clip.piece.frames) for clip in made.clips),
        "clips": [
            {"name": name, "pairs": len(clip.portraits), **asdict(clip.piece.warp)} for name, clip in kept.items()
        ],
        "rejected": dict(made.rejected),
        "dropped": [len(clip.portraits) for name, clip in named.items() if name not in kept],
    }
    write_json(marker(out, source), content)


def clip_names(source: Source, made: Made) -> Sequence[str]:
    """The folders of a source's clips: its id where there is one, else numbered (no id has two dashes in a row)."""
    return [source.id if len(made.clips) == 1 else f"{source.id}--{n}" for n in range(len(made.clips))]


def splits_of(done: Sequence[Mapping[str, Any]]) -> dict[Split, list[str]]:
    """The lists of `splits.json`, of what the markers say."""
    lists = {
        split: [clip["name"] for one in done if one["split"] == split for clip in one["clips"]] for split in SPLITS
    }
    return {split: names for split, names in lists.items() if names}


def contact_sheet(out: Path, names: Sequence[str], size: int) -> None:
    """`contact.png`: a map above its photograph, of the middle frames of people evenly spaced over all."""
    spec = TaskSpec(structure_channels=len(CLASSES), size=(size, size), classes=CLASSES, palette=PALETTE)
    cells = []
    for index in spread(len(names)):
        person = Person(names[index], pairs(out / names[index]), Pictures((size, size), Cache(0)))
        batch = person.load([len(person) // 2])
        cells.append(cell(batch["structure"][0], batch["target"][0], spec))
    save_sheet(out / "contact.png", cells)
