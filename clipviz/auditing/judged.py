"""`Judged`: the pictures one by one, with their groups and the scores of every wording, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, nearest
from .tally import WRITTEN, Counts, Scored

if TYPE_CHECKING:
    import pandas as pd

    from ..embedding import Embeddings
    from ..model import Model
    from ..sources import Source
    from .groups import Grouping

SCORE = "cosine: "  # before a label's name, in the name of its column


@dataclass(frozen=True, eq=False)
class Judged:
    """What every picture was given: N ids, the groups that they are in, and a `Scored` for each wording.

    ``embeddings`` and ``model`` are what was judged; of an audit that was read from a file, ``store`` says where the
    vectors lay.
    """

    ids: tuple[str, ...]
    groupings: tuple[Grouping, ...]
    scored: tuple[Scored, ...]
    embeddings: Embeddings | None = field(default=None, repr=False)
    model: Model | None = field(default=None, repr=False)
    store: Path | None = None
    person: Counts | None = None  # the place of each picture's person, where pictures share one
    right: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # set -> the name of the right label [N], or ""

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets of labels that were judged apart."""
        return tuple(dict.fromkeys(set_of(one) for one in self.scored))

    def frame(self) -> pd.DataFrame:
        """A row a wording and picture: variant, id, a column a grouping, decision, and ``cosine: NAME`` for each label.

        A label that a wording has not is NaN there, and so is the group of a picture that is in none. ``set`` says of
        which labels a row is, where there are several sets.
        """
        import pandas as pd

        groups = {}
        for one in self.groupings:
            groups[one.by] = _categories(one.codes, one.names)
        labels = list(dict.fromkeys(label.name for scored in self.scored for label in scored.wording.labels))
        variants = list(dict.fromkeys(scored.wording.name for scored in self.scored))
        count, several = len(self.ids), len(self.sets) > 1
        place = {name: i for i, name in enumerate(labels)}
        parts = []
        for scored in self.scored:
            columns = np.array([place[label.name] for label in scored.wording.labels])
            scores = np.full((count, len(labels)), np.nan, np.float32)
            scores[:, columns] = scored.cosines
            about: dict[str, Any] = {"variant": _repeated(scored.wording.name, variants, count)}
            if several:
                about["set"] = _repeated(set_of(scored), list(self.sets), count)
            about["id"] = np.asarray(self.ids, object)
            if self.person is not None:
                about["person"] = self.person
            decision = _categories(columns[scored.decision], labels)
            last: dict[str, Any] = {"decision": decision}
            if self.right:
                right = self.right.get(set_of(scored))
                last["right"] = pd.Categorical([""] * count if right is None else right, categories=["", *labels])
            shown = pd.DataFrame(scores, columns=[f"{SCORE}{name}" for name in labels])
            parts.append(pd.concat([pd.DataFrame({**about, **groups, **last}), shown], axis="columns"))
        return pd.concat(parts, ignore_index=True)

    def scored_with(self, wording: str = WRITTEN, label: str | None = None) -> Scored:
        """The scores under a wording, of the set that has a label or category; DataError names what there is."""
        named = [one for one in self.scored if one.wording.name == wording]
        if not named:
            hint = nearest(wording, dict.fromkeys(one.wording.name for one in self.scored))
            raise DataError(f"There is no wording {wording!r} in this audit. {hint}")
        having = [one for one in named if label is None or len(places_of(one, label))]
        if not having:
            labels = [label for one in named for label in one.wording.labels]
            names = [name for one in labels for name in (one.name, one.category) if name]
            hint = nearest(str(label), dict.fromkeys(names))
            raise DataError(f"There is no label or category {label!r} here. {hint}")
        return having[0]

    def in_group(self, group: str | None, by: str | None = None) -> NDArray[np.bool_]:
        """Which pictures [N] are in a group; all for None. DataError where several columns have it, or none."""
        if group is None:
            return np.ones(len(self.ids), bool)
        if by is not None and by not in [one.by for one in self.groupings]:
            raise DataError(f"The audit has no grouping {by!r}. {nearest(by, [one.by for one in self.groupings])}")
        having = [one for one in self.groupings if group in one.names and by in (None, one.by)]
        if not having:
            known = [name for one in self.groupings if by in (None, one.by) for name in one.names]
            raise DataError(f"There is no group {group!r} in this audit. {nearest(group, known)}")
        if len(having) > 1:
            columns = " or ".join(f"by={one.by!r}" for one in having)
            raise DataError(f"Several columns have a group {group!r}: say which, {columns}.")
        return having[0].codes == having[0].names.index(group)

    def source(self, data: Any = None) -> Source:
        """The pictures, opened again as the store says, or from ``data``. Raises DataError where they are not there."""
        return self._kept if data is None else self.vectors().source(data)

    @cached_property
    def _kept(self) -> Source:
        return self.vectors().source()  # reads every picture once, to see that they are the same

    def vectors(self) -> Embeddings:
        """The store that was judged; DataError where it is gone or holds others."""
        from ..embedding import Embeddings

        if self.embeddings is not None:
            return self.embeddings
        if self.store is None:
            raise DataError("This audit does not know of which store it was made: run clipviz.audit on it again.")
        try:
            found = Embeddings.load(self.store)
        except DataError as error:
            raise DataError(
                f"The store that was audited is not at {str(self.store)!r} any more ({error}) Put it back, or run "
                "clipviz.audit again."
            ) from error
        if missing := set(self.ids) - set(found.ids):
            raise DataError(
                f"The store {str(self.store)!r} lacks {len(missing)} of the pictures that were audited, such as "
                f"{min(missing)!r}: it holds others now; run clipviz.audit again."
            )
        return found


def set_of(scored: Scored) -> str:
    """The set of labels that a wording is of."""
    return next((label.set for label in scored.wording.labels), "")


def places_of(scored: Scored, label: str) -> NDArray[np.int64]:
    """The places of a label, or of all labels of a category."""
    return np.flatnonzero([label in (one.name, one.category) for one in scored.wording.labels])


def _repeated(value: str, categories: list[str], count: int) -> Any:
    return _categories(np.full(count, categories.index(value)), categories)


def _categories(codes: NDArray[Any], names: Sequence[str]) -> Any:
    """A column of names by their places, -1 for none."""
    import pandas as pd

    return pd.Categorical.from_codes(codes.astype(np.int32), categories=pd.Index(list(names), dtype=object))
