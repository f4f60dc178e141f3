"""From counts to THE table: every figure of an audit with its interval, its n and its test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .figures import Extremes, Figures, figures_of
from .groups import Grouping, reference_of
from .parts import BEST
from .tally import WRITTEN, Tally

if TYPE_CHECKING:
    import pandas as pd

    from .spec import AuditSpec, Metric

COLUMNS = (
    "metric", "level", "by", "name", "group", "reference", "variant", "value", "ci_low", "ci_high", "n", "k", "p",
    "p_adjusted", "q", "method", "headline",
)  # fmt: skip
NUMBERS = ("value", "ci_low", "ci_high", "n", "k", "p", "p_adjusted", "q")
PER_TEST = 200  # permutations for every test of a report, so that the smallest p survives its correction
Block = dict[str, Any]


def rows(spec: AuditSpec, tallies: Iterable[Tally], *, tests: int | None = None) -> pd.DataFrame:
    """THE table of these tallies: a row a figure, with the columns `COLUMNS`.

    Figures of each group, then what the spec's metrics compare: ``_difference`` and ``_ratio`` with the named
    reference or "rest", ``_against_best``, ``_gap`` (group: the highest, reference: the lowest) and ``_worst``.
    p-values are of the wording as written only, so that none can be picked from many; `claims.adjusted` fills
    ``p_adjusted`` and ``q``. ``headline`` marks what verdicts are on: each difference to the reference, or the gap
    where no difference is compared. ``tests`` of the whole report decide how many permutations there are; by default
    those of these tallies.
    """
    import pandas as pd

    tallies = list(tallies)
    draws = PER_TEST * max(1, claims_in(spec, tallies) if tests is None else tests)
    blocks = [block for one in tallies for block in _blocks(spec, one, draws)]
    if not blocks:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.DataFrame({name: np.concatenate([block[name] for block in blocks]) for name in COLUMNS})


def claims_in(spec: AuditSpec, tallies: Iterable[Tally]) -> int:
    """How many claims these tallies make."""
    found = 0
    for tally in tallies:
        if tally.wording == WRITTEN and not tally.control:
            for metric, comparison, chosen in compared(spec, tally):
                if metric.headline and comparison == ("difference" if _by_difference(spec, tally, metric) else "gap"):
                    found += len(chosen) * (len(_others(spec, tally)[0]) if comparison == "difference" else 1)
    return found


def compared(spec: AuditSpec, tally: Tally) -> Iterator[tuple[Metric, str, list[int]]]:
    """What the spec compares of a tally: a metric, a comparison, and the places of its names; of controls all.

    A name that two metrics ask for is compared once, as the one that is headline asks.
    """
    done: dict[str, set[int]] = {}
    pairs = list(zip(tally.levels, tally.names, strict=True))
    asked = [one for one in spec.metrics if one.metric == tally.metric and one.threshold == tally.threshold]
    for metric in sorted(asked, key=lambda one: not one.headline):
        wanted = set(spec.of(metric))
        chosen = [i for i, pair in enumerate(pairs) if tally.control or pair in wanted]
        for comparison in metric.compare:
            before = done.setdefault(comparison, set())
            here = [i for i in chosen if i not in before]
            before.update(here)
            if here:
                yield metric, comparison, here


def called(spec: AuditSpec, metric: Metric) -> str:
    """What the table calls a metric: with its threshold where the spec has several, "above_threshold@0.005"."""
    several = {one.threshold for one in spec.metrics if one.metric == metric.metric}
    return f"{metric.metric}@{metric.threshold:g}" if len(several) > 1 else metric.metric


def _called(spec: AuditSpec, tally: Tally) -> str:
    own = (one for one in spec.metrics if one.metric == tally.metric and one.threshold == tally.threshold)
    metric = next(own, None)
    return tally.metric if metric is None else called(spec, metric)


def block(tally: Tally, metric: str, chosen: Sequence[int], group: Any, reference: Any, value: Any, low: Any, high: Any,
          n: Any, k: Any, method: Any, p: Any = np.nan, headline: Any = False) -> Block:  # fmt: skip
    """Columns of the figures [K, J] of the names ``chosen`` and J groups; everything else is spread to that shape."""
    shape = np.shape(value)

    def spread(values: Any, kind: Any) -> Any:
        return np.broadcast_to(np.asarray(values, kind), shape).ravel()

    names, levels = (np.array([one[i] for i in chosen], object)[:, None] for one in (tally.names, tally.levels))
    text = {"metric": metric, "level": levels, "by": tally.by, "name": names, "group": group, "reference": reference,
            "variant": tally.wording, "method": method}  # fmt: skip
    numbers = {"value": value, "ci_low": low, "ci_high": high, "n": n, "k": k, "p": p, "p_adjusted": np.nan,
               "q": np.nan}  # fmt: skip
    return {
        **{name: spread(values, object) for name, values in text.items()},
        **{name: spread(values, np.float64) for name, values in numbers.items()},
        "headline": spread(headline, bool),
    }


class _Asked(NamedTuple):
    """One comparison of one metric, of the names ``chosen`` of a tally; p-values where ``draws`` are not 0."""

    spec: AuditSpec
    tally: Tally
    metric: Metric
    chosen: list[int]
    figures: Figures
    draws: int

    @property
    def headline(self) -> bool:
        return bool(self.metric.headline and self.tally.wording == WRITTEN and not self.tally.control)

    @property
    def called(self) -> str:
        return called(self.spec, self.metric)

    @property
    def low_is_worst(self) -> bool:
        return bool(self.metric.direction == "high is good")


def _blocks(spec: AuditSpec, tally: Tally, draws: int) -> Iterator[Block]:
    """The rows of one tally."""
    if not tally.groups:
        return
    every = list(range(len(tally.names)))
    figures = figures_of(tally, every)
    found = figures.limits()
    groups = np.array(tally.groups, object)
    headline = np.zeros((len(every), 1), bool)
    if tally.wording == WRITTEN and not tally.control:
        for metric, _, chosen in compared(spec, tally):
            headline[chosen] |= metric.headline
    yield block(tally, _called(spec, tally), every, groups, "", found.value, found.low, found.high, figures.n,
                figures.k, found.method, headline=headline)  # fmt: skip
    if np.count_nonzero(tally.totals.sum(axis=0)) < 2:
        return
    draws = draws if tally.wording == WRITTEN and not tally.control else 0
    for metric, comparison, chosen in compared(spec, tally):
        yield from _COMPARISONS[comparison](_Asked(spec, tally, metric, chosen, figures_of(tally, chosen), draws))


def _others(spec: AuditSpec, tally: Tally) -> tuple[list[int], int | None, str]:
    """The groups that are compared with the reference, its place (None for the rest), and what it is called."""
    named = _reference(spec, tally)
    every = list(range(len(tally.groups)))
    if named in tally.groups:
        place = tally.groups.index(named)
        return [i for i in every if i != place], place, named
    # of two groups each is the other's rest: one comparison, not two
    return (every[:1], 1, tally.groups[1]) if len(every) == 2 else (every, None, "rest")


def _by_difference(spec: AuditSpec, tally: Tally, metric: Metric) -> bool:
    """Whether verdicts are on differences to the reference; else on the gap."""
    return "difference" in metric.compare and _reference(spec, tally) != BEST


def _reference(spec: AuditSpec, tally: Tally) -> str:
    """A group of the tally, "rest" or "best"."""
    return reference_of(spec, Grouping(tally.by, tally.groups, np.empty(0, np.int64)))


def _difference(asked: _Asked) -> Iterator[Block]:
    spec, tally, metric, figures = asked.spec, asked.tally, asked.metric, asked.figures
    if not _by_difference(spec, tally, metric):
        if "against best" not in metric.compare:
            yield from _against_best(asked)
        return
    groups, place, called = _others(spec, tally)
    found = figures.differences(groups, place)
    p, method = _with_test(asked, found.method, lambda: figures.pair_test(groups, place, asked.draws, spec.seed))
    n, k = figures.n[:, groups], figures.k[:, groups]
    yield block(tally, f"{asked.called}_difference", asked.chosen, _names(tally, groups), called, found.value,
                found.low, found.high, n, k, method, p, asked.headline)  # fmt: skip


def _ratio(asked: _Asked) -> Iterator[Block]:
    groups, place, called = _others(asked.spec, asked.tally)
    found = asked.figures.ratios(groups, place)
    if found is not None:
        n, k = asked.figures.n[:, groups], asked.figures.k[:, groups]
        yield block(asked.tally, f"{asked.called}_ratio", asked.chosen, _names(asked.tally, groups), called,
                    found.value, found.low, found.high, n, k, found.method)  # fmt: skip


def _gap(asked: _Asked) -> Iterator[Block]:
    figures, metric = asked.figures, asked.metric
    found = figures.gap()
    p, method = _with_test(asked, found.method, lambda: figures.group_test(asked.draws, asked.spec.seed))
    claim = asked.headline and not _by_difference(asked.spec, asked.tally, metric)
    yield _extremes(asked, f"{asked.called}_gap", found, method, p, claim)


def _worst(asked: _Asked) -> Iterator[Block]:
    found = asked.figures.worst(asked.low_is_worst)
    yield _extremes(asked, f"{asked.called}_worst", found, found.method, np.nan, False)


def _against_best(asked: _Asked) -> Iterator[Block]:
    found, tally = asked.figures.against_best(asked.low_is_worst), asked.tally
    yield block(tally, f"{asked.called}_against_best", asked.chosen, np.array(tally.groups, object), "best",
                found.value, found.low, found.high, asked.figures.n, asked.figures.k, found.method)  # fmt: skip


_COMPARISONS: dict[str, Callable[[_Asked], Iterator[Block]]] = {
    "difference": _difference, "ratio": _ratio, "gap": _gap, "worst": _worst, "against best": _against_best,
}  # fmt: skip


def _extremes(asked: _Asked, metric: str, found: Extremes, method: Any, p: Any, headline: bool) -> Block:
    """One row a name; n and k are those of the group that is named."""
    named = np.array([*asked.tally.groups, ""], object)  # the place -1 is of nobody
    at = np.maximum(found.group, 0)[:, None]
    n, k = (np.take_along_axis(array, at, axis=1) for array in (asked.figures.n, asked.figures.k))
    value, low, high = (np.reshape(one, (-1, 1)) for one in (found.value, found.low, found.high))
    p, method = (np.broadcast_to(one, len(found.value)).reshape(-1, 1) for one in (p, method))
    return block(asked.tally, metric, asked.chosen, named[found.group][:, None], named[found.reference][:, None],
                 value, low, high, n, k, method, p, headline)  # fmt: skip


def _with_test(asked: _Asked, method: Any, test: Callable[[], Any]) -> tuple[Any, Any]:
    """p-values and the methods of interval and test; without draws there is no test."""
    if not asked.draws:
        return np.nan, method
    tested = test()
    return tested.p, np.asarray(method, object) + "; " + np.asarray(tested.method, object)


def _names(tally: Tally, groups: Sequence[int]) -> Any:
    return np.array([tally.groups[i] for i in groups], object)
