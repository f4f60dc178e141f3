"""`Check`: what was found before a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..files import suffix_of, write

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Canvas

SUFFIXES = (".html", ".png", ".json")
COLUMNS, PAGE = 6, 200  # pictures side by side; damaged pictures that a page lists


@dataclass(frozen=True, eq=False)
class Check:
    """What `check` found.

    ``sources`` has a row a source, ``captions`` and ``run`` are numbers by name, ``memory`` bytes by what they are
    for (empty where no step was tried). ``frequent`` are (caption, share) of what is said most, ``damaged`` (source,
    id, reason). ``pictures`` uint8 [n, S, S, 3] are as the network is shown them, each with what is ``shown`` beside
    it. ``notes`` say what to look at again.
    """

    name: str
    sources: tuple[Mapping[str, Any], ...]
    captions: Mapping[str, Any]
    frequent: tuple[tuple[str, float], ...]
    damaged: tuple[tuple[str, str, str], ...]
    run: Mapping[str, Any]
    memory: Mapping[str, int]
    pictures: NDArray[np.uint8] = field(repr=False)
    shown: tuple[str, ...]
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The run in one sentence."""
        about = f"{self.run['steps']:,} steps of {self.run['pairs a step']:,} pairs"
        if "seconds in all" not in self.run:
            return f"{about}; no step was tried"
        gib = sum(self.memory.values()) / 2**30
        return (
            f"{about}, {self.run['seconds a step']:.3g} seconds a step: about {duration(self.run['seconds in all'])} "
            f"on this machine, and about {gib:.2f} GiB beside the program itself"
        )

    def to_pandas(self) -> pd.DataFrame:
        """Long form: section, name, value."""
        import pandas as pd

        rows: list[tuple[str, str, Any]] = []
        for row in self.sources:
            rows += [(f"source {row['source']}", name, value) for name, value in row.items() if name != "source"]
        for section in ("captions", "run", "memory"):
            rows += [(section, name, value) for name, value in getattr(self, section).items()]
        rows += [("frequent", text, share) for text, share in self.frequent]
        rows.append(("damaged", "pictures", len(self.damaged)))
        return pd.DataFrame(rows, columns=["section", "name", "value"])

    def plot(self) -> Canvas:
        """The contact sheet: pictures after augmentation, each with what is said of it."""
        from .. import plots

        cells = [{"picture": p, "title": text} for p, text in zip(self.pictures, self.shown, strict=True)]
        rows = [[*cells[i : i + COLUMNS]] for i in range(0, len(cells), COLUMNS)]
        return plots.grid(rows, title=f"{self.name}: as the network is shown them", width=1.25)

    def save(self, path: str | Path) -> Path:
        """Write a page with everything (``.html``), the contact sheet (``.png``) or the numbers (``.json``).

        Raises InputError for another suffix.
        """
        suffix = suffix_of(path, SUFFIXES, "A check")
        if suffix == ".png":
            from .. import plots

            return write(path, plots.png(self.plot()))
        if suffix == ".html":
            return write(path, self._page())
        numbers = {
            "format": "clipviz check 1", "name": self.name, "sources": [dict(row) for row in self.sources],
            "captions": dict(self.captions), "frequent": [list(pair) for pair in self.frequent],
            "damaged": [list(each) for each in self.damaged], "run": dict(self.run), "memory": dict(self.memory),
            "shown": list(self.shown), "notes": list(self.notes), "provenance": dict(self.provenance),
        }  # fmt: skip
        return write(path, json.dumps(numbers, allow_nan=False, indent=1) + "\n")

    def _page(self) -> str:
        from .. import reporting
        from ..reporting import Notice, Picture, Provenance, Section, Table

        frequent = [{"what is said": text, "share": share} for text, share in self.frequent]
        damaged = [{"source": s, "id": i, "reason": r} for s, i, r in self.damaged[:PAGE]]
        sections = [
            Section(
                "Pictures",
                *(Notice(note) for note in self.notes),
                Picture(self.plot(), "Some of the first batch, after augmentation, with what is said of them.",
                        alt=f"{len(self.shown)} training pictures with their captions.", wide=True),
                Table([dict(row) for row in self.sources], "The sources of the recipe"),
            ),
            Section(
                "Captions",
                Table(said(self.captions), "Captions as training draws them"),
                Table(frequent, "What is said most often, by its first wording", formats={"share": ".2%"}),
            ),
        ]  # fmt: skip
        if damaged:
            more = f"The first {PAGE} of {len(self.damaged)}." if len(self.damaged) > PAGE else ""
            sections.append(Section("Damaged pictures", Table(damaged, "Left out, each with its reason", note=more)))
        estimates = [Table(said(self.run), "Time, on this machine and with one process")]
        if self.memory:
            bytes_for = [{"for": name, "MiB": count / 2**20} for name, count in self.memory.items()]
            estimates.append(Table(bytes_for, "Memory, beside that of the program itself", formats={"MiB": ".1f"}))
        sections.append(Section("What it will take", *estimates))
        sections.append(Section("Provenance", Provenance(dict(self.provenance))))
        return reporting.page(f"{self.name}: before the run", sections, lead=self.headline + ".")

    def __repr__(self) -> str:
        return f"Check({self.name!r}: {self.headline}; {len(self.damaged)} damaged pictures, {len(self.notes)} notes)"

    def _repr_png_(self) -> bytes:
        from .. import plots

        return plots.png(self.plot())


def said(numbers: Mapping[str, Any]) -> list[dict[str, str]]:
    """Numbers by name as rows of words: shares as per cent, seconds as a duration."""
    rows = []
    for name, value in numbers.items():
        if name.startswith("seconds"):
            text = duration(value)
        elif isinstance(value, float) and name.startswith(("cut", "say")):
            text = f"{value:.1%}"
        else:
            text = f"{value:,}" if isinstance(value, int) else f"{value:g}"
        rows.append({"what": name.removeprefix("seconds ").removeprefix("of "), "value": text})
    return rows


def duration(seconds: float) -> str:
    """Seconds in the units that a person would use.

    >>> duration(0.042), duration(200), duration(9000)
    ('42 ms', '3.3 minutes', '2.5 hours')
    """
    for size, unit in ((86400 * 2, 86400), (5400, 3600), (100, 60)):
        if seconds >= size:
            return f"{seconds / unit:.1f} { {86400: 'days', 3600: 'hours', 60: 'minutes'}[unit] }"
    return f"{seconds:.1f} seconds" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
