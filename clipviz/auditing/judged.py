"""`Judged`: the pictures one by one, with their groups and the scores of every wording, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .tally import Scored

if TYPE_CHECKING:
    import pandas as pd

    from .groups import Grouping

SCORE = "cosine: "  # before a label's name, in the name of its column


@dataclass(frozen=True, eq=False)
class Judged:
    """What every picture was given: N ids, the groups that they are in, and a `Scored` for each wording."""

    ids: tuple[str, ...]
    groupings: tuple[Grouping, ...]
    scored: tuple[Scored, ...]

    def frame(self) -> pd.DataFrame:
        """A row a wording and picture: variant, id, a column a grouping, decision, and ``cosine: NAME`` for each label.

        A label that a wording has not is NaN there, and so is the group of a picture that is in none.
        """
        import pandas as pd

        groups: dict[str, Any] = {}
        for one in self.groupings:
            codes = one.codes.astype(np.int32)
            groups[one.by] = pd.Categorical.from_codes(codes, categories=list(one.names))  # type: ignore[arg-type]
        labels = list(dict.fromkeys(label.name for scored in self.scored for label in scored.wording.labels))
        variants = [scored.wording.name for scored in self.scored]
        parts = []
        for scored in self.scored:
            names = [label.name for label in scored.wording.labels]
            places = pd.Index(labels).get_indexer(pd.Index(names))
            scores = np.full((len(self.ids), len(labels)), np.nan, np.float32)
            scores[:, places] = scored.cosines
            about = {
                "variant": pd.Categorical.from_codes(
                    np.full(len(self.ids), variants.index(scored.wording.name), np.int16), categories=variants
                ),
                "id": np.asarray(self.ids, object),
                **groups,
                "decision": pd.Categorical.from_codes(places[scored.decision], categories=labels),
            }
            shown = pd.DataFrame(scores, columns=[f"{SCORE}{name}" for name in labels])
            parts.append(pd.concat([pd.DataFrame(about), shown], axis="columns"))
        return pd.concat(parts, ignore_index=True)
