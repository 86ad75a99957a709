"""A model as ONNX, held against torch in onnxruntime before it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from metai2i.errors import UserError
from metai2i.exporter import ModelContent, ModelExporter
from metai2i.exporting.traced import IMAGE, Traced, check_same, facts, not_exported, quiet, traced
from metai2i.extras import extra_command

LARGEST = 2**31 - 2**20
"""Bytes of a file of ONNX."""


class Onnx(ModelExporter):
    """A graph of ONNX with the fields of the translator as named inputs and `image` as its output; what they are stands
    in its metadata, under `metai2i`.
    """

    modules = ("onnx", "onnxscript", "onnxruntime")
    install = extra_command("metai2i", "onnx")
    ending = ".onnx"

    def export(self, content: ModelContent, out: Path) -> object:
        """Write the graph, once onnxruntime paints with it what torch paints, within half a grey level."""
        followed = traced(content)
        graph = onnx_graph(content, followed)
        entry = graph.metadata_props.add()
        entry.key, entry.value = "metai2i", json.dumps(facts(content, followed))
        data = graph.SerializeToString()
        for inputs, expected in followed.samples():
            check_same(content, expected, painted(data, followed.names, inputs), "onnxruntime")
        out.write_bytes(data)
        return f"inputs: {', '.join(followed.names)}; output: {IMAGE}; what they are: its metadata, key metai2i"


def onnx_graph(content: ModelContent, followed: Traced) -> Any:
    """Return the graph of ONNX.

    Raises:
        UserError: for a translator that has operations which ONNX does not have, or that is too large.
    """
    try:
        with quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                followed.program, dynamo=True, verbose=False, input_names=list(followed.names), output_names=[IMAGE]
            )
        graph = program.model_proto
        if graph.ByteSize() > LARGEST:
            raise UserError("a file of ONNX has no more than 2 GB")
    except Exception as error:
        raise not_exported(content, error) from error
    return graph


def painted(data: bytes, names: tuple[str, ...], inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return what onnxruntime paints on the CPU."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    taken = {each.name for each in session.get_inputs()}  # a field that changes nothing is no input
    given = {name: values.numpy() for name, values in zip(names, inputs, strict=True) if name in taken}
    return torch.from_numpy(session.run([IMAGE], given)[0])
