"""What has been prepared in a folder, and what of it still stands for which source.

`.done/ID.json` says of a source where it lay, what its content was and what came of it. A source is known by its
place; what is no longer in its place is looked for by its content, so that a person keeps her folder when her video is
moved or renamed, and is made anew when it is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from metai2i import UserError, read_json, write_json
from metai2i_faces.prepare.content import Content, content_of, state_of
from metai2i_faces.prepare.names import short_hash
from metai2i_faces.prepare.sources import Source

Marker = dict[str, Any]
"""The content of a file that says that a source has been worked through; see `Ledger`."""


class Ledger:
    """The markers of an output folder.

    A marker has: `source` (`place`, `digest`, `size` and `state`, see `Content`; those of earlier versions have none),
    `whole` (false while folders are put in their place), `split`, `frames`, `clips` (`name`, `pairs`, `digest` and how
    they were changed), and what was counted. Those of earlier versions for which there is no source are `lost`.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.markers: dict[str, Marker] = {}
        self.lost: dict[str, Marker] = {}
        for path in sorted((out / ".done").glob("*.json")):
            marker = read_json(path)
            if not _is_marker(marker):
                raise UserError(
                    "this is no note of a preparation", where=path, hint="remove it to have its person made anew"
                )
            self.markers[path.stem] = marker

    def write(self, id: str, marker: Marker) -> None:
        """Note what has come of a source.

        Raises:
            UserError: when it cannot be written.
        """
        write_json(self.out / ".done" / f"{id}.json", marker)
        self.markers[id] = marker
        self.lost.pop(id, None)

    def clips(self, id: str) -> list[Mapping[str, Any]]:
        """Return the clips that were noted under an id, whatever of."""
        marker = self.markers.get(id) or self.lost.get(id)
        return [] if marker is None else list(marker["clips"])

    def is_whole(self, id: str) -> bool:
        """Return whether all folders of a person were put in their place, and are still there."""
        marker = self.markers[id]
        return bool(marker.get("whole", True)) and all((self.out / clip["name"]).is_dir() for clip in marker["clips"])


@dataclass
class Plan:
    """What is to be done.

    Args:
        done: sources that stand as they were prepared.
        waiting: sources to prepare, new or anew.
        gone: ids of people whose source is no longer there.
        notes: what has changed since the last call, in words.
        bad: sources that cannot be read.
        contents: by place, of the sources that had to be read to tell.
    """

    done: list[Source] = field(default_factory=list)
    waiting: list[Source] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bad: list[UserError] = field(default_factory=list)
    contents: dict[str, Content] = field(default_factory=dict)


def plan(sources: Sequence[Source], ledger: Ledger) -> Plan:
    """Hold the sources against what was prepared before; sources get the ids, and splits by hash, that are noted.

    Args:
        sources: all that are there now.
        ledger: changed where a source has moved.
    """
    result = Plan()
    by_place = {marker["source"]["place"]: id for id, marker in ledger.markers.items() if "source" in marker}
    strangers = []
    for source in sources:
        id = by_place.pop(source.place, None)
        if id is None:
            strangers.append(source)
        else:
            _judge(_noted(source, id, ledger.markers[id]), ledger, result)
    unclaimed = {ledger.markers[id]["source"]["digest"]: id for id in by_place.values()}
    new = []
    for source in strangers:
        content = _content(source, result) if unclaimed else None
        if unclaimed and content is None:
            continue
        id = unclaimed.pop(content.digest, None) if content else None
        if content and id:
            _move(source, content, id, ledger, result)
        else:
            new.append(source)
    claimed = {source.id for source in (*result.done, *result.waiting)}
    for source in new:
        id = source.id if source.id not in claimed else f"{source.id}-{short_hash(source.place)}"
        claimed.add(id)
        if ledger.clips(id):
            result.notes.append(f"{source.path}: takes the place of what {id} was made of before: {id} is made anew")
        result.waiting.append(replace(source, id=id))
    result.gone = [id for id in (*ledger.markers, *ledger.lost) if id not in claimed and ledger.clips(id)]
    order = {source.place: number for number, source in enumerate(sources)}
    for each in (result.done, result.waiting):
        each.sort(key=lambda source: order[source.place])
    return result


def source_note(source: Source, content: Content) -> Mapping[str, Any]:
    """Return what a marker says about its source."""
    return {"place": source.place, "digest": content.digest, "size": content.size, "state": content.state}


def _is_marker(content: object) -> bool:
    """Return whether what was read has what is needed of a marker, and names no folder but those beside it."""
    if not isinstance(content, dict) or not isinstance(content.get("clips"), list) or "split" not in content:
        return False
    source = content.get("source", {"place": "", "digest": "", "state": ""})
    names = [clip.get("name") if isinstance(clip, dict) else None for clip in content["clips"]]
    return (
        isinstance(source, dict)
        and {"place", "digest", "state"} <= set(source)
        and all(isinstance(name, str) and name and Path(name).name == name for name in names)
    )


def _noted(source: Source, id: str, marker: Marker) -> Source:
    return replace(source, id=id, split=source.split if source.decided else marker["split"])


def _content(source: Source, result: Plan) -> Content | None:
    try:
        result.contents[source.place] = content_of(source)
    except UserError as error:
        result.bad.append(error)
    return result.contents.get(source.place)


def _judge(source: Source, ledger: Ledger, result: Plan) -> None:
    """Decide whether a source that is where it was stands as it was prepared."""
    marker = ledger.markers[source.id]
    try:
        is_untouched = state_of(source) == marker["source"]["state"]
    except UserError as error:
        result.bad.append(error)
        return
    if not is_untouched:
        content = _content(source, result)
        if content is None:
            return
        if content.digest != marker["source"]["digest"]:
            result.notes.append(f"{source.path}: is another file than before: {source.id} is made anew")
            result.waiting.append(source)
            return
        ledger.write(source.id, {**marker, "source": source_note(source, content)})
    _stand(source, ledger, result)


def _move(source: Source, content: Content, id: str, ledger: Ledger, result: Plan) -> None:
    marker = ledger.markers[id]
    result.notes.append(f"{source.path}: was {marker['source']['place']} before, and stays {id}")
    ledger.write(id, {**marker, "source": source_note(source, content)})
    _stand(_noted(source, id, marker), ledger, result)


def _stand(source: Source, ledger: Ledger, result: Plan) -> None:
    """Leave a person as she is, unless her folders are not all there or she changes her split."""
    before = ledger.markers[source.id]["split"]
    if source.split != before:
        result.notes.append(f"{source.path}: was in {before} and is in {source.split} now: {source.id} is made anew")
    elif not ledger.is_whole(source.id):
        result.notes.append(f"{source.path}: not all folders of {source.id} are there: they are made anew")
    else:
        result.done.append(source)
        return
    result.waiting.append(source)
