"""Numbers with their uncertainty: the one place where an interval is computed."""

from .bootstrap import Interval, paired_bootstrap, weighted_bootstrap
from .shares import exact_limits

__all__ = ["Interval", "exact_limits", "paired_bootstrap", "weighted_bootstrap"]
