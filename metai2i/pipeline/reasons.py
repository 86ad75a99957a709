"""Why a stage is worked on though the store has one much like it: what differs, in words."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from metai2i.errors import UserError
from metai2i.files import read_json
from metai2i.pipeline.stage_store import Stage
from metai2i.registry.options import json_default
from metai2i.tasks import Task
from metai2i.training.stage_records import AboutRecord

log = logging.getLogger("metai2i")

TELL = 3
"""Differences that are told one by one."""
ALIKE = 12
"""A stage with more differences is of another experiment, and no reason is told."""
_LOOKED_AT = 500
"""Stages of the store, the newest, among which one like it is looked for."""
_SCENES = 5000
"""Of more scenes no digests are kept: they only serve to tell which have changed."""
DONE = {"evaluate": "scored anew", "tune": "tuned anew"}

Flat = dict[tuple[str, ...], object]


def about(stage: Stage, recipe: str, rows: Sequence[str], scenes: Mapping[str, Sequence[Task]]) -> AboutRecord:
    """Return what a stage's folder says of it besides what determines it.

    Args:
        recipe: the name of the recipe that asks for it.
        rows: the rows that share it.
        scenes: by the names of their splits, those that it reads.
    """
    return AboutRecord(
        upstream=stage.upstream.key if stage.upstream else None,
        recipe=recipe,
        rows=list(rows),
        scenes={split: digests_of(tasks) for split, tasks in scenes.items()},
    )


def digests_of(tasks: Sequence[Task]) -> dict[str, str]:
    """Return a short digest of each scene's samples, by id; nothing where scenes do not tell, or are too many."""
    if len(tasks) > _SCENES:
        return {}
    try:
        prints = {task.id: task.fingerprint() for task in tasks}
        return {id: sha256(each.encode()).hexdigest()[:12] for id, each in prints.items() if each is not None}
    except Exception:  # of a plugin; nothing depends on this
        return {}


def tell_why(stage: Stage, record: AboutRecord, known: Sequence[Mapping[str, object]]) -> str | None:
    """Say in the log how a stage differs from the one that is most like it; return that.

    Args:
        record: what `about` gave.
        known: what `known_stages` gave.

    Returns:
        the differences in words; None where the store has nothing like it.
    """
    why = differences(stage, record, known)
    if why is None:
        return None
    text = in_brief(why)
    log.info("%s: %s, %s", stage.name, DONE.get(stage.name, "trained anew"), text)
    return text


def in_brief(why: Sequence[str]) -> str:
    """Return the first few differences, and how many more there are."""
    more = f", and {len(why) - TELL} more" if len(why) > TELL else ""
    return f"{', '.join(why[:TELL])}{more}"


def known_stages(root: Path) -> list[Mapping[str, object]]:
    """Return what the newest finished stages of a store say of themselves, the newest first."""
    markers = []
    with suppress(OSError):
        markers = sorted(root.glob("*/done.json"), key=lambda path: -path.lstat().st_mtime)[:_LOOKED_AT]
    stages: list[Mapping[str, object]] = []
    for marker in markers:
        with suppress(UserError, RecursionError):
            record = read_json(marker.with_name("stage.json"))
            if isinstance(record, dict) and isinstance(record.get("determines"), dict):
                stages.append(record)
    return stages


def differences(stage: Stage, record: AboutRecord, known: Sequence[Mapping[str, object]]) -> list[str] | None:
    """Return how a stage differs from the known one that is most like it, of its name, recipe and rows; None without.

    A row of another recipe is another experiment, whatever its name.
    """
    determines = json.loads(json.dumps(stage.determines, default=json_default))
    best: list[str] | None = None
    for other in known:
        if (other.get("name"), other.get("recipe")) != (stage.name, record["recipe"]):
            continue
        if not shares_rows(other.get("rows"), record["rows"]):
            continue
        words = words_of_change(other["determines"], determines, stage.name)
        scenes = list(changed_scenes(other.get("scenes"), record["scenes"]))
        words = [*scenes, *(text for text in words if not (scenes and text.startswith("the data of ")))]
        if not words and other.get("upstream") != record["upstream"]:
            words = [f"it builds on another {stage.upstream.name}" if stage.upstream else "it builds on nothing now"]
        if words and (best is None or len(words) < len(best)):
            best = words
    return best if best is not None and len(best) <= ALIKE else None


def words_of_change(before: object, after: object, stage: str) -> list[str]:
    """Return how what determines two stages of a name differs, in words.

    Args:
        before: JSON-able, as `Stage.determines`.
        after: the same of the other.
    """
    return list(_differing(_flat(before), _flat(after), stage))


def shares_rows(theirs: object, ours: Sequence[str]) -> bool:
    """Return whether two stages have a row of one name."""
    return isinstance(theirs, list) and not {str(row) for row in theirs}.isdisjoint(ours)


def _flat(value: object, at: tuple[str, ...] = ()) -> Flat:
    """Return the leaves of nested mappings and lists by their places."""
    if isinstance(value, dict) and value:
        return {place: leaf for name, each in value.items() for place, leaf in _flat(each, (*at, str(name))).items()}
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        return {place: leaf for n, each in enumerate(value) for place, leaf in _flat(each, (*at, str(n))).items()}
    return {at: value}


def _differing(before: Flat, after: Flat, stage: str) -> Iterator[str]:
    """Yield every difference once, in words."""
    said = set()
    for place in dict.fromkeys([*after, *before]):
        was, now = before.get(place, ...), after.get(place, ...)
        if was != now:
            text = _in_words(place, was, now, stage)
            if text not in said:
                said.add(text)
                yield text


def _in_words(place: tuple[str, ...], was: object, now: object, stage: str) -> str:
    """Return one difference in words; `...` stands for what is not there."""
    happened = "is new" if was is ... else "is no longer used" if now is ... else "has changed"
    if "files" in place[:-1]:
        return f"{place[-1]} {happened}"
    if "networks" in place[:-1]:
        return f"the feature weights of {place[-1]} {'have changed' if happened == 'has changed' else happened}"
    if "packages" in place[:-1]:
        return f"{place[-1]} {_spelled(was)} -> {_spelled(now)}"
    if place[-1] == "data":
        split = {"tune": "val", "evaluate": "test"}.get(stage, "train")
        return f"the data of split {split} has changed"
    if place[-2:] == ("seen", "images"):
        return "the images to be predicted have changed"
    return f"{'.'.join(place)} {_spelled(was)} -> {_spelled(now)}"


def _spelled(value: object) -> str:
    """Return a setting in words."""
    text = "nothing" if value is ... or value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def changed_scenes(before: object, after: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield for each split which scenes have changed, as far as they tell."""
    for split, now in after.items():
        was = before.get(split) if isinstance(before, dict) else None
        if not isinstance(was, dict) or not was or not now:
            continue
        changed = [id for id in {**now, **was} if was.get(id) != now.get(id)]
        if changed:
            shown = ", ".join(changed[:TELL]) + (", ..." if len(changed) > TELL else "")
            count = f"{len(changed)} of {len({**now, **was})} scenes: {shown}"
            yield f"the data of split {split} has changed ({count})"
