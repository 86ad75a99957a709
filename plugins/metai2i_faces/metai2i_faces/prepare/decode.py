"""Reading frames out of videos with PyAV, and out of folders of pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from PIL import ImageOps

from metai2i import UserError
from metai2i.decoding import opened
from metai2i_faces.prepare.missing import needed
from metai2i_faces.prepare.sources import Source, pictures_in


def count_frames(source: Source) -> int:
    """How many frames there are; a video is decoded for it, since what its header says need not be true.

    Raises:
        UserError: for what cannot be decoded to its end, or has no frame.
    """
    if source.kind == "pictures":
        return len(pictures_in(source.path))
    count = sum(1 for _ in _decoded(source))
    if not count:
        raise UserError("the video has no frames", where=source.path)
    return count


def read_frames(source: Source, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """The wanted frames, by number and in order: (H, W, 3) uint8, upright.

    Raises:
        UserError: for what cannot be decoded.
    """
    if source.kind == "pictures":
        for number, path in enumerate(pictures_in(source.path)):
            if number in wanted:
                with opened(path) as image:
                    yield number, np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        return
    last = max(wanted, default=-1)
    for number, frame in enumerate(_decoded(source)):
        if number in wanted:
            # A phone that is held upright stores lying frames, and the angle by which they are to be turned.
            turns = round(frame.rotation / 90)
            yield number, np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
        if number >= last:
            return


def _decoded(source: Source) -> Iterator[Any]:
    av = needed("av")
    try:
        with av.open(str(source.path), metadata_errors="ignore") as container:
            if not container.streams.video:
                raise UserError("there is no video in this file", where=source.path)
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield from container.decode(stream)
    except (av.FFmpegError, OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise UserError(f"the video cannot be decoded: {what}", where=source.path) from None
