"""What an audit may say: a verdict on each claim, or why there is none, and whether it hangs on the wording."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from .claims import ALPHA, KEY, Figure, Figures, claimed, pair_limits
from .competence import BARRED
from .formats import base_of
from .sentences import found_sentence, missed_sentence, said, silent_sentence
from .tally import WRITTEN

if TYPE_CHECKING:
    import pandas as pd

    from .spec import AuditSpec

PLACEBO = "the gap is not beyond that of nonsense words"
TOO_FEW = "too few people to say"
CONTROL = "placebo"  # the wording in which nonsense words stand for the harmful labels
_COMPARED = ("share", "mean_probability", "above_threshold")  # what a placebo label has too


@dataclass(frozen=True)
class Verdict:
    """What an audit says of one claim.

    ``state`` is "found", "not found" or "none", of which ``reason`` tells why. A gap has the highest group as ``group``
    and the lowest as ``reference``; limits are at 95 %, of a gap simultaneous. ``fragile`` marks one that was found and
    does not hold under other wordings; ``sentence`` says all of it.
    """

    metric: str
    level: str
    name: str
    by: str
    group: str
    reference: str
    value: float
    ci_low: float
    ci_high: float
    p_adjusted: float
    state: Literal["found", "not found", "none"]
    reason: str
    fragile: bool
    sentence: str


def verdicts(
    spec: AuditSpec, table: pd.DataFrame, spread: pd.DataFrame | None = None, competence: pd.DataFrame | None = None
) -> tuple[Verdict, ...]:
    """A verdict on every claim of an ``adjusted`` table, in the table's order.

    Found is what has p_adjusted < 0.05. None are given on labels that the model does not know (and categories with
    one), on a claim without a test (too few people or pictures), and on a harm whose gap is not beyond the placebo's
    between the same two groups: the lower limit of |harm| - |placebo|, by square-and-add, is not above 0.
    Fragile is what was found and has, under some wording, its corrected interval on the other side of zero, or its
    sign with an interval off zero under fewer than half of the wordings (``spread``; see `spread`).
    """
    rows = table[claimed(table)]
    figures = Figures.of(table)
    unknown = barred_names(spec, competence)
    harms = _harms(spec)
    placebos = _placebos(spec, table)
    hangs = _fragile(spread)
    groups = _sizes(table)
    found = []
    columns = [*KEY, "value", "ci_low", "ci_high", "p_adjusted", "method"]
    for row in zip(*(rows[name].tolist() for name in columns), strict=True):
        metric, level, by, name, group, reference, value, low, high, p_adjusted, method = row
        base = base_of(metric)
        pair = figures.pair(base, level, by, name, group, reference) or (None, None)
        several = groups.get((base, level, by, name), 0) if metric.endswith("_gap") else 0
        reason = ""
        if (level, name) in unknown:
            reason = unknown[level, name]
        elif "too few" in str(method):
            reason = TOO_FEW
        elif math.isnan(p_adjusted):
            reason = "nothing to test: a group has no picture, or no picture was given it"
        elif p_adjusted < ALPHA and (level, name) in harms and placebos and base in _COMPARED:
            beyond = _beyond_placebo(figures, placebos, base, level, by, pair, (group, reference))
            reason = "" if beyond else PLACEBO
        state: Literal["found", "not found", "none"] = (
            "none" if reason else "found" if p_adjusted < ALPHA else "not found"
        )
        fragile = state == "found" and (metric, level, by, name, group, reference) in hangs
        if state == "none":
            sentence = silent_sentence(metric, level, name, by, reason)
        elif state == "found":
            of_group, of_reference = (math.nan if f is None else f.value for f in pair)
            sentence = found_sentence(
                metric, level, name, group, reference, value=value, low=low, high=high, of_group=of_group,
                of_reference=of_reference, groups=several,
            )  # fmt: skip
            reason = "other wordings do not bear it out" if fragile else ""
            sentence += " Fragile: other wordings do not bear it out." if fragile else ""
        else:
            sentence = missed_sentence(metric, level, name, group, reference, low=low, high=high, groups=several)
        found.append(
            Verdict(metric, level, name, by, group, reference, value, low, high, p_adjusted, state, reason, fragile,
                    sentence)
        )  # fmt: skip
    return tuple(found)


def barred_names(spec: AuditSpec, competence: pd.DataFrame | None) -> dict[tuple[str, str], str]:
    """(level, name) of the labels that get no verdict, and of the categories with one of them, with the reason.

    What is measured over all labels at once ("overall") is barred where every label is.
    """
    if competence is None or not len(competence):
        return {}
    states = dict(zip(competence["label"].tolist(), competence["state"].tolist(), strict=True))
    labels = {name: state for name, state in states.items() if state in BARRED}
    found = {("label", name): _why(name, state) for name, state in labels.items()}
    own = [label for label in spec.labels if label.role != "placebo"]
    for label in own:
        name = label.name or label.text
        if name in labels and label.category:
            found.setdefault(("category", label.category), _why(name, labels[name]))
    if own and all((label.name or label.text) in labels for label in own):
        found.update({("overall", name): "the model knows none of the labels" for name in ("", "all", "overall")})
    return found


def _why(name: str, state: str) -> str:
    if state == "never seen in training":
        return f'the model never saw the words of "{said(name)}" in training'
    return f'the model does not tell pictures that show "{said(name)}" from others'


def _harms(spec: AuditSpec) -> set[tuple[str, str]]:
    """(level, name) of harmful labels and of the categories with one."""
    harmful = [label for label in spec.labels if label.role == "harmful"]
    found = {("label", label.name or label.text) for label in harmful}
    found |= {("category", label.category) for label in harmful if label.category}
    return found | ({("overall", "harmful"), ("category", "harmful")} if harmful else set())


def _placebos(spec: AuditSpec, table: pd.DataFrame) -> dict[str, tuple[tuple[str, str], ...]]:
    """level -> (name, variant) of the nonsense in the table: of its wording, or of the spec itself."""
    own = {label.name for label in spec.labels if label.role == "placebo"}
    given = {"label": {*spec.names}, "category": {*spec.categories}}
    levels, names, variants = (table[name].to_numpy(object) for name in ("level", "name", "variant"))
    possible = (variants == CONTROL) | np.isin(names, list(own)) if own else variants == CONTROL
    found: dict[str, dict[tuple[str, str], None]] = {}
    for level, name, variant in zip(levels[possible], names[possible], variants[possible], strict=True):
        if name in own or (variant == CONTROL and name not in given.get(level, (name,))):
            found.setdefault(level, {})[name, variant] = None
    return {level: tuple(names) for level, names in found.items()}


def _beyond_placebo(
    figures: Figures, placebos: Mapping[str, tuple[tuple[str, str], ...]], metric: str, level: str, by: str,
    pair: tuple[Figure | None, ...], groups: tuple[str, str],
) -> bool:  # fmt: skip
    """Whether |harm| - |placebo| between two groups is above 0 at its lower limit, whichever nonsense it is held to.

    A label is held to each nonsense word, a category to their category. Against the rest, which has no row of its own,
    the other groups are put together. Where a figure is missing nothing is shown.
    """
    known = [figures.pair(metric, level, by, name, *groups, variant)
             for name, variant in placebos.get(level, placebos.get("label", ()))]  # fmt: skip
    against = [one for one in known if one is not None]
    if pair[0] is None or pair[1] is None or not against:
        return False
    value, low, high = pair_limits([(pair[0], pair[1]), *against], level=0.95)
    size, least, most = _size(value, low, high)
    return bool((size[0] - size[1:] - np.hypot(size[0] - least[0], most[1:] - size[1:]) > 0).all())


def _size(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differences without their sign, with limits."""
    least = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(np.abs(low), np.abs(high)))
    return np.abs(value), least, np.maximum(np.abs(low), np.abs(high))


