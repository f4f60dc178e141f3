"""How far a claim hangs on the wording: its figure under every wording, and their spread net of sampling noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .claims import KEY, Figure, Figures, claimed, corrected_level, pair_limits
from .formats import base_of
from .tally import WRITTEN

if TYPE_CHECKING:
    import pandas as pd

    from .groups import Grouping
    from .spec import AuditSpec
    from .tally import Scored
    from .wordings import Wording

Floats = NDArray[np.float64]
_COLUMNS = (*KEY, "wording", "value", "ci_low", "ci_high", "corrected_low", "corrected_high", "keeps_sign", "sd",
            "noise", "sd_net")  # fmt: skip
_DECIDED = "share"  # the metric whose pictures are counted one by one


def spread(
    spec: AuditSpec, table: pd.DataFrame, scored: Sequence[Scored] = (), groupings: Iterable[Grouping] = ()
) -> pd.DataFrame:
    """A row a claim and wording: metric, level, by, name, group, reference, wording, its value and limits there.

    A gap is looked up as the pair of groups that were highest and lowest in the written wording. ``ci_low`` and
    ``ci_high`` are at 95 %, ``corrected_low`` and ``corrected_high`` hold for all claims at once; ``keeps_sign`` says
    whether the 95 % interval lies off zero on the side of the written figure, or of a ranking, whether the same group
    leads and is beyond 95 % of random rankings. ``sd`` is the standard deviation over
    wordings, ``noise`` what of it sampling alone would give, paired over the same pictures, and ``sd_net`` the rest:
    sqrt(sd^2 - noise^2), not below 0. Both are known for shares, where ``scored`` and ``groupings`` are given and
    every picture counts for itself. Controls are no wordings, and a wording without a label has no row of it.
    """
    import pandas as pd

    asked = _asked(spec, scored)
    wordings = [
        name for name in dict.fromkeys(table["variant"].tolist()) if not (name in asked and asked[name].control)
    ]
    claims = list(zip(*(table.loc[claimed(table), name].tolist() for name in KEY), strict=True))
    figures, compared, leads = Figures.of(table), _comparisons(table), _leads(table)
    level = corrected_level(table)
    found: list[tuple[Any, ...]] = []  # (claim, wording, row or None)
    pairs: list[tuple[Figure, Figure]] = []
    stays: list[bool | None] = []  # what is known beforehand of whether it stays
    for claim in claims:
        metric, at_level, by, name, group, reference = claim
        for wording in wordings:
            if wording in asked and not asked[wording].bears_on(metric):
                continue
            lead = leads.get((metric, at_level, by, name, wording))
            if lead is not None:  # of a ranking, in which another group may lead
                found.append((claim, wording))
                pairs.append((Figure(lead.value, np.nan, np.nan, np.nan, np.nan), _NOTHING))
                stays.append(lead.group == group and lead.value > lead.high)
                continue
            pair = figures.pair(base_of(metric), at_level, by, name, group, reference, wording)
            direct = compared.get((*claim, wording))
            if pair is not None:
                found.append((claim, wording))
                pairs.append(pair)
                stays.append(None)
            elif direct is not None and np.isfinite(direct.value):
                found.append((claim, wording))  # a mean against the rest, or a figure alone: its own limits
                pairs.append((direct, _NOTHING))
                stays.append(None)
    value, low, high = pair_limits(pairs, level=0.95)
    _, corrected_low, corrected_high = pair_limits(pairs, level=level)
    place: dict[tuple[Any, ...], list[int]] = {}
    for i, (claim, _) in enumerate(found):
        place.setdefault(claim, []).append(i)
    keeps = np.zeros(len(found), bool)
    sds = np.full((3, len(found)), np.nan)
    noises = _noises(spec, scored, tuple(groupings), wordings)
    for claim, rows in place.items():
        written = [i for i in rows if found[i][1] == WRITTEN]
        up = value[written[0]] >= 0 if written else True
        off = low[rows] > 0 if up else high[rows] < 0
        keeps[rows] = [bool(there if stays[i] is None else stays[i]) for i, there in zip(rows, off, strict=True)]
        sds[:, rows] = np.reshape(_net(value[rows], noises.get(claim, len(rows))), (3, 1))
    table_of = {name: [claim[i] for claim, _ in found] for i, name in enumerate(KEY)}
    numbers = (value, low, high, corrected_low, corrected_high, keeps, *sds)
    columns = {
        **table_of,
        "wording": [wording for _, wording in found],
        **dict(zip(_COLUMNS[7:], numbers, strict=True)),
    }
    return pd.DataFrame(columns, columns=list(_COLUMNS))


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """A row a claim of `spread`: how many wordings, how many keep its sign, lowest, highest, sd, noise and sd_net."""
    grouped = found.groupby(list(KEY), sort=False, dropna=False)
    return grouped.agg(
        wordings=("wording", "size"), keep_sign=("keeps_sign", "sum"), lowest=("value", "min"),
        highest=("value", "max"), sd=("sd", "first"), noise=("noise", "first"), sd_net=("sd_net", "first"),
    ).reset_index()  # fmt: skip


_NOTHING = Figure(0.0, 0.0, 0.0, np.nan, np.nan)


def _net(values: Floats, noise: float) -> tuple[float, float, float]:
    """Standard deviation over wordings, that of the noise, and what is left."""
    if len(values) < 2:
        return np.nan, np.nan, np.nan
    variance = float(np.var(values, ddof=1))
    # an estimate of noise may be below 0; one that is not known stays so
    return np.sqrt(variance), np.sqrt(np.maximum(noise, 0)), np.sqrt(np.maximum(variance - noise, 0))


def _asked(spec: AuditSpec, scored: Sequence[Scored]) -> dict[str, Wording]:
    """The wordings by name; those that the spec has, where none are given."""
    if scored:
        return {one.wording.name: one.wording for one in scored}
    from .wordings import wordings

    return {one.name: one for part in spec.parts() for one in wordings(part)}


def _comparisons(table: pd.DataFrame) -> dict[tuple[Any, ...], Figure]:
    """The rows that compare, by (*KEY, variant), for what is held against the rest."""
    metrics = table["metric"].tolist()
    keys = zip(*(table[name].tolist() for name in (*KEY, "variant")), strict=True)
    numbers = table[["value", "ci_low", "ci_high"]].to_numpy(np.float64).tolist()
    return {
        key: Figure(row[0], row[1], row[2], np.nan, np.nan)
        for metric, key, row in zip(metrics, keys, numbers, strict=True)
        if base_of(metric) != metric or not key[5]
    }


class _Lead(NamedTuple):
    """The skew of one ranking: who leads, how far, and what 95 % of random rankings stay below."""

    group: str
    value: float
    high: float


def _leads(table: pd.DataFrame) -> dict[tuple[str, ...], _Lead]:
    """The skews in a table, by (metric, level, by, name, variant)."""
    columns = ("metric", "level", "by", "name", "variant", "group", "value", "ci_high")
    skews = table[table["metric"].str.startswith("skew@")]
    rows = list(zip(*(skews[name].tolist() for name in columns), strict=True))
    high = {(*row[:5],): row[7] for row in rows if row[0].endswith("_random")}
    return {
        (*row[:5],): _Lead(row[5], row[6], high.get((f"{row[0]}_random", *row[1:5]), np.inf))
        for row in rows
        if "_" not in row[0]
    }


@dataclass(frozen=True, eq=False)
class _Noise:
    """What pictures of G groups vary over W wordings, for one name: ``within`` [G] and ``hits`` [W, G] of ``n`` [G]."""

    within: Floats
    hits: Floats
    n: Floats

    def of(self, chosen: Sequence[int]) -> float:
        """Sum over wordings of the variance of a share's departure from its mean over wordings; groups together."""
        rows = list(chosen)
        n = self.n[rows].sum()
        if n < 2:
            return np.nan
        shares = self.hits[:, rows].sum(axis=1) / n
        return float((self.within[rows].sum() / n - ((shares - shares.mean()) ** 2).sum()) / (n - 1))


