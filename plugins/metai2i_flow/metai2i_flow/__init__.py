"""A flow-matching bridge for metai2i."""

from metai2i import Register, hookimpl
from metai2i_flow.translator import Flow as Flow
from metai2i_flow.translator import FlowReference as FlowReference


@hookimpl
def register_translators(register: Register) -> None:
    """Hand over `Flow` and `FlowReference`."""
    register("flow", Flow)
    register("flow_reference", FlowReference)
