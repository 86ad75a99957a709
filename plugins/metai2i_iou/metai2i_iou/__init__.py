"""Label-map IoU (Eq. 3 of Ma et al., 2019) as a metai2i retriever."""

from metai2i import Register, hookimpl
from metai2i_iou.retriever import IoU

__all__ = ["IoU"]


@hookimpl
def register_retrievers(register: Register) -> None:
    """Hand over `iou`."""
    register("iou", IoU)
