"""metai2i: few-shot image-to-image translation by meta-learning.

The names below are what plugins and scripts are written against. They are imported on first use, so that
`metai2i --help` does not wait for torch.
"""

from typing import TYPE_CHECKING

from metai2i.lazy import exported

if TYPE_CHECKING:
    from metai2i.adaptation import Adaptation as Adaptation
    from metai2i.batch import Batch as Batch
    from metai2i.data.augment import Augment as Augment
    from metai2i.data.reference import Reference as Reference
    from metai2i.errors import UserError as UserError
    from metai2i.hookspecs import Register as Register
    from metai2i.hookspecs import hookimpl as hookimpl
    from metai2i.losses.objective import Objective as Objective
    from metai2i.metric import Metric as Metric
    from metai2i.randomness import Randomness as Randomness
    from metai2i.retriever import Match as Match
    from metai2i.retriever import Retriever as Retriever
    from metai2i.strategy import MetaStrategy as MetaStrategy
    from metai2i.tasks import Episode as Episode
    from metai2i.tasks import Split as Split
    from metai2i.tasks import Task as Task
    from metai2i.tasks import TaskSource as TaskSource
    from metai2i.tasks import TaskSpec as TaskSpec
    from metai2i.translator import Losses as Losses
    from metai2i.translator import Move as Move
    from metai2i.translator import Step as Step
    from metai2i.translator import Translator as Translator

__version__ = "0.2.0"

_HOME = {
    "Adaptation": "adaptation",
    "Augment": "data.augment",
    "Batch": "batch",
    "Episode": "tasks",
    "Losses": "translator",
    "Match": "retriever",
    "MetaStrategy": "strategy",
    "Metric": "metric",
    "Move": "translator",
    "Objective": "losses.objective",
    "Randomness": "randomness",
    "Reference": "data.reference",
    "Register": "hookspecs",
    "Retriever": "retriever",
    "Split": "tasks",
    "Step": "translator",
    "Task": "tasks",
    "TaskSource": "tasks",
    "TaskSpec": "tasks",
    "Translator": "translator",
    "UserError": "errors",
    "hookimpl": "hookspecs",
}
__all__ = ["__version__", *_HOME]  # noqa: PLE0604
__getattr__ = exported(__name__, _HOME)
