"""Numbers with their uncertainty: the one place where an interval is computed."""

from .bootstrap import Interval, paired_bootstrap

__all__ = ["Interval", "paired_bootstrap"]
