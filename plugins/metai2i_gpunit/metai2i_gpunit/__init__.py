"""GP-UNIT for metai2i: a prior for content, and translation on top of it."""

from metai2i import Register, hookimpl
from metai2i_gpunit.labelled import GPUnitLabelled
from metai2i_gpunit.prior import GPUnitPrior
from metai2i_gpunit.translator import GPUnit

__all__ = ["GPUnit", "GPUnitLabelled", "GPUnitPrior"]


@hookimpl
def register_translators(register: Register) -> None:
    """Hand over `GPUnitPrior`, `GPUnit` and `GPUnitLabelled`."""
    register("gpunit-prior", GPUnitPrior)
    register("gpunit", GPUnit)
    register("gpunit_labelled", GPUnitLabelled)
