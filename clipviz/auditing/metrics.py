"""What is counted, metric by metric: from the decisions under one wording to a `Tally` for each grouping.

A metric is a function of `Pictures` that gives `Marks`: which pictures count for each of K names, and which of them
hit; or numbers whose mean is taken. Names are labels, then categories; a category counts what its labels count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError
from . import counting
from .labels import categories_of, names_of
from .scoring import margins, probabilities
from .tally import Counts, Floats, Scored, Tally

if TYPE_CHECKING:
    from .groups import Grouping
    from .spec import AuditSpec, Metric

Marks = NDArray[np.bool_]
Names = tuple[tuple[str, str], ...]  # (level, name)


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures under one wording, and what is right for them.

    ``truth`` and ``known`` [N, L]: whether a label is right for a picture, and whether the data say so at all; None
    where no label says what it is right for. ``person`` [N] are places of persons, where pictures share one.
    """

    scored: Scored
    truth: Marks | None = None
    known: Marks | None = None
    person: Counts | None = None

    @cached_property
    def names(self) -> Names:
        labels = self.scored.wording.labels
        return (*(("label", name) for name in names_of(labels)), *(("category", one) for one in categories_of(labels)))

    @cached_property
    def members(self) -> Marks:
        """Which labels each name holds, [K, L]."""
        labels = self.scored.wording.labels
        categories = [np.array([label.category == one for label in labels]) for one in categories_of(labels)]
        return np.concatenate([np.eye(len(labels), dtype=bool), *(one[None] for one in categories)])

    @cached_property
    def probabilities(self) -> Floats:
        """Of each name, [N, K]: a category's is the sum of its labels'."""
        return probabilities(self.scored) @ self.members.T.astype(np.float64)

    @cached_property
    def decided(self) -> Marks:
        """Which name each picture was given, [N, K]."""
        return self.members.T[self.scored.decision]


class Found(NamedTuple):
    """What a metric counts: ``hits`` [N, K] of the pictures ``among`` [N, K] (None for all), or the mean of values."""

    names: Names
    hits: Marks | None = None
    among: Marks | None = None
    values: Floats | None = None


def tally(pictures: Pictures, grouping: Grouping, spec: AuditSpec, metric: Metric) -> Tally:
    """The counts of ``metric`` in every group. Raises SpecError where what is right is asked for and not known."""
    scored, codes, groups = pictures.scored, np.asarray(grouping.codes, np.int64), len(grouping.names)
    if metric.metric == "share" and pictures.person is None:  # the usual one, by one count over all labels
        names = pictures.names
        given = counting.decided(scored.decision, codes, len(scored.wording.labels), groups)
        return _tally(pictures, grouping, metric, names, pictures.members.astype(np.int64) @ given,
                      counting.sizes(codes, groups))  # fmt: skip
    if metric.metric == "balanced_accuracy":
        return _balanced(pictures, grouping, spec, metric)
    found = METRICS[metric.metric](pictures, spec, metric)
    if found.values is not None:
        return _averaged(pictures, grouping, metric, found.names, found.values)
    hits, among = found.hits, found.among
    if hits is None:
        raise TypeError("a metric gives hits or values")
    n = counting.sizes(codes, groups) if among is None else counting.marked(among, codes, groups)
    counts = counting.marked(hits if among is None else hits & among, codes, groups)
    persons = None
    if pictures.person is not None:
        persons = counting.by_person(hits, among, codes, pictures.person, groups)
    return _tally(pictures, grouping, metric, found.names, counts, n, persons=persons)


def _tally(pictures: Pictures, grouping: Grouping, metric: Metric, names: Names, hits: Counts, n: Counts,
           **more: object) -> Tally:  # fmt: skip
    wording = pictures.scored.wording
    levels, called = tuple(level for level, _ in names), tuple(name for _, name in names)
    return Tally(wording.name, grouping.by, tuple(grouping.names), called, levels, hits, n, metric.metric,
                 control=wording.control, threshold=metric.threshold, **more)  # type: ignore[arg-type]  # fmt: skip


def _averaged(pictures: Pictures, grouping: Grouping, metric: Metric, names: Names, values: Floats) -> Tally:
    codes, groups, shown = np.asarray(grouping.codes, np.int64), len(grouping.names), None
    if pictures.person is None:
        means, variances = counting.moments(values, codes, groups)
        n = counting.sizes(codes, groups)
    else:
        means, variances, n = counting.person_moments(values, codes, pictures.person, groups)
        shown = counting.sizes(codes, groups)
    nothing = np.zeros(means.shape, np.int64)
    return _tally(pictures, grouping, metric, names, nothing, n, means=means, variances=variances, of_pictures=shown)


def _share(pictures: Pictures, spec: AuditSpec, metric: Metric) -> Found:
    return Found(pictures.names, pictures.decided)


def _mean_probability(pictures: Pictures, spec: AuditSpec, metric: Metric) -> Found:
    return Found(pictures.names, values=pictures.probabilities)


def _margin(pictures: Pictures, spec: AuditSpec, metric: Metric) -> Found:
    return Found(pictures.names, values=margins(pictures.scored.cosines.astype(np.float64), pictures.members))


