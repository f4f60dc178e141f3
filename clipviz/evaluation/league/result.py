"""`League`: the explainers of a model, measured against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InputError, nearest
from ..result import Evaluation
from .entrants import RIVALS
from .measures import MEASURES
from .summary import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from ...plots import Canvas

ITEMS = ("world", "id", "half", "group", "text", "method", "reason", "area", *MEASURES)
_SHARES = {measure.label for measure in MEASURES.values() if measure.share}


@dataclass(frozen=True, eq=False)
class League(Evaluation):
    """What `evaluate(task="explainers")` measured: which map to believe, and what it costs.

    ``table`` is long, a row a world, metric and method: value with its 95 % limits over ``n`` pictures, the paired
    difference to Grad-CAM on ``pairs`` pictures, and the cost in forward passes. Rivals that know nothing stand among
    the methods. ``items`` has a row a world, picture and method, from which every interval can be computed again;
    a row with a ``reason`` has no numbers, and stands in ``failed`` too. See `clipviz.evaluation.league.summary`.
    """

    def __getitem__(self, key: str | tuple[str, str, str]) -> float:
        """The value of a (world, metric, method), such as ``league["mosaics 2 x 2", "mosaic peak", "gradcam"]``."""
        if not (isinstance(key, tuple) and len(key) == 3):
            raise InputError(
                f"A figure of a league is named by world, metric and method; got {key!r}: write league["
                f"{', '.join(repr(cell) for cell in self.table.iloc[0][['world', 'metric', 'method']])}]."
            )
        rows = self.table
        for column, wanted in zip(("world", "metric", "method"), key, strict=True):
            if wanted not in set(rows[column]):
                raise InputError(
                    f"There is no {column} {wanted!r} here. {nearest(str(wanted), list(set(rows[column])))}"
                )
            rows = rows[rows[column] == wanted]
        return float(rows["value"].iloc[0])

    def per_label(self) -> pd.DataFrame:
        """A row a world, text and method: how often the map pointed right, the worst text first."""
        kept = self.items.assign(right=self.items["pointing"].fillna(self.items["peak"])).dropna(subset=["right"])
        found = kept.groupby(["world", "text", "method"], sort=False)["right"].agg(["size", "mean"]).reset_index()
        found = found.rename(columns={"size": "n", "mean": "pointing"})
        return found.sort_values(["pointing", "text"], ignore_index=True)

    def ranking(self, world: str | None = None, metric: str | None = None) -> pd.DataFrame:
        """The rows of one world and metric, the best first; by default the first of the table."""
        world = self.table["world"].iloc[0] if world is None else world
        rows = self.table[self.table["world"] == world]
        if rows.empty:
            raise InputError(f"There is no world {world!r} here. {nearest(world, list(set(self.table['world'])))}")
        metric = rows["metric"].iloc[0] if metric is None else metric
        if metric not in set(rows["metric"]):
            raise InputError(f"There is no metric {metric!r} here. {nearest(metric, list(set(rows['metric'])))}")
        rows = rows[rows["metric"] == metric]
        return rows.sort_values("value", ascending=rows["better"].iloc[0] == "lower", ignore_index=True)

    def plot(self, world: str | None = None, metric: str | None = None) -> Canvas:
        """How good each method is against what it costs, with 95 % limits; rivals are drawn as lines across."""
        from ... import plots

        rows = self.ranking(world, metric)
        named = rows[~rows["method"].isin(RIVALS)]
        rivals = rows[rows["method"].isin(RIVALS)]
        label = str(rows["metric"].iloc[0])
        measure = next(m for m in MEASURES.values() if m.label == label)
        left_out = named["cost"].isna() | ~(named["cost"] > 0)
        unknown = ", ".join(named["method"][left_out])
        more = f" Not drawn, as their cost was not measured: {unknown}." if unknown else ""
        drawn = named[~left_out]
        if drawn.empty:
            raise InputError(f"No method has both a {label} and a cost here: there is nothing to draw.")
        return plots.against_cost(
            drawn["method"].tolist(), drawn["cost"].to_numpy(), drawn["value"].to_numpy(),
            limits=drawn[["low", "high"]].to_numpy(), lines=dict(zip(rivals["method"], rivals["value"], strict=True)),
            title=f"{self.model}: {label}, {rows['world'].iloc[0]}", unit=f"{label} ({measure.better} is better)",
            percent=measure.share,
            caption=f"{measure.about[0].upper()}{measure.about[1:]}. Bars: 95 % limits over {int(rows['n'].max())} "
            f"pictures, half {rows['half'].iloc[0]!r}.{more}",
        )  # fmt: skip

    @property
    def headline(self) -> str:
        """The methods that come first where each world is first measured, beside Grad-CAM."""
        said = []
        for world in dict.fromkeys(self.table["world"]):
            rows = self.ranking(world)
            metric = str(rows["metric"].iloc[0])
            rival = rows["method"].isin(RIVALS)
            parts = [
                f"{part['method'].iloc[0]} {_said(metric, float(part['value'].iloc[0]))}"
                for part in (rows[~rival], rows[rival])
                if len(part)
            ]
            said.append(f"{world}, {metric}: {', best rival '.join(parts)}")
        half = self.provenance.get("half", "all")
        return f"{'; '.join(said)}; half {half!r}"

    def to_pandas(self) -> pd.DataFrame:
        """The table, with what tells several leagues apart beside it."""
        data, model = self.provenance.get("data", {}), self.provenance.get("model", {})
        return self.table.assign(
            task=self.task, model=self.model, weights=model.get("weights_sha256", ""),
            data=data.get("fingerprint", ""), seed=self.provenance.get("seed", 0),
        )  # fmt: skip

    @classmethod
    def columns(cls) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return COLUMNS, ITEMS

    def check(self) -> None:
        if not set(self.table["method"]) <= set(self.items["method"]):
            raise ValueError("its table has methods that its items have not")

    def _page(self) -> str:
        from .pages import league_page

        return league_page(self)

    def _repr_html_(self) -> str:
        from .pages import league_view

        return league_view(self)

    def __repr__(self) -> str:
        methods = self.table["method"].nunique()
        lost = f", {len(self.failed)} failures" if self.failed else ""
        return f"League({self.model}, {methods} methods and rivals: {self.headline}{lost})"


def _said(metric: str, value: float) -> str:
    return f"{value:.1%}" if metric in _SHARES else f"{value:.3g}"


def shown(row: Mapping[str, Any]) -> str:
    """A value with its limits, where it has any, in percent where it is a share."""
    if math.isnan(row["low"]):
        return _said(row["metric"], row["value"])
    if row["metric"] in _SHARES:
        return f"{100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}] %"
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
