"""A small audit from made-up counts: real tables, verdicts, spread and power, no pictures and no model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from clipviz.auditing.claims import adjusted
from clipviz.auditing.labels import Label
from clipviz.auditing.metric import Metric
from clipviz.auditing.parts import Gate, Groups, Published
from clipviz.auditing.power import power
from clipviz.auditing.result import Audit
from clipviz.auditing.spec import AuditSpec
from clipviz.auditing.spread import spread
from clipviz.auditing.table import rows
from clipviz.auditing.tally import Tally
from clipviz.auditing.verdicts import verdicts

HOSTILE = "=cmd|'/C calc'!A0 <script>alert(1)</script> \"&'\" `x` **b** [a](http://x) \u202e\u05d0 " + "x" * 10_000
NUMBERS = {  # wording -> hits of 400, 400 and 40 in three races; of 420 and 420 in two genders
    "as written": ([[120, 40, 0], [40, 36, 4]], [[90, 70], [40, 40]]),
    "template '{}'": ([[110, 50, 0], [30, 40, 4]], [[60, 90], [40, 40]]),
}


def make_spec(name: str = "criminal", fail_if: tuple[str, ...] = (), **changes: Any) -> AuditSpec:
    labels = (
        Label("a victim", "neutral", name="victim"),
        Label(f"a {name}", "harmful", "crime-related", name=name),
        Label("an alien", "harmful", "non-human", name="alien"),
    )
    share = Metric("share", ("crime-related", "alien"), "high is bad", ("difference", "ratio", "gap", "worst"), True)
    given: dict[str, Any] = {
        "name": "handmade", "labels": labels, "metrics": (share,), "title": "A handmade audit",
        "groups": Groups(columns=("race", "gender"), reference={"race": "White"}), "gate": Gate(fail_if),
        "meaning": "Made up.", "limits": ("Nobody was seen.",), "headline": "Who is called a criminal?",
        "published": (Published("a paper", "crime-related", 0.164, by="race", group="Black", caution="Not these."),),
    }  # fmt: skip
    return AuditSpec(**{**given, **changes})


def make_audit(
    name: str = "criminal", *, groups: tuple[str, ...] = ("Black", "White", "Indian"), fail_if: tuple[str, ...] = (),
    model: str = "some-clip", demonstration: bool = False, unknown: tuple[str, ...] = ("alien",),
    failed: tuple[tuple[str, str], ...] = (("broken.jpg", "truncated"),), notes: tuple[str, ...] = ("A note.",),
    **changes: Any,
) -> Audit:  # fmt: skip
    """An audit in which the first race is called a criminal most, and ``unknown`` labels mean nothing to the model."""
    spec = make_spec(name, fail_if, **changes)
    tallies = []
    for wording, (race, gender) in NUMBERS.items():
        for by, hits, totals, members in (
            ("race", race, [400, 400, 40], groups), ("gender", gender, [420, 420], ("Male", "Female")),
        ):  # fmt: skip
            crime, nonsense = np.array(hits)
            n = np.array(totals)
            counts = np.stack([n - crime - nonsense, crime, nonsense, crime, nonsense])
            names = ("victim", name, "alien", "crime-related", "non-human")
            levels = ("label", "label", "label", "category", "category")
            tallies.append(Tally(wording, by, members, names, levels, counts, n))
    table = adjusted(rows(spec, tallies))
    told = pd.DataFrame(
        [
            {"label": label.name, "role": label.role, "category": label.category,
             "state": "never seen in training" if label.name in unknown else "not testable", "auc": np.nan,
             "ci_low": np.nan, "ci_high": np.nan, "shown": 0, "others": 0, "sentence": f"Of {label.name!r}."}
            for label in spec.labels
        ]
    )  # fmt: skip
    wide = spread(spec, table)
    return Audit(
        spec=spec, table=table, verdicts=verdicts(spec, table, wide, told), competence=told,
        composition=made_composition(table), spread=wide, power=power(spec, table), notes=notes, failed=failed,
        provenance={
            "made": "2026-01-02T03:04:05Z", "model": {"model": model, "weights_sha256": "ab" * 32}, "pictures": 840,
            "demonstration": demonstration, "data": {"fingerprint": "cd" * 32, "where": name}, "seed": 0,
        },
    )  # fmt: skip


def made_composition(table: pd.DataFrame) -> pd.DataFrame:
    """The differences, of which the adjusted ones are half, and disagree where they are large."""
    some = table[(table["metric"] == "share_difference") & (table["variant"] == "as written")]
    made = some[["metric", "level", "by", "name", "group", "reference"]].reset_index(drop=True)
    for side, factor in (("crude", 1.0), ("adjusted", 0.5), ("mh", 0.6)):
        for end, column in (("", "value"), ("_low", "ci_low"), ("_high", "ci_high")):
            made[f"{side}{end}"] = factor * some[column].to_numpy()
    made["mh_p"], made["strata"], made["small_strata"] = 0.2, 4, "0-2 (3 against 4)"
    made["disagree"] = made["crude"].abs() > 0.1
    made["moved_5"], made["moved_10"], made["note"] = -0.01, -0.02, ""
    return made