def _above_threshold(pictures: Pictures, spec: AuditSpec, metric: Metric) -> Found:
    return Found(pictures.names, pictures.probabilities > (metric.threshold or 0.0))


def _accuracy(pictures: Pictures, spec: AuditSpec, metric: Metric) -> Found:
    names = spec.of(metric)
    truth, _ = _right(pictures, metric)
    ways = [_right_answers(pictures, truth, level) for level, _ in names]
    hits, among = (np.stack(parts, axis=1) for parts in zip(*ways, strict=True))
    return Found(names, hits, among)


def _right_answers(pictures: Pictures, truth: Marks, level: str) -> tuple[Marks, Marks]:
    """Whether each picture was given a right label (or category), and whether one of them is right for it, [N] each."""
    labels, decision = pictures.scored.wording.labels, pictures.scored.decision[:, None].astype(np.intp)
    if level == "category":
        same = np.array([[a.category == b.category != "" for b in labels] for a in labels])
        right = truth @ same  # [N, L], a label counts where one of its category is right
    else:
        right = truth
    return np.take_along_axis(right, decision, axis=1)[:, 0], np.asarray(truth.any(axis=1))


def _false_positive_rate(pictures: Pictures, spec: AuditSpec, metric: Metric) -> Found:
    truth, known = _right(pictures, metric, may_lack=True)
    count = len(pictures.scored.wording.labels)
    return Found(pictures.names[:count], pictures.decided[:, :count], known & ~truth)


def _false_negative_rate(pictures: Pictures, spec: AuditSpec, metric: Metric) -> Found:
    truth, known = _right(pictures, metric)
    count = len(pictures.scored.wording.labels)
    return Found(pictures.names[:count], ~pictures.decided[:, :count], known & truth)


def _right(pictures: Pictures, metric: Metric, may_lack: bool = False) -> tuple[Marks, Marks]:
    """truth and known [N, L]; a harmful label is right for nobody."""
    if pictures.truth is not None and pictures.known is not None:
        return pictures.truth, pictures.known
    if may_lack:
        shape = pictures.scored.cosines.shape
        return np.zeros(shape, bool), np.ones(shape, bool)
    raise SpecError(
        f"The metric {metric.metric!r} needs to know what is right, and no label of the spec says it; write at the "
        'label truth = { gender = "Female" }.'
    )


def _balanced(pictures: Pictures, grouping: Grouping, spec: AuditSpec, metric: Metric) -> Tally:
    """The mean over the true labels that a group has of the share that is labelled right, as means.

    Its variance is that of the shares, by Laplace's rule, so that it is not 0 where all of a few pictures are right; or
    that between persons, where they have several pictures and it is larger.
    """
    names = spec.of(metric)
    truth, _ = _right(pictures, metric)
    labels, codes, groups = pictures.scored.wording.labels, np.asarray(grouping.codes, np.int64), len(grouping.names)
    categories = categories_of(labels)
    n, persons = (np.zeros((len(names), groups), np.int64) for _ in range(2))
    means, variances = (np.full((len(names), groups), np.nan) for _ in range(2))
    for row, (level, _) in enumerate(names):
        hit, asked = _right_answers(pictures, truth, level)
        right = truth.argmax(axis=1)
        if level == "category":
            right = np.array([categories.index(label.category) if label.category else -1 for label in labels])[right]
        classes = len(categories) if level == "category" else len(labels)
        own = np.where(asked & (right >= 0), codes, -1)
        total = counting.decided(right, own, classes, groups)  # [classes, G]
        hits = counting.decided(right, np.where(hit, own, -1), classes, groups)
        there = total > 0
        count = there.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            recall, smooth = hits / total, (hits + 1) / (total + 2)
            n[row] = total.sum(axis=0)
            means[row] = np.where(there, recall, 0).sum(axis=0) / count
            spread = np.where(there, smooth * (1 - smooth) / total, 0).sum(axis=0) / count**2
            variances[row] = np.where(count > 0, spread * n[row], np.nan)
            if pictures.person is not None:
                person = pictures.person[own >= 0]
                at = right[own >= 0], own[own >= 0]
                pull = (hit[own >= 0] - recall[at]) / total[at] / count[at[1]]  # of a picture on its group's mean
                errors, persons[row] = counting.of_persons(pull, at[1], person, groups)
                variances[row] = np.where(count > 0, np.fmax(spread, errors) * persons[row], np.nan)
    nothing = np.zeros(means.shape, np.int64)
    about = {"n": n} if pictures.person is None else {"n": persons, "of_pictures": n}
    return _tally(pictures, grouping, metric, names, nothing, means=means, variances=variances, **about)


METRICS: dict[str, Callable[[Pictures, AuditSpec, Metric], Found]] = {
    "share": _share, "mean_probability": _mean_probability, "margin": _margin, "above_threshold": _above_threshold,
    "accuracy": _accuracy, "false_positive_rate": _false_positive_rate, "false_negative_rate": _false_negative_rate,
}  # fmt: skip
