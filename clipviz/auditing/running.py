"""An audit step by step: groups, wordings, scores, counts, table, corrections, verdicts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ClipvizWarning
from .claims import adjusted, claimed
from .competence import competence
from .composition import composition
from .fitting import fitted
from .formats import kind_of
from .groups import Grouping, grouping, groupings, right_labels
from .judged import Judged
from .metric import NEED_TRUTH
from .metrics import METRICS, Pictures, tally
from .opening import persons
from .persons import persons_suspected
from .power import power
from .provenance import DEMONSTRATION, about_audit, is_demonstration
from .result import Audit
from .scoring import score
from .sentences import said as shortened
from .spread import spread
from .sweep import at_sides, smaller
from .table import COLUMNS, NUMBERS, PER_TEST, claims_in, rows
from .tally import WRITTEN, Counts, Scored, Tally
from .tokens import check_tokens
from .verdicts import verdicts
from .wordings import Wording, without_twins, wordings

if TYPE_CHECKING:
    import pandas as pd

    from ..embedding import Embeddings
    from ..model import Model
    from .spec import AuditSpec

_OF_CONTROLS = ("share", "mean_probability", "margin", "above_threshold")
_TIED = 6  # wordings with ties that a note counts one by one


@dataclass(frozen=True, eq=False)
class Part:
    """One set of labels under all of its wordings, with the counts of them."""

    spec: AuditSpec
    scored: tuple[Scored, ...]
    tallies: tuple[Tally, ...]
    right: Right | None

    @property
    def written(self) -> Scored:
        return self.scored[0]


def run(
    spec: AuditSpec, embeddings: Embeddings, model: Model, *, variants: bool = True, selftest: int = 0,
    progress: bool = False,
) -> Audit:  # fmt: skip
    """The audit of these vectors; see `audit`."""
    import pandas as pd

    frame = embeddings.metadata
    spec, left_out = fitted(spec, frame)
    groups = groupings(frame, spec)
    check_tokens(spec, model)
    person = persons(spec, frame)
    notes = [*_opening_notes(spec, embeddings, model, groups), *left_out]
    by_side, unswept = smaller(spec, embeddings, model, progress=progress)
    notes += unswept
    parts = []
    for part in spec.parts():
        chosen = tuple(one for one in wordings(part) if variants or one.name == WRITTEN or one.control)
        kept, dropped = without_twins(chosen, model)
        notes += dropped
        with _as_notes(notes):
            scored = (*score(embeddings, kept, model), *at_sides(part, by_side, model))
        notes += _ties(scored)
        right = Right.of(part, frame)
        parts.append(Part(part, scored, tuple(tallies_of(part, scored, groups, right, person)), right))
    tests = sum(claims_in(part.spec, part.tallies) + _claims_of_rankings(part, groups) for part in parts)
    tables = [_rows_of(part, groups, tests, person) for part in parts]
    ends = np.cumsum([0, *map(len, tables)])
    table = adjusted(pd.concat(tables, ignore_index=True))
    notes += _speechless(spec, table)
    words = [competence(part.spec, model, frame, part.written.cosines) for part in parts]
    known = pd.concat(words, ignore_index=True)
    made_of = [
        composition(part.spec, part.scored, groups, frame, table.iloc[start:stop])
        for part, start, stop in zip(parts, ends, ends[1:], strict=False)
    ]
    made = pd.concat(made_of, ignore_index=True)
    table = pd.concat([table, composition_rows(made)], ignore_index=True)
    scored = tuple(one for part in parts for one in part.scored)
    wide = spread(spec, table, scored, groups)
    return Audit(
        spec=spec, table=table, verdicts=verdicts(spec, table, wide, known), competence=known,
        composition=made, spread=wide, power=power(spec, table),
        calibration=_selftest(spec, groups, table, selftest), notes=tuple(dict.fromkeys(notes)),
        failed=tuple(embeddings.failed),
        provenance=about_audit(spec, embeddings, model, [one.wording for one in scored], len(frame)),
        judged=Judged(
            embeddings.ids, groups, scored, embeddings, model, person=person,
            right={part.spec.part: part.right.name for part in parts if part.right is not None},
        ),
    )  # fmt: skip


def tallies_of(
    spec: AuditSpec, scored: Sequence[Scored], groups: Sequence[Grouping], right: Right | None, person: Counts | None
) -> Iterator[Tally]:
    """The counts of every metric that counts, under every wording that bears on it, for every grouping.

    Under other labels, those of controls, there are the metrics that need no truth.
    """
    metrics = list({(one.metric, one.threshold): one for one in spec.metrics if one.metric in COUNTED}.values())
    for one in scored:
        truth, known = (None, None) if right is None else right.masks(one.wording)
        pictures = Pictures(one, truth, known, person)
        for metric in metrics:
            words = one.wording.control and one.wording.kind != "resolution"
            if not one.wording.bears_on(metric.metric) or (words and metric.metric not in _OF_CONTROLS):
                continue
            for group in groups:
                yield tally(pictures, group, spec, metric)


COUNTED = (*METRICS, "balanced_accuracy")


@dataclass(frozen=True, eq=False)
class Right:
    """Which label (by name) is right for each picture, and for which labels the data say so: [N] each."""

    name: Any
    known: dict[str, Any]

    @classmethod
    def of(cls, spec: AuditSpec, frame: pd.DataFrame) -> Right | None:
        """None where no label has a truth, or no metric needs one."""
        from dataclasses import replace

        if not any(label.truth for label in spec.labels) or not any(one.metric in NEED_TRUTH for one in spec.metrics):
            return None
        names = np.array([*spec.names, ""], object)[right_labels(spec, frame)]
        open_spec = replace(spec, groups=replace(spec.groups, empty="leave out"))
        columns = dict.fromkeys(column for label in spec.labels for column in label.truth)
        filled = {column: grouping(frame, open_spec, column).codes >= 0 for column in columns}
        everywhere = np.ones(len(frame), bool)
        known = {
            label.name: np.logical_and.reduce([everywhere, *(filled[column] for column in label.truth)])
            for label in spec.labels
        }
        return cls(names, known)

    def masks(self, wording: Wording) -> tuple[Any, Any]:
        """truth and known [N, L] for the labels of a wording; a label without a truth is right for nobody."""
        everywhere = np.ones(len(self.name), bool)
        truth = np.stack([self.name == label.name for label in wording.labels], axis=1)
        known = np.stack([self.known.get(label.name, everywhere) for label in wording.labels], axis=1)
        return truth, known


def composition_rows(made: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table for what is left of each gap at equal composition: ``_adjusted`` and ``_mh``."""
    found = []
    for ending, name, p, method in (
        ("adjusted", "adjusted", None, "directly standardised"),
        ("mh", "mh", "mh_p", "Mantel-Haenszel risk difference, Sato's limits; Cochran-Mantel-Haenszel"),
    ):
        own = made[["level", "by", "name", "group", "reference"]].copy()
        own["metric"] = made["metric"] + f"_{ending}"
        own["variant"], own["method"], own["headline"] = WRITTEN, method, False
        own["value"], own["ci_low"], own["ci_high"] = made[name], made[f"{name}_low"], made[f"{name}_high"]
        own["p"] = np.nan if p is None else made[p]
        for column in ("n", "k", "p_adjusted", "q"):
            own[column] = np.nan
        found.append(own[list(COLUMNS)])
    import pandas as pd

    return pd.concat(found, ignore_index=True).astype(dict.fromkeys(NUMBERS, float) | {"headline": bool})


