"""`Audit`: whom a model fails, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from .judged import Judged

if TYPE_CHECKING:
    import pandas as pd

    from .spec import AuditSpec
    from .verdicts import Verdict


@dataclass(frozen=True, eq=False)
class Audit:
    """What `audit` found.

    ``table`` has a row a figure: metric, level (label, category, overall), by (the grouping), name, group, reference,
    variant (the wording), value, ci_low, ci_high, n, k, p, p_adjusted, q, method, headline. ``verdicts`` say in words
    which headline comparisons were found. ``competence`` tells which labels the model knows; ``composition`` crude
    beside adjusted gaps; ``spread`` each figure under every wording; ``power`` the smallest gap that would be found;
    ``calibration`` the self-test, where one ran. ``notes`` are what to keep in mind, ``failed`` (id, reason) of
    pictures that were not judged, ``provenance`` model, data, prompts, seed and versions; only its ``made`` is a date.
    """

    spec: AuditSpec
    table: pd.DataFrame
    verdicts: tuple[Verdict, ...] = ()
    competence: pd.DataFrame | None = None
    composition: pd.DataFrame | None = None
    spread: pd.DataFrame | None = None
    power: pd.DataFrame | None = None
    calibration: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    judged: Judged | None = field(default=None, repr=False)  # what ``items`` is made of

    @property
    def model(self) -> str:
        """The name of the model that was audited."""
        return str(self.provenance.get("model", {}).get("model", "?"))

    @cached_property
    def items(self) -> pd.DataFrame:
        """A row a wording and picture: variant, id, the groups, ``decision``, and a cosine for every label.

        Made when it is first asked for. Raises DataError where the audit was saved without its items.
        """
        if self.judged is None:
            raise DataError("This audit has no items: load a folder that audit.save('run/') wrote.")
        return self.judged.frame()
