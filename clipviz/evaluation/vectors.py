"""Vectors of classes and of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import DataError, InputError, PromptError
from ..model import Model
from ..sources import Item, Source
from ..text import Prompt, PromptSet
from .labels import Labels

TEMPLATE = "a photo of a {}."
_SAME = 1e-6  # class vectors nearer than this are one text to the model


def class_vectors(
    model: Model, names: Sequence[Sequence[str]], templates: str | Iterable[str] = TEMPLATE, *, strict: bool = False
) -> np.ndarray:
    """Unit vectors [C, E], float32, one a class: the renormalised mean over all its names in all ``templates``.

    >>> class_vectors(clipviz.load(), [["a red circle", "a red disc"], ["a star"]], "{}").shape  # doctest: +SKIP
    (2, 128)
    """
    shared = PromptSet.of("x", templates)[0].templates
    filled = [[text for name in of_class for text in Prompt(name, shared).texts()] for of_class in names]
    vectors = model.encode_texts([text for texts in filled for text in texts], strict=strict)
    means = np.stack([part.mean(axis=0) for part in np.split(vectors, np.cumsum([len(t) for t in filled])[:-1])])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    if not (lengths > _SAME).all():
        lost = int(np.argmin(lengths))
        raise PromptError(f"The names of {names[lost][0]!r} cancel each other out in {model.name}; give fewer of them.")
    return (means / lengths).astype(np.float32)


def check_apart(vectors: np.ndarray, labels: Labels) -> None:
    """PromptError where two labels are one text to the model, as after a cut to its context length."""
    for i in range(len(vectors) - 1):
        near = np.flatnonzero(vectors[i + 1 :] @ vectors[i] > 1 - 1e-5)  # few are looked at closely
        for j in i + 1 + near:
            if np.abs(vectors[j] - vectors[i]).max() < _SAME:
                raise PromptError(
                    f"{labels.names[i][0]!r} and {labels.names[j][0]!r} have the same vector in this model, and which "
                    "of them wins would be chance; shorten or reword one."
                )


def encoded_pictures(
    model: Model, source: Source, batch_size: int, progress: bool
) -> tuple[list[str], np.ndarray, list[tuple[str, str]]]:
    """Ids and unit vectors [N, E] of the pictures that could be seen, and (id, reason) of the others."""
    from tqdm.auto import tqdm

    ids: list[str] = []
    vectors: list[np.ndarray] = []
    failed: dict[str, str] = {}
    waiting: list[Item] = []

    def see() -> None:
        try:
            vectors.append(model.encode_images([item.image for item in waiting], batch_size=batch_size))
            ids.extend(item.id for item in waiting)
        except InputError:  # a ribbon that cannot be resized to the model's square: the others are seen all the same
            for item in waiting:
                try:
                    vectors.append(model.encode_images([item.image], batch_size=batch_size))
                    ids.append(item.id)
                except InputError as error:
                    failed[item.id] = str(error)
        waiting.clear()

    for item in tqdm(source, total=len(source), unit="images", disable=not progress):
        waiting.append(item)
        if len(waiting) == batch_size:
            see()
    if waiting:
        see()
    chosen = set(source.ids)
    failed = {**{name: reason for name, reason in source.failed if name in chosen}, **failed}
    if not ids:
        name, reason = next(iter(failed.items()))
        raise DataError(f"None of the {len(failed)} pictures of {source.where_from} can be read; {name!r}: {reason}")
    return ids, np.concatenate(vectors), list(failed.items())
