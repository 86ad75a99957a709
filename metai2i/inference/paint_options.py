"""Which options of a trained translator may be changed: those that matter for images alone."""

from __future__ import annotations

from collections.abc import Mapping

from metai2i.errors import UserError, did_you_mean
from metai2i.registry.options import describe_options
from metai2i.translator import Translator


def check_painting(translator: type[Translator], use: str, painting: Mapping[str, object]) -> None:
    """Refuse options that cannot be changed once a translator is trained.

    Args:
        translator: its class.
        use: its name in recipes.
        painting: the options, by their names.

    Raises:
        UserError: naming the first of them, and those that can be.
    """
    for name in painting:
        if name in translator.paint_options:
            continue
        trained = name in {option.name for option in describe_options(translator)}
        what = f"its networks were trained with {name!r} as it was" if trained else f"{use} has no option {name!r}"
        if not translator.paint_options:
            raise UserError(what, hint=f"{use} has no options that matter for images alone")
        if trained:
            raise UserError(what, hint=f"what can be set: {', '.join(sorted(translator.paint_options))}")
        raise UserError(what, hint=did_you_mean(name, translator.paint_options))
