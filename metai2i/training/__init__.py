"""Driving a translator's moves, and the loop around them.

The names below are what plugins may use; the modules of this folder may change.
"""

from typing import TYPE_CHECKING

from metai2i.lazy import exported

if TYPE_CHECKING:
    from metai2i.training.checkpoint import part as part
    from metai2i.training.checkpoint import prefixed as prefixed
    from metai2i.training.driving import Update as Update
    from metai2i.training.driving import add_gradients as add_gradients
    from metai2i.training.driving import check_gradients as check_gradients
    from metai2i.training.driving import descend as descend
    from metai2i.training.driving import drive as drive
    from metai2i.training.driving import gradients as gradients
    from metai2i.training.driving import parameter_groups as parameter_groups
    from metai2i.training.driving import parameters_of as parameters_of
    from metai2i.training.driving import query_losses as query_losses
    from metai2i.training.driving import watch as watch
    from metai2i.training.progress import StageProgress as StageProgress

_HOME = {
    "StageProgress": "progress",
    "Update": "driving",
    "add_gradients": "driving",
    "check_gradients": "driving",
    "descend": "driving",
    "drive": "driving",
    "gradients": "driving",
    "parameter_groups": "driving",
    "parameters_of": "driving",
    "part": "checkpoint",
    "prefixed": "checkpoint",
    "query_losses": "driving",
    "watch": "driving",
}
__all__ = [*_HOME]  # noqa: PLE0604
__getattr__ = exported(__name__, _HOME)
