"""A model by torch.export: a file that torch runs without metai2i and without its plugins."""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch

from metai2i.exporter import ModelContent, ModelExporter
from metai2i.exporting.traced import check_same, facts, quiet, traced

FACTS = "metai2i.json"
"""What the file with the facts is called inside of it."""


class TorchExport(ModelExporter):
    """A program of torch.export, which `torch.export.load` reads; `metai2i.json` in it says what its inputs are."""

    ending = ".pt2"

    def export(self, content: ModelContent, out: Path) -> object:
        """Write the program, once what is read back paints the same images."""
        followed = traced(content)
        data = io.BytesIO()
        with quiet():
            torch.export.save(followed.program, data, extra_files={FACTS: json.dumps(facts(content, followed))})
            data.seek(0)
            again = torch.export.load(data).module()
        for inputs, expected in followed.samples():
            with torch.no_grad():
                check_same(content, expected, again(*inputs), "torch.export")
        out.write_bytes(data.getvalue())
        return f"torch.export.load('{{out}}').module()({', '.join(followed.names)}) gives the images"
