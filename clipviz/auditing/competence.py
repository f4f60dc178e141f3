"""Does the model know the words? One line a label, before any figure is believed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..stats.auc import auc_limits
from .groups import Grouping, shown_in
from .labels import Label

if TYPE_CHECKING:
    import pandas as pd

    from ..model import Model
    from .spec import AuditSpec

STATES = ("told apart", "seen in training", "not testable", "not told apart", "never seen in training")
BARRED = ("never seen in training", "not told apart")
CARD_KEY = "training_classes"
COLUMNS = ("label", "role", "category", "state", "auc", "ci_low", "ci_high", "shown", "others", "sentence")
FEWEST = 5  # pictures that show a label, and that do not: below, there is no AUC to speak of


def barred(competence: pd.DataFrame) -> set[str]:
    """The names of the labels that get no verdict and no gate: never seen in training, or not told apart."""
    return set(competence.loc[competence["state"].isin(BARRED), "label"])


def barred_figures(spec: AuditSpec, competence: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(level, name) of every figure of ``spec`` that gets no verdict and no gate -> the name of the label at fault.

    A category falls with any of its labels, an association with any label of its sides, and what is measured over a
    whole set ("overall", or by category) with a label that was never seen in training, or where none is told apart.
    """
    states = dict(zip(competence["label"].tolist(), competence["state"].tolist(), strict=True))
    bad = {name for name, state in states.items() if state in BARRED}
    found: dict[tuple[str, str], str] = {}
    for part in spec.parts():
        members = {label.name: [label.name] for label in part.labels}
        for category in part.categories:
            members[category] = [label.name for label in part.labels if label.category == category]
        own = [label.name for label in part.labels if label.role != "placebo"]
        unseen = [name for name in own if states.get(name) == BARRED[0]]
        whole = unseen or (own if set(own) <= bad else [])
        for metric in part.metrics:
            sides = [name for side in metric.of for name in members.get(side, [])]
            for level, name in part.of(metric):
                if metric.metric == "association":
                    faulty = [one for one in sides if one in bad]
                elif metric.metric in ("accuracy", "balanced_accuracy"):
                    faulty = whole
                else:
                    faulty = [one for one in members[name] if one in bad]
                if faulty:
                    found[level, name] = faulty[0]
    return found


def competence(spec: AuditSpec, model: Model, frame: pd.DataFrame, cosines: NDArray[np.floating]) -> pd.DataFrame:
    """What is known of each label: its words' place in training, or an AUC on pictures known to show it.

    ``frame`` has a row a picture, ``cosines`` [N, L] of each with the labels as written. A label whose words the
    model's card does not list among those of its training is "never seen in training". With ``shown_by`` (or ``truth``)
    and enough pictures of both kinds it is "told apart" where the AUC's lower limit is above one half. Else it is "seen
    in training" where the card lists it, or "not testable". Placebo labels are to have no meaning, and are not
    barred for it.
    """
    import pandas as pd

    if cosines.shape != (len(frame), len(spec.labels)):
        raise DataError(
            f"cosines is {list(cosines.shape)} and must be a row a picture and a column a label: "
            f"{[len(frame), len(spec.labels)]}."
        )
    known: dict[str, Grouping] = {}
    rows = [
        _line(label, model.unseen(label.text), model, shown_in(spec, label, frame, known), cosines[:, at])
        for at, label in enumerate(spec.labels)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _line(
    label: Label, unseen: list[str], model: Model, shown: NDArray[np.bool_] | None, scores: NDArray[Any]
) -> dict[str, Any]:
    line: dict[str, Any] = {"label": label.name, "role": label.role, "category": label.category}
    line |= {"auc": np.nan, "ci_low": np.nan, "ci_high": np.nan, "shown": 0, "others": 0}
    if shown is not None:
        line |= {"shown": int(shown.sum()), "others": int((~shown).sum())}
    if label.role == "placebo":
        return line | {"state": "not testable", "sentence": f"{label.name!r} is a control, and is to mean nothing."}
    if unseen:
        words = ", ".join(repr(word) for word in dict.fromkeys(unseen))
        said = f"{model.name} never saw {words} in training: {label.name!r} has no meaning to it"
        return line | {"state": "never seen in training", "sentence": f"{said}, and gets no verdict."}
    if shown is not None and min(line["shown"], line["others"]) >= FEWEST:
        auc, low, high = auc_limits(scores[shown], scores[~shown])
        apart = low > 0.5
        said = f"AUC {auc:.2f} (95 % interval {low:.2f} to {high:.2f}) on {line['shown']} pictures known to show it"
        state = "told apart" if apart else "not told apart"
        end = "the model tells it apart" if apart else "the model does not tell it apart: no verdict"
        return line | {"state": state, "auc": auc, "ci_low": low, "ci_high": high, "sentence": f"{said}: {end}."}
    if trained_on(model.card, label.text):
        return line | {"state": "seen in training", "sentence": "The model's card lists it among what it was taught."}
    few = "" if shown is None else f" (too few pictures: {line['shown']} show it, {line['others']} do not)"
    return line | {
        "state": "not testable",
        "sentence": f"No picture here is known to show it, and the model's card does not list it{few}.",
    }


def trained_on(card: Mapping[str, Any], text: str) -> bool:
    """Whether the card's ``training_classes`` hold ``text``, but for its article, capitals and punctuation."""
    listed = card.get(CARD_KEY)
    if not isinstance(listed, list | tuple):
        return False
    return _words(text) in {_words(name) for name in listed if isinstance(name, str)}


def _words(text: str) -> tuple[str, ...]:
    words = re.findall(r"\w+", text.casefold())
    return tuple(words[1:] if len(words) > 1 and words[0] in ("a", "an", "the") else words)
