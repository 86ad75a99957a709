"""The core's exporters, handed over by the hook that plugins have."""

from __future__ import annotations

from metai2i.exporting.figure_files import Figures
from metai2i.exporting.mlflow import MLflow
from metai2i.exporting.onnx_file import Onnx
from metai2i.exporting.table_files import Latex, Markdown
from metai2i.exporting.tensorboard import TensorBoard
from metai2i.exporting.torch_file import TorchExport
from metai2i.exporting.trackio import Trackio
from metai2i.exporting.wandb import Wandb
from metai2i.hookspecs import Register, hookimpl


@hookimpl
def register_exporters(register: Register) -> None:
    """Hand over all of them."""
    for name, exporter in {
        "onnx": Onnx, "torch": TorchExport,
        "tensorboard": TensorBoard, "mlflow": MLflow, "trackio": Trackio, "wandb": Wandb,
        "latex": Latex, "markdown": Markdown, "figures": Figures,
    }.items():  # fmt: skip
        register(name, exporter)
