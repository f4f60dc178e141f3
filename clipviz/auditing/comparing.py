"""Two audits of the same pictures: what another model, another date or another wording changes, paired."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .. import stats
from ..errors import DataError
from ..files import suffix_of, write
from ..stats.clustered import FEWEST_PERSONS
from . import counting
from .averaged import with_unseen
from .groups import reference_of
from .judged import Judged, set_of
from .metrics import METRICS, Found, Pictures
from .table import called
from .tally import TOO_FEW, WRITTEN, Counts, Floats, Scored

if TYPE_CHECKING:
    import pandas as pd

    from .groups import Grouping
    from .result import Audit
    from .spec import Metric

COLUMNS = (
    "metric", "level", "by", "name", "group", "reference", "value_a", "value_b", "value", "ci_low", "ci_high", "n",
    "only_a", "only_b", "p", "p_adjusted", "method",
)  # fmt: skip
PAIRED = ("share", "mean_probability", "margin", "above_threshold", "accuracy")
SUFFIXES = (".csv", ".json")


@dataclass(frozen=True, eq=False)
class AuditComparison:
    """What differs between two audits of the same pictures, ``a`` minus ``b``, each named by its model and spec.

    ``table`` has a row a figure: metric, level, by, name, group, reference, value_a, value_b, value (a - b), ci_low,
    ci_high, n, only_a and only_b (pictures that only one gave the label), p, p_adjusted (Holm over all rows), method.
    A row with a reference is the change of a gap, the group's minus the reference's. ``notes`` say what was left out.
    """

    a: str
    b: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()

    def to_pandas(self) -> pd.DataFrame:
        return self.table.assign(a=self.a, b=self.b)

    def save(self, path: str | Path) -> Path:
        """Write the rows as ``.csv`` or, with names and notes, as ``.json``. Raises InputError for another suffix."""
        if suffix_of(path, SUFFIXES, "A comparison of audits") == ".csv":
            from .exports.as_csv import neutral

            rows = self.to_pandas()
            texts = {name: rows[name].map(neutral) for name in rows.columns if rows[name].dtype == object}
            return write(path, rows.assign(**texts).to_csv(index=False))
        from .exports.plain import plain, records

        told = {"a": self.a, "b": self.b, "notes": list(self.notes), "table": records(self.table)}
        return write(path, json.dumps(plain(told), allow_nan=False, ensure_ascii=False, indent=1) + "\n")

    @property
    def found(self) -> pd.DataFrame:
        """The rows that differ after correction: p_adjusted < 0.05."""
        return self.table[self.table["p_adjusted"] < 0.05]

    def __repr__(self) -> str:
        return f"AuditComparison({self.a} minus {self.b}: {len(self.found)} of {len(self.table)} figures differ)"

    def _repr_html_(self) -> str:
        from ..reporting.html import isolate

        head = "".join(f"<th>{isolate(name)}</th>" for name in self.table.columns)
        body = ""
        for row in self.found.head(30).itertuples(index=False, name=None):
            cells = (f"{value:.4g}" if isinstance(value, float) else value for value in row)
            body += "<tr>" + "".join(f"<td>{isolate(cell)}</td>" for cell in cells) + "</tr>"
        notes = "".join(f"<p>{isolate(note)}</p>" for note in self.notes)
        return f"<div><p>{isolate(repr(self))}</p><table><tr>{head}</tr>{body}</table>{notes}</div>"


def compared(a: Audit, b: Audit) -> AuditComparison:
    """See `Audit.compare`."""
    import pandas as pd

    mine, theirs = a._judged(), b._judged()
    order = _order(mine, theirs)
    notes: list[str] = []
    rows: list[dict[str, Any]] = []
    for metric in a.spec.metrics:
        if not any(metric.metric == one.metric and metric.threshold == one.threshold for one in b.spec.metrics):
            notes.append(f"{metric.metric!r} is computed by one of the audits alone.")
        elif metric.metric not in PAIRED:
            notes.append(f"{metric.metric!r} is not compared by pictures; its values stand in each audit's table.")
        else:
            for one in [one for one in mine.scored if one.wording.name == WRITTEN]:
                rows += _of_set(a, metric, mine, theirs, one, order)
    if not rows:
        raise DataError("The two audits have no metric with a label of one name in common: compare audits of one spec.")
    table = pd.DataFrame(rows, columns=list(COLUMNS)).drop_duplicates(list(COLUMNS[:6]), ignore_index=True)
    table["p_adjusted"] = stats.holm(table["p"].to_numpy(float))
    return AuditComparison(_called(a), _called(b), table, tuple(dict.fromkeys(notes)))


def _order(mine: Judged, theirs: Judged) -> NDArray[np.int64]:
    """Where each of my pictures is among theirs. Raises DataError where they are not the same, or grouped otherwise."""
    place = {name: i for i, name in enumerate(theirs.ids)}
    if set(place) != set(mine.ids):
        alone, others = set(mine.ids) - set(place), set(place) - set(mine.ids)
        example = min(alone or others)
        raise DataError(
            f"Pairs are of the same pictures: {len(alone)} are in the first audit alone and {len(others)} in the "
            f"second, such as {example!r}; audit the same pictures with both."
        )
    order = np.array([place[name] for name in mine.ids], np.int64)
    for one in mine.groupings:
        for other in theirs.groupings:
            if one.by == other.by and not (_named(one) == _named(other)[order]).all():
                raise DataError(
                    f"The two audits have pictures in different groups of {one.by!r}: use the same data and mapping."
                )
    return order


def _named(grouping: Grouping) -> NDArray[Any]:
    return np.array([*grouping.names, ""], object)[grouping.codes]


def _of_set(
    audit: Audit, metric: Metric, mine: Judged, theirs: Judged, scored: Scored, order: NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    """The rows of one metric, for the labels of one set."""
    others = [one for one in theirs.scored if one.wording.name == WRITTEN and set_of(one) == set_of(scored)]
    if not others:
        return
    one, other = (_found(judged, of, audit, metric) for judged, of in ((mine, scored), (theirs, others[0])))
    if one is None or other is None:
        return
    common = [name for name in one.names if name in other.names]
    first, second = ([found.names.index(name) for name in common] for found in (one, other))
    values_a, values_b = _values(one)[:, first], _values(other)[order][:, second]
    counts = one.values is None
    among = np.isfinite(values_a) & np.isfinite(values_b)
    for grouping in mine.groupings:
        yield from _rows(audit, metric, common, values_a, values_b, among, grouping, mine.person, counts)


def _found(judged: Judged, scored: Scored, audit: Audit, metric: Metric) -> Found | None:
    """What a metric counts of each picture; None where nothing is known to be right."""
    right = judged.right.get(set_of(scored))
    truth = None
    if right is not None:
        truth = np.stack([right == label.name for label in scored.wording.labels], axis=1)
    if metric.metric == "accuracy" and truth is None:
        return None
    spec = next(one for one in audit.spec.parts() if one.part in ("", set_of(scored)))
    return METRICS[metric.metric](Pictures(scored, truth, truth), spec, metric)


def _values(found: Found) -> Floats:
    """[N, K], 0 or 1 where pictures are counted, NaN for a picture that does not count."""
    if found.values is not None:
        return found.values
    hits = np.asarray(found.hits, np.float64)
    return hits if found.among is None else np.where(found.among, hits, np.nan)


def _rows(
    audit: Audit, metric: Metric, names: list[tuple[str, str]], a: Floats, b: Floats, among: NDArray[np.bool_],
    grouping: Grouping, person: Counts | None, counts: bool,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The change of each group's figure, then of each group's distance to the reference, or to the rest."""
    groups = grouping.names
    reference = reference_of(audit.spec, grouping)
    place = groups.index(reference) if reference in groups else 1 if len(groups) == 2 else None
    moved = _by_persons(a, b, among, grouping, person) if counts and person is not None else None
    for k, (level, name) in enumerate(names):
        codes = np.where(among[:, k], grouping.codes, -1)
        change = np.where(among[:, k], a[:, k] - b[:, k], 0.0)
        mean, variance, n, pictures = _moments(change, codes, person, len(groups))
        mean_a, mean_b = (_means(x[:, k], codes, len(groups)) for x in (a, b))
        about = {"metric": called(audit.spec, metric), "level": level, "by": grouping.by, "name": name}
        if moved is None:
            own = _own_limits(mean, variance, n, a[:, k], b[:, k], codes, len(groups), counts, person)
        else:
            own = {key: value[k] for key, value in moved.items()}
        for g, group in enumerate(groups):
            yield {**about, "group": group, "reference": "", "value_a": mean_a[g], "value_b": mean_b[g],
                   "value": mean[g], "n": pictures[g], **{key: value[g] for key, value in own.items()}}  # fmt: skip
        for g, group in enumerate(groups):
            if g == place or (place == 1 and len(groups) == 2 and g == 1):
                continue
            other = codes >= 0 if place is None else codes == place
            rest = np.where(codes == g, 0, np.where(other, 1, -1))
            m, v, size, shown = _moments(change, rest, person, 2)
            few = person is not None and min(size) < FEWEST_PERSONS
            both = [_means(x[:, k], rest, 2) for x in (a, b)]
            low, high = stats.mean_difference_limits(m[0], v[0], size[0], m[1], v[1], size[1])
            yield {
                **about, "metric": f"{called(audit.spec, metric)}_difference", "group": group,
                "reference": "rest" if place is None else groups[place], "value_a": both[0][0] - both[0][1],
                "value_b": both[1][0] - both[1][1], "value": m[0] - m[1], "ci_low": float(low), "ci_high": float(high),
                "n": shown[0], "only_a": np.nan, "only_b": np.nan,
                "p": np.nan if few else float(stats.means_test(m, v, size)),
                "method": f"Welch's t of paired differences{_by_person(person)}{f'; {TOO_FEW}' if few else ''}",
            }  # fmt: skip


