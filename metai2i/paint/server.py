"""The page's server, on this machine alone: what it is asked, and what it answers.

Maps and files travel as raw bytes, images as PNG, everything else as JSON. What cannot be done is answered with
`{"error": ...}` and the message that the command line would have printed.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import torch

from metai2i import __version__
from metai2i.console.loopback import LoopbackHandler
from metai2i.data.contact_sheet import coloured
from metai2i.data.images import to_uint8
from metai2i.errors import UserError
from metai2i.field import PHOTOGRAPH
from metai2i.files import parse_json, refusal
from metai2i.guards.fault_report import fault
from metai2i.inference.pair_folders import read_field
from metai2i.paint.adapting import AdaptJob, SupportOnPage, checked_steps, keep_on_disk, read_support
from metai2i.paint.label_bytes import bytes_of, ids_of, map_png, pixels_png
from metai2i.paint.page import page, page_policy
from metai2i.paint.studio import PaintRequest, Studio, instances_of, only_file
from metai2i.paint.uploads import MOST_BYTES

_PATIENCE = 60
"""Seconds that a connection may be silent in the middle of a request."""


@dataclass(frozen=True)
class PageRequest:
    """A request: its query by name, and its body."""

    query: Mapping[str, str]
    body: bytes

    def json(self) -> Mapping[str, Any]:
        """Return the body as a JSON object.

        Raises:
            UserError: when it is none.
        """
        try:
            content = parse_json(self.body.decode("utf-8"))
        except (UserError, ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise UserError("expected a JSON object")
        return content


@dataclass(frozen=True)
class Answer:
    """What is answered: bytes of a kind."""

    content: bytes
    kind: str = "application/json"


class NotThere(UserError):
    """Nothing is at an address."""


@dataclass
class Desk:
    """What the addresses of the server do; each method answers one of them.

    Args:
        studio: with what.
        supports: that the page has handed over, by their number.
        jobs: that adapt, by their number.
    """

    studio: Studio
    supports: dict[str, SupportOnPage] = field(default_factory=dict)
    jobs: dict[str, AdaptJob] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def end_jobs(self, patience: float) -> None:
        """Let all jobs end after the number of steps that they work on.

        Args:
            patience: seconds to wait for all of them together.
        """
        with self._lock:
            jobs = list(self.jobs.values())
        deadline = time.monotonic() + patience
        for job in jobs:
            job.stop()
        for job in jobs:
            job.stop(max(0.0, deadline - time.monotonic()))

    def page(self, asked: PageRequest) -> Answer:
        """Answer with the page."""
        return Answer(page().encode("utf-8"), "text/html; charset=utf-8")

    def state(self, asked: PageRequest) -> Answer:
        """Answer with what there is: classes, models, maps, rows, scenes, and the job that is at work."""
        with self._lock:
            job = next((key for key, job in reversed(self.jobs.items()) if job.state == "running"), None)
        return as_json({**self.studio.about(), "job": job, "version": __version__})

    def image(self, asked: PageRequest) -> Answer:
        """Answer with the image that a model makes of the map in the body."""
        return Answer(pixels_png(self.studio.paint(PaintRequest.of(asked.query), asked.body)), "image/png")

    def map_file(self, asked: PageRequest) -> Answer:
        """Answer with the file of the map in the body."""
        return Answer(map_png(self._ids(asked), self._classes, self.studio.colours), "image/png")

    def instance_file(self, asked: PageRequest) -> Answer:
        """Answer with the file of the instances of the map in the body, in grey of 16 bits."""
        return Answer(map_png(instances_of(self._ids(asked)), 2**16, ()), "image/png")

    def read_map(self, asked: PageRequest) -> Answer:
        """Answer with the map of a file that is handed over."""
        folder = self.studio.uploads.keep(asked.body)
        return self._map(self.studio.read_ids(only_file(folder)))

    def shelf_map(self, asked: PageRequest, number: str) -> Answer:
        """Answer with a map to begin with."""
        return self._map(self.studio.maps[self._place(number, len(self.studio.maps))].ids)

    def shelf_image(self, asked: PageRequest, number: str) -> Answer:
        """Answer with a map to begin with, in colours, to look at."""
        ids = self.studio.maps[self._place(number, len(self.studio.maps))].ids
        colours = torch.tensor(self.studio.colours, dtype=torch.uint8)
        return Answer(pixels_png(colours[torch.from_numpy(ids).long()].permute(2, 0, 1)), "image/png")

    def exemplar(self, asked: PageRequest) -> Answer:
        """Answer with the number of an exemplar's files: `photo/NAME`, and `map/NAME` where there is one."""
        folder = self.studio.uploads.keep(asked.body)
        return as_json({"key": folder.name})

    def input_file(self, asked: PageRequest, name: str) -> Answer:
        """Answer with the number of the file of a field, once it has been read as what the field is."""
        folder = self.studio.uploads.keep(asked.body)
        known = self.studio.spec.known_field(name)
        if known is None or not known.is_image:
            raise UserError(f"the data has no images called {name[:40]!r}")
        read_field(only_file(folder), name, self.studio.spec)
        return as_json({"key": folder.name})

    def input_image(self, asked: PageRequest, name: str, key: str) -> Answer:
        """Answer with the file of a field as it is read, to look at."""
        values = read_field(only_file(self.studio.uploads.folder(key)), name, self.studio.spec)
        return Answer(pixels_png(self._to_look_at(name, values)), "image/png")

    def support(self, asked: PageRequest) -> Answer:
        """Answer with the number of a support that is handed over, read for the row `row`."""
        row = self.studio.row(asked.query.get("row", ""))
        folder = self.studio.uploads.keep(asked.body)
        return self._support(read_support(self.studio, folder, row))

    def scene_support(self, asked: PageRequest, number: str) -> Answer:
        """Answer with the number of the support of a test scene."""
        scene = self.studio.scenes[self._place(number, len(self.studio.scenes))]
        row = self.studio.row(asked.query.get("row", ""))
        if not scene.support:
            raise UserError(f"the run has not kept the support of {scene.title}")
        folder = self.studio.uploads.new_folder()
        scene.copy_support(folder)
        return self._support(read_support(self.studio, folder, row, scene.title))

    def support_image(self, asked: PageRequest, key: str, kind: str, number: str) -> Answer:
        """Answer with the photograph or the map of a sample of a support, to look at."""
        support = self._get(self.supports, key, "support")
        images = support.photos if kind == "photo" else support.maps
        if images is None:
            raise NotThere(f"this support has no {kind}s")
        return Answer(pixels_png(images[self._place(number, len(images))]), "image/png")

    def adapt(self, asked: PageRequest) -> Answer:
        """Begin to adapt, and answer with the job's number."""
        wish = asked.json()
        support = self._get(self.supports, str(wish.get("support")), "support")
        keys = wish.get("rows")
        if not isinstance(keys, list) or not keys:
            raise UserError("no row is chosen", hint="choose one or several to adapt")
        rows = [self.studio.row(str(key)) for key in keys]
        lr = wish.get("lr")
        if lr is not None and (not isinstance(lr, int | float) or isinstance(lr, bool) or not 0 < lr < 1e6):
            raise UserError(f"rate: got {str(lr)[:20]}, expected a number above 0")
        job = AdaptJob(self.studio, support, rows, checked_steps(wish.get("steps")), lr)
        with self._lock:
            if any(each.state == "running" for each in self.jobs.values()):
                raise UserError("a model is being adapted already", hint="wait until it is done, or stop it")
            key = str(next(self._numbers))
            self.jobs[key] = job
            job.start()
        return as_json({"job": key})

    def job(self, asked: PageRequest, key: str) -> Answer:
        """Answer with how far a job is."""
        return as_json(self._get(self.jobs, key, "job").about())

    def stop(self, asked: PageRequest, key: str) -> Answer:
        """Stop a job."""
        self._get(self.jobs, key, "job").stop()
        return as_json({})

    def job_image(self, asked: PageRequest, key: str, round_number: str, number: str) -> Answer:
        """Answer with an image of the support after some steps."""
        rounds = list(self._get(self.jobs, key, "job").rounds)
        images = rounds[self._place(round_number, len(rounds))].images
        return Answer(pixels_png(images[self._place(number, len(images))]), "image/png")

    def keep(self, asked: PageRequest) -> Answer:
        """Write a model to a file, and answer with it."""
        wish = asked.json()
        out = keep_on_disk(self.studio, str(wish.get("model")), str(wish.get("name")))
        return as_json({"file": str(out)})

    def remove(self, asked: PageRequest) -> Answer:
        """Take a model off the page."""
        self.studio.models.remove(str(asked.json().get("model")))
        return as_json({})

    @property
    def _classes(self) -> int:
        return self.studio.spec.structure_channels

    def _ids(self, asked: PageRequest) -> Any:
        return ids_of(asked.body, self.studio.spec.size, self._classes)

    def _map(self, ids: Any) -> Answer:
        return Answer(bytes_of(ids, self._classes), "application/octet-stream")

    def _to_look_at(self, name: str, values: torch.Tensor) -> torch.Tensor:
        kind = self.studio.spec.field(name).kind
        if kind == "photo":
            return to_uint8(values)
        if kind == "ids":
            return (values % 256).to(torch.uint8).expand(3, -1, -1)
        return coloured(values, self.studio.spec)

    def _support(self, support: SupportOnPage) -> Answer:
        with self._lock:
            key = str(next(self._numbers))
            support.key = key
            self.supports[key] = support
        shown = support.photos if support.photos is not None else support.maps
        return as_json(
            {
                "key": key,
                "names": list(support.names),
                "shown": 0 if shown is None else len(shown),
                PHOTOGRAPH: support.photos is not None,
                "maps": support.maps is not None,
            }
        )

    def _get(self, known: Mapping[str, Any], key: str, what: str) -> Any:
        with self._lock:
            if key not in known:
                raise NotThere(f"there is no {what} {key[:20]!r}", hint="load the page again")
            return known[key]

    def _place(self, number: str, count: int) -> int:
        if len(number) > 9 or int(number) >= count:
            raise NotThere(f"there are {count}, and none of the number {number[:20]}")
        return int(number)


