"""What an audit is asked of: the spec with its options, the vectors with their metadata, the model, the persons."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..embedding import Embeddings, embed
from ..embedding.layout import MANIFEST
from ..embedding.reopening import given_model
from ..errors import DataError, InputError, ModelError, nearest
from ..model import Model
from ..sources import open_source
from .cells import cells_of
from .fitting import fitted
from .spec import AuditSpec
from .tally import Counts

if TYPE_CHECKING:
    import pandas as pd


def asked_spec(spec: Any, **options: Any) -> AuditSpec:
    """The spec with what the call says otherwise; None leaves it. Raises SpecError.

    ``variants`` False leaves all other wordings out, but for the controls.
    """
    found = AuditSpec.load(spec)
    variants = options.pop("variants", True)
    if not isinstance(variants, bool):
        raise InputError(f"variants={variants!r} is not True or False: True runs every wording of the spec.")
    changes = {name: value for name, value in options.items() if value is not None}
    return found.with_(**changes) if changes else found


def opened(data: Any, model: Any, progress: bool, spec: AuditSpec) -> tuple[Embeddings, Model]:
    """The vectors of ``data`` and the model that made them.

    ``data`` : Embeddings, the folder of a store, or what `open_source` takes, which is embedded into the user's cache.
    The columns that ``spec`` groups by are looked for before any picture is embedded, which may take hours.
    Raises ModelError where no model is named for pictures, or another than a store's; DataError for no rows.
    """
    if isinstance(data, str | os.PathLike) and (Path(data).expanduser() / MANIFEST).is_file():
        data = Embeddings.load(Path(data).expanduser())
    if isinstance(data, Embeddings):
        known = data.model if model is None else given_model(data.manifest, model, data.stored.where)
        return _with_rows(data), known
    if model is None:
        raise ModelError(
            "audit judges a model, and none is named: pass model=clipviz.load(...), or a store of embeddings, which "
            "names its own."
        )
    if isinstance(model, str | os.PathLike):
        from ..model import load

        model = load(Path(model) if os.path.exists(model) else str(model))
    if not isinstance(model, Model):
        raise InputError(f"model is a clipviz.Model; got {type(model).__name__}: use clipviz.load(...).")
    source = open_source(data)
    if len(source):
        frame = source.table()
        for column in fitted(spec, frame)[0].groups.columns:
            cells_of(frame, spec, column)
    return _with_rows(embed(source, model=model, progress=progress)), model


def _with_rows(found: Embeddings) -> Embeddings:
    if not len(found):
        lost = f" ({len(found.failed)} could not be read)" if found.failed else ""
        raise DataError(f"There is no picture to audit{lost}; pass more of the data.")
    if found.manifest.kind != "images":
        raise DataError(f"An audit is of pictures, and this store holds {found.manifest.kind}; pass one of pictures.")
    return found


def persons(spec: AuditSpec, frame: pd.DataFrame) -> Counts | None:
    """The place of each picture's person, [N]; one whose person is not told is its own. None where no column says.

    Raises DataError for a column that is not there.
    """
    import pandas as pd

    column = spec.groups.person
    if not column:
        return None
    name = spec.groups.names.get(column, column)
    if name not in frame.columns:
        known = nearest(name, map(str, frame.columns))
        raise DataError(f"The data has no column {name!r} that says who is seen. {known} Pass person=....")
    codes, values = pd.factorize(frame[name])
    unknown = codes < 0
    found = codes.astype(np.int64)
    found[unknown] = len(values) + np.arange(int(unknown.sum()))
    return found


def counted(name: str, value: Any, least: int = 0) -> int:
    """``value`` where it is a whole number from ``least``. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name}={value!r} is no whole number from {least}; leave it out for the usual one.")
    return int(value)


def plain_options(columns: Any) -> Any:
    """``columns`` as names or a mapping; one name may stand alone."""
    return (columns,) if isinstance(columns, str) else dict(columns) if isinstance(columns, Mapping) else columns
