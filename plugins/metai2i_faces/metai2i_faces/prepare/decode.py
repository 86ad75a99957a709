"""Reading frames out of videos with PyAV, and out of folders of images, as a viewer shows them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from metai2i import UserError
from metai2i.data import read_photograph
from metai2i_faces.prepare.display import Matrix, orientation_of, shown
from metai2i_faces.prepare.missing import needed
from metai2i_faces.prepare.shots import CELLS, is_album, shots
from metai2i_faces.prepare.sources import Source, images_in, look_into

SQUEEZED = (Fraction(1, 4), Fraction(4))
"""Shapes of pixels, width to height, that are believed."""


@dataclass(frozen=True)
class Survey:
    """What a source is made of, for which all of it was decoded once.

    Args:
        count: the frames of the source, also those that cannot be read.
        shots: the numbers of the frames of every shot, without those that cannot be read.
        album: photographs each of its own, rather than frames that follow each other.
        unread: what cannot be read or comes out damaged, and why: a line for each image, one for a video.
    """

    count: int
    shots: tuple[tuple[int, ...], ...]
    album: bool = False
    unread: tuple[str, ...] = ()


def survey(source: Source) -> Survey:
    """Decode a source to its end, since what a header says need not be true, and find its shots.

    An image or a frame that cannot be read is left out.

    Raises:
        UserError: for what cannot be opened, or has no frame that can be read.
    """
    return _survey_images(source.path) if source.kind == "images" else _survey_video(source.path)


def count_frames(source: Source) -> int:
    """Return how many frames there are; see `survey`."""
    return survey(source).count


def read_frames(source: Source, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the wanted frames, by number and in order: (H, W, 3) uint8, upright and not mirrored.

    Raises:
        UserError: for what cannot be decoded.
    """
    if source.kind == "images":
        for number, path in enumerate(images_in(source.path)):
            if number in wanted:
                yield number, np.asarray(read_photograph(path))
        return
    last = max(wanted, default=-1)
    with _opened_video(source.path) as (container, stream):
        number = -1
        for frame in _decoded(container, stream):
            if frame is None:
                continue
            number += 1
            if number in wanted:
                yield number, shown(_pixels(frame, stream), _orientation(frame, source.path))
            if number >= last:
                return


def _survey_images(folder: Path) -> Survey:
    paths, unread = look_into(folder)
    cells, sizes, numbers = [], set(), []
    for number, path in enumerate(paths):
        try:
            image = read_photograph(path)
        except UserError as error:
            unread.append(str(error))
        else:
            numbers.append(number)
            sizes.add(image.size)
            cells.append(np.asarray(image.resize((CELLS, CELLS), Image.Resampling.BOX)))
    if not numbers:
        raise UserError(f"none of the {len(paths)} images can be read; the first: {unread[0]}", where=folder)
    if len(sizes) > 1 or is_album(cells):
        return Survey(len(paths), (tuple(numbers),), True, tuple(unread))
    return Survey(len(paths), tuple(tuple(numbers[n] for n in shot) for shot in shots(cells)), False, tuple(unread))


def _survey_video(path: Path) -> Survey:
    cells: list[np.ndarray] = []
    turns: list[Matrix] = []
    numbers, count, lost = [], 0, 0
    with _opened_video(path) as (container, stream):
        for frame in _decoded(container, stream):
            if frame is None:
                lost += 1
                continue
            if not frame.is_corrupt:
                numbers.append(count)
                small = frame.reformat(width=CELLS, height=CELLS, format="rgb24", interpolation="BILINEAR")
                turns.append(_orientation(frame, path))
                cells.append(shown(small.to_ndarray(), turns[-1]))
            count += 1
    if not numbers:
        raise UserError("the video has no frames" if not lost + count else "no frame of it can be decoded", where=path)
    damaged = lost + count - len(numbers)
    unread = (f"{path}: {damaged} damaged frames",) if damaged else ()
    parts = [part for shot in shots(cells) for part in _held_alike(shot, turns)]
    return Survey(count, tuple(tuple(numbers[n] for n in part) for part in parts), unread=unread)


def _held_alike(shot: Sequence[int], turns: Sequence[Matrix]) -> list[list[int]]:
    """Return the parts of a shot in which all frames are turned alike: a stream may turn in the middle."""
    return [list(part) for _, part in groupby(shot, key=lambda n: turns[n])]


@contextmanager
def _opened_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open the container and its first video."""
    av = needed("av")
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            if not container.streams.video:
                raise UserError("there is no video in this file", where=path)
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except (av.FFmpegError, OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise UserError(f"the video cannot be decoded: {what}", where=path) from None


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Yield all frames, and None for each packet that cannot be decoded; a file that is cut short ends where
    it does.
    """
    av = needed("av")
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.InvalidDataError:
            yield None
            return
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            yield None
        else:
            yield from frames


def _pixels(frame: Any, stream: Any) -> np.ndarray:
    """Return a frame as it is stored, but with square pixels: (H, W, 3) uint8."""
    shape = stream.sample_aspect_ratio or Fraction(1)
    if shape != 1 and SQUEEZED[0] <= shape <= SQUEEZED[1]:
        width = max(1, round(frame.width * shape))
        frame = frame.reformat(width=width, height=frame.height, format="rgb24", interpolation="BICUBIC")
    pixels: np.ndarray = frame.to_ndarray(format="rgb24")
    return pixels


def _orientation(frame: Any, path: Path) -> Matrix:
    try:
        return orientation_of(frame)
    except UserError as error:
        raise UserError(error.what, where=path, hint=error.hint) from None
