"""TensorBoard: a folder of event files, a series for each training stage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metai2i.exporter import RowNumber, Tracker
from metai2i.extras import extra_command


class TensorBoard(Tracker):
    """Event files of TensorBoard: losses by stage, means of the table by row, images."""

    modules = ("tensorboard",)
    install = extra_command("metai2i", "tensorboard")
    ending = "-tensorboard/"

    def begin(self, name: str, recipe: Mapping[str, object], out: Path) -> None:
        """Begin with the recipe as a text."""
        import yaml

        self._out, self._writers = out, dict[str, Any]()
        text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
        self._writer("recipe").add_text(name, "".join(f"    {line}\n" for line in text.splitlines()))

    def scalar(self, series: str, term: str, step: int, value: float) -> None:
        """Write a point of the series' curve."""
        self._writer(series).add_scalar(term, value, step)

    def number(self, number: RowNumber) -> None:
        """Write a mean and its interval as points at step 0, so that rows stand beside each other."""
        for key in ("mean", "low", "high"):
            value = number[key]
            if value is not None:
                self._writer(f"row {number['row']}").add_scalar(f"table/{number['metric']} {key}", value, 0)

    def image(self, tag: str, path: Path) -> None:
        """Write an image under its tag."""
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            self._writer("images").add_image(tag, np.array(image.convert("RGB")), 0, dataformats="HWC")

    def end(self, failed: bool) -> object:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        return "tensorboard --logdir {out} shows it"

    def _writer(self, series: str) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        if series not in self._writers:
            name = re.sub(r"[^\w.+-]+", "_", series).strip("_.")[:120] or "series"
            name += f"-{len(self._writers)}" if (self._out / name).exists() else ""  # a namesake but for its signs
            self._writers[series] = SummaryWriter(str(self._out / name), flush_secs=5)
        return self._writers[series]
