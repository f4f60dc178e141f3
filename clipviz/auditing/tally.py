"""`Scored` and `Tally`: what is known of the pictures under one wording, and the counts of it group by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .wordings import Wording

TOO_FEW = "too few people to say"
WRITTEN = "as written"  # the name of the wording that the verdicts are on
LEVELS = ("label", "category", "overall")
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scored:
    """The cosines of all pictures with the labels of one wording, and the label that each picture was given.

    ``cosines`` [N, L] float32, columns as ``wording.labels``; ``decision`` [N] int16 is the place of the highest, the
    first of equals (``ties`` pictures had several); ``scale`` multiplies cosines before a softmax.
    """

    wording: Wording
    cosines: NDArray[np.float32]
    decision: NDArray[np.int16]
    scale: float
    ties: int = 0


@dataclass(frozen=True, eq=False)
class Persons:
    """Counts by person, where several pictures show one: Q pairs of a person and a group that its pictures are in.

    ``person`` [Q] and ``group`` [Q] are places among all persons and among the tally's groups; ``hits`` [K, Q] and
    ``n`` [Q] or [K, Q] count pictures.
    """

    person: Counts
    group: Counts
    hits: Counts
    n: Counts


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts of one metric under one wording for one grouping of the pictures: everything below comes from these.

    ``wording`` is the name of the wording, ``by`` that of the grouping, ``groups`` its G groups. ``names`` are K
    labels, then categories, or (of accuracies) the whole set, with their ``levels``. ``hits`` [K, G] of ``n``
    pictures, [G], or [K, G] where it differs from name to name. Means (of probabilities, of margins) have ``means``
    and ``variances`` [K, G] in place of hits, which are 0; where persons have several pictures ``n`` counts persons and
    ``of_pictures`` their pictures. ``control`` marks placebo and neutral labels, on which
    there is no verdict.

    >>> Tally("as written", "gender", ("Female", "Male"), ("nurse", "doctor"), ("label", "label"),
    ...       np.array([[30, 12], [70, 88]]), np.array([100, 100])).share.tolist()
    [[0.3, 0.12], [0.7, 0.88]]
    """

    wording: str
    by: str
    groups: tuple[str, ...]
    names: tuple[str, ...]
    levels: tuple[str, ...]
    hits: Counts
    n: Counts
    metric: str = "share"
    means: Floats | None = None
    variances: Floats | None = None
    persons: Persons | None = None
    control: bool = False
    threshold: float | None = None
    of_pictures: Counts | None = None

    @property
    def totals(self) -> Counts:
        """``n`` as [K, G]."""
        return np.broadcast_to(self.n, (len(self.names), len(self.groups)))

    @property
    def share(self) -> Floats:
        """hits / n [K, G]; NaN where a group has no picture."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.totals > 0, self.hits / self.totals, np.nan)
