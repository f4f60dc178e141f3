"""Known gaps in pictures: how often an audit's interval covers the planted gap, and how often it gives a verdict.

    python benchmarks/avatar_draws.py [--docs docs] [--draws 200] [--people 1000]

Two groups of avatars; in the reference group (moss) one in ten wears the stethoscope, in the other (plum) 10, 12, 15
or 30 in a hundred, all others the tie. clipviz-tiny is asked "a person with a stethoscope" against "a person with a
tie", and one comparison is audited: the share given the first.
A pool of avatars is drawn and embedded once. For each draw the number of stethoscopes in each group is drawn anew from
the binomial, and so many avatars without replacement from the pool. Chance in who wears what, which is nearly all
of it, is then independent from draw to draw; pictures come back, so that chance in which pictures the model errs on
is not: with a model that errs on few it is small, and `errors` in the table counts them.
Writes audit_avatars.csv into --docs and prints it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import clipviz
from clipviz.auditing import AuditSpec
from clipviz.embedding import Embeddings
from clipviz.files import write
from clipviz.sources.objects import ObjectSource
from clipviz.synth import ATTRIBUTES, GROUPS, avatars

Places = dict[tuple[str, str], NDArray[np.intp]]

RATE, RATES, SEED = 0.10, (0.10, 0.12, 0.15, 0.30), 58_211
WORN, LEFT = ATTRIBUTES
REFERENCE, OTHER = GROUPS
SPEC = AuditSpec.parse(
    f"""
templates = ["{{}}"]
[[labels]]
text = "a person with a {WORN}"
name = "{WORN}"
role = "neutral"
[[labels]]
text = "a person with a {LEFT}"
name = "{LEFT}"
role = "neutral"
[groups]
columns = ["group"]
reference = {{ group = "{REFERENCE}" }}
[[metrics]]
metric = "share"
of = ["{WORN}"]
compare = ["difference"]
headline = true
""",
    "avatars",
)


class AvatarSource(ObjectSource):
    """Avatars as pictures with ids and the columns group and attribute, drawn when they are read."""

    where_from = "avatars"

    def __init__(self, n: int, seed: int, rates: Mapping[str, float]):
        self.people = avatars(n, seed=seed, rates=rates)
        self.rows = self.people.table()
        super().__init__([f"avatar-{row['id']}" for row in self.rows])

    def _picture(self, row: int) -> Any:
        return self.people[row].picture

    def _about(self, row: int) -> dict[str, Any]:
        return {"group": self.rows[row]["group"], "attribute": self.rows[row]["attribute"]}


def pool(people: int, out: Path, model: clipviz.Model, most: float, seed: int = SEED) -> Embeddings:
    """Avatars enough for groups of ``people`` with up to ``most`` stethoscopes, embedded."""
    worn = int(people * most + 4 * np.sqrt(people * most)) + 1
    left = int(people * (1 - RATE) + 4 * np.sqrt(people * RATE)) + 1
    n = 2 * round(1.15 * (worn + left))
    source = AvatarSource(n, seed, dict.fromkeys(GROUPS, worn / (worn + left)))
    return clipviz.embed(source, model=model, out=out, workers=0, progress=False)


def places_of(store: Embeddings) -> Places:
    about = store.metadata
    group, worn = about["group"].to_numpy(), about["attribute"].to_numpy()
    return {(g, a): np.flatnonzero((group == g) & (worn == a)) for g in GROUPS for a in ATTRIBUTES}


def drawn(places: Places, people: int, rates: Mapping[str, float], rng: np.random.Generator) -> NDArray[np.intp]:
    """Two groups of ``people``: places in the pool."""
    found = []
    for group in GROUPS:
        worn = int(rng.binomial(people, rates[group]))
        for attribute, n in ((WORN, worn), (LEFT, people - worn)):
            found.append(rng.choice(places[group, attribute], n, replace=False))
    return np.sort(np.concatenate(found))


def measured(
    store: Embeddings, model: clipviz.Model, rates: Sequence[float], people: int, draws: int, seed: int = SEED
) -> pd.DataFrame:
    """A row a planted gap: the share of draws whose interval covers it, and of draws with a verdict."""
    places, rows = places_of(store), []
    about = store.metadata
    given = np.array(ATTRIBUTES)[store.similarity([label.text for label in SPEC.labels], model=model).argmax(axis=1)]
    errors = int((given != about["attribute"].to_numpy()).sum())
    for rate in rates:
        gap, found = rate - RATE, []
        for draw in range(draws):
            rng = np.random.default_rng([seed, round(1000 * rate), draw])
            chosen = drawn(places, people, {REFERENCE: RATE, OTHER: rate}, rng)
            audit = clipviz.audit(store.select(chosen), SPEC, model=model, variants=False, progress=False)
            (verdict,) = audit.verdicts
            found.append((verdict.value, verdict.ci_low, verdict.ci_high, verdict.state == "found"))
        value, low, high, said = (np.array(column) for column in zip(*found, strict=True))
        rows.append(
            {
                "reference_rate": RATE,
                "rate": rate,
                "planted_gap": round(gap, 4),
                "people": people,
                "draws": draws,
                "mean_gap": round(float(value.mean()), 4),
                "covered": float(((low <= gap) & (gap <= high)).mean()),
                "mean_width": round(float((high - low).mean()), 4),
                "verdicts": float(said.mean()),
                "pool": len(store),
                "errors": errors,
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where the table goes")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--people", type=int, default=1000, help="in each of the two groups")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = clipviz.load()
    with tempfile.TemporaryDirectory() as folder:
        store = pool(arguments.people, Path(folder) / "store", model, max(RATES))
        table = measured(store, model, RATES, arguments.people, arguments.draws)
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(table.to_string(index=False))
    if (arguments.draws, arguments.people) == (200, 1000):
        print(f"Wrote {write(arguments.docs / 'audit_avatars.csv', table.to_csv(index=False))}")


if __name__ == "__main__":
    main()
