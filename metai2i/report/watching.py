"""The pages of `metai2i watch`: a run as it is now, which looks at it again every two seconds, and its report."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from markupsafe import Markup

from metai2i.console.legible import legible
from metai2i.console.loopback import LoopbackHandler
from metai2i.errors import UserError
from metai2i.report.live import LiveRun, Watch
from metai2i.report.page import page_environment
from metai2i.report.page_parts import watch_script, watch_style

HTML = "text/html; charset=utf-8"


def handler_of(watch: Watch) -> type[LoopbackHandler]:
    """Return what answers requests for the pages of a run."""

    environment = page_environment()
    style, script = Markup(watch_style(environment)), Markup(watch_script(environment))
    page, state = (environment.get_template(name) for name in ("watch.html.j2", "watch_state.html.j2"))

    class Pages(LoopbackHandler):
        """Shows one run; nothing can be changed by it."""

        def do_GET(self) -> None:
            """Answer with the page, the part of it that changes, an image or the report."""
            match urlsplit(self.path).path.split("/"):
                case ["", ""]:
                    self.answer(page.render(run=looked_at(watch), css=style, js=script).encode(), HTML)
                case ["", "state"]:
                    self.answer(state.render(run=looked_at(watch)).encode(), HTML)
                case ["", "report.html"]:
                    self._answer_if_there(watch.report(), HTML)
                case ["", "images", key, name]:
                    self._answer_if_there(watch.image(key, name), "image/png")
                case _:
                    self._answer_if_there(None, "")

        do_HEAD = do_GET

        def _answer_if_there(self, body: bytes | None, kind: str) -> None:
            if body is None:
                self.answer(b"there is nothing here\n", "text/plain; charset=utf-8", HTTPStatus.NOT_FOUND)
            else:
                self.answer(body, kind)

    return Pages


def looked_at(watch: Watch) -> LiveRun:
    """Return the run as it is now; what is wrong with it is shown in its place, for it may be right again later."""
    try:
        return watch.look()
    except UserError as error:
        return LiveRun(legible(watch.run.name), "gone", str(error))
