"""Text-conditioned heatmaps: where in the picture is this text, to this model?"""

from .heatmap import Heatmap
from .heatmaps import Heatmaps
from .registry import list_explainers, register_explainer
from .verbs import explain, gradcam

__all__ = ["Heatmap", "Heatmaps", "explain", "gradcam", "list_explainers", "register_explainer"]
