"""How good is a model at a task? `evaluate` measures it; tasks stand in one registry, one file each."""

from .boxes.result import BoxEvaluation
from .league import League
from .metrics import zero_shot_metrics
from .registry import list_tasks, register_task
from .result import Evaluation
from .vectors import class_vectors
from .verb import evaluate

__all__ = [
    "BoxEvaluation",
    "Evaluation",
    "League",
    "class_vectors",
    "evaluate",
    "list_tasks",
    "register_task",
    "zero_shot_metrics",
]
