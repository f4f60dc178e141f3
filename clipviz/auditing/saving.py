"""An audit as a folder: the table and the items as Parquet, all else as JSON; written whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ClipvizError, DataError, InputError
from ..weights.staging import write_folder
from .groups import Grouping
from .judged import SCORE, Judged, set_of
from .labels import Label
from .result import Audit
from .spec import AuditSpec
from .table import COLUMNS
from .tally import Scored
from .verdicts import Verdict
from .wordings import Wording

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "clipviz audit 1"
RECORD, TABLE, ITEMS = "audit.json", "table.parquet", "items.parquet"
FILES = (RECORD, TABLE, ITEMS)
_FRAMES = ("competence", "composition", "spread", "power")


def save(audit: Audit, path: str | Path) -> Path:
    """Write the folder; see `Audit.save`."""
    if Path(path).is_file():
        raise InputError(f"{str(path)!r} is a file; an audit is kept as a folder, or as .html, .json, .csv, .md, .xml.")

    def write(folder: Path) -> None:
        audit.table.to_parquet(folder / TABLE, index=False)
        if audit.judged is not None:
            audit.items.to_parquet(folder / ITEMS, index=False)
        sums = {name: _sum(folder / name) for name in (TABLE, ITEMS) if (folder / name).is_file()}
        said = json.dumps(_plain(audit, Path(path), sums), allow_nan=False, ensure_ascii=False, indent=1)
        (folder / RECORD).write_text(said + "\n", encoding="utf-8")

    return write_folder(path, write, FILES)


def load(path: str | Path) -> Audit:
    """Read the folder; see `Audit.load`."""
    import pandas as pd

    folder = Path(path)
    try:
        told = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"There is no audit in {str(path)!r}: pass the folder that audit.save('run') wrote.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{str(folder / RECORD)!r} cannot be read ({error}); save the audit again.") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise DataError(f"{str(folder / RECORD)!r} is no audit of this clipviz ({FORMAT!r}); save it again.")
    try:
        for name, expected in told["files"].items():
            if _sum(folder / name) != expected:
                raise ValueError(f"{name} is not the one that was written with it")
        table = pd.read_parquet(folder / TABLE)
        if tuple(table.columns) != COLUMNS:
            raise ValueError(f"its table has the columns {list(table.columns)}")
        judged = _judged(told, folder) if ITEMS in told["files"] else None
        return Audit(
            spec=AuditSpec.from_dict(told["spec"]), table=table,
            verdicts=tuple(Verdict(**_numbers(one)) for one in told["verdicts"]),
            **{name: _frame(told[name]) for name in _FRAMES}, calibration=told["calibration"],
            notes=tuple(told["notes"]), failed=tuple((str(a), str(b)) for a, b in told["failed"]),
            provenance=told["provenance"], judged=judged,
        )  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, ClipvizError) as error:
        raise DataError(
            f"The audit in {str(path)!r} is not whole ({type(error).__name__}: {error}): save it again."
        ) from error


def _plain(audit: Audit, path: Path, sums: Mapping[str, str]) -> dict[str, Any]:
    from .exports.plain import plain

    judged = audit.judged
    found: dict[str, Any] = {"format": FORMAT, "files": dict(sums), "spec": audit.spec.to_dict()}
    found["verdicts"] = [dataclasses.asdict(one) for one in audit.verdicts]
    found |= {name: _columns(getattr(audit, name)) for name in _FRAMES}
    found |= {"calibration": audit.calibration, "notes": audit.notes, "failed": audit.failed}
    found["provenance"] = audit.provenance
    if judged is not None:
        found["ids"] = len(judged.ids)
        found["groupings"] = [
            {"by": one.by, "names": one.names, "unknown": one.unknown, "empty": one.empty, "left_out": one.left_out}
            for one in judged.groupings
        ]
        found["wordings"] = [
            {**{key: value for key, value in vars(one.wording).items() if key != "labels"},
             "labels": [_label(label) for label in one.wording.labels], "scale": one.scale, "ties": one.ties}
            for one in judged.scored
        ]  # fmt: skip
        found["store"] = _store(judged, path)
    return dict(plain(found))


def _label(label: Label) -> dict[str, Any]:
    told = {each.name: getattr(label, each.name) for each in dataclasses.fields(label)}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in told.items()}


def _store(judged: Judged, path: Path) -> str | None:
    """Where the vectors lie, relative to the audit, so that both can be moved together."""
    folders = [judged.store] if judged.embeddings is None else list(dict.fromkeys(judged.embeddings.stored.folders))
    if len(folders) != 1 or folders[0] is None:
        return None
    try:
        return os.path.relpath(os.path.abspath(folders[0]), os.path.abspath(path))
    except ValueError:  # another drive
        return str(folders[0])


def _judged(told: Mapping[str, Any], folder: Path) -> Judged:
    import pandas as pd

    items, count = pd.read_parquet(folder / ITEMS), int(told["ids"])
    first = items.iloc[:count]
    groupings = tuple(
        Grouping(one["by"], tuple(one["names"]), _codes(first[one["by"]], one["names"]), tuple(one["unknown"]),
                 one["empty"], one["left_out"])
        for one in told["groupings"]
    )  # fmt: skip
    scored = []
    for at, one in enumerate(told["wordings"]):
        labels = tuple(Label(**label) for label in one["labels"])
        wording = Wording(one["name"], one["kind"], labels, tuple(one["templates"]), one["logit_scale"], one["control"])
        rows = items.iloc[at * count : (at + 1) * count]
        cosines = rows[[f"{SCORE}{name}" for name in wording.names]].to_numpy(np.float32)
        decision = _codes(rows["decision"], wording.names).astype(np.int16)
        if len(rows) != count or (decision < 0).any():
            raise ValueError(f"its items do not fit the wording {wording.name!r}")
        scored.append(Scored(wording, cosines, decision, float(one["scale"]), int(one["ties"])))
    store = None if told["store"] is None else Path(os.path.normpath(folder / told["store"]))
    right: dict[str, Any] = {}
    if "right" in items:
        for at, one in enumerate(scored):
            own = items["right"].iloc[at * count : (at + 1) * count].astype(object).to_numpy()
            right.setdefault(set_of(one), own)
    person = first["person"].to_numpy(np.int64) if "person" in first else None
    return Judged(tuple(first["id"].tolist()), groupings, tuple(scored), store=store, person=person, right=right)


def _codes(column: pd.Series, names: Any) -> Any:
    import pandas as pd

    return pd.Index(list(names)).get_indexer(pd.Index(column.astype(object))).astype(np.int64)


def _columns(frame: pd.DataFrame | None) -> Any:
    if frame is None:
        return None
    return {
        "columns": {str(name): frame[name].tolist() for name in frame.columns},
        "types": {str(name): str(frame[name].dtype) for name in frame.columns},
    }


def _frame(told: Any) -> pd.DataFrame | None:
    import pandas as pd

    if told is None:
        return None
    columns = {}
    for name, values in told["columns"].items():
        kind = told["types"][name]
        known = [np.nan if value is None else value for value in values] if kind == "float64" else values
        columns[name] = pd.Series(known, dtype=kind)
    return pd.DataFrame(columns)


def _numbers(told: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict's undefined numbers are NaN again."""
    return {name: float("nan") if value is None else value for name, value in told.items()}


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
