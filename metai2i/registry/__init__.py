"""All plugins together: found from metadata, opened when a name is asked for."""

from typing import TYPE_CHECKING

from metai2i.lazy import exported

if TYPE_CHECKING:
    from metai2i.registry.loading import KINDS as KINDS
    from metai2i.registry.loading import Kind as Kind
    from metai2i.registry.loading import PluginStatus as PluginStatus
    from metai2i.registry.registry import Registry as Registry

_HOME = {
    "KINDS": "loading",
    "Kind": "loading",
    "PluginStatus": "loading",
    "Registry": "registry",
}
__all__ = [*_HOME]  # noqa: PLE0604
__getattr__ = exported(__name__, _HOME)
