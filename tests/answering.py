"""A server on the loopback that answers while a test asks it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from metai2i.console.loopback import LoopbackHandler, listening


@contextmanager
def answering(handler: type[LoopbackHandler]) -> Iterator[int]:
    """The port of a server that answers."""
    with listening(handler, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
