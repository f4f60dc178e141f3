"""From a row a picture and method to the long table: means, paired intervals, and the difference to Grad-CAM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from ...stats import paired_bootstrap
from .measures import LABELS, MEASURES
from .worlds import PHOTOGRAPHS, SMALL

if TYPE_CHECKING:
    import pandas as pd

REFERENCE = "gradcam"
COLUMNS = ("world", "metric", "method", "value", "low", "high", "n", "left_out", "difference", "difference_low",
           "difference_high", "pairs", "better", "cost", "half")  # fmt: skip


def summarise(
    items: pd.DataFrame,
    costs: Mapping[str, float],
    *,
    reference: str = REFERENCE,
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """A row a world, metric and method, of ``items``; ``costs`` are passes by method.

    ``low`` and ``high`` are 95 % limits of the mean over ``n`` pictures, by `clipviz.stats.paired_bootstrap`;
    ``left_out`` pictures gave no number. ``difference`` is to ``reference`` on the ``pairs`` of pictures that both
    measured, NaN where it took no part. Raises DataError for items of several halves.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for world, part in _worlds(items):
        halves = part["half"].unique()
        if len(halves) != 1:
            raise DataError(f"The items of {world!r} are of the halves {', '.join(halves)}: summarise one half alone.")
        methods = list(dict.fromkeys(part["method"]))
        for name in MEASURES:
            wide = part.pivot(index="id", columns="method", values=name)[methods]
            if not wide.notna().to_numpy().any():
                continue
            shown = part.loc[part["reason"] == ""].pivot(index="id", columns="method", values="text").notna()
            rows += _rows(world, name, wide, shown.reindex_like(wide), reference, resamples, seed, costs, halves[0])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _worlds(items: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Parts of the items by the name that they have in the table."""
    for world in dict.fromkeys(map(str, items["world"])):
        part = items[items["world"] == world]
        if world == PHOTOGRAPHS:
            area = part.groupby("id")["area"].transform("max")  # a row with a reason has none of its own
            yield f"{world}, all boxes", part
            if (area < SMALL).any():
                yield f"{world}, small boxes", part[area < SMALL]
        elif (part["group"] != "").any():
            for group in sorted(part["group"].unique()):
                yield f"{world}, {group}", part[part["group"] == group]
        else:
            yield world, part


def _rows(
    world: str, name: str, wide: pd.DataFrame, shown: pd.DataFrame, reference: str, resamples: int, seed: int,
    costs: Mapping[str, float], half: str,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    table, methods = wide.to_numpy(dtype=np.float64), list(wide.columns)
    there = np.isfinite(table)
    own = _means(table, there, resamples, seed)
    if reference in methods:
        at = methods.index(reference)
        beside = _means(table - table[:, [at]], there & there[:, [at]], resamples, seed)
    else:
        beside = [(np.nan, np.nan, np.nan, 0)] * len(methods)
    for i, method in enumerate(methods):
        value, low, high, n = own[i]
        if not n:
            continue
        difference, difference_low, difference_high, pairs = beside[i]
        # Those that were asked are counted: of a costly method, or a costly metric, the first pictures alone.
        asked = there.any(axis=1) & shown.to_numpy(dtype=bool)[:, i]
        yield {
            "world": world, "metric": LABELS[name], "method": method, "value": value, "low": low, "high": high, "n": n,
            "left_out": int((asked & ~there[:, i]).sum()), "difference": difference,
            "difference_low": difference_low, "difference_high": difference_high, "pairs": pairs,
            "better": MEASURES[name].better, "cost": float(costs.get(str(method), np.nan)), "half": half,
        }  # fmt: skip


def _means(table: Any, there: Any, resamples: int, seed: int) -> Sequence[tuple[float, float, float, int]]:
    """(mean, low, high, n) of each column over its own rows; columns of the same rows are resampled at once."""
    found: list[tuple[float, float, float, int]] = [(np.nan, np.nan, np.nan, 0)] * table.shape[1]
    patterns, which = np.unique(there, axis=1, return_inverse=True)
    for number in range(patterns.shape[1]):
        rows, columns = patterns[:, number], np.flatnonzero(which.ravel() == number)
        n = int(rows.sum())
        if n < 2:  # one picture has no interval
            for column in columns:
                found[column] = (float(table[rows, column].mean()) if n else np.nan, np.nan, np.nan, n)
            continue
        interval = paired_bootstrap(table[np.ix_(rows, columns)], resamples=resamples, seed=seed)
        for i, column in enumerate(columns):
            found[column] = (float(interval.estimate[i]), float(interval.low[i]), float(interval.high[i]), n)
    return found