def _own_limits(
    mean: Floats, variance: Floats, n: Counts, a: Floats, b: Floats, codes: NDArray[Any], groups: int, counted: bool,
    person: Counts | None,
) -> dict[str, Any]:  # fmt: skip
    """Limits and p of each group's change, [G]."""
    if not counted:
        low, high = stats.mean_limits(mean, variance, n)
        blank = np.full(groups, np.nan)
        few = np.full(groups, person is not None) & (n < FEWEST_PERSONS)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(mean) / np.sqrt(variance / n)
            p = np.where(few | ~(n > 1), np.nan, 2 * special.stdtr(np.maximum(n - 1, 1), -t))
        method = f"Student's t of paired differences{_by_person(person)}"
        return {"ci_low": low, "ci_high": high, "only_a": blank, "only_b": blank, "p": p,
                "method": np.where(few, f"{method}; {TOO_FEW}", method)}  # fmt: skip
    hit_a, hit_b = a > 0.5, b > 0.5
    marks = np.stack([hit_a & hit_b, hit_a & ~hit_b, ~hit_a & hit_b, ~hit_a & ~hit_b], axis=1)
    both, only_a, only_b, neither = counting.marked(marks, codes, groups)
    low, high = stats.paired_difference_limits(both, only_a, only_b, neither)
    p = np.where(both + only_a + only_b + neither > 0, stats.mcnemar(only_a, only_b), np.nan)
    return {"ci_low": low, "ci_high": high, "only_a": only_a.astype(float), "only_b": only_b.astype(float), "p": p,
            "method": np.full(groups, "Newcombe's paired square-and-add; McNemar, exact")}  # fmt: skip