def as_json(content: Mapping[str, object]) -> Answer:
    """Return an answer in JSON."""
    return Answer(json.dumps(content).encode("utf-8"))


ROUTES: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
    ("GET", r"/", Desk.page),
    ("GET", r"/state", Desk.state),
    ("GET", r"/maps/(\d+)", Desk.shelf_map),
    ("GET", r"/maps/(\d+)\.png", Desk.shelf_image),
    ("GET", r"/files/(\w+)/(\d+)\.png", Desk.input_image),
    ("GET", r"/supports/(\d+)/(photo|map)/(\d+)\.png", Desk.support_image),
    ("GET", r"/jobs/(\d+)", Desk.job),
    ("GET", r"/jobs/(\d+)/(\d+)/(\d+)\.png", Desk.job_image),
    ("POST", r"/image", Desk.image),
    ("POST", r"/map\.png", Desk.map_file),
    ("POST", r"/instances\.png", Desk.instance_file),
    ("POST", r"/maps", Desk.read_map),
    ("POST", r"/exemplars", Desk.exemplar),
    ("POST", r"/files/(\w+)", Desk.input_file),
    ("POST", r"/supports", Desk.support),
    ("POST", r"/scenes/(\d+)", Desk.scene_support),
    ("POST", r"/jobs", Desk.adapt),
    ("POST", r"/jobs/(\d+)/stop", Desk.stop),
    ("POST", r"/keep", Desk.keep),
    ("POST", r"/remove", Desk.remove),
)
"""What answers which addresses."""


