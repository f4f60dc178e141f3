"""What runs in the workers of a Ray cluster: one kind reads and decodes pictures, the other holds the model."""

from __future__ import annotations

import copy
import pickle
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .decoding import Decoded, Decoder

if TYPE_CHECKING:
    import pyarrow as pa

    from ..model import Model
    from ..sources import Source


@dataclass(frozen=True)
class SentModel:
    """How a model is opened again elsewhere: never from a pickle.

    ``load`` are the arguments of `clipviz.load`, with ``name`` a folder on this machine where the workers share it;
    else ``files``, name -> bytes, are such a folder (weights as safetensors). ``same`` is what the model must be.
    """

    load: Mapping[str, Any]
    same: Mapping[str, Any]
    files: Mapping[str, bytes] | None = None

    def open(self) -> Model:
        """The model. Raises ModelError where what was opened is another."""
        from ..errors import ModelError
        from ..model import load
        from .manifest import model_facts

        if self.files is None:
            model = load(**self.load)
        else:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in self.files.items():
                    (Path(folder) / name).write_bytes(content)
                model = load(**{**self.load, "name": folder})
        facts = model_facts(model)
        for key, value in self.same.items():
            if facts[key] != value:
                raise ModelError(
                    f"A worker of the Ray cluster opened {model.name} and found another model ({key} {facts[key]!r}, "
                    f"not {value!r}); install the same clipviz on all machines, or leave engine= out."
                )
        return model


def read(place: Any, start: int, stop: int, batch_size: int) -> Iterator[pa.Table]:
    """Read and decode the places ``start`` to ``stop`` of the source; a row is a batch, whole wherever it goes.

    ``place`` is where the Decoder lies in the cluster: each process fetches it once.
    """
    decoder = _decoder(place)
    for at in range(start, stop, batch_size):
        yield _row(at, decoder(at, min(at + batch_size, stop)))


class _Numbers(Sequence[str]):
    """As many ids, which are nothing but numbers."""

    def __init__(self, count: int):
        self.total = count

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, row: Any) -> Any:
        return str(range(self.total)[row])


def lean(source: Source) -> Source:
    """``source`` for a worker, who reads by position: without the ids where no path is made of them.

    Of Parquet these took 230 bytes a picture in every process, and what is left grows with the row groups alone.
    """
    from ..sources.parquet import ParquetSource

    if not isinstance(source, ParquetSource):
        return source
    part, rows = copy.copy(source), source._chosen
    dense = rows[-1] - rows[0] + 1 == len(rows) if rows else False  # they ascend
    some = range(rows[0], rows[-1] + 1) if dense else array("q", rows)
    vars(part).update(_all_ids=_Numbers(len(source._all_ids)), _chosen=some, _places=None, _failed={})
    return part


class Encoder:
    """Holds the model; a row that `read` made -> the same with vectors instead of squares."""

    def __init__(self, place: Any, batch_size: int):
        import ray
        import torch

        self.model: Model = ray.get(place).open()
        self.batch_size = batch_size
        if self.model.device.type == "cpu":
            torch.set_num_threads(1)  # as many as Ray has been told that this takes

    def __call__(self, rows: pa.Table) -> pa.Table:
        import pyarrow as pa

        from ..model.pixels import encode_squares

        made = []
        for start, content in zip(rows["start"].to_pylist(), rows["content"], strict=True):
            decoded: Decoded = pickle.loads(content.as_buffer())  # what `read` pickled in this run
            vectors = encode_squares(self.model, decoded.squares, batch_size=self.batch_size)
            made.append(_row(start, (decoded.facts, decoded.notes, vectors)))
        return pa.concat_tables(made)


def _row(start: int, content: Any) -> pa.Table:
    import pyarrow as pa

    pickled = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    return pa.table({"start": pa.array([start], pa.int64()), "content": pa.array([pickled], pa.large_binary())})


_mine: list[tuple[Any, Decoder]] = []


def _decoder(place: Any) -> Decoder:
    if not _mine or _mine[0][0] != place:
        import ray
        from PIL import Image

        decoder, most_pixels = ray.get(place)
        Image.MAX_IMAGE_PIXELS = most_pixels
        _mine[:] = [(place, decoder)]
    return _mine[0][1]
