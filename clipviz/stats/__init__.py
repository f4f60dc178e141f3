"""Numbers with their uncertainty: the one place where an interval is computed."""

from .auc import auc_limits
from .bootstrap import Interval, paired_bootstrap, weighted_bootstrap
from .clustered import ClusteredShare, clustered_independence_test, korn_graubard
from .corrections import benjamini_hochberg, holm
from .differences import combined_limits, difference_limits
from .gaps import AgainstBest, Gap, Worst, against_best_limits, gap_limits, gap_of_limits, pairwise_level, worst_limits
from .independence import independence_test
from .means import mean_difference_limits, mean_gap_limits, mean_limits, means_test
from .paired import PairedByPerson, mcnemar, paired_by_person, paired_difference_limits
from .power import misassigned, smallest_gap
from .ratios import ratio_limits
from .shares import exact_limits, share_limits
from .strata import MantelHaenszel, Standardised, mantel_haenszel, standardised

__all__ = [
    "AgainstBest", "ClusteredShare", "Gap", "Interval", "MantelHaenszel", "PairedByPerson", "Standardised", "Worst",
    "against_best_limits", "auc_limits", "benjamini_hochberg", "clustered_independence_test", "combined_limits",
    "difference_limits", "exact_limits", "gap_limits", "gap_of_limits", "holm", "independence_test", "korn_graubard",
    "mantel_haenszel", "mcnemar", "mean_difference_limits", "mean_gap_limits", "mean_limits", "means_test",
    "misassigned", "paired_bootstrap", "paired_by_person", "paired_difference_limits", "pairwise_level",
    "ratio_limits", "share_limits", "smallest_gap", "standardised", "weighted_bootstrap", "worst_limits",
]  # fmt: skip