def route(method: str, path: str) -> tuple[Callable[..., Answer], tuple[str, ...]]:
    """Return what answers an address, and the parts of it.

    Raises:
        NotThere: when nothing does.
    """
    for known, pattern, answer in ROUTES:
        match = re.fullmatch(pattern, path, re.ASCII)
        if match and known == method:
            return answer, match.groups()
    raise NotThere(f"nothing is at {method} {path[:80]}")


class PaintHandler(LoopbackHandler):
    """One connection; `handler_for_a_desk` gives a kind of it that has a desk."""

    desk: ClassVar[Desk]
    policy = page_policy()
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._answer()

    def _answer(self) -> None:
        address = urlsplit(self.path)
        try:
            body = self._body()
        except UserError as error:
            self.close_connection = True  # for what comes next may be the body that was not read
            self._tell(HTTPStatus.BAD_REQUEST, error)
            return
        try:
            respond, parts = route(self.command, address.path)
            query = dict(parse_qsl(address.query, keep_blank_values=True))
            reply = respond(self.desk, PageRequest(query, body), *parts)
            self.answer(reply.content, reply.kind)
        except NotThere as error:
            self._tell(HTTPStatus.NOT_FOUND, error)
        except UserError as error:
            self._tell(HTTPStatus.UNPROCESSABLE_ENTITY, error)
        except (ConnectionError, TimeoutError):
            raise
        except OSError as error:
            self._tell(HTTPStatus.INTERNAL_SERVER_ERROR, UserError(refusal(error)))
        except Exception as error:
            self._tell(HTTPStatus.INTERNAL_SERVER_ERROR, fault("the page", error, None))

    def _body(self) -> bytes:
        """Return the request's body.

        Raises:
            UserError: for one whose size is not said, or too large.
        """
        if self.headers.get("Transfer-Encoding") is not None:
            raise UserError("expected a body with a Content-Length, got one in chunks")
        length = self.headers.get("Content-Length", "0" if self.command == "GET" else "")
        if not (length.isascii() and length.isdecimal()):
            raise UserError("expected the size of the body (Content-Length)")
        if int(length[:19]) > MOST_BYTES:
            what = f"got {int(length[:19]) / 2**20:,.0f} MiB, expected at most {MOST_BYTES // 2**20}"
            raise UserError(what, hint="hand over fewer files, or smaller ones")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise UserError(f"got {len(body):,} bytes of the {int(length):,} that were announced")
        return body

    def _tell(self, status: HTTPStatus, error: UserError) -> None:
        message = self.desk.studio.uploads.shown(str(error))
        self.answer(as_json({"error": message}).content, "application/json", status)


def handler_for_a_desk() -> type[PaintHandler]:
    """Return a kind of handler that answers once it has been given a desk."""
    return type("PaintHandler", (PaintHandler,), {})
