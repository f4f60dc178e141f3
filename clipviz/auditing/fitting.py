"""A spec as these data can answer it: what needs a column that is not there is left out and said, or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import DataError, nearest
from .cells import has_column
from .metric import NEED_TRUTH

if TYPE_CHECKING:
    import pandas as pd

    from .spec import AuditSpec


def fitted(spec: AuditSpec, frame: pd.DataFrame) -> tuple[AuditSpec, tuple[str, ...]]:
    """The spec without what ``frame`` (a row a picture) has no column for, and a sentence on each thing left out.

    Columns to adjust for may be missing. So may the truth of one set of labels among several, which is then not
    asked; where no set is left, DataError names the column. The columns of the groups must all be there: `groupings`
    refuses. A spec of kind "gallery" gets its names as labels, and is refused where a picture shows anybody else.
    """
    notes: list[str] = []
    if spec.kind == "gallery":
        from .surveillance import admitted

        spec = admitted(spec, frame)
    missing = [column for column in spec.groups.adjust if not has_column(frame, spec, column)]
    if missing:
        kept = tuple(column for column in spec.groups.adjust if column not in missing)
        spec = replace(spec, groups=replace(spec.groups, adjust=kept))
        notes.append(f"Nothing is adjusted for {', '.join(missing)}: the data has no such column.")
    return _without_truth(spec, frame, notes), tuple(notes)


def _without_truth(spec: AuditSpec, frame: pd.DataFrame, notes: list[str]) -> AuditSpec:
    if not any(metric.metric in NEED_TRUTH for metric in spec.metrics):
        return spec
    lost: dict[str, str] = {}
    for one in spec.sets:
        asked = any(metric.metric in NEED_TRUTH and metric.set in ("", one) for metric in spec.metrics)
        columns = [column for label in spec.labels if label.set == one for column in label.truth]
        absent = [column for column in dict.fromkeys(columns) if not has_column(frame, spec, column)]
        if asked and absent:
            lost[one] = absent[0]
    if not lost:
        return spec
    if len(lost) == len(spec.sets):
        column = next(iter(lost.values()))
        there = [str(name) for name in frame.columns]
        hint = nearest(column, there) if there else "It has none."
        raise DataError(
            f"The data has no column {column!r}, which says what is right. {hint} Pass "
            f'columns={{"{column}": "the data\'s column"}}, or data that has it.'
        )
    for one, column in lost.items():
        notes.append(f"The labels of the set {one!r} are not asked: the data has no column {column!r}.")
    labels = tuple(label for label in spec.labels if label.set not in lost)
    metrics = tuple(metric for metric in spec.metrics if metric.set not in lost)
    return replace(spec, labels=labels, metrics=metrics)
