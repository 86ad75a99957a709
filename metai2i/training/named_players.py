"""Players that a recipe names."""

from __future__ import annotations

from collections.abc import Iterable

from metai2i.errors import UserError, did_you_mean
from metai2i.translator import Translator


def check_players(key: str, names: Iterable[str], translator: Translator) -> None:
    """Refuse names that are no player of a translator.

    Args:
        key: of the recipe, where they stand.
        names: of players.
        translator: whose players are meant.

    Raises:
        UserError: with the nearest name.
    """
    players = translator.players()
    for name in names:
        if name not in players:
            what = f"{key} names {name!r}, which is no player of {type(translator).__name__}"
            raise UserError(what, hint=did_you_mean(name, players))
