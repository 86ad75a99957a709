"""A page of `metai2i paint` that is served while a test looks at it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from metai2i.console.loopback import LoopbackServer, listening
from metai2i.paint.server import Desk, handler_for_a_desk
from metai2i.paint.studio import Studio, open_studio
from metai2i.paint.uploads import Uploads
from metai2i.registry import Registry


@dataclass(frozen=True)
class Answered:
    """What a server has answered."""

    status: int
    content: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> str:
        """The message, where it is none but one."""
        message: str = self.json["error"]
        return message


@dataclass(frozen=True)
class Served:
    """A page's server, and what it works with."""

    server: LoopbackServer
    studio: Studio

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def ask(self, address: str, body: bytes | None = None, **headers: str) -> Answered:
        """Asks as a program on this machine does; `Content_Length` stands for Content-Length."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if body is None else "POST", address, body, named)
        answer = connection.getresponse()
        answered = Answered(answer.status, answer.read(), dict(answer.getheaders()))
        connection.close()
        return answered

    def ask_json(self, address: str, content: object) -> Answered:
        return self.ask(address, json.dumps(content).encode())


def files_in_one(files: Mapping[str, bytes]) -> bytes:
    """Files as the page hands them over."""
    head = json.dumps([[name, len(content)] for name, content in files.items()])
    return b"".join([head.encode(), b"\n", *files.values()])


@contextmanager
def served(places: Sequence[Path], folder: Path, plugins: Sequence[Path] = ()) -> Iterator[Served]:
    """Serves a page on a free port; models are kept to `folder/kept`."""
    (folder / "uploads").mkdir()
    (folder / "kept").mkdir()
    uploads, handler = Uploads(folder / "uploads"), handler_for_a_desk()
    studio = open_studio(places, Registry(plugins), torch.device("cpu"), None, uploads, folder / "kept")
    handler.desk = Desk(studio)
    with listening(handler, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield Served(server, studio)
        finally:
            handler.desk.end_jobs(30)
            server.shutdown()
            thread.join()
