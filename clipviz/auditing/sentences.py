"""A verdict in words that a reader without statistics can repeat, and that say no more than was found."""

from __future__ import annotations

import math
import re
import unicodedata

from .formats import base_of, is_share, kind_of

# Marks that turn the direction of a line: one in a label would turn the figures after it as well.
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST = 80
_NOUNS = {
    "mean_probability": "the mean probability", "margin": "the mean margin", "accuracy": "the accuracy",
    "balanced_accuracy": "the balanced accuracy", "false_positive_rate": "the false positive rate",
    "false_negative_rate": "the false negative rate", "skew": "the skew", "association": "the association",
}  # fmt: skip
BY_CATEGORY = ", by category"  # ends the name of an accuracy for which any label of the right category is right
_GIVEN = ("share", "above_threshold")


def said(text: str) -> str:
    """``text`` as it can stand in a sentence: one line, no marks of direction, at most 80 letters.

    >>> said("two\\nlines")
    'two lines'
    """
    short = text[:_LONGEST] + "…" * (len(text) > _LONGEST)
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in _TURNING.sub("", short))
    return " ".join(plain.split())


def said_group(name: str) -> str:
    """A group as it can stand in a sentence; a crossing without the sign that a table and a bound have for it.

    >>> said_group("East Asian x Female")
    'East Asian, Female'
    """
    return said(name).replace(" x ", ", ")


def said_column(name: str) -> str:
    """A column, or a crossing of some, as it can stand in a sentence.

    >>> said_column("race x gender")
    'race and gender'
    """
    return said(name).replace(" x ", " and ")


def said_figure(metric: str, level: str, name: str) -> str:
    """What a figure is of, in a few words.

    >>> said_figure("share_gap", "label", "nurse"), said_figure("accuracy_gap", "overall", "race")
    ('share labelled nurse', 'accuracy of race')
    """
    base = base_of(metric)
    if kind_of(base) in _GIVEN:
        return f"share {'labelled' if base == 'share' else 'given'} {said(name)}{_threshold(base)}"
    if kind_of(base) == "association":
        return f"association of {said(name)}"
    return _noun(base, level, name).removeprefix("the ").replace('"', "")


def found_sentence(
    metric: str, level: str, name: str, group: str, reference: str,
    *, value: float, low: float, high: float, of_group: float, of_reference: float, groups: int = 0,
) -> str:  # fmt: skip
    """A difference that was found; ``groups`` counts those of a gap, whose limits hold for every pair at once.

    >>> found_sentence("share_difference", "category", "crime-related", "Male", "Female", value=0.067, low=0.054,
    ...                high=0.08, of_group=0.165, of_reference=0.098)
    'Male is labelled crime-related 6.7 points more often than Female (16.5 against 9.8 %; 95 % interval 5.4 to 8.0).'
    """
    base = base_of(metric)
    up = value >= 0
    size, (least, most) = abs(value), (low, high) if up else (-high, -low)
    share = is_share(metric)
    interval = f"95 % interval {_number(least, share)} to {_number(most, share)}"
    if math.isnan(least) or math.isnan(most):
        interval = "no interval"
    both = f"{_number(of_group, share)} against {_number(of_reference, share)}{' %' if share else ''}"
    if math.isnan(of_group) or math.isnan(of_reference):
        both = ""
    brackets = "; ".join(filter(None, [both, f"{'simultaneous ' if groups > 2 else ''}{interval}"]))
    unit = " points" if share else ""
    if kind_of(base) in _GIVEN:
        often = "more often" if up else "less often"
        what = f"is {'labelled' if base == 'share' else 'given'} {_quoted(level, name)}{_threshold(base)}"
        text = f"{said_group(group)} {what} {_number(size, share)}{unit} {often} than {_other(reference)} ({brackets})"
    elif not reference and kind_of(base) == "skew":
        text = (
            f"among the first {base.partition('@')[2]} for {_quoted(level, name)}, {said_group(group)} stands farthest "
            f"above its desired share, and farther than chance puts it: the skew is {_number(value, share)}"
        )
    elif not reference:
        text = f"{_noun(base, level, name)} of {said_group(group)} is {_number(value, share)} ({interval})"
    else:
        text = (
            f"{_noun(base, level, name)} is {_number(size, share)}{unit} {'higher' if up else 'lower'} for "
            f"{said_group(group)} than for {_other(reference)} ({brackets})"
        )
    if groups > 2:
        text += f", the highest and the lowest of {groups} groups"
        if least <= 0:
            text += "; that the groups differ is sure, which of them differ is not"
    elif least <= 0:
        text += "; its test is beyond doubt at 5 %, its interval just reaches zero"
    return _upper(text) + "."


