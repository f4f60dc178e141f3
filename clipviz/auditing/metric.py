"""One figure that an audit computes of every group, and how groups are compared by it."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import SpecError, nearest

METRICS = (
    "share",
    "mean_probability",
    "margin",
    "accuracy",
    "balanced_accuracy",
    "false_positive_rate",
    "false_negative_rate",
    "above_threshold",
    "skew",
    "association",
)
DIRECTIONS = ("high is bad", "high is good", "neither")
COMPARISONS = ("difference", "ratio", "gap", "worst", "against best")
COLLECTIVE = ("labels", "categories", "harmful", "all")
NEED_SEVERAL = ("mean_probability", "margin", "above_threshold")  # a softmax over one label is 1 for every picture
NEED_TRUTH = ("accuracy", "balanced_accuracy", "false_positive_rate", "false_negative_rate")
_ODDS = ("equalised_odds", "equalized_odds", "equal_opportunity", "true_positive_rate")


@dataclass(frozen=True)
class Metric:
    """A figure a group, and its comparisons.

    ``metric`` : one of METRICS. ``of`` : names of labels or of categories, or "labels", "categories", "harmful", "all";
    for accuracy "categories" counts the right category as right. ``direction`` : what a high value means, which
    ``worst`` and ``against best`` follow. ``compare`` : of COMPARISONS. ``headline`` : the verdicts speak of it.
    ``threshold`` : for above_threshold, a probability. ``k`` : for skew, how many of the ranking count. ``set`` : the
    set of labels that it is computed of, "" for every one. Raises SpecError.

    >>> Metric("share", of=("crime-related",), headline=True).compare
    ('difference', 'gap')
    """

    metric: str
    of: tuple[str, ...] = ("all",)
    direction: str = "neither"
    compare: tuple[str, ...] = ("difference", "gap")
    headline: bool = False
    threshold: float | None = None
    k: tuple[int, ...] = ()
    set: str = ""

    def __post_init__(self) -> None:
        of = (self.of,) if isinstance(self.of, str) else tuple(self.of)
        compare = (self.compare,) if isinstance(self.compare, str) else tuple(self.compare)
        object.__setattr__(self, "of", of)
        object.__setattr__(self, "compare", compare)
        object.__setattr__(self, "k", tuple(self.k))
        if self.metric in _ODDS:
            raise SpecError(
                f"The metric {self.metric!r} is not computed: it needs positives in every group, and a label that does "
                'harm has none. Take "share", or "false_positive_rate" of a label with a truth.'
            )
        among(self.metric, METRICS, "metric", self.metric)
        among(self.direction, DIRECTIONS, "direction", self.metric)
        for one in compare:
            among(one, COMPARISONS, "compare", self.metric)
        if not of:
            raise SpecError(f"The metric {self.metric!r} is of nothing; name labels or categories in of, or leave it.")
        if self.metric == "above_threshold":
            if self.threshold is None:
                raise SpecError('The metric "above_threshold" has no threshold; add threshold = 0.005, a probability.')
            if not 0 < self.threshold < 1:
                raise SpecError(f"The threshold {self.threshold} is no probability between 0 and 1, such as 0.005.")
        elif self.threshold is not None:
            raise SpecError(
                f"threshold = {self.threshold} belongs to a metric that is not computed of it ({self.metric!r}); set "
                'metric = "above_threshold", or leave the threshold out.'
            )
        if self.metric == "skew":
            if not self.k or any(one < 1 for one in self.k):
                raise SpecError(f'The metric "skew" has k = {list(self.k)}; give how many count, such as k = [100].')
        elif self.k:
            raise SpecError(f'k = {list(self.k)} belongs to the metric "skew", not to {self.metric!r}; leave it out.')
        if self.metric == "association" and (len(of) != 2 or set(of) & set(COLLECTIVE)):
            raise SpecError(
                f"An association is of two labels or categories, got {list(of)}; write of = ['career', 'family']."
            )
        if self.metric == "false_negative_rate" and "harmful" in of:
            raise SpecError(
                'The metric "false_negative_rate" is asked of harmful labels, which are right for nobody: there are '
                'no positives to miss. Take "share" or "false_positive_rate".'
            )


def among(value: str, known: tuple[str, ...], key: str, where: str) -> None:
    """SpecError with the nearest names unless ``value`` is one of ``known``."""
    if value not in known:
        place = f"The metric {where!r} has" if key != "metric" else "A metric has"
        raise SpecError(f"{place} {key} = {value!r}, which is none of its values. {nearest(str(value), known)}")
