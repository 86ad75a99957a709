"""Whether other machines would do the work as this one: same versions, data, plugins and weights, by what they plan."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from metai2i.errors import UserError, counted
from metai2i.executors.worker import View, described
from metai2i.pipeline.reasons import TELL, words_of_change
from metai2i.pipeline.stage_store import Stage

_HINT = "every machine needs the same versions, plugins, weights and data, and sees the stage store"


def refuse_others(views: Iterable[View], versions: Mapping[str, str], stages: Sequence[Stage]) -> None:
    """Refuse machines that could not do the work, or would do another.

    Args:
        views: what they say of themselves.
        versions: of Python and metai2i here.
        stages: that are planned here.

    Raises:
        UserError: one message that names each of them, and what differs.
    """
    wrong: dict[str, str] = {}
    for view in views:
        words = disagreement(view, versions, stages)
        if words is not None:
            wrong.setdefault(words, view.host)
    if wrong:
        what = "; ".join(f"{host}: {words}" for words, host in wrong.items())
        raise UserError(f"{counted(len(wrong), 'machine')} cannot work on this: {what}", hint=_HINT)


def disagreement(view: View, versions: Mapping[str, str], stages: Sequence[Stage]) -> str | None:
    """Return why a machine could not do the work, in words; None when it would do the same."""
    differ = [f"{name} {view.versions.get(name)}, here {mine}" for name, mine in versions.items()
              if view.versions.get(name) != mine]  # fmt: skip
    if differ:
        return ", ".join(differ)
    if view.texts:
        return "; ".join(view.texts)
    mine = [described(stage) for stage in stages]
    if {key for key, _, _ in mine} == {key for key, _, _ in view.stages}:
        return None
    texts: dict[str, None] = {}
    for (key, name, determines), (their_key, their_name, theirs) in zip(mine, view.stages, strict=False):
        if name == their_name and key != their_key:
            texts |= dict.fromkeys(words_of_change(json.loads(determines), json.loads(theirs), name))
    shown = [*texts][:TELL]
    more = f", and {len(texts) - TELL} more" if len(texts) > TELL else ""
    return f"it plans other stages: {', '.join(shown) or 'others than here'}{more}"