def _by_persons(
    a: Floats, b: Floats, among: NDArray[np.bool_], grouping: Grouping, person: Counts
) -> dict[str, NDArray[Any]]:
    """`_own_limits` of counts [K, G], where the answers of whole persons change places."""
    codes, groups = np.asarray(grouping.codes, np.int64), len(grouping.names)
    only_a, only_b = among & (a > 0.5) & (b < 0.5), among & (b > 0.5) & (a < 0.5)
    first = counting.by_person(only_a, among, codes, person, groups)
    second = counting.by_person(only_b, among, codes, person, groups)
    shape = (a.shape[1], groups)
    found: dict[str, NDArray[Any]] = {
        name: np.full(shape, np.nan) for name in ("ci_low", "ci_high", "only_a", "only_b", "p")
    }
    found["method"] = np.full(shape, "Student's t by persons; whole persons moved", object)
    for g in range(groups):
        at = first.group == g
        one = stats.paired_by_person(first.hits[:, at], second.hits[:, at], first.n[:, at])
        few = one.persons < FEWEST_PERSONS
        found["ci_low"][:, g], found["ci_high"][:, g] = one.low, one.high
        found["only_a"][:, g], found["only_b"][:, g] = first.hits[:, at].sum(axis=1), second.hits[:, at].sum(axis=1)
        found["p"][:, g] = np.where(few, np.nan, one.p)
        found["method"][few, g] = f"Student's t by persons; {TOO_FEW}"
    return found


def _moments(
    change: Floats, codes: NDArray[Any], person: Counts | None, groups: int
) -> tuple[Floats, Floats, Counts, Counts]:
    """Mean, variance, n (pictures or persons) and pictures of each group, [G] each.

    Changes are mostly small, and a small group may show no other: one more, as large as any, is reckoned with.
    """
    pictures = counting.sizes(codes, groups)
    if person is None:
        means, variances = counting.moments(change[:, None], codes, groups)
        n = pictures
    else:
        means, variances, n = counting.person_moments(change[:, None], codes, person, groups)
    mean, variance = means[0], variances[0]
    if reach := 2 * float(np.abs(change[codes >= 0]).max(initial=0.0)):  # all changes lie within it, around 0
        variance = reach**2 * with_unseen(0.5 + mean / reach, variance / reach**2, n)
    return mean, variance, n, pictures


def _means(values: Floats, codes: NDArray[Any], groups: int) -> Floats:
    return counting.moments(np.nan_to_num(values)[:, None], codes, groups)[0][0]


def _by_person(person: Counts | None) -> str:
    return "" if person is None else ", by persons"


def _called(audit: Audit) -> str:
    return f"{audit.model} ({audit.spec.name})"
