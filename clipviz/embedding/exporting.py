"""A store as one Parquet file, for anyone's tools."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .. import files
from ..errors import DataError

if TYPE_CHECKING:
    from .embeddings import Embeddings

_ROWS = 8192  # of a row group


def write_parquet(embeddings: Embeddings, path: str | os.PathLike[str]) -> Path:
    """``id``, the metadata, and ``vector``: float32, because few tools read float16, in a list of fixed size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if "vector" in embeddings.columns:
        raise DataError("The metadata has a column 'vector' of its own; embed without it (columns=).")
    width = embeddings.stored.width
    columns = [("id", pa.string()), *embeddings.types.items(), ("vector", pa.list_(pa.float32(), width))]
    about = {b"clipviz": json.dumps(embeddings.provenance).encode()}
    schema = pa.schema(columns, metadata=about)

    def write(draft: str) -> None:
        with pq.ParquetWriter(draft, schema) as file:
            for batch, vectors in embeddings.tables(_ROWS):
                column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width)
                file.write_table(batch.append_column("vector", column).cast(schema))

    return files.replace(path, write)