@dataclass(frozen=True, eq=False)
class _Noises:
    """The sampling variance of a claim's figure over wordings, by (level, by, name)."""

    found: dict[tuple[str, str, str], _Noise]
    groups: dict[str, tuple[str, ...]]

    def get(self, claim: tuple[str, ...], wordings: int) -> float:
        """The variance over wordings that sampling alone gives, or NaN."""
        metric, level, by, name, group, reference = claim
        noise, names = self.found.get((level, by, name)), self.groups.get(by, ())
        if noise is None or base_of(metric) != _DECIDED or len(noise.hits) != wordings or group not in names:
            return np.nan
        a = names.index(group)
        if reference not in names and reference != "rest":
            return np.nan
        others = [names.index(reference)] if reference in names else [i for i in range(len(names)) if i != a]
        return (noise.of([a]) + noise.of(others)) / (wordings - 1) if wordings > 1 else np.nan


def _noises(spec: AuditSpec, scored: Sequence[Scored], groupings: tuple[Grouping, ...], wordings: list[str]) -> _Noises:
    """Paired over pictures: of a picture that r of W wordings gave a name, the departures sum to r - r^2 / W."""
    chosen = [one for one in scored if one.wording.name in wordings and one.wording.bears_on(_DECIDED)]
    if len(chosen) < 2 or spec.groups.person:
        return _Noises({}, {})
    found = {}
    for level, name, given in _given(chosen):
        times = given.sum(axis=0, dtype=np.int16).astype(np.float64)  # [N], how many wordings gave the name
        within = times - times**2 / len(given)
        for grouping in groupings:
            inside = grouping.codes >= 0
            codes, size = grouping.codes[inside], len(grouping.names)
            hits = np.stack([np.bincount(codes[one[inside]], minlength=size) for one in given]).astype(np.float64)
            n = np.bincount(codes, minlength=size).astype(np.float64)
            apart = np.bincount(codes, within[inside], minlength=size).astype(np.float64)
            found[level, grouping.by, name] = _Noise(apart, hits, n)
    return _Noises(found, {grouping.by: grouping.names for grouping in groupings})


def _given(scored: Sequence[Scored]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """(level, name, whether each wording that has the name gave it to each picture [W, N])."""
    labels: dict[tuple[str, str], list[tuple[int, NDArray[np.bool_]]]] = {}
    for w, one in enumerate(scored):
        members: dict[tuple[str, str], list[int]] = {}
        for place, label in enumerate(one.wording.labels):
            members.setdefault(("label", label.name), []).append(place)
            if label.category:
                members.setdefault(("category", label.category), []).append(place)
        for key, places in members.items():
            lookup = np.zeros(len(one.wording.labels), bool)
            lookup[places] = True
            labels.setdefault(key, []).append((w, lookup))
    for (level, name), lookups in labels.items():
        yield level, name, np.stack([lookup[scored[w].decision] for w, lookup in lookups])
