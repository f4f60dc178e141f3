"""An audit's headline comparisons as one figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import plots
from ..errors import InputError
from .formats import figure, is_share

if TYPE_CHECKING:
    from ..plots import Canvas
    from .result import Audit
    from .verdicts import Verdict

SHOWN = 60
_LEGEND = {"strong": "found", "fragile": "found, fragile", "plain": "not found", "quiet": "no verdict"}


def drawn(audit: Audit) -> Canvas:
    """Every claim with its interval, those that were found first. Raises InputError where the audit claims nothing."""
    claims = sorted(audit.verdicts, key=lambda one: (one.state != "found", one.state == "none"))
    shares = [one for one in claims if is_share(one.metric)]
    chosen = shares or claims  # shares and margins have no common axis
    if not chosen:
        raise InputError("This audit has no headline comparison to draw: see .table.")
    left_out = f" {SHOWN} of {len(claims)} comparisons." if len(chosen) > SHOWN else ""
    chosen = chosen[:SHOWN]
    return plots.intervals(
        [_named(one) for one in chosen], [one.value for one in chosen], [one.ci_low for one in chosen],
        [one.ci_high for one in chosen],
        notes=[figure(one.metric, one.value, one.ci_low, one.ci_high) for one in chosen],
        looks=[_look(one) for one in chosen], legend=_LEGEND, percent=bool(shares),
        title=f"{audit.spec.title}: {audit.model}",
        caption="95 % intervals; of a gap, one that holds for every pair of groups at once." + left_out,
        unit="points" if shares else "",
    )  # fmt: skip


def _named(one: Verdict) -> str:
    against = f" against {one.reference}" if one.reference else ""
    return f"{one.name}: {one.group}{against}"


def _look(one: Verdict) -> str:
    return {"found": "fragile" if one.fragile else "strong", "not found": "plain", "none": "quiet"}[one.state]
