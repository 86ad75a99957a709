"""MLflow: a run with parameters, metrics and images, where `MLFLOW_TRACKING_URI` says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from metai2i.exporter import RowNumber, Tracker
from metai2i.exporting.flat import flat
from metai2i.extras import extra_command


class MLflow(Tracker):
    """A run of MLflow, on the server or in the folder that `MLFLOW_TRACKING_URI` names.

    Args:
        experiment: the experiment that it is put into.
    """

    modules = ("mlflow",)
    install = extra_command("metai2i", "mlflow")

    def __init__(self, *, experiment: str = "metai2i") -> None:
        self.experiment = experiment
        self._names: dict[str, str] = {}

    def begin(self, name: str, recipe: Mapping[str, object], out: Path) -> None:
        """Start a run with the keys of the recipe as its parameters."""
        import mlflow

        mlflow.set_experiment(self.experiment)
        self._mlflow, self._run = mlflow, mlflow.start_run(run_name=name)
        parameters = {self._key(key): str(value)[:500] for key, value in flat(recipe).items()}
        for at in range(0, len(parameters), 100):  # a server takes no more at once
            mlflow.log_params(dict(list(parameters.items())[at : at + 100]))

    def scalar(self, series: str, term: str, step: int, value: float) -> None:
        """Log a metric of the series."""
        self._mlflow.log_metric(self._key(f"{series}/{term}"), value, step=step)

    def number(self, number: RowNumber) -> None:
        """Log a mean and its interval as metrics of the row."""
        for key in ("mean", "low", "high"):
            value = number[key]
            if value is not None:
                self._mlflow.log_metric(self._key(f"row {number['row']}/{number['metric']} {key}"), value)

    def image(self, tag: str, path: Path) -> None:
        """Keep the image as an artifact in the folder of its tag."""
        self._mlflow.log_artifact(str(path), artifact_path=_spelled(f"images/{tag}").rpartition("/")[0])

    def _key(self, name: str) -> str:
        """Return a name that MLflow takes, and that no other name has."""
        key = _spelled(name)
        if self._names.setdefault(key, name) != name:
            key = f"{key[:230]} {hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return key

    def end(self, failed: bool) -> object:
        """End the run as finished or failed."""
        self._mlflow.end_run(status="FAILED" if failed else "FINISHED")
        return f"run {self._run.info.run_id} of the experiment {self.experiment!r} in {self._mlflow.get_tracking_uri()}"


def _spelled(name: str) -> str:
    """Return a name of those letters that MLflow takes."""
    return re.sub(r"[^\w\-. /]+", "_", name, flags=re.ASCII).strip("/")[:240]
