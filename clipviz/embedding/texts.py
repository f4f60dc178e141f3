"""Text stores: captions and names for retrieval, kept as pictures are, each store of one set of templates."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..errors import DataError, InputError, ModelError, PromptError
from ..model import Model
from ..sources.base import fingerprint_of
from ..text import PLAIN, Prompt, PromptSet
from .cache import keeping
from .decoding import Decoded, Fact
from .embeddings import Embeddings
from .filling import Order, Outcome, fill, new_manifest, settled
from .layout import DTYPES, PART_SIZE, Part
from .manifest import model_facts
from .metadata import schema_of
from .place import place_of
from .verb import count_asked, dtype_asked

BATCH = 256


def embed_texts(
    texts: Sequence[str] | Mapping[str, str],
    *,
    model: Model,
    out: str | os.PathLike[str] | None = None,
    templates: str | Iterable[str] | None = None,
    metadata: Mapping[str, Sequence[Any]] | None = None,
    dtype: str | None = None,
    batch_size: int | None = None,
    part_size: int | None = None,
    progress: bool = True,
) -> Embeddings:
    """Unit vectors of texts, in a store like `embed`'s: resumable, and read by the same `Embeddings`.

    Parameters
    ----------
    texts : texts, whose ids are their numbers, or id -> text. Each row keeps its ``text`` as metadata.
    out : the store's folder; by default one in the user's cache, another for every set of templates.
    templates : sentences with ``{}``; a text's vector is the renormalised mean over them. By default the text alone.
    metadata : column -> a value for each text, such as the id of the picture that a caption belongs to.

    Raises ModelError for another model's store, InputError for a store of other templates. A text that is blank or no
    string is in ``.failed``; one that is too long is cut, with a ClipvizWarning.

    >>> clipviz.embedding.embed_texts(["a dog", "a cat"], model=clipviz.load(), out="stores/names")  # doctest: +SKIP
    """
    if not isinstance(model, Model):
        raise ModelError(
            f"embed_texts needs a clipviz.Model, got {type(model).__name__}; pass model=clipviz.load(...)."
        )
    kept = None if templates is None else list(PromptSet.of("x", templates)[0].templates)
    asked = {
        "part_size": count_asked("part_size", part_size),
        "batch_size": count_asked("batch_size", batch_size),
        "dtype": dtype_asked(dtype),
        "templates": kept,
    }
    usual = {"part_size": PART_SIZE, "batch_size": BATCH, "dtype": DTYPES[0], "templates": list(PLAIN)}
    facts = model_facts(model)
    source = Texts.of(texts, metadata or {})
    folder = place_of(out, facts, source, {**usual, **{k: v for k, v in asked.items() if v is not None}})
    settings = settled(folder, "texts", facts, asked, usual)
    schema = schema_of(source)
    data = {"where": source.where_from, "fingerprint": None, "half": "all", "id_column": None, "opening": None}
    order = Order(new_manifest("texts", facts, settings, data, schema, str(model.device)), TextReader(source), schema)
    engine = partial(_read, model, source, tuple(settings["templates"]), settings["batch_size"])
    with keeping(folder):
        fill(folder, order, engine, unit="text", progress=progress)
        return Embeddings.load(folder)


@dataclass(frozen=True)
class Texts:
    """Texts with ids and metadata, in their order."""

    ids: tuple[str, ...]
    texts: tuple[Any, ...]
    columns: Mapping[str, Sequence[Any]]

    @classmethod
    def of(cls, texts: Sequence[str] | Mapping[str, str], metadata: Mapping[str, Sequence[Any]]) -> Texts:
        if isinstance(texts, str | bytes) or not isinstance(texts, Mapping | Iterable):
            raise InputError(f"Texts are a list of strings, got {type(texts).__name__}; pass for instance ['a dog'].")
        named = texts if isinstance(texts, Mapping) else dict(enumerate(texts))
        ids = tuple(str(id) for id in named)
        twice = [id for id, n in Counter(ids).items() if n > 1]
        if twice:
            raise DataError(
                f"The id {twice[0]!r} occurs twice as a string, and each must be unique; rename one of them."
            )
        if not ids:
            raise DataError("No texts were given; pass at least one.")
        for name, values in metadata.items():
            if name in ("id", "text"):
                raise DataError(f"The metadata {name!r} is the store's own column; name it otherwise.")
            if len(values) != len(ids):
                raise DataError(
                    f"The metadata {name!r} has {len(values)} values for {len(ids)} texts; pass one for each."
                )
        return cls(ids, tuple(named.values()), {name: list(values) for name, values in metadata.items()})

    @property
    def where_from(self) -> str:
        return f"{len(self)} texts"

    def __len__(self) -> int:
        return len(self.ids)

    def stamp(self, key: int, /) -> None:
        return None

    def bytes(self, key: int, /) -> bytes:
        text = self.texts[key]
        return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else repr(text).encode()

    def metadata(self, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
        return [
            {"text": _string(self.texts[i]), **{name: values[i] for name, values in self.columns.items()}}
            for i in range(len(self))[start:stop]
        ]

    @property
    def fingerprint(self) -> str:
        """As `Source.fingerprint`: SHA-256 over ids, sizes and contents."""
        contents = ((id, self.bytes(i)) for i, id in enumerate(self.ids))
        return fingerprint_of((id, len(data), hashlib.sha256(data).digest()) for id, data in contents)


@dataclass(frozen=True)
class TextReader:
    """Says of each text what it is, and of what cannot be read, why."""

    source: Texts

    def __call__(self, start: int, stop: int) -> Decoded:
        out = Decoded()
        for place in range(start, stop):
            data, reason = self.source.bytes(place), None
            try:
                Prompt(self.source.texts[place])
            except PromptError as error:
                reason = str(error)
            out.facts.append(Fact(None, len(data), hashlib.sha256(data).digest(), reason))
        return out


def _string(text: Any) -> str:
    return text if isinstance(text, str) else repr(text)


def _read(
    model: Model,
    source: Texts,
    templates: tuple[str, ...],
    batch_size: int,
    parts: Sequence[Part],
    seen: Callable[[int, int], Any],
) -> Iterator[Outcome]:
    """The engine: a batch is ``batch_size`` places of a part, less those that fail."""
    read = TextReader(source)
    for part in parts:
        outcome = Outcome(part)
        for start in range(part.start, part.stop, batch_size):
            facts = read(start, min(start + batch_size, part.stop)).facts
            good = [source.texts[start + i] for i, fact in enumerate(facts) if fact.reason is None]
            outcome.facts += facts
            if good:
                vectors = model.encode_prompts(PromptSet.of(good, templates))
                outcome.vectors.append(np.asarray(vectors, np.float32))
            seen(len(facts), len(facts) - len(good))
        yield outcome
