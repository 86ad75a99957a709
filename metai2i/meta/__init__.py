"""The inner and the outer loop: copies, their adaptation, and what they give the general model.

The names below are what plugins may use; the modules of this folder may change.
"""

from typing import TYPE_CHECKING

from metai2i.lazy import exported

if TYPE_CHECKING:
    from metai2i.meta.displacements import add_displacements as add_displacements
    from metai2i.meta.displacements import towards as towards
    from metai2i.meta.engines.choice import EngineName as EngineName
    from metai2i.meta.engines.choice import engine_for as engine_for
    from metai2i.meta.engines.iterates import Keep as Keep
    from metai2i.meta.functional_optimizer import FunctionalOptimizer as FunctionalOptimizer
    from metai2i.meta.inner_loop import InGraph as InGraph
    from metai2i.meta.inner_loop import adapt_in_graph as adapt_in_graph
    from metai2i.meta.inner_loop import adapted as adapted
    from metai2i.meta.inner_loop import inner_optimizer as inner_optimizer
    from metai2i.meta.inner_loop import support_batches as support_batches
    from metai2i.meta.instance import detach as detach
    from metai2i.meta.instance import frozen_players as frozen_players
    from metai2i.meta.instance import instance_of as instance_of
    from metai2i.meta.instance import parameter_places as parameter_places

_HOME = {
    "EngineName": "engines.choice",
    "FunctionalOptimizer": "functional_optimizer",
    "InGraph": "inner_loop",
    "Keep": "engines.iterates",
    "add_displacements": "displacements",
    "adapt_in_graph": "inner_loop",
    "adapted": "inner_loop",
    "engine_for": "engines.choice",
    "frozen_players": "instance",
    "inner_optimizer": "inner_loop",
    "instance_of": "instance",
    "parameter_places": "instance",
    "detach": "instance",
    "support_batches": "inner_loop",
    "towards": "displacements",
}
__all__ = [*_HOME]  # noqa: PLE0604
__getattr__ = exported(__name__, _HOME)
