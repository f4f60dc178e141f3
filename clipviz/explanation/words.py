"""`TokenAttribution`: one picture, one text, and what each of its words adds to the score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import reporting
from ..errors import DataError
from ..files import suffix_of, write
from ..reporting.html import isolate

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Canvas

SUFFIXES = (".json", ".csv", ".png", ".html")
_FORMAT = "clipviz token attribution 1"
_WARM, _COOL = "214, 96, 77", "67, 147, 195"  # for and against, as in heatmaps


@dataclass(frozen=True, eq=False)
class TokenAttribution:
    """What each word of a text adds to its score for a picture: ``values`` [words], signed, in units of the cosine.

    ``score`` is the cosine of picture and text, ``baseline_score`` that of what stands in place of no words at all
    (``baseline`` says what), ``method`` is "leave_one_out" or "integrated_gradients".
    """

    text: str
    words: tuple[str, ...]
    values: np.ndarray
    score: float
    baseline: str
    baseline_score: float
    method: str
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def completeness_error(self) -> float:
        """The sum of the values less (score - baseline's): near 0 for integrated gradients, else what words share."""
        return float(self.values.sum() - (self.score - self.baseline_score))

    def to_pandas(self) -> pd.DataFrame:
        """A row a word: its place from 0, the word, its value, and its part of the sum of absolute values."""
        import pandas as pd

        return pd.DataFrame(
            {
                "position": range(len(self.words)),
                "word": self.words,
                "value": self.values,
                "share": self._shares(),
            }
        ).assign(text=self.text, method=self.method, score=self.score, baseline_score=self.baseline_score)

    def _shares(self) -> np.ndarray:
        size = np.abs(self.values)
        return size / size.sum() if size.sum() else size

    def plot(self) -> Canvas:
        """A bar a word: its part of all that the words do, with the signed value beside it."""
        from .. import plots

        notes = [f"{value:+.4f} {'against' if value < 0 else 'for'}" if value else "0" for value in self.values]
        sums = f"The values add up to {self.values.sum():+.4f}; the score is {self.score:+.4f}, that of"
        return plots.bars(
            self.words, self._shares(), notes=notes, title=f"{self.text!r}: {self.score:+.3f}",
            caption=f"{self.method}. {sums} {self.baseline} {self.baseline_score:+.4f}.",
            unit="share of the sum of absolute values",
        )  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write everything (``.json``, see `load`), the words (``.csv``), the figure (``.png``) or a page (``.html``).

        An interrupted save leaves the old file whole. Raises InputError for another suffix.
        """
        suffix = suffix_of(path, SUFFIXES, "A token attribution")
        if suffix == ".json":
            about = {**vars(self), "format": _FORMAT, "values": self.values.tolist()}
            return write(path, json.dumps(about, allow_nan=False, indent=1, default=dict) + "\n")
        if suffix == ".csv":
            return write(path, self.to_pandas().to_csv(index=False))
        if suffix == ".html":
            return write(path, self._page())
        from .. import plots

        return write(path, plots.png(self.plot()))

    @classmethod
    def load(cls, path: str | Path) -> TokenAttribution:
        """Read back what ``save("x.json")`` wrote. Raises DataError where the file is no such thing."""
        try:
            about = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(about, dict) or about.pop("format", None) != _FORMAT:
                raise ValueError(f"it does not say {_FORMAT!r}")
            words, notes = tuple(map(str, about.pop("words"))), tuple(map(str, about.pop("notes")))
            values = np.asarray(about.pop("values"), dtype=np.float64)
            if values.shape != (len(words),) or not np.isfinite(values).all():
                raise ValueError(f"its values, of shape {values.shape}, do not fit its {len(words)} words")
            return cls(words=words, values=values, notes=notes, **about)
        except FileNotFoundError:
            raise DataError(f"There is no file {str(path)!r}.") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(
                f"{str(path)!r} is no saved token attribution ({type(error).__name__}: {error}): load what "
                "attribution.save('x.json') wrote."
            ) from error

    def _page(self) -> str:
        told = [reporting.Notice(note, "warning") for note in self.notes]
        figure = reporting.Picture(self.plot(), f"What each word adds, by {self.method}.", alt=repr(self), wide=True)
        sums = {"baseline": self.baseline, "baseline_score": self.baseline_score}
        about = {"score": self.score, **sums, "completeness_error": self.completeness_error, **self.provenance}
        table = reporting.Table(self.to_pandas()[["position", "word", "value", "share"]], "The words, in their order")
        sections = [
            reporting.Section("The words", *told, figure, table),
            reporting.Section("Provenance", reporting.Provenance(about)),
        ]
        return reporting.page(f"{self.text!r}: {self.score:+.3f}", sections)

    def __repr__(self) -> str:
        most = ""
        if len(self.words):
            top = int(np.abs(self.values).argmax())
            most = f", most by {self.words[top]!r} {self.values[top]:+.3f}"
        seen_by = self.provenance.get("model", {}).get("model", "?")
        return f"TokenAttribution({self.text!r}: {self.score:+.3f}{most}, {self.method}, {seen_by})"

    def _repr_html_(self) -> str:
        """The text with each word in the colour of what it does: warm for, cool against."""
        largest = float(np.abs(self.values).max(initial=0)) or 1.0
        spans = []
        for word, value in zip(self.words, self.values, strict=True):
            colour = f"rgba({_WARM if value > 0 else _COOL}, {0.8 * abs(value) / largest:.2f})"
            style = f"background: {colour}; padding: 0.1em 0.2em; border-radius: 0.2em"
            spans.append(f'<span style="{style}" title="{value:+.4f}">{isolate(word)}</span>')
        notes = "".join(f"<p>{isolate(note)}</p>" for note in self.notes)
        said = f"{self.score:+.3f}, {self.method}; {self.baseline}: {self.baseline_score:+.3f}"
        return f"<div><p>{' '.join(spans)}</p><p>{isolate(said)}</p>{notes}</div>"
