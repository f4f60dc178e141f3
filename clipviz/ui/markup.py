"""The panel's words as HTML. Whatever a person typed or a file is called is escaped here, and nowhere else."""

from __future__ import annotations

import base64
from html import escape

from ..errors import ClipvizError
from ..explanation.pages import describe
from .answers import Answer

# The colours are JupyterLab's own variables, so that the panel follows its light and its dark theme.
STYLE = """<style>
.clipviz-panel { font-size: 13px; line-height: 1.45; color: var(--jp-ui-font-color1, #222); overflow: hidden; }
.clipviz-panel .widget-html-content { font-size: 13px; line-height: 1.45; }
.clipviz-panel .widget-html-content { white-space: normal; overflow-wrap: anywhere; }
.clipviz-panel h4 { font-size: 11px; font-weight: 600; letter-spacing: .06em; text-transform: uppercase; margin: 0;
  padding-bottom: 3px; color: var(--jp-ui-font-color2, #666); border-bottom: 1px solid var(--jp-border-color2, #ddd); }
.clipviz-panel p { margin: 0; }
.clipviz-quiet { color: var(--jp-ui-font-color2, #666); font-size: 12px; }
img.clipviz-figure { border-radius: 4px; display: block; object-fit: contain; }
.clipviz-stale { opacity: .35; }
.clipviz-head { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 2px 16px; }
.clipviz-head b { font-size: 16px; font-weight: 600; }
.clipviz-score { font-variant-numeric: tabular-nums; font-size: 16px; font-weight: 600; }
.clipviz-error, .clipviz-note, .clipviz-busy { border-left: 3px solid; padding: 6px 10px; border-radius: 2px;
  background: var(--jp-layout-color2, #f4f4f4); }
.clipviz-error { border-color: var(--jp-error-color1, #c62828); }
.clipviz-note { border-color: var(--jp-warn-color1, #e6a100); margin-top: 6px !important; }
.clipviz-busy { border-color: var(--jp-brand-color1, #1976d2); }
.clipviz-scale { display: grid; grid-template-columns: auto minmax(60px, 1fr) auto; gap: 0 10px; align-items: center;
  font-variant-numeric: tabular-nums; font-size: 12px; }
.clipviz-scale img { width: 100%; height: 10px; border-radius: 2px; display: block; }
</style>"""


def heading(words: str) -> str:
    return f"<h4>{escape(words)}</h4>"


def quiet(words: str) -> str:
    return f'<p class="clipviz-quiet">{escape(words)}</p>'


def error(problem: Exception) -> str:
    """One sentence; the type is named where the error is none of ours, as that is a fault to report."""
    said = str(problem) if isinstance(problem, ClipvizError) else f"{type(problem).__name__}: {problem}"
    return f'<p class="clipviz-error" role="alert">{escape(said)}</p>'


def busy(words: str) -> str:
    return f'<p class="clipviz-busy" role="status">{escape(words)}</p>'


def title(answer: Answer, name: str | None = None) -> str:
    """The text, or what it is called here, and its score."""
    heatmap = answer.heatmap
    against = f" against {' and '.join(map(repr, heatmap.against))}" if heatmap.against else ""
    probable = heatmap.provenance.get("contrast") == "softmax"
    kind = "probability" if probable else "difference of cosines" if heatmap.against else "cosine"
    score = f"{heatmap.score:.3f}" if probable else f"{heatmap.score:+.3f}"
    return (
        f'<p class="clipviz-head"><b>{escape(name or heatmap.prompt + against)}</b>'
        f'<span>{kind} <span class="clipviz-score">{score}</span></span></p>'
    )


def seen(answer: Answer) -> str:
    """What is in the figure in words, and whether that is right, where it is known."""
    lines = [describe(answer.heatmap)]
    if answer.found is not None:
        lines.append("The peak lies on it." if answer.found else "The peak lies elsewhere: this map is wrong here.")
    return quiet(" ".join(lines))


def note(words: str) -> str:
    return f'<p class="clipviz-note">{escape(words)}</p>'


def notes(answer: Answer) -> str:
    """What is in the figure in words, where it came from, and what to keep in mind."""
    heatmap = answer.heatmap
    h, w = heatmap.values.shape
    model = heatmap.provenance.get("model", {}).get("model", "?")
    about = f"{model}, {heatmap.method}, {heatmap.frame.view} view, {h} x {w} cells"
    return seen(answer) + quiet(about) + "".join(map(note, answer.notes))


def scale(answer: Answer, strength: float) -> str:
    """The colours, with the values at their ends."""
    if answer.heatmap.constant:
        return quiet("The map is the same everywhere, so that there is nothing to colour.")
    ramp, span = answer.scale(strength)
    data = base64.b64encode(ramp).decode("ascii")
    ends = {"diverging": ("against", "for"), "positive": ("", "for"), "negative": ("against", "")}[span.kind]
    low, high = (
        f"{word} {value:+.2g}" if value else "0" for word, value in zip(ends, (span.low, span.high), strict=True)
    )
    return (
        f'<div class="clipviz-scale"><span>{escape(low)}</span>'
        f'<img alt="Colours from {escape(low)} to {escape(high)}" src="data:image/png;base64,{data}">'
        f"<span>{escape(high)}</span></div>"
    )
