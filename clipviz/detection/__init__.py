"""Zero-shot detection: boxes around what a text names, from a model that was never trained on boxes."""

from .detections import Detection, Detections
from .prior import BoxPrior
from .verb import EVERY_BOX, THRESHOLD, detect

__all__ = ["EVERY_BOX", "THRESHOLD", "BoxPrior", "Detection", "Detections", "detect"]
