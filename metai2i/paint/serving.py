"""Serves the page until somebody ends it."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from metai2i.console.loopback import LoopbackServer, listening
from metai2i.errors import UserError, counted, counted_are
from metai2i.paint.server import Desk, handler_for_a_desk
from metai2i.paint.studio import open_studio
from metai2i.paint.uploads import Uploads
from metai2i.registry import Registry
from metai2i.training.device import choose_device

_PATIENCE = 2.0
"""Seconds that jobs have to end: fewer than a program has that was asked to end by a signal."""


@dataclass(frozen=True)
class PaintWish:
    """What `metai2i paint` is asked for.

    Args:
        models: files of adapted models, and folders of runs.
        port: of the page; 0 takes one that is free.
        out: the folder to which models are kept.
        general: the general model's file, for models that are kept apart from it.
        device: "auto", "cpu" or "cuda".
        stages: the stage store of runs; None for the usual places.
        plugins: folders of one-file plugins.
        opens: whether a browser is opened.
    """

    models: Sequence[Path]
    port: int
    out: Path = Path()
    general: Path | None = None
    device: str = "auto"
    stages: Path | None = None
    plugins: Sequence[Path] = ()
    opens: bool = False


@dataclass(frozen=True)
class OpenPage:
    """A page whose server listens, and answers once it is asked to serve.

    Args:
        server: listens on this machine alone.
        desk: what it answers with.
    """

    server: LoopbackServer
    desk: Desk

    @property
    def url(self) -> str:
        """Return the page's address."""
        return f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def open_page(wish: PaintWish) -> Iterator[OpenPage]:
    """Take the port and open the models. What the page has handed over is deleted in the end.

    Raises:
        UserError: for a port that is in use, models that cannot be opened, and a folder that is none.
    """
    if not wish.out.is_dir():
        what = "this is a file, expected a folder" if wish.out.exists() else "there is no such folder"
        raise UserError(what, where=wish.out, hint="--out names the folder for models that are kept")
    handler = handler_for_a_desk()
    with listening(handler, wish.port) as server, TemporaryDirectory(prefix="metai2i-paint-") as folder:
        registry, device = Registry(wish.plugins), choose_device(wish.device)
        uploads = Uploads(Path(folder))
        handler.desk = Desk(open_studio(wish.models, registry, device, wish.stages, uploads, wish.out, wish.general))
        try:
            yield OpenPage(server, handler.desk)
        finally:
            handler.desk.end_jobs(_PATIENCE)


def serve_page(wish: PaintWish, say: Callable[[str], None]) -> None:
    """Open the models, tell where the page is, and serve it until the program is interrupted.

    Args:
        say: prints a line.

    Raises:
        UserError: as `open_page` does.
    """
    with open_page(wish) as page:
        models = page.desk.studio.models
        say(f"painting with {counted(len(list(models)), 'model')} on {page.url} (Ctrl-C ends it)")
        if wish.opens:
            webbrowser.open(page.url)
        try:
            page.server.serve_forever(poll_interval=0.2)
        finally:
            lost = sum(model.scene is not None and model.file is None for model in models)
            say(f"ended; {counted_are(lost, 'adapted model')} not kept" if lost else "ended")
