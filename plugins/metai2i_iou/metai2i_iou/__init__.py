"""Label-map IoU (Eq. 3 of Ma et al., 2019) as a metai2i retriever."""

import metai2i
from metai2i.hookspecs import Register
from metai2i_iou.retriever import IoU

__all__ = ["IoU"]


@metai2i.hookimpl
def register_retrievers(register: Register) -> None:
    """Hands over `iou`."""
    register("iou", IoU)