def _rows_of(part: Part, groups: Sequence[Grouping], tests: int, person: Counts | None) -> pd.DataFrame:
    import pandas as pd

    found = [rows(part.spec, part.tallies, tests=tests)] if part.tallies else []
    found += [one for one in _ranked(part, groups, tests, person) if len(one)]
    return pd.concat(found, ignore_index=True) if found else rows(part.spec, ())


def _claims_of_rankings(part: Part, groups: Sequence[Grouping]) -> int:
    """How many claims its rankings and associations make, at most."""
    found = 0
    for metric in part.spec.metrics:
        if metric.headline and metric.metric == "skew":
            found += len(part.spec.of(metric)) * len(groups) * len(metric.k)
        elif metric.headline and metric.metric == "association":
            found += sum(max(1, len(one.names) - (len(one.names) == 2)) for one in groups)
    return found


def _ranked(part: Part, groups: Sequence[Grouping], tests: int, person: Counts | None) -> Iterator[pd.DataFrame]:
    """The rows of rankings and of associations, where the spec asks for them; tested as written alone."""
    from .association import association_rows
    from .retrieval import retrieval_rows

    spec = part.spec
    for metric in spec.metrics:
        for scored in part.scored:
            wording, headline = scored.wording, metric.headline and scored.wording.name == WRITTEN
            if wording.control or not wording.bears_on(metric.metric):
                continue
            names, written = [label.name for label in wording.labels], wording.name == WRITTEN
            if metric.metric == "skew":
                asked = {name for _, name in spec.of(metric)}
                places = [i for i, name in enumerate(names) if name in asked]
                cosines = scored.cosines[:, places]
                yield retrieval_rows(
                    spec, [names[i] for i in places], cosines, groups, metric.k, variant=wording.name,
                    headline=headline, tested=written, persons=person is not None, draws=PER_TEST * tests,
                )  # fmt: skip
            if metric.metric == "association":
                sides = [[i for i, one in enumerate(wording.labels) if side in (one.name, one.category)]
                         for side in metric.of]  # fmt: skip
                if all(sides):
                    first, second = (scored.cosines[:, side].mean(axis=1, dtype=np.float64) for side in sides)
                    ((level, name),) = spec.of(metric)
                    found = association_rows(
                        spec, name, first - second, groups, variant=wording.name, headline=headline,
                        permutations=max(10_000, PER_TEST * tests) if written else 1, person=person,
                    ).assign(level=level)  # fmt: skip
                    # as in the rest of the table, other wordings are not tested
                    yield found if written else found.assign(p=np.nan, method=found["method"].str.split(";").str[0])


