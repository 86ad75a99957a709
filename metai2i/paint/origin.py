"""Who may ask the server: the page itself, opened at its address on this machine, and no page from elsewhere.

A page of another site can send requests to this machine, too, and by a name of its own that leads here (DNS rebinding)
it could even read the answers. So a request must name the server as the browser on this machine does, and must not come
from a page of another origin.
"""

from __future__ import annotations

from email.message import Message

from metai2i.errors import UserError

ADDRESS = "127.0.0.1"
HOST_NAMES = (ADDRESS, "localhost")
"""How the server may be called."""


def check_asker(headers: Message, port: int, *, opens: bool) -> None:
    """Refuse a request that does not come from the page, nor from a program on this machine.

    Args:
        headers: of the request.
        port: of the server.
        opens: whether it asks for the page itself, to which a link may lead from anywhere.

    Raises:
        UserError: naming what is foreign.
    """
    hosts = {f"{name}:{port}" for name in HOST_NAMES} | (set(HOST_NAMES) if port == 80 else set())
    host, origin = headers.get("Host"), headers.get("Origin")
    hint = f"open http://{ADDRESS}:{port} in a browser on this machine"
    if host is None or host.lower() not in hosts:
        raise UserError(f"the server is not called {(host or '')[:100]!r}", hint=hint)
    if origin is not None and origin != f"http://{host.lower()}":
        raise UserError(f"the page of {origin[:100]!r} may not ask this server", hint=hint)
    site = headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin") and not opens:
        raise UserError(f"a page of another origin ({site[:30]}) may not ask this server", hint=hint)
