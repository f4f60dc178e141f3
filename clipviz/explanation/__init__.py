"""Text-conditioned heatmaps: where in the picture is this text, to this model?"""

from .comparing import compare, through_depth
from .comparison import Comparison
from .heatmap import Heatmap
from .heatmaps import Heatmaps
from .registry import list_explainers, register_explainer
from .verbs import explain, gradcam

__all__ = [
    "Comparison",
    "Heatmap",
    "Heatmaps",
    "compare",
    "explain",
    "gradcam",
    "list_explainers",
    "register_explainer",
    "through_depth",
]
