"""A server for pages that this machine shows to itself: on the loopback alone, and deaf to what others ask of it.

A page of a stranger, open in the same browser, can send requests to 127.0.0.1, and can have its own name resolved to
it. So a request counts only when its `Host` is this machine and its `Origin`, where it has one, is the page that came
from here.
"""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from metai2i.errors import UserError
from metai2i.files import reason

HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
"""What this machine is called by those who may ask; any port, for one may be forwarded."""
POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a page may load: what comes from here, and nothing from elsewhere."""


class LoopbackHandler(BaseHTTPRequestHandler):
    """Answers requests of this machine; a subclass has `do_GET` and, where it needs it, `do_POST`."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "metai2i", ""
    policy = POLICY
    """What the page may load."""
    timeout = 30
    """Seconds after which a connection that says nothing is closed."""

    def parse_request(self) -> bool:
        """Read a request, and refuse it unless it is from this machine's own page."""
        if not super().parse_request():
            return False
        foreign = foreign_request(self.headers.get_all("Host", []), self.headers.get_all("Origin", []))
        if foreign is not None:
            self.close_connection = True
            self.answer(f"{foreign}\n".encode(), "text/plain; charset=utf-8", HTTPStatus.FORBIDDEN)
        return foreign is None

    def answer(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Send a whole answer.

        Args:
            body: of it; left out where only the head is asked for.
            kind: its media type.
            status: of it.
        """
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", self.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the terminal is the user's."""


def foreign_request(hosts: list[str], origins: list[str]) -> str | None:
    """Return why a request is not one of this machine's own page; None where it is.

    Args:
        hosts: its `Host` headers.
        origins: its `Origin` headers, which browsers send with what a script asks for.
    """
    if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
        return "this server answers as 127.0.0.1 and localhost alone"
    if any(origin.lower() != f"http://{hosts[0]}".lower() for origin in origins):
        return "this server answers its own page alone"
    return None


class LoopbackServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1, a thread for each connection."""

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # there it would let two servers have one port

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a browser that has gone away."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def listening(handler: type[LoopbackHandler], port: int) -> LoopbackServer:
    """Return a server that listens and does not answer yet.

    Args:
        handler: of requests.
        port: 0 for one that is free.

    Raises:
        UserError: when the port is in use or may not be taken.
    """
    try:
        return LoopbackServer(("127.0.0.1", port), handler)
    except OSError as error:
        what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be taken ({reason(error)})"
        raise UserError(f"port {port} {what}", hint="--port names another, --port 0 takes one that is free") from error


def serve(handler: type[LoopbackHandler], port: int, tell: Callable[[str], object]) -> None:
    """Answer requests until Ctrl-C.

    Args:
        handler: of requests.
        port: 0 for one that is free.
        tell: is handed the page's address once it can be opened.

    Raises:
        UserError: when the port is in use or may not be taken.
        KeyboardInterrupt: at the end.
    """
    with listening(handler, port) as server:
        tell(f"http://127.0.0.1:{server.server_port}/")
        server.serve_forever(poll_interval=0.2)