def _fragile(spread: pd.DataFrame | None) -> set[tuple[str, ...]]:
    """The claims that other wordings do not bear out: see `verdicts`."""
    if spread is None or not len(spread):
        return set()
    counted: dict[tuple[str, ...], list[float]] = {}
    keys = list(zip(*(spread[name].tolist() for name in KEY), strict=True))
    written = {
        key: value
        for key, wording, value in zip(keys, spread["wording"], spread["value"], strict=True)
        if wording == WRITTEN
    }
    columns = ("corrected_low", "corrected_high", "keeps_sign")
    for key, low, high, keeps in zip(keys, *(spread[name] for name in columns), strict=True):
        up = written.get(key, 0.0) >= 0
        count = counted.setdefault(key, [0, 0, 0])
        count[0] += 1
        count[1] += bool(keeps)
        count[2] += bool(high < 0 if up else low > 0)
    return {key for key, (all_, kept, against) in counted.items() if against or kept < all_ / 2}


def _sizes(table: pd.DataFrame) -> Mapping[tuple[str, ...], int]:
    """(metric, level, by, name) -> how many groups have a figure in the written wording."""
    counts: dict[tuple[str, ...], int] = {}
    written = table["variant"].to_numpy(object) == WRITTEN
    part = table[written]
    columns = ("metric", "level", "by", "name", "n")
    for metric, level, by, name, n in zip(*(part[c].tolist() for c in columns), strict=True):
        if n > 0:
            counts[metric, level, by, name] = counts.get((metric, level, by, name), 0) + 1
    return counts