def _threshold(base: str) -> str:
    """The threshold of a figure, where a report has several."""
    at = base.partition("@")[2]
    return f" above {100 * float(at):g} %" if at else ""


def missed_sentence(
    metric: str, level: str, name: str, group: str, reference: str, *, low: float, high: float, groups: int = 0
) -> str:
    """A difference that was not found, with what it can still be."""
    base, share = base_of(metric), is_share(metric)
    what = (
        f"how often {_quoted(level, name)} is given{_threshold(base)}"
        if kind_of(base) in _GIVEN
        else _noun(base, level, name)
    )
    unit = " points" if share else ""
    between = f"between {said_group(group)} and {_other(reference)}" if groups <= 2 else f"between the {groups} groups"
    if not reference:
        between = f"of {said_group(group)} from chance"
    text = f"no difference {between} was found in {what}"
    if not (math.isnan(low) or math.isnan(high)):
        if groups > 2:
            text += f"; the largest may be up to {_number(high, share)}{unit}"
        else:
            text += f"; it may be from {_number(low, share)} to {_number(high, share)}{unit}"
            if low > 0 or high < 0:  # at 95 % by itself, which is not the level of a report of many claims
                text += ", which alone is off zero and among all comparisons of this report may be chance"
    return _upper(text) + "."


def silent_sentence(metric: str, level: str, name: str, by: str, reason: str) -> str:
    """Why there is no verdict."""
    base = base_of(metric)
    given = f"how often {_quoted(level, name)} is given{_threshold(base)},"
    what = given if kind_of(base) in _GIVEN else _noun(base, level, name)
    return f"No verdict on {what} by {said_column(by)}: {reason}."


def _quoted(level: str, name: str) -> str:
    """A label in quotes, a category plain."""
    return f'"{said(name)}"' if level == "label" else said(name)


def _noun(base: str, level: str, name: str) -> str:
    kind, _, depth = base.partition("@")
    noun = _NOUNS.get(base, f"the {kind.replace('_', ' ')}{f' among the first {depth}' if depth else ''}")
    if level == "category" and name.endswith(BY_CATEGORY):
        return f"{noun} of {said(name.removesuffix(BY_CATEGORY))} (the right category is enough)"
    if level == "overall":
        return noun if name in ("", "all", "overall", "all labels") else f"{noun} of {said(name)}"
    return f"{noun} of {_quoted(level, name)}"


def _other(reference: str) -> str:
    return {"rest": "the rest", "best": "the best group"}.get(reference, said_group(reference))


def _number(value: float, share: bool) -> str:
    """A share in percent with one digit, two below a tenth of a percent; anything else with three digits."""
    if math.isnan(value):
        return "?"
    if not share:
        return f"{value:.3f}".replace("-", "−")
    percent = 100 * value
    text = f"{percent:.{2 if 0 < abs(percent) < 0.1 else 1}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")


def _upper(text: str) -> str:
    """The first letter of a sentence of ours; a group's name keeps its own."""
    return text[0].upper() + text[1:] if text.startswith(("the ", "no ", "among ")) else text
