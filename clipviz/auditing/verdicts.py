"""What an audit may say: a verdict on each claim, or why there is none, and whether it hangs on the wording."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from .claims import ALPHA, KEY, Figures, claimed
from .competence import BARRED, barred_figures
from .formats import base_of, kind_of
from .placebo import COMPARED, beyond, harms, placebos, rivals
from .retrieval import NOT_BY_PERSONS
from .sentences import found_sentence, missed_sentence, said, silent_sentence
from .tally import TOO_FEW, WRITTEN

if TYPE_CHECKING:
    import pandas as pd

    from .spec import AuditSpec

PLACEBO = "the gap is not beyond that of nonsense words"


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
    rows = np.flatnonzero(claimed(table))
    columns = [table[name].to_numpy(object)[rows] for name in (*KEY, "method")]
    numbers = [table[name].to_numpy(np.float64)[rows] for name in ("value", "ci_low", "ci_high", "p_adjusted")]
    unknown = barred_names(spec, competence)
    harmful = harms(spec)
    hangs = _fragile(spread)
    figures = Figures.of(table)
    nonsense = placebos(spec, table)
    found = []
    for row in zip(*columns, *(column.tolist() for column in numbers), strict=True):
        metric, level, by, name, group, reference, method, value, low, high, p_adjusted = row
        base = base_of(metric)
        pair = figures.pair(base, level, by, name, group, reference)
        several = len(figures.groups(base, level, by, name)) if metric.endswith("_gap") else 0
        reason = ""
        if (level, name) in unknown:
            reason = unknown[level, name]
        elif "too few" in str(method):
            reason = TOO_FEW
        elif NOT_BY_PERSONS in str(method):
            reason = NOT_BY_PERSONS
        elif math.isnan(p_adjusted):
            reason = "nothing to test: a group has no picture, or no picture was given it"
        elif p_adjusted < ALPHA and (level, name) in harmful and nonsense and kind_of(base) in COMPARED:
            against = rivals(figures, nonsense, base, level, by, group, reference)
            reason = "" if pair is not None and beyond(pair, against) else PLACEBO
        state: Literal["found", "not found", "none"] = (
            "none" if reason else "found" if p_adjusted < ALPHA else "not found"
        )
        fragile = state == "found" and (metric, level, by, name, group, reference) in hangs
        if state == "none":
            sentence = silent_sentence(metric, level, name, by, reason)
        elif state == "found":
            of_group, of_reference = (math.nan, math.nan) if pair is None else (pair[0].value, pair[1].value)
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
    """(level, name) of the labels that get no verdict, and of all that rests on one of them, with the reason.

    What that is says `competence.barred_figures`; a label and its category are barred whether or not a metric asks.
    """
    if competence is None or not len(competence):
        return {}
    states = dict(zip(competence["label"].tolist(), competence["state"].tolist(), strict=True))
    labels = {name: _why(name, state) for name, state in states.items() if state in BARRED}
    found = {("label", name): reason for name, reason in labels.items()}
    for label in spec.labels:
        if label.name in labels and label.category and label.role != "placebo":
            found.setdefault(("category", label.category), labels[label.name])
    return found | {figure: labels[name] for figure, name in barred_figures(spec, competence).items()}


def _why(name: str, state: str) -> str:
    if state == "never seen in training":
        return f'the model never saw the words of "{said(name)}" in training'
    return f'the model does not tell pictures that show "{said(name)}" from others'


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
