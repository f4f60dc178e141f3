"""Random decisions of known counts, without a model: for tests that hold metrics against loops and other libraries."""

from __future__ import annotations

import numpy as np

from clipviz.auditing.groups import Grouping
from clipviz.auditing.labels import Label
from clipviz.auditing.spec import AuditSpec
from clipviz.auditing.tally import Scored
from clipviz.auditing.wordings import Wording

LABELS = (
    Label("man", "identity", "person", truth={"gender": "Male"}),
    Label("woman", "identity", "person", truth={"gender": "Female"}),
    Label("thief", "harmful", "crime"),
    Label("criminal", "harmful", "crime"),
)


def scene(n: int = 900, seed: int = 0, groups: int = 3) -> tuple[Scored, Grouping, np.ndarray]:
    """Scores of four labels, a grouping with some pictures in none, and the true label's place (0 or 1)."""
    rng = np.random.default_rng(seed)
    cosines = rng.normal(0, 0.05, (n, 4)).astype(np.float32)
    codes = rng.integers(-1, groups, n)
    truth = rng.integers(0, 2, n)
    cosines[np.arange(n), truth] += 0.05
    cosines[:, 2] += 0.02 * (codes == 1)
    decision = cosines.argmax(axis=1).astype(np.int16)
    wording = Wording("as written", "written", LABELS, ("{}",))
    names = tuple("abcdefghij"[:groups])
    return Scored(wording, cosines, decision, 20.0), Grouping("column", names, codes), truth


def spec_of(*metrics: dict, **groups: object) -> AuditSpec:
    """A spec of these labels with these metrics."""
    return AuditSpec.from_dict({
        "name": "scene", "labels": [
            {"text": one.text, "role": one.role, "category": one.category,
             "truth": {k: list(v) for k, v in one.truth.items()}} for one in LABELS
        ],
        "groups": {"columns": ["column"], **groups}, "metrics": list(metrics),
    })  # fmt: skip
