"""From a question in words or vectors to a table of the rows that answer it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ClipvizWarning, InputError, ModelError
from ..text import PromptSet
from .queries import Floats, Places, check_k, first_k, highest
from .reopening import given_model
from .stored import Stored

if TYPE_CHECKING:
    import pandas as pd

    from .embeddings import Embeddings

ENGINES = ("blocks", "faiss")
_UNIT = 2e-3  # a vector of float16 is as far as this from unit length, at most


def vectors_of(stored: Stored, texts: Any, templates: Any, model: Any) -> tuple[list[str], Floats]:
    """Labels and unit vectors [T, E], float32, of texts in the model of a store, or of vectors as they are."""
    if isinstance(texts, np.ndarray):
        return [f"vector {i}" for i in range(len(texts))], _unit(stored, texts)
    prompts = texts if isinstance(texts, PromptSet) else PromptSet.of(texts, templates)
    reader = stored.model if model is None else given_model(stored.manifest, model, stored.where)
    for prompt in prompts:
        if words := dict.fromkeys(word for text in prompt.texts() for word in reader.unseen(text)):
            warnings.warn(
                f"{reader.name} never saw {', '.join(map(repr, words))} in training: to it {prompt.text!r} has no such "
                "meaning.", ClipvizWarning, stacklevel=3,
            )  # fmt: skip
    return list(prompts.labels), reader.encode_prompts(prompts)


def highest_of(
    embeddings: Embeddings, wanted: Floats, k: int, labels: Mapping[str, Sequence[str]], *,
    without: int | None = None, engine: str = "blocks",
) -> pd.DataFrame:  # fmt: skip
    """The ``k`` rows nearest to each of ``wanted``, in long form; ``labels`` are columns with a value for each."""
    import pandas as pd

    if engine not in ENGINES:
        raise InputError(f"engine={engine!r} is not known; it is 'blocks' or 'faiss'.")
    more = check_k(k) + (without is not None)
    if engine == "faiss":
        found = embeddings.index.highest(wanted, more)
    else:
        found = highest(embeddings.stored.blocks(embeddings.rows), wanted, more)
    if without is not None:
        found = [_but(without, places, scores, k) for places, scores in found]
    counts = [len(places) for places, _ in found]
    places = np.concatenate([places for places, _ in found])
    about = _rows(embeddings, places).rename(columns=lambda name: _free(name, labels))
    own = {
        **{name: np.repeat(np.array(values, dtype=object), counts) for name, values in labels.items()},
        "rank": np.concatenate([np.arange(1, count + 1) for count in counts]),
        "id": about.pop("id"),
        "score": np.concatenate([scores for _, scores in found]),
        "place": places,
    }
    return pd.concat([pd.DataFrame(own), about], axis="columns")


def _but(place: int, places: Places, scores: Floats, k: int) -> tuple[Places, Floats]:
    """Without the row that was asked about, which pictures of the same vector may have pushed from the list."""
    kept = places != place
    return first_k(places[kept], scores[kept], k)


def _rows(embeddings: Embeddings, places: Places) -> pd.DataFrame:
    """Ids and metadata at ``places``, in their order; each part that holds some is read once, and no other."""
    import pyarrow as pa

    several, back = np.unique(places, return_inverse=True)
    return embeddings.select(several).table().take(pa.array(back)).to_pandas()


def _free(name: str, labels: Mapping[str, Any]) -> str:
    """The name of a metadata column beside those of an answer."""
    return f"{name} (metadata)" if name in ("rank", "score", "place", *labels) else name


def _unit(stored: Stored, vectors: np.ndarray) -> Floats:
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise InputError(
            f"Vectors are floats of the shape [T, {stored.width}], got {vectors.dtype} {list(vectors.shape)}; pass "
            "model.encode_texts(...) or texts."
        )
    if vectors.shape[1] != stored.width:
        raise ModelError(
            f"The vectors of {stored.where} have {stored.width} numbers, those given {vectors.shape[1]}: they are of "
            "another model; pass the texts themselves."
        )
    vectors = np.ascontiguousarray(vectors, np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    if not (np.abs(lengths - 1) < _UNIT).all():  # also where one is not finite
        raise InputError(
            f"A cosine is one of unit vectors, got one of length {lengths[np.argmax(np.abs(lengths - 1))]:.4g}; divide "
            "vectors by np.linalg.norm(vectors, axis=1, keepdims=True)."
        )
    return vectors
