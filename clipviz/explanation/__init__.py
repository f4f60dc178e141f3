"""Text-conditioned heatmaps: where in the picture is this text, to this model?"""

from .comparing import compare, through_depth
from .comparison import Comparison
from .heads import head_ranking
from .heatmap import Heatmap
from .heatmaps import Heatmaps
from .registry import list_explainers, register_explainer
from .tokens import token_attribution
from .verbs import explain, gradcam
from .words import TokenAttribution

__all__ = [
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
]
