"""What in a spec contradicts itself, and what to type instead."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import PromptError, SpecError, nearest
from ..text import Prompt
from .bounds import check_bound, parse_bound
from .labels import Label
from .metric import COLLECTIVE, NEED_SEVERAL, NEED_TRUTH, Metric
from .parts import BEST, EMPTY_CELLS, REST

if TYPE_CHECKING:
    from .spec import AuditSpec


def check(spec: AuditSpec) -> None:
    """SpecError for the first thing that is wrong in ``spec``."""
    from .spec import KINDS

    if not spec.name.strip():
        raise SpecError('The spec has no name; add name = "my_audit".')
    if spec.kind not in KINDS:
        raise SpecError(f"The spec's kind is {spec.kind!r}, which is none. {nearest(spec.kind, KINDS)}")
    if spec.seed < 0:
        raise SpecError(f"seed = {spec.seed} must be 0 or more.")
    if any(side < 1 for side in spec.sides) or len(set(spec.sides)) < len(spec.sides):
        raise SpecError(f"sides = {list(spec.sides)} are lengths in pixels, each 1 or more and once: sides = [64, 32].")
    _templates(spec.templates, "templates")
    _labels(spec)
    _groups(spec)
    _metrics(spec)
    _wordings(spec)
    _rankings(spec)
    for text in spec.gate.fail_if:
        check_bound(parse_bound(text), spec)


def asked(spec: AuditSpec, metric: Metric) -> tuple[tuple[str, str], ...]:
    """(level, name) pairs that ``metric`` is computed of; see `AuditSpec.of`."""
    labels = [label for label in spec.labels if metric.set in ("", label.set)]
    names = [label.name for label in labels]
    categories = list(dict.fromkeys(label.category for label in labels if label.category))
    if metric.metric == "association":
        return (("overall", f"{metric.of[0]} against {metric.of[1]}"),)
    if metric.metric in ("accuracy", "balanced_accuracy"):
        sets = [spec.part] if spec.part else [one for one in spec.sets if metric.set in ("", one)]
        wholes = [one or "all labels" for one in sets]
        found = [] if metric.of == ("categories",) else [("overall", whole) for whole in wholes]
        if "categories" in metric.of:
            found += [("category", f"{whole}, by category") for whole in wholes]
        return tuple(found)
    found = []
    for one in metric.of:
        if one in ("labels", "all"):
            found += [("label", name) for name in names]
        if one in ("categories", "all"):
            found += [("category", name) for name in categories]
        if one == "harmful":
            harmful = [label for label in labels if label.role == "harmful"]
            found += [("category", name) for name in dict.fromkeys(label.category for label in harmful) if name]
            found += [("label", label.name) for label in harmful]
        if one not in COLLECTIVE and (one in names or one in categories):  # a part lacks the labels of the others
            found.append(("category" if one in categories else "label", one))
    if metric.metric in ("skew", "false_positive_rate", "false_negative_rate"):
        found = [pair for pair in found if pair[0] == "label"]
    return tuple(dict.fromkeys(found))


def _templates(templates: Iterable[str], where: str) -> None:
    try:
        Prompt("x", tuple(templates))
    except PromptError as error:
        raise SpecError(f"The spec's {where} cannot be used: {error}") from error


def _labels(spec: AuditSpec) -> None:
    if not spec.labels and spec.kind != "gallery":
        raise SpecError('The spec has no labels; add [[labels]] with text = "a nurse" and role = "neutral".')
    for one in spec.sets:
        labels = [label for label in spec.labels if label.set == one]
        for key in ("name", "text"):
            said = Counter(" ".join(getattr(label, key).split()) for label in labels)
            for value, count in said.items():
                if count > 1:
                    raise SpecError(
                        f"Two labels have the {key} {value[:60]!r}, and which of them wins would be chance; leave one "
                        "out, or give it another."
                    )
        for label in labels:
            known = [other.name for other in labels if other is not label]
            if label.near and label.near not in known:
                raise SpecError(f"The label {label.name!r} is near {label.near!r}. {nearest(label.near, known)}")
    for category in spec.categories:
        roles = {label.role == "harmful" for label in spec.labels if label.category == category}
        if len(roles) > 1:
            raise SpecError(
                f"The category {category!r} holds harmful labels and others, and its share would mean neither; give "
                "the others another category."
            )
    names = {label.name for label in spec.labels}
    for category in spec.categories:
        if category in names:
            raise SpecError(f"{category!r} is a label and a category too; give the category another name.")
        if category in COLLECTIVE:
            raise SpecError(f"The category {category!r} has a name that means several in of; give it another.")
    for name in names & set(COLLECTIVE):
        raise SpecError(f"The label {name!r} has a name that means several in of; give it another name.")


def _groups(spec: AuditSpec) -> None:
    groups = spec.groups
    if not groups.columns:
        raise SpecError('The spec has no groups to compare; add [groups] with columns = ["gender"].')
    if len(set(groups.columns)) < len(groups.columns):
        raise SpecError(f"groups.columns = {list(groups.columns)} names a column twice; leave one out.")
    crossed = [" x ".join(one) for one in groups.crossings]
    for crossing in groups.crossings:
        if len(crossing) < 2 or len(set(crossing)) < len(crossing):
            raise SpecError(f'The crossing {list(crossing)} is of one column; write crossings = [["race", "gender"]].')
        for column in crossing:
            if column not in groups.columns:
                raise SpecError(f"The crossing {list(crossing)} has {column!r}. {nearest(column, groups.columns)}")
    for column, group in groups.reference.items():
        if column not in (*groups.columns, *crossed):
            hint = nearest(column, [*groups.columns, *crossed])
            raise SpecError(f"groups.reference names {column!r}, which is not compared. {hint}")
        if not group.strip():
            raise SpecError(f'The reference of {column!r} is empty; name a group, or "{REST}", or "{BEST}".')
    for name, derived in groups.derived.items():
        if not derived.column or not derived.values or name == derived.column:
            raise SpecError(
                f'groups.derived.{name} must name another column and say its groups: column = "race", and under '
                'values = { White = "White", Black = "Non-White" }.'
            )
    if groups.empty not in EMPTY_CELLS:
        raise SpecError(f"groups.empty = {groups.empty!r} is none of its values. {nearest(groups.empty, EMPTY_CELLS)}")
    from .known_tables import TABLES

    if groups.known and groups.known not in TABLES:
        raise SpecError(f"groups.known = {groups.known!r} is no table that is known. {nearest(groups.known, TABLES)}")


def _metrics(spec: AuditSpec) -> None:
    if not spec.metrics:
        raise SpecError('The spec has no metrics; add [[metrics]] with metric = "share" and headline = true.')
    for metric in spec.metrics:
        ordered = [one for one in metric.compare if one in ("worst", "against best")]
        if metric.direction == "neither" and ordered:
            raise SpecError(
                f"The metric {metric.metric!r} compares the {ordered[0]!r}, and its direction says neither; write "
                'direction = "high is bad" or "high is good".'
            )
        if metric.set and metric.set not in spec.sets:
            named = [one for one in spec.sets if one]
            hint = nearest(metric.set, named) if named else "No label names a set; leave it out."
            raise SpecError(f"The metric {metric.metric!r} is of the set {metric.set!r}, which has no labels. {hint}")
        if spec.labels:
            _metric(metric, [label for label in spec.labels if metric.set in ("", label.set)])
    if spec.kind == "retrieval" and not any(metric.metric == "skew" for metric in spec.metrics):
        raise SpecError('A spec of kind "retrieval" computes the skew; add [[metrics]] metric = "skew", k = [100].')
    _once(spec)
    computed = {metric.threshold for metric in spec.metrics if metric.metric == "above_threshold"}
    for level in spec.thresholds.levels:
        if level not in computed:
            raise SpecError(
                f"thresholds.levels has {level}, and no metric is computed at it; add [[metrics]] with "
                'metric = "above_threshold", or leave the level out.'
            )


def _once(spec: AuditSpec) -> None:
    """Each figure is computed by one metric, or the table would hold it twice."""
    owner: dict[object, Metric] = {}
    for metric in spec.metrics:
        for one in spec.sets:
            if metric.set not in ("", one):
                continue
            for level, name in asked(spec, metric):
                key = (one, metric.metric, metric.threshold, level, name)
                if owner.setdefault(key, metric) is not metric:
                    raise SpecError(
                        f"The metric {metric.metric!r} of {name!r} is asked twice; put it into one [[metrics]], with "
                        "every comparison in its compare."
                    )


def _metric(metric: Metric, labels: list[Label]) -> None:
    names = {label.name: label for label in labels}
    categories = {label.category for label in labels if label.category}
    for one in metric.of:
        if one not in COLLECTIVE and one not in names and one not in categories:
            hint = nearest(one, [*names, *categories, *COLLECTIVE])
            raise SpecError(f"The metric {metric.metric!r} is of {one!r}, which is no label or category. {hint}")
    if "harmful" in metric.of and not any(label.role == "harmful" for label in labels):
        raise SpecError(
            f'The metric {metric.metric!r} is of the harmful labels, and the spec has none; write role = "harmful" at '
            "the labels that denigrate, or name others in of."
        )
    for one in {label.set for label in labels}:
        if sum(label.set == one for label in labels) == 1 and metric.metric in (*NEED_SEVERAL, "share", *NEED_TRUTH):
            of = f" of the set {one!r}" if one else ""
            raise SpecError(
                f"The metric {metric.metric!r} needs labels that compete, and there is one{of} ({labels[0].name!r}), "
                "which every picture would be given; add a label that says the contrary."
            )
    if metric.metric in NEED_TRUTH:
        _truth(metric, labels)


def _truth(metric: Metric, labels: list[Label]) -> None:
    harmful = [label.name for label in labels if label.role == "harmful" and label.name in metric.of]
    if metric.metric == "false_negative_rate" and harmful:
        raise SpecError(
            f"The metric 'false_negative_rate' is asked of {harmful[0]!r}, a harmful label, which is right for nobody: "
            'there are no positives to miss. Take "share" or "false_positive_rate".'
        )
    right = [label for label in labels if label.truth]
    if not right and not (metric.metric == "false_positive_rate" and (harmful or "harmful" in metric.of)):
        raise SpecError(
            f"The metric {metric.metric!r} needs to know what is right, and no label says it; write at the label "
            'truth = { gender = "Female" }, with the column and its value.'
        )
    untold = [label.name for label in labels if not label.truth and label.role in ("identity", "neutral")]
    lost = [name for name in untold if name in metric.of]
    if metric.metric == "false_positive_rate" and (lost or (untold and {"labels", "all"} & set(metric.of))):
        raise SpecError(
            f"The metric 'false_positive_rate' is asked of {(lost or untold)[0]!r}, and nothing says for whom it would "
            'be right; write at the label truth = { gender = "Female" }, or name the labels in of that have one.'
        )
    if metric.metric in ("accuracy", "balanced_accuracy") and "categories" in metric.of:
        for label in right:
            if not label.category:
                raise SpecError(
                    f"The metric {metric.metric!r} of categories counts the right category as right, and "
                    f"{label.name!r} has none; give it a category."
                )


def _rankings(spec: AuditSpec) -> None:
    retrieval, columns = spec.retrieval, spec.groups.columns
    if not (math.isfinite(retrieval.log_base) and retrieval.log_base > 1):
        raise SpecError(f"retrieval.log_base = {retrieval.log_base} must be above 1: 2, or 2.718281828459045.")
    if retrieval.rankings < 20:
        raise SpecError(
            f"retrieval.rankings = {retrieval.rankings} are too few for a 95 % quantile; give 1000 or more."
        )
    if spec.thresholds.most < 1:
        raise SpecError(f"thresholds.most = {spec.thresholds.most} must be 1 or more.")
    if isinstance(retrieval.desired, str):
        if retrieval.desired not in ("gallery", "equal"):
            raise SpecError(
                f'retrieval.desired = {retrieval.desired!r} is not known; write "gallery", "equal" or a table: '
                "desired = { gender = { Male = 0.5, Female = 0.5 } }."
            )
        return
    for column, shares in retrieval.desired.items():
        if column not in columns:
            raise SpecError(f"retrieval.desired names {column!r}, which is not compared. {nearest(column, columns)}")
        if not shares or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
            raise SpecError(f"The desired shares of {column!r} are {dict(shares)} and must be 0 or more and sum to 1.")


def _wordings(spec: AuditSpec) -> None:
    variants, controls = spec.variants, spec.controls
    if variants.templates:
        _templates(variants.templates, "variants.templates")
    for factor in variants.logit_scale:
        if not (math.isfinite(factor) and factor > 0):
            raise SpecError(f"variants.logit_scale has {factor}; give factors above 0, such as [0.5, 2.0].")
    for words in variants.synonyms or ():
        if not words or any(not word.strip() or not other.strip() or other == word for word, other in words.items()):
            raise SpecError(f'variants.synonyms has {dict(words)}; write synonyms = [{{ people = "humans" }}].')
    if spec.harmful and len(set(controls.placebo)) < 2:
        raise SpecError(
            f"controls.placebo = {list(controls.placebo)}: an audit with harmful labels runs beside two words that "
            'mean nothing; write placebo = ["a blicket", "a tupa"].'
        )
    taken = {label.text for label in spec.labels if label.role != "placebo"}
    for text in controls.placebo:
        if text in taken:
            raise SpecError(f"controls.placebo has {text!r}, which is a label of the spec; take a word without sense.")
