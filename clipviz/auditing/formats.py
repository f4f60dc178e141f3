"""How a figure of an audit is written for people: shares in percent, their differences in points."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from .metric import METRICS

_PLAIN = ("margin", "skew", "association")
_BASE = re.compile(rf"({'|'.join(sorted(METRICS, key=len, reverse=True))})(@[0-9.e+-]+)?(?=_|$)")


@lru_cache(maxsize=1024)
def base_of(metric: str) -> str:
    """The metric without its comparison, with its threshold where there are several.

    >>> base_of("mean_probability_gap"), base_of("above_threshold@0.005_difference")
    ('mean_probability', 'above_threshold@0.005')
    """
    found = _BASE.match(metric)
    return found[0] if found else metric


def kind_of(metric: str) -> str:
    """The metric without comparison and threshold: one of METRICS.

    >>> kind_of("above_threshold@0.005_difference")
    'above_threshold'
    """
    return base_of(metric).partition("@")[0]


def is_share(metric: str) -> bool:
    """Whether the values of ``metric`` are shares, or differences of shares, to be written in percent."""
    kind = kind_of(metric)
    return kind in METRICS and kind not in _PLAIN and not metric.endswith("_ratio")


def is_difference(metric: str) -> bool:
    """Whether the values of ``metric`` are differences, which are written in points and with a sign."""
    return metric != base_of(metric) and not metric.endswith(("_ratio", "_worst"))


def shown(metric: str, value: float) -> str:
    """One value of ``metric``; a dash where it is undefined.

    >>> shown("share", 0.1234), shown("share_difference", -0.02), shown("share_ratio", 1.5)
    ('12.3 %', '−2.0 points', '1.50 times')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "no upper limit" if value > 0 else "no lower limit"
    if metric.endswith("_ratio"):
        text = f"{value:.2f} times"
    elif not is_share(metric):
        text = f"{value:+.3f}" if is_difference(metric) else f"{value:.3f}"
    elif is_difference(metric) and not metric.endswith("_gap"):
        text = f"{100 * value:+.{_digits(value)}f} points"
    else:
        text = f"{100 * value:.{_digits(value)}f} {'points' if is_difference(metric) else '%'}"
    return text.replace("-", "\u2212")


def interval(metric: str, low: float, high: float) -> str:
    """Both limits in the unit of ``metric``, the unit once.

    >>> interval("share", 0.1, 0.2), interval("share_ratio", 1.2, float("inf"))
    ('10.0 to 20.0 %', 'at least 1.20 times')
    """
    if _undefined(low) and _undefined(high):
        return "–"
    if _undefined(high) or math.isinf(high):
        return f"at least {shown(metric, low)}"
    if _undefined(low) or math.isinf(low):
        return f"at most {shown(metric, high)}"
    first, last = shown(metric, low), shown(metric, high)
    unit = last.split(" ", 1)[1] if " " in last else ""
    return f"{first.removesuffix(unit).strip()} to {last}"


def figure(metric: str, value: float, low: float, high: float) -> str:
    """A value with its 95 % interval; of a share without an event, the upper limit alone.

    >>> figure("share", 0.0, 0.0, 0.0123)
    '0 events: at most 1.2 %'
    """
    if not _undefined(value) and value == 0 and is_share(metric) and not is_difference(metric) and not _undefined(high):
        return f"0 events: at most {shown(metric, high)}"
    limits, told = interval(metric, low, high), shown(metric, value)
    unit = told.rpartition(" ")[2]
    if " to " in limits and limits.endswith(f" {unit}") and not unit[:1].isdigit():
        limits = limits.removesuffix(f" {unit}")  # once is enough
    return told if limits == "–" else f"{told} ({limits})"


def title_of(metric: str) -> str:
    """The name of a metric as people say it.

    >>> title_of("share_gap")
    'share, highest minus lowest group'
    """
    base, ending = base_of(metric), metric[len(base_of(metric)) :]
    said = {
        "": "", "_difference": "difference to the reference", "_ratio": "ratio to the reference",
        "_gap": "highest minus lowest group", "_worst": "worst group", "_against_best": "against the best group",
        "_difference_adjusted": "difference at equal composition", "_difference_mh": "Mantel-Haenszel difference",
    }.get(ending, ending.strip("_").replace("_", " "))  # fmt: skip
    return ", ".join(filter(None, [base.replace("_", " ").replace("@", " "), said]))


def _digits(value: float) -> int:
    """Of a value in percent: one digit after the point, two below one tenth of a percent."""
    return 2 if 0 < abs(value) < 0.001 else 1


def _undefined(value: float | None) -> bool:
    return value is None or math.isnan(value)
