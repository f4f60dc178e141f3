"""A heatmap, or a table of them, as one self-contained HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import reporting
from ..reporting import Notice, Picture, Provenance, Section, Table

if TYPE_CHECKING:
    from .comparison import Comparison
    from .heatmap import Heatmap
    from .heatmaps import Heatmaps


def heatmap_page(heatmap: Heatmap) -> str:
    """Figure, cells and provenance of one heatmap."""
    about = f"Where the score of {heatmap.prompt!r} comes from, by {heatmap.method}; warm speaks for it, cool against."
    if not heatmap.provenance.get("uses_text", True):
        about = f"What {heatmap.method} finds in the picture, whatever the text."
    return reporting.page(
        heatmap.title,
        [
            Section(
                "The map",
                *(Notice(note, "warning") for note in heatmap.notes),
                Picture(heatmap.plot(), about, alt=describe(heatmap), wide=True),
            ),
            Section("Cells", Table(heatmap.to_pandas(), "Each cell's box in the picture's own pixels, and its value")),
            Section(
                "Provenance",
                Provenance({"score": heatmap.score, **heatmap.provenance, "frame": heatmap.frame.to_dict()}),
            ),
        ],
    )


def heatmaps_page(heatmaps: Heatmaps) -> str:
    """The grid, the scores and the provenance of many."""
    notes = dict.fromkeys(note for row in heatmaps for h in row for note in h.notes)
    scores = [
        {"image": i, "prompt": h.prompt, "templates": h.provenance.get("templates", ()), "score": h.score}
        for i, row in zip(heatmaps.ids, heatmaps, strict=True)
        for h in row
    ]
    sections = [
        Section(
            "The maps",
            *(Notice(note, "warning") for note in notes),
            *([Picture(heatmaps.plot(), "Pictures down, texts across.", wide=True)] if len(heatmaps) else []),
        ),
        Section(
            "Scores",
            Table(
                scores,
                score_in_words(heatmaps[0, 0]) if len(heatmaps) else "No picture could be opened",
                formats={"score": "+.4f"} if scores else {},
            ),
        ),
    ]
    if heatmaps.failed:
        lost = [{"image": i, "reason": reason} for i, reason in heatmaps.failed]
        sections.append(Section("Pictures that could not be opened", Table(lost, "Each with its reason")))
    if len(heatmaps):
        sections.append(Section("Provenance", Provenance(dict(heatmaps[0, 0].provenance))))
    return reporting.page(f"{len(heatmaps)} pictures, {len(heatmaps.prompts)} texts", sections)


def comparison_page(comparison: Comparison) -> str:
    """Figure, table, agreement and provenance of a comparison."""
    first, each = comparison.heatmaps[0], dict.fromkeys(comparison.names, "+.2f")
    formats = dict.fromkeys(("rank_correlation", "mean_rank_correlation", "centre", "random_weights"), "+.2f")
    sections = [
        Section(
            "The maps",
            *(Notice(note, "warning") for note in comparison.notes),
            Picture(comparison.plot(), "Each map on its own scale; the ring is its peak.", wide=True),
        ),
        Section(
            "Agreement with the first and with all others, and the trivial rivals",
            Table(
                comparison.table,
                f"{score_in_words(first)}; peak in the picture's pixels; rank correlations with the first map, with "
                "all others, with a bell over the centre, and with the same method under random weights; area under "
                "the score as the places appear in the order of the map, and from the centre outwards",
                formats={**formats, "score": "+.4f", "top_iou": ".2f", "mean_top_iou": ".2f"},
            ),
        ),
        Section(
            "Every two of them",
            Table(comparison.agreement, "Spearman's rank correlation at the picture's pixels", formats=each),
            Table(comparison.overlap, "Intersection over union of the highest fifths", formats=each),
        ),
        Section("Provenance", Provenance({**comparison.provenance, **first.provenance})),
    ]
    return reporting.page(comparison.title, sections)


def score_in_words(heatmap: Heatmap) -> str:
    """What the score is a number of."""
    others = ", ".join(map(repr, heatmap.against)) or "texts that name nothing"
    if heatmap.provenance.get("contrast") == "softmax":
        return f"Probability of the text among itself and {others}"
    if heatmap.provenance.get("contrast") is None:
        return "Cosine of picture and text"
    return f"Cosine of picture and text, minus the mean of those with {others}"


def describe(heatmap: Heatmap) -> str:
    """What the figure shows, in words, for those who cannot see it."""
    if heatmap.constant:
        return f"Heatmap for {heatmap.prompt!r}: the same everywhere."
    (x, y), (width, height) = heatmap.peak(), heatmap.frame.picture
    across = ("left", "centre", "right")[min(2, 3 * x // width)]
    down = ("top", "middle", "bottom")[min(2, 3 * y // height)]
    return f"Heatmap for {heatmap.prompt!r}: highest at the {down} {across}, pixel ({x}, {y}) of {width} x {height}."
