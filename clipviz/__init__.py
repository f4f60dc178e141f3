"""See what a CLIP model looks at, and measure whom it fails.

    >>> import clipviz
    >>> heatmap = clipviz.gradcam("photo.jpg", "the forest")  # doctest: +SKIP
    >>> heatmap.save("forest.png")  # doctest: +SKIP

Every public name below is loaded when it is first used, so that ``import clipviz`` stays quick:
torch, open_clip and matplotlib come with the first call that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import synth
    from .auditing import Audit, AuditSpec, audit
    from .detection import BoxPrior, Detections, detect
    from .embedding import Embeddings, embed, embed_texts
    from .errors import ClipvizError, ClipvizWarning
    from .evaluation import Evaluation, evaluate
    from .explanation import (
        Comparison,
        Heatmap,
        Heatmaps,
        TokenAttribution,
        compare,
        explain,
        gradcam,
        head_ranking,
        list_explainers,
        register_explainer,
        through_depth,
        token_attribution,
    )
    from .images import open_image
    from .model import Model, list_models, load
    from .reporting import report
    from .sources import open_source
    from .text import Prompt, PromptSet
    from .training import train
    from .ui import workbench

__version__ = "0.1.0"

__all__ = [
    "Audit",
    "AuditSpec",
    "BoxPrior",
    "ClipvizError",
    "ClipvizWarning",
    "Comparison",
    "Detections",
    "Embeddings",
    "Evaluation",
    "Heatmap",
    "Heatmaps",
    "Model",
    "Prompt",
    "PromptSet",
    "TokenAttribution",
    "__version__",
    "audit",
    "compare",
    "detect",
    "embed",
    "embed_texts",
    "evaluate",
    "explain",
    "gradcam",
    "head_ranking",
    "list_explainers",
    "list_models",
    "load",
    "open_image",
    "open_source",
    "register_explainer",
    "report",
    "synth",
    "through_depth",
    "token_attribution",
    "train",
    "workbench",
]

_ROOMS = {
    "auditing": ("Audit", "AuditSpec", "audit"),
    "detection": ("BoxPrior", "Detections", "detect"),
    "embedding": ("Embeddings", "embed", "embed_texts"),
    "errors": ("ClipvizError", "ClipvizWarning"),
    "evaluation": ("Evaluation", "evaluate"),
    "explanation": (
        "Comparison",
        "Heatmap",
        "Heatmaps",
        "TokenAttribution",
        "compare",
        "explain",
        "gradcam",
        "head_ranking",
        "list_explainers",
        "register_explainer",
        "through_depth",
        "token_attribution",
    ),
    "images": ("open_image",),
    "model": ("Model", "list_models", "load"),
    "reporting": ("report",),
    "sources": ("open_source",),
    "text": ("Prompt", "PromptSet"),
    "training": ("train",),
    "ui": ("workbench",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "synth":
        return import_module(".synth", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
