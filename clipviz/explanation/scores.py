"""What each explainer reached in the league that is committed with clipviz."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .. import assets

if TYPE_CHECKING:
    import pandas as pd

FILE = "explainers.csv"
SCORES = ("mosaic_peak", "mosaic_tile", "pointing")
COLUMNS = (*SCORES, "measured_on")


def measured_scores(path: Path | None = None) -> pd.DataFrame:
    """Shares from 0 to 1 by the name of the explainer, with the model ``measured_on``; no rows where there is no file.

    >>> list(measured_scores().columns)
    ['mosaic_peak', 'mosaic_tile', 'pointing', 'measured_on']
    """
    import pandas as pd

    path = Path(assets.__file__).with_name(FILE) if path is None else path
    if not path.is_file():
        empty = pd.DataFrame({name: pd.Series(dtype=float) for name in SCORES} | {"measured_on": pd.Series(dtype=str)})
        return empty.rename_axis("name")
    return pd.read_csv(path, comment="#").set_index("name")[list(COLUMNS)]
