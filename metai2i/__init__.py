"""metai2i: few-shot image-to-image translation by meta-learning.

The names below are what plugins and scripts are written against. They are imported on first use, so that
`metai2i --help` does not wait for torch.
"""

from typing import TYPE_CHECKING

from metai2i.lazy import exported

if TYPE_CHECKING:
    from metai2i.adaptation import Adaptation as Adaptation
    from metai2i.api import load_adapted as load_adapted
    from metai2i.api import open_run as open_run
    from metai2i.api import run as run
    from metai2i.batch import Batch as Batch
    from metai2i.batch import refuse_new_domains as refuse_new_domains
    from metai2i.bounds import Count as Count
    from metai2i.bounds import Iterations as Iterations
    from metai2i.bounds import Positive as Positive
    from metai2i.bounds import Seed as Seed
    from metai2i.bounds import Share as Share
    from metai2i.bounds import Side as Side
    from metai2i.bounds import Weight as Weight
    from metai2i.bounds import Whole as Whole
    from metai2i.bounds import check_range as check_range
    from metai2i.data.augment import Augment as Augment
    from metai2i.data.reference import Reference as Reference
    from metai2i.errors import Location as Location
    from metai2i.errors import UserError as UserError
    from metai2i.errors import UserErrors as UserErrors
    from metai2i.errors import counted as counted
    from metai2i.errors import did_you_mean as did_you_mean
    from metai2i.exporter import Exporter as Exporter
    from metai2i.exporter import ModelContent as ModelContent
    from metai2i.exporter import ModelExporter as ModelExporter
    from metai2i.exporter import RowNumber as RowNumber
    from metai2i.exporter import RunContent as RunContent
    from metai2i.exporter import RunExporter as RunExporter
    from metai2i.exporter import Tracker as Tracker
    from metai2i.extras import extra_command as extra_command
    from metai2i.field import NEW_DOMAIN as NEW_DOMAIN
    from metai2i.field import Field as Field
    from metai2i.files import CannotWrite as CannotWrite
    from metai2i.files import check_folder as check_folder
    from metai2i.files import new_folder as new_folder
    from metai2i.files import read_json as read_json
    from metai2i.files import reason as reason
    from metai2i.files import refuse_existing as refuse_existing
    from metai2i.files import write_json as write_json
    from metai2i.files import write_text as write_text
    from metai2i.hookspecs import Register as Register
    from metai2i.hookspecs import RegisterCommand as RegisterCommand
    from metai2i.hookspecs import hookimpl as hookimpl
    from metai2i.locks import locked as locked
    from metai2i.losses.objective import Objective as Objective
    from metai2i.metric import Metric as Metric
    from metai2i.metric import SetMetric as SetMetric
    from metai2i.network import FrozenNetwork as FrozenNetwork
    from metai2i.randomness import Randomness as Randomness
    from metai2i.retriever import Match as Match
    from metai2i.retriever import Retriever as Retriever
    from metai2i.strategy import MetaStrategy as MetaStrategy
    from metai2i.tasks import SPLITS as SPLITS
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
    "CannotWrite": "files",
    "Count": "bounds",
    "Episode": "tasks",
    "Exporter": "exporter",
    "Field": "field",
    "FrozenNetwork": "network",
    "Iterations": "bounds",
    "Location": "errors",
    "Losses": "translator",
    "Match": "retriever",
    "MetaStrategy": "strategy",
    "Metric": "metric",
    "NEW_DOMAIN": "field",
    "ModelContent": "exporter",
    "ModelExporter": "exporter",
    "Move": "translator",
    "Objective": "losses.objective",
    "Positive": "bounds",
    "Randomness": "randomness",
    "Reference": "data.reference",
    "Register": "hookspecs",
    "RegisterCommand": "hookspecs",
    "Retriever": "retriever",
    "RowNumber": "exporter",
    "RunContent": "exporter",
    "RunExporter": "exporter",
    "SPLITS": "tasks",
    "Seed": "bounds",
    "SetMetric": "metric",
    "Share": "bounds",
    "Side": "bounds",
    "Split": "tasks",
    "Step": "translator",
    "Task": "tasks",
    "TaskSource": "tasks",
    "TaskSpec": "tasks",
    "Tracker": "exporter",
    "Translator": "translator",
    "UserError": "errors",
    "UserErrors": "errors",
    "Weight": "bounds",
    "Whole": "bounds",
    "check_folder": "files",
    "check_range": "bounds",
    "counted": "errors",
    "did_you_mean": "errors",
    "extra_command": "extras",
    "hookimpl": "hookspecs",
    "load_adapted": "api",
    "locked": "locks",
    "open_run": "api",
    "run": "api",
    "read_json": "files",
    "new_folder": "files",
    "reason": "files",
    "refuse_existing": "files",
    "refuse_new_domains": "batch",
    "write_json": "files",
    "write_text": "files",
}
__all__ = ["__version__", *_HOME]  # noqa: PLE0604
__getattr__ = exported(__name__, _HOME)
