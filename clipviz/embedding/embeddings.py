"""`Embeddings`: unit vectors with ids and metadata, as they lie in a store, or a selection of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, InputError
from ..sources import half_of
from ..sources.base import Half
from ..text import PLAIN, Prompt, PromptSet
from .asking import highest_of, vectors_of
from .metadata import plain
from .pooling import joined_of, refuse_mixture
from .queries import Floats, cosines
from .rows import Rows
from .selecting import places_of
from .stored import Stored

if TYPE_CHECKING:
    import pandas as pd

    from ..model import Model
    from ..plots import Canvas
    from ..sources import Source
    from .indexing import Index

Texts = str | Prompt | PromptSet | Sequence[str | Prompt] | np.ndarray


@dataclass(frozen=True, eq=False)
class Embeddings(Rows):
    """Unit vectors of pictures (or texts) with ids and metadata: a view over one or several stores on disk.

    `embed` makes one, ``Embeddings.load(folder)`` opens one. Vectors and rows are read when they are asked for, block
    by block, so that a store may be larger than the memory. ``select``, ``half`` and ``join`` give another view, in the
    store's order; nothing on disk is changed. Of a store whose run was stopped, what is there so far can be read.

    >>> faces = Embeddings.load("stores/faces").half("report")  # doctest: +SKIP
    >>> faces.select("race == 'Black' and gender == 'Female'").top("a smiling face", 5)  # doctest: +SKIP
    """

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Embeddings:
        """Open the store in a folder. Raises DataError, with what to do, where it is none or a file is gone or damaged.

        A store that was made of a half is that half.
        """
        stored = Stored.at(path)
        return cls(stored, part=str(stored.manifest.data.get("half", "all")))

    @classmethod
    def concat(cls, several: Iterable[Embeddings]) -> Embeddings:
        """Several as one, in their order. A column that one of them lacks is empty there.

        Raises ModelError for stores of two models, naming both; DataError where they were made in two ways (view,
        draft, templates), share an id, or have a column of two types.
        """
        several = list(several)
        if wrong := [one for one in several if not isinstance(one, Embeddings)]:
            raise InputError(f"concat takes a list of Embeddings, got a {type(wrong[0]).__name__} in it.")
        refuse_mixture(several)
        starts = np.cumsum([0, *(len(one.stored) for one in several)])
        rows = np.concatenate([one._places + start for one, start in zip(several, starts, strict=False)])
        parts = {one.part for one in several}
        whole = Stored.of([one.stored for one in several])
        return cls(whole, rows, joined_of(several), parts.pop() if len(parts) == 1 else "all")

    # ---- parts of it

    def select(self, which: str | Sequence[int] | Sequence[bool] | np.ndarray) -> Embeddings:
        """The rows that a query on the metadata, a mask [n] of booleans or places name, in the order of the store.

        A query is one of ``DataFrame.query`` without ``@``, attributes and calls, on the metadata and ``id``. Raises
        DataError where it cannot be read, names a column that is not there, or fits no row.

            >>> faces.select("race in ['Black', 'White'] and not gender == 'Male'")  # doctest: +SKIP
        """
        return self._rows_at(places_of(self, which))

    def half(self, name: Half) -> Embeddings:
        """The half for choices ("dev") or for figures ("report"), fixed by each id, as `Source.half` has it."""
        if name not in ("dev", "report"):
            raise DataError(f"half({name!r}) is not 'dev' or 'report'; take 'dev' for choices, 'report' for figures.")
        if self.part != "all":
            raise DataError(f"These are the half {self.part!r} already; take halves of the whole store.")
        return replace(self._rows_at(np.flatnonzero([half_of(key) == name for key in self.ids])), part=name)

    def join(self, other_table: Any, *, on: str = "id") -> Embeddings:
        """The same rows with the other columns of ``other_table``: a DataFrame, a dict of columns, CSV, Parquet.

        ``on`` names its column of keys. They are looked up in the metadata of that name or, where there is none, in the
        ids. Rows without a partner stay, with empty columns, and a ClipvizWarning counts both sides'. Raises DataError
        for a key that it has twice, a column that is there already, or no key in common.

            >>> faces.join("labels.csv", on="file")  # doctest: +SKIP
        """
        from .joining import beside

        key = on if on in self.columns else "id"
        new = beside(self.table([key])[key], other_table, on, ["id", *self.columns])
        for name, column in [] if self.joined is None else zip(self.joined.column_names, self.joined, strict=True):
            new = new.append_column(name, column)
        return replace(self, joined=new)

    # ---- questions

    def similarity(
        self, texts: Texts, *, templates: str | Sequence[str] = PLAIN, model: Model | str | Path | None = None
    ) -> Floats:
        """Cosines [n, T], float32, of every row with each text; vectors are read block by block.

        ``texts`` : text(s), Prompts, or unit vectors [T, E]. ``templates`` : what the texts are put into, averaged.
        ``model`` : the store's, by default loaded by its name; it takes a Model, or a path or name for `load`. Raises
        ModelError, naming both, where its weights or its preprocessing are not those of the store.
        """
        wanted = vectors_of(self.stored, texts, templates, model)[1]
        return cosines(self.stored.blocks(self.rows), wanted, len(self))

    def top(
        self, text: Texts, k: int = 20, *, templates: str | Sequence[str] = PLAIN,
        model: Model | str | Path | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """The ``k`` rows nearest to a text, or to each of several; as for `similarity`.

        A row each: ``text``, ``rank`` from 1, ``id``, ``score`` (cosine), ``place`` (for `select`), and the metadata.
        Equal scores come in the order of the store.
        """
        labels, wanted = vectors_of(self.stored, text, templates, model)
        return highest_of(self, wanted, k, {"text": labels})

    def nearest(self, i: int | str | np.ndarray, k: int = 10, *, engine: str = "blocks") -> pd.DataFrame:
        """The ``k`` rows nearest to row ``i`` (a place or an id; itself left out) or to a unit vector [E].

        A row each: ``rank`` from 1, ``id``, ``score`` (cosine), ``place``, and the metadata. ``engine`` "faiss" keeps
        an index in memory (2 or 4 bytes a number) for many questions of one view; the answers are the same.
        """
        if isinstance(i, np.ndarray) and i.ndim == 1:
            return highest_of(self, vectors_of(self.stored, i[None], PLAIN, None)[1], k, {}, engine=engine)
        place = self.place(i)  # type: ignore[arg-type]
        vector = self.select([place]).to_numpy()
        return highest_of(self, vector, k, {}, without=place, engine=engine)

    @cached_property
    def index(self) -> Index:
        """FAISS over these rows, made when first asked for."""
        from .indexing import Index

        return Index(self)

    # ---- where they came from, and how they are shown

    @property
    def model(self) -> Model:
        """The model that made the vectors, loaded by its name; ModelError where the manifest cannot say how."""
        return self.stored.model

    def source(self, data: Any = None) -> Source:
        """The pictures of these rows, opened again as the manifest says, or from ``data`` where they have moved.

        Every picture is read once, to see that they are the same. Raises DataError where they are not.
        """
        from .reopening import reopen

        if len(set(self.stored.folders)) > 1:
            raise DataError(f"These are of {self.stored.where}; ask each for its source on its own.")
        source = reopen(self.stored.folders[0], self.manifest, data)
        chosen = set(self.ids)
        return source.select([place for place, key in enumerate(source.ids) if plain(key) in chosen])

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write ids, metadata and ``vector`` (float32, a list of fixed size a row) as one Parquet file.

        Written batch by batch and then renamed. The model and the data are told under the key "clipviz" of the schema.
        """
        from .exporting import write_parquet

        return write_parquet(self, path)

    def plot(self, color: str | None = None, *, method: str = "pca", shown: int = 20_000, seed: int = 0) -> Canvas:
        """The rows on two axes, by principal components ("pca") or "umap", coloured by a metadata column.

        The caption tells how much the two axes show, and what not. Of more than ``shown`` rows that many are drawn, by
        chance.
        """
        from .mapping import drawn

        return drawn(self, color, method=method, shown=shown, seed=seed)

    def __repr__(self) -> str:
        from .pages import embeddings_line

        return embeddings_line(self)

    def _repr_html_(self) -> str:
        from .pages import embeddings_view

        return embeddings_view(self)
