from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from clipviz.clip import Config, TextConfig, ViTConfig
from clipviz.embedding import layout
from clipviz.embedding.manifest import Manifest, model_facts
from clipviz.model import Model
from clipviz.weights import Weights, build

WIDTH = 24


def small_model(seed: int) -> Model:
    torch.manual_seed(seed)
    config = Config(WIDTH, ViTConfig(32, 8, 48, 2, 16), TextConfig(context_length=16, width=32, heads=2, layers=2))
    return Model(f"small-{seed}", Weights(build(config, None, "a small model")))


@pytest.fixture(scope="session")
def model() -> Model:
    """Random weights, small enough to run in milliseconds; what it answers is arbitrary and always the same."""
    return small_model(0)


@pytest.fixture(scope="session")
def other_model() -> Model:
    return small_model(1)


def unit(count: int, seed: int = 0, width: int = WIDTH) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def make_store(tmp_path: Path, model: Model) -> Callable[..., Path]:
    """Writes a store by hand, as the layout has it: ``make_store("a", vectors, {"race": [...]}, ids=..., size=10)``.

    The rows named in ``gone`` failed, and lie in no part.
    """

    def make(
        name: str = "store",
        vectors: np.ndarray | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        *,
        ids: Sequence[str] | None = None,
        size: int = 10,
        dtype: str = "float16",
        of: Model = model,
        gone: Sequence[int] = (),
        complete: bool = True,
        **more: Any,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        vectors = unit(37) if vectors is None else vectors
        ids = [f"{i:04d}.jpg" for i in range(len(vectors))] if ids is None else ids
        table = pa.table({"id": pa.array(ids, pa.string()), **(columns or {})})
        for part in layout.plan(len(vectors), size):
            kept = [i for i in range(part.start, part.stop) if i not in gone]
            np.save(layout.vectors_file(folder, part.number), vectors[kept].astype(dtype))
            pq.write_table(table.take(pa.array(kept, pa.int64())), layout.rows_file(folder, part.number))
            record = {"id": ids[part.start : part.stop]}
            record["reason"] = ["cut off" if i in gone else None for i in range(part.start, part.stop)]
            pq.write_table(pa.table(record), layout.record_file(folder, part.number))
        with (folder / layout.FAILED).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("id", "reason"), *((ids[i], "cut off") for i in gone)])
        facts = {
            "kind": "images",
            "model": model_facts(of),
            "settings": {"part_size": size, "batch_size": 32, "dtype": dtype, "view": "crop", "draft": None},
            "data": {"where": "'pictures'", "fingerprint": "0" * 64, "half": "all", "id_column": "file",
                     "opening": None},
            "columns": {field.name: str(field.type) for field in table.schema if field.name != "id"},
            "counts": {"pictures": len(vectors), "done": len(vectors) - len(gone), "failed": len(gone)},
            "complete": complete,
        }  # fmt: skip
        Manifest(**{**facts, **more}).write(folder)
        return folder

    return make
