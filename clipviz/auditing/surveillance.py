"""Pictures made smaller, and people who agreed to be named: what a surveillance audit may do, and what it refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, InputError, SpecError
from ..images import open_image
from ..sources import Source
from .labels import Label

if TYPE_CHECKING:
    import pandas as pd

    from .spec import AuditSpec

_SHOWN = 5


class LowResolution(Source):
    """The pictures of ``source`` as a camera with fewer pixels would have given them.

    Each is made smaller, so that its longer side has ``side`` pixels, and then as large as it was (both by bicubic
    interpolation, the smaller one with antialiasing): the model sees what is left. A picture that is smaller already
    stays as it is. Ids, metadata and order are those of ``source``. Raises InputError.

    >>> LowResolution(source, 28)[0].image.size == source[0].image.size  # doctest: +SKIP
    True
    """

    def __init__(self, source: Source, side: int) -> None:
        if isinstance(side, bool) or not isinstance(side, int) or side < 1:
            raise InputError(f"side={side!r} is a length in pixels, 1 or more; pass for instance side=56.")
        self.source, self.side = source, side
        self.where_from = f"{source.where_from} at {side} px"
        self.id_column = source.id_column
        super().__init__(source.ids)
        self.part = source.part

    def _read(self, rows: Sequence[int]) -> Iterator[tuple[int, Any, dict[str, Any]]]:
        metadata = self._metadata(rows)
        for row, about in zip(rows, metadata, strict=True):
            yield row, self._picture(row), about

    def _picture(self, row: int) -> Any:
        try:
            return seen_at(self.source[row].image, self.side)
        except DataError as error:  # the source has listed it, and this view lists it too
            return InputError(str(error))

    def _encoded(self, row: int) -> Any:
        picture = self._picture(row)
        if isinstance(picture, InputError):
            return picture
        file = BytesIO()
        picture.save(file, "PNG", compress_level=1)
        return file.getvalue()

    def _contents(self, rows: Sequence[int]) -> Iterator[tuple[int, int, bytes]]:
        for row in rows:
            data = self._encoded(row)
            data = b"" if isinstance(data, InputError) else data
            yield row, len(data), hashlib.sha256(data).digest()

    def _metadata(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        return [self.source.metadata(row, row + 1)[0] for row in rows]

    def _file(self, row: int) -> Path | None:
        return self.source._file(self.source._row(row))


def seen_at(image: Any, side: int) -> Any:
    """A picture (anything that `open_image` takes) with no more detail than ``side`` pixels of its longer side hold."""
    from PIL import Image

    picture = open_image(image)
    width, height = picture.size
    longer = max(width, height)
    if longer <= side:
        return picture
    small = (max(1, round(width * side / longer)), max(1, round(height * side / longer)))
    return picture.resize(small, Image.Resampling.BICUBIC).resize((width, height), Image.Resampling.BICUBIC)


def admitted(spec: AuditSpec, frame: pd.DataFrame) -> AuditSpec:
    """A spec of kind "gallery" with its people as labels, for pictures of these people alone.

    Raises SpecError without their consent or names, and DataError where a picture shows anybody else, or nobody says
    whom: clipviz names no one in an open set of people, for whom the nearest name is always wrong.
    """
    gallery = spec.gallery
    example = 'gallery={"column": "person", "people": ["Ada", "Ben"], "consent": "asked in writing on 3 May"}'
    if not gallery.consent.strip():
        raise SpecError(
            "Naming people needs their consent, and the spec's gallery states none; say how and when each of them "
            f"agreed: spec.with_({example})."
        )
    people = gallery.people
    if len(set(people)) < len(people) or len(people) < 2 or any(not person.strip() for person in people):
        raise SpecError(
            f"The gallery names {len(people)} people; a closed set has at least two, each once and by name: {example}."
        )
    column = spec.groups.names.get(gallery.column, gallery.column)
    if column not in frame.columns:
        raise DataError(
            f"The data has no column {column!r} that says who is seen, so it may be anybody: clipviz runs on no open "
            "set of people. Add the column, or name it in gallery.column."
        )
    seen = frame[column]
    strangers = seen[~seen.isin(list(people))]
    if len(strangers):
        untold = int(strangers.isna().sum())
        names = ", ".join(repr(str(one)[:40]) for one in strangers.dropna().unique()[:_SHOWN])
        who = " and ".join(part for part in (names, f"{untold} without a name" if untold else "") if part)
        raise DataError(
            f"{len(strangers)} of {len(frame)} pictures show people outside of the consented gallery ({who}): clipviz "
            "runs on no open set of people. Leave those pictures out, or add the people with their consent."
        )
    labels = tuple(Label(person, "identity", truth={gallery.column: (person,)}) for person in people)
    return replace(spec, labels=labels)