def _selftest(spec: AuditSpec, groups: Sequence[Grouping], table: pd.DataFrame, repetitions: int) -> Any:
    if not repetitions:
        return None
    from .calibration import calibrate
    from .worlds import pooled

    sizes = {one.by: dict(zip(one.names, one.sizes.tolist(), strict=True)) for one in groups}
    return calibrate(spec, sizes, repetitions=repetitions, seed=spec.seed, rates=pooled(table))


def _speechless(spec: AuditSpec, table: pd.DataFrame) -> Iterator[str]:
    """What the spec calls headline, and no verdict is on."""
    spoken = {kind_of(metric) for metric in table.loc[claimed(table), "metric"]}
    for metric in dict.fromkeys(one.metric for one in spec.metrics if one.headline):
        if metric not in spoken:
            yield (
                f"There is no verdict on the metric {metric!r}: verdicts are on differences to a reference and on "
                'gaps; add "gap" to its compare.'
            )


def _opening_notes(spec: AuditSpec, embeddings: Embeddings, model: Model, groups: Sequence[Grouping]) -> Iterator[str]:
    if is_demonstration(model):
        yield DEMONSTRATION
    if embeddings.failed:
        yield f"{len(embeddings.failed)} pictures could not be read and are in no figure; they are listed."
    for one in groups:
        if one.unknown:
            names = ", ".join(map(repr, one.unknown[:12]))
            yield f"The column {one.by!r} has groups that no table knows, kept as they are: {names}."
        if one.left_out:
            yield f"{one.left_out} pictures are in no group of {one.by!r}, because the spec leaves their value out."
        if one.empty:
            yield f"{one.empty} pictures have no value for {one.by!r}."
    if not spec.groups.person and (said := persons_suspected(embeddings.ids)):
        warnings.warn(said, ClipvizWarning, stacklevel=4)
        yield said


@contextmanager
def _as_notes(notes: list[str]) -> Iterator[None]:
    """What clipviz warns of, such as prompts that are cut, becomes notes: the first three, and how many there are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ClipvizWarning)
        yield
    own = list(dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, ClipvizWarning)))
    notes += [*own[:3], *([f"{len(own) - 3} more of this kind."] if len(own) > 3 else [])]
    for one in caught:
        if not issubclass(one.category, ClipvizWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _ties(scored: Sequence[Scored]) -> Iterator[str]:
    tied = [f"{one.ties:,} under {shortened(one.wording.name)!r}" for one in scored if one.ties]
    if tied:
        more = f" and {len(tied) - _TIED} more wordings" if len(tied) > _TIED else ""
        yield (
            f"Some pictures lie equally near to several labels, the first of which counts: {', '.join(tied[:_TIED])}"
            f"{more}."
        )
