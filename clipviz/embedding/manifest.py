"""`Manifest`: what made a store of embeddings, in words that another run can compare itself with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import files
from ..errors import DataError, ModelError
from .layout import MANIFEST

if TYPE_CHECKING:
    from ..model import Model

NAME, VERSION = "clipviz embeddings", 1
# What makes two models one: the same picture gets the same vector. The name by which it was loaded is no part of it.
SAME = (
    "weights_sha256", "activation", "image_size", "embed_dim", "mean", "std", "interpolation", "fill", "precision",
)  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """What made a store, as it is written in ``manifest.json``.

    Parameters
    ----------
    kind : "images" or "texts".
    model : `Model.provenance`, ``fill``, and ``seen_token_ids``, those met in training (None where not known).
    settings : part_size, batch_size, dtype; of pictures view and draft (0, or the least short side in pixels to
        which a JPEG may be decoded), of texts ``templates``.
    data : ``where`` (words), ``fingerprint`` (`Source.fingerprint`, None until the store is complete), ``half``
        ("all", "dev", "report"), ``id_column`` (None where the ids are no column), and ``opening``: the arguments of
        `open_source`, its paths relative to the store, or None where the data were Python objects.
    columns : metadata column -> Arrow type, in the order of the rows.
    counts : pictures (of the source), done, failed, missing (in parts not written yet), lost (of failed.csv, what has
        no row in the source) and skipped (files that are no pictures by their names).
    complete : whether every part is there. Until then counts are as of the last time that a run stopped.
    versions, devices : of libraries; where the vectors were computed.
    times : started, updated (ISO 8601), seconds (of all runs). Two equal stores differ in nothing else.
    """

    kind: str
    model: dict[str, Any]
    settings: dict[str, Any]
    data: dict[str, Any]
    columns: dict[str, str]
    counts: dict[str, int] = field(default_factory=dict)
    complete: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    devices: list[str] = field(default_factory=list)
    times: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Manifest:
        """The manifest of a store. Raises DataError where there is none, or it is none of ours.

        >>> Manifest.read("stores/faces").model["model"]  # doctest: +SKIP
        'ViT-B-32'
        """
        path = Path(folder) / MANIFEST
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            what = "is a folder without one" if Path(folder).is_dir() else "is no folder"
            raise DataError(
                f"A store of embeddings has a {MANIFEST}, and {os.fspath(folder)!r} {what}; pass the folder that "
                "clipviz.embed wrote."
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{str(path)!r} cannot be read ({error}); restore it, or take another out.") from error
        if not isinstance(told, dict) or told.pop("format", None) != NAME:
            raise DataError(f"{str(path)!r} belongs to no store of embeddings; pass a folder that clipviz.embed wrote.")
        version = told.pop("version", None)
        if version != VERSION:
            raise DataError(
                f"The store {os.fspath(folder)!r} has format {version!r}, this clipviz reads {VERSION}; "
                "read it with the clipviz that wrote it, or embed again into another out."
            )
        try:
            return cls(**told)
        except TypeError as error:
            raise DataError(f"{str(path)!r} lacks keys or has others ({error}); embed into another out.") from error

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Replace the store's manifest, whole or not at all."""
        told = {"format": NAME, "version": VERSION, **asdict(self)}
        return files.write(Path(folder) / MANIFEST, json.dumps(told, indent=1, ensure_ascii=False) + "\n")

    def but(self, **changes: Any) -> Manifest:
        """A copy with other values."""
        return replace(self, **changes)

    def refuse_other_model(self, model: Mapping[str, Any], where: str = "the store") -> None:
        """ModelError, naming both, unless ``model`` (`model_facts`, or a manifest's) gives the same vectors."""
        for key in SAME:
            if self.model.get(key) != model.get(key):
                mine, other = told_model(self.model, key), told_model(model, key)
                raise ModelError(
                    f"{where} holds vectors of {mine}, and {other} was given: vectors of two models cannot be "
                    "compared; take the store's model, or another store."
                )


def model_facts(model: Model) -> dict[str, Any]:
    """What a manifest keeps of a model.

    >>> model_facts(clipviz.load())["model"]  # doctest: +SKIP
    'clipviz-tiny'
    """
    seen = model.seen_token_ids
    fill = model.fill if isinstance(model.fill, int) else list(model.fill)
    return {**model.provenance, "fill": fill, "seen_token_ids": None if seen is None else sorted(seen)}


def told_model(model: Mapping[str, Any], key: str | None = None) -> str:
    """A model in a few words, with what ``key`` is of it: ``ViT-B-32 'openai' (weights 3c9b6b1e7e65)``."""
    tag = f" {model['tag']!r}" if model.get("tag") else ""
    fact = ""
    if key not in (None, "weights_sha256"):
        fact = f", {key} {model.get(key)!r}"
    return f"{model.get('model')}{tag} (weights {str(model.get('weights_sha256'))[:12]}{fact})"
