"""Zero-shot detection: boxes around what a text names, from a model that was never trained on boxes."""

from .detections import Detection, Detections
from .prior import BoxPrior
from .verb import EVERY_BOX, default_threshold, detect

__all__ = ["EVERY_BOX", "BoxPrior", "Detection", "Detections", "default_threshold", "detect"]
