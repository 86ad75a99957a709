"""Preparing a whole folder: one source after the other, so that a run that was killed goes on where it stopped.

In the output folder, `.done/ID.json` says that a source has been worked through and what came of it; see `ledger`. It
is written before its clips are put in their place, as one that is not whole, and again after. What is being made lies
in `.part/`. `splits.json` is made of the markers of all sources that are there, at the end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import one_hot

from metai2i import SPLITS, CannotWrite, TaskSpec, UserError, counted, read_json, reason, write_json
from metai2i.data import MOST_CELLS, cell, evenly_spaced, opened, save_sheet
from metai2i.training import StageProgress
from metai2i_faces.people import pairs
from metai2i_faces.prepare.content import Content, content_of
from metai2i_faces.prepare.earlier import adopt
from metai2i_faces.prepare.folders import alone, check_ours, digest_of, remove
from metai2i_faces.prepare.landmarks import Finder, dlib_finder
from metai2i_faces.prepare.ledger import Ledger, Plan, plan, source_note
from metai2i_faces.prepare.missing import needed
from metai2i_faces.prepare.portraits import Made, Settings, make, save
from metai2i_faces.prepare.sources import LISTING, Fractions, Source
from metai2i_faces.prepare.sources import search as find_all
from metai2i_faces.prepare.summary import Summary
from metai2i_faces.regions import CLASSES, PALETTE

VERSION = 2
"""Changes when the same videos and options would give other images or maps."""
EARLIER = (1,)
"""Versions whose people are left as they are, and may stand beside those of this one."""
LISTED = "splits.json"


def prepare(videos: Path, out: Path, settings: Settings, find: Finder | None = None) -> Summary:
    """Make people of videos and folders of images, and write them as `Faces` reads them.

    Args:
        videos: the folder of the videos.
        out: the folder to write to; where it has been begun with the same options, what is done is left as it is, and
            what has changed is made anew.
        settings: how.
        find: finds the faces of a frame; dlib does when it is not given.

    Raises:
        UserError: when there is nothing to prepare, `out` holds something else, or nothing came out.
    """
    search = find_all(videos, Fractions(settings.val_fraction, settings.test_fraction))
    if any(source.kind == "video" for source in search.sources):
        needed("av")
    find = find or dlib_finder()
    version = claim(out, settings)
    with alone(out):
        shutil.rmtree(out / ".part", ignore_errors=True)
        ledger = Ledger(out)
        adopt(search.sources, ledger)
        todo = plan(search.sources, ledger)
        summary = Summary(sources=len(search.sources), before=len(todo.done), bad=todo.bad)
        summary.notes = [*search.passed, *todo.notes, *(gone(ledger, id) for id in todo.gone)]
        if version in EARLIER and todo.done:
            summary.notes.append(f"{out}: was begun by an earlier version, whose people are left as they are")
        places = {source.place for source in (*todo.done, *work_off(todo, ledger, find, settings, summary))}
        shutil.rmtree(out / ".part", ignore_errors=True)
        people = {source.place: source for source in (*todo.done, *todo.waiting)}
        finished = [people[source.place] for source in search.sources if source.place in places]
        for source in finished:
            summary.add(source.path, ledger.markers[source.id])
        splits = splits_of([ledger.markers[source.id] for source in finished], listed(todo.done, ledger))
        if not splits:
            first = f"the first that cannot be read is {summary.bad[0]}" if summary.bad else None
            raise UserError(
                f"no clip came out of {counted(len(search.sources), 'video')}: {summary.frames_told()}",
                where=videos,
                hint=first,
            )
        write_json(out / LISTED, splits)
        contact_sheet(out, [name for names in splits.values() for name in names], settings.size)
    return summary


def work_off(todo: Plan, ledger: Ledger, find: Finder, settings: Settings, summary: Summary) -> list[Source]:
    """Prepare the sources that are waiting, and return those of which something has been noted.

    What cannot be read, and what is there twice, is told in the summary and does not stop the others.
    """
    digests = {ledger.markers[source.id]["source"]["digest"]: source for source in todo.done}
    finished = []
    with StageProgress("faces", summary.sources, start=summary.before) as bar:
        for number, source in enumerate(todo.waiting, start=summary.before + 1):
            try:
                content = todo.contents.get(source.place) or content_of(source)
                twin = digests.get(content.digest)
                if twin is None:
                    check_before(source, ledger)
                    keep(source, content, make(source, find, settings), ledger, settings.min_frames)
                    digests[content.digest] = source
                    finished.append(source)
                else:
                    summary.notes.append(f"{source.path}: is the same as {twin.path}, and left out")
            except CannotWrite:  # nor could the next one
                raise
            except UserError as error:
                summary.bad.append(error)
            bar.advance(number, source.id)
    return finished


def claim(out: Path, settings: Settings) -> int:
    """Make the output folder, or see that what is there was made with the same options.

    Returns:
        the version that began the folder.

    Raises:
        UserError: when it was not.
    """
    listing = out / LISTING
    wanted = {"version": VERSION, **asdict(settings)}
    if listing.exists():
        other = read_json(listing)
        other = other if isinstance(other, dict) else {}
        known = {**wanted, "version": other.get("version")} if other.get("version") in EARLIER else wanted
        differing = [name for name in known if other.get(name) != known[name]]
        if differing:
            names = ", ".join(name.replace("_", "-") for name in differing)
            what = f"this folder was prepared with another {names}"
            raise UserError(what, where=out, hint="name another folder, or remove this one")
        wanted = known
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError("expected a new or an empty folder, or one that this command has begun", where=out)
    else:
        write_json(listing, wanted)
    return int(wanted["version"])


def keep(source: Source, content: Content, result: Made, ledger: Ledger, least: int) -> None:
    """Put the clips that have at least `least` pairs in their place, and remove those that were made before.

    Raises:
        UserError: when they cannot be written, or what is in their place is not as this command wrote it.
    """
    named = dict(zip(clip_names(source, result), result.clips, strict=True))
    kept = {name: clip for name, clip in named.items() if len(clip.portraits) >= least}
    before = check_before(source, ledger)
    out, part = ledger.out, ledger.out / ".part" / source.id
    for name in kept:
        check_ours(out / name, before.get(name))
    clips = [{"name": name, "pairs": len(clip.portraits), **asdict(clip.piece.warp)} for name, clip in kept.items()]
    marker = {
        "source": source_note(source, content),
        "split": source.split,
        "frames": sum(len(clip.piece.frames) for clip in result.clips),
        "rejected": dict(result.rejected),
        "dropped": [len(clip.portraits) for name, clip in named.items() if name not in kept],
        "shots": result.shots,
        "elsewhere": result.elsewhere,
        "gaps": result.gaps,
        "others": result.others,
        "unread": list(result.unread),
    }
    stale = [{"name": name} for name in before if name not in kept]
    try:
        for name, clip in kept.items():
            save(part / name, clip.portraits, result.count)
        for entry in clips:
            entry["digest"] = digest_of(part / entry["name"])
        ledger.write(source.id, {**marker, "whole": False, "clips": [*clips, *stale]})
        remove(out / name for name in {**before, **kept})
        for name in kept:
            os.replace(part / name, out / name)
    except OSError as error:
        raise CannotWrite(f"cannot write: {reason(error)}", where=out, hint="what is done is kept") from error
    ledger.write(source.id, {**marker, "whole": True, "clips": clips})


def check_before(source: Source, ledger: Ledger) -> Mapping[str, str | None]:
    """Return the folders that were made of a source before, with the digests of what was written, where they are known.

    Raises:
        UserError: when something in them is not as it was written, so that they must not be made anew.
    """
    # Of a call that was killed in the middle, a folder may be the one before or the one after.
    is_settled = ledger.markers.get(source.id, {}).get("whole", False)
    before = {clip["name"]: clip.get("digest") if is_settled else None for clip in ledger.clips(source.id)}
    for name, digest in before.items():
        check_ours(ledger.out / name, digest)
    return before


def gone(ledger: Ledger, id: str) -> str:
    """Return what is told of a person whose source is no longer there."""
    marker = ledger.markers.get(id)
    where = marker["source"]["place"] if marker else "what an earlier version made it of"
    return (
        f"{id}: {where} is no longer there, so it is left out of {LISTED}; "
        f"its {len(ledger.clips(id))} folders stay in {ledger.out}"
    )


def clip_names(source: Source, result: Made) -> Sequence[str]:
    """Return the folders of a source's clips: its id where there is one, else numbered (no id has two dashes
    in a row).
    """
    return [source.id if len(result.clips) == 1 else f"{source.id}--{n}" for n in range(len(result.clips))]


def listed(done: Sequence[Source], ledger: Ledger) -> dict[str, str]:
    """Return the lists of `splits.json` in which the clips of people stand that are left as they are: theirs by now,
    whoever put them there.

    Raises:
        UserError: when it cannot be read.
    """
    listing = ledger.out / LISTED
    if not listing.exists():
        return {}
    clips = {clip["name"] for source in done for clip in ledger.clips(source.id)}
    content = read_json(listing)
    if not isinstance(content, dict) or not all(isinstance(names, list) for names in content.values()):
        raise UserError("expected an object of lists of folder names", where=listing)
    return {name: split for split, names in content.items() for name in names if name in clips}


def splits_of(done: Sequence[Mapping[str, Any]], before: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the lists of `splits.json`: of what the markers say, but for clips that were in another list `before`."""
    places = {clip["name"]: before.get(clip["name"], marker["split"]) for marker in done for clip in marker["clips"]}
    lists = {
        split: [name for name, place in places.items() if place == split]
        for split in dict.fromkeys((*SPLITS, *places.values()))
    }
    return {split: names for split, names in lists.items() if names}


def contact_sheet(out: Path, names: Sequence[str], size: int) -> None:
    """Write `contact.png`: a map above its photograph, of the middle frames of people evenly spaced over all."""
    spec = TaskSpec(structure_channels=len(CLASSES), size=(size, size), classes=CLASSES, palette=PALETTE)
    cells = []
    for index in evenly_spaced(len(names), MOST_CELLS):
        everything = pairs(out / names[index])
        pair = everything[len(everything) // 2]
        # Not through `Person`, which would keep in the user's cache what is looked at once.
        with opened(pair.photo) as image, opened(pair.labels) as labels:
            photo = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1) / 127.5 - 1
            ids = torch.from_numpy(np.array(labels)).long()
        cells.append(cell(one_hot(ids, len(CLASSES)).permute(2, 0, 1).float(), photo, spec))
    save_sheet(out / "contact.png", cells)
