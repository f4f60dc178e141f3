"""``clipviz evaluate TASK``: what `clipviz.evaluate` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..files import suffix_of
from .commands import main, open_model


@main.group("evaluate")
def group() -> None:
    """How good is a model, and at what?"""


@group.command("zero-shot")
@click.option("--model", "name", required=True, help='Folder, or "architecture:tag" such as ViT-B-32:openai.')
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of pictures, or Parquet.")
@click.option("--truth", default="label", show_default=True, help="The column with each picture's true value.")
@click.option("--labels", type=click.Path(path_type=Path), default=None, help="JSON: names, or rows with names.")
@click.option("--label", "pairs", multiple=True, metavar="VALUE=NAME", help="A label (repeat; twice for a synonym).")
@click.option("--template", "templates", multiple=True, help='Such as "a photo of a {}." (may be repeated).')
@click.option("--synonyms", type=click.Choice(["all", "first"]), default="all", show_default=True)
@click.option("--half", type=click.Choice(["all", "dev", "report"]), default="all", show_default=True,
              help="report: the pictures for figures; dev: those for choices.")  # fmt: skip
@click.option("--unlisted", type=click.Choice(["refuse", "skip"]), default="refuse", show_default=True,
              help="What to do with pictures whose truth is not among the labels.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), multiple=True, help=".json, .csv, .html or .png")
def zero_shot(
    name: str, data: Path, truth: str, labels: Path | None, pairs: tuple[str, ...], templates: tuple[str, ...],
    synonyms: str, half: str, unlisted: str, batch_size: int, out: tuple[Path, ...],
) -> None:  # fmt: skip
    """Name each picture of DATA by its nearest label, through prompts."""
    import clipviz

    from ..evaluation.result import SUFFIXES

    for path in out:
        suffix_of(path, SUFFIXES, "An evaluation")  # told before the model has worked for nothing
    if labels and pairs:
        raise InputError("--labels and --label both say what the labels are: give one of them.")
    options: dict[str, Any] = {"templates": templates} if templates else {}
    result = clipviz.evaluate(
        data, labels or _mapping(pairs) or None, task="zero_shot", model=open_model(name), truth=truth,
        half=None if half == "all" else half, batch_size=batch_size, progress=True, synonyms=synonyms,
        unlisted=unlisted, **options,
    )  # fmt: skip
    shown = result.table.copy()
    for column in ("value", "chance", "majority"):
        shown[column] = [f"{100 * share:.1f} %" for share in shown[column]]
    click.echo(shown.to_string(index=False))
    click.echo(f"{result.model}, half {half!r}: {result.seen}")
    for note in result.notes:
        click.echo(note)
    if result.failed:
        ids, reason = len(result.failed), result.failed[0]
        click.echo(f"{ids} pictures were not scored, the first {reason[0]!r}: {reason[1]}")
    for path in out:
        click.echo(f"Wrote {result.save(path)}")


def _mapping(pairs: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in pairs:
        value, equals, name = pair.partition("=")
        if not (value and equals and name):
            raise InputError(f"--label {pair!r} is not VALUE=NAME; write for instance --label 'Male=man'.")
        found.setdefault(value, []).append(name)
    return found


@group.command("explainers")
@click.option("--model", "name", required=True, help='Folder, or "architecture:tag" such as ViT-B-32:openai.')
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Pictures with columns of class and box.")
@click.option("--labels", type=click.Path(path_type=Path), default=None, help="JSON: names, or rows with names.")
@click.option("--truth", default="label", show_default=True, help="The column with each picture's class.")
@click.option("--box", default="box", show_default=True, help="The column with x0, y0, x1, y1 in pixels.")
@click.option("--box-inclusive", is_flag=True, help="x1 and y1 are the last pixel, not the one behind it.")
@click.option("--id", "id_column", default=None, help="The column that names each picture, where it is not found.")
@click.option("--half", type=click.Choice(["all", "dev", "report"]), default="report", show_default=True,
              help="report: the pictures for figures; dev: those for choices.")  # fmt: skip
@click.option("--methods", multiple=True, help="A method (may be repeated). Default: all that serve the model.")
@click.option("--scenes", type=click.IntRange(0), default=500, show_default=True, help="Drawn scenes with masks.")
@click.option("--photographs", type=click.IntRange(0), default=None, help="How many. Default: all that have a box.")
@click.option("--mosaics", type=click.IntRange(0), default=1000, show_default=True, help="Of 2 x 2 photographs.")
@click.option("--larger-mosaics", type=click.IntRange(0), default=0, show_default=True, help="Of 3 x 3 photographs.")
@click.option("--few", type=click.IntRange(0), default=200, show_default=True, help="Pictures for expensive methods.")
@click.option("--rare", type=click.IntRange(0), default=50, show_default=True, help="Pictures for the slowest methods.")
@click.option("--checks", type=click.IntRange(0), default=100, show_default=True,
              help="Pictures for insertion, deletion and randomisation.")  # fmt: skip
@click.option("--shuffled", default=None, help="A second model, trained on shuffled captions.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), multiple=True, help=".json, .csv, .html or .png")
def explainers(
    name: str, data: Path, labels: Path | None, id_column: str | None, half: str, methods: tuple[str, ...],
    shuffled: str | None, out: tuple[Path, ...], **counts: Any,
) -> None:  # fmt: skip
    """Which map of the model to believe, measured in scenes, on the photographs of DATA and in mosaics of them."""
    import clipviz

    from ..evaluation.result import SUFFIXES

    for path in out:
        suffix_of(path, SUFFIXES, "An evaluation")  # told before the model has worked for nothing
    source = clipviz.open_source(data, id=id_column) if id_column else clipviz.open_source(data)
    result = clipviz.evaluate(
        source, labels, task="explainers", model=open_model(name), half=None if half == "all" else half, progress=True,
        methods=list(methods) or None, shuffled=open_model(shuffled) if shuffled else None, **counts,
    )  # fmt: skip
    shown = result.table[["world", "metric", "method", "value", "low", "high", "n", "difference", "cost"]]
    click.echo(shown.to_string(index=False, float_format=lambda number: f"{number:.3f}"))
    click.echo(f"{result.model}: {result.headline}")
    for note in result.notes:
        click.echo(note)
    if result.failed:
        first = result.failed[0]
        click.echo(f"{len(result.failed)} were not measured, the first {first[0]!r}: {first[1]}")
    for path in out:
        click.echo(f"Wrote {result.save(path)}")


@group.command("detection")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--model", "name", required=True, help='Folder, or "architecture:tag" such as ViT-B-32:openai.')
@click.option("--labels", type=click.Path(path_type=Path), default=None, help="JSON: names, or rows with names.")
@click.option("--label", "pairs", multiple=True, metavar="VALUE=NAME", help="A label (repeat; twice for a synonym).")
@click.option("--truth", default="label", show_default=True, help="The column with each box's label.")
@click.option("--box", default="box", show_default=True, help="The column with x0, y0, x1, y1 in pixels, or a list.")
@click.option("--box-inclusive", is_flag=True, help="x1 and y1 are the last pixel, not the one behind it.")
@click.option("--ask", default="truth", show_default=True,
              help="What to look for: truth (what is there), all, or a column with a list.")  # fmt: skip
@click.option("--id", "id_column", default=None, help="The column that names each picture, where it is not found.")
@click.option("--half", type=click.Choice(["all", "dev", "report"]), default="report", show_default=True,
              help="report: the pictures for figures; dev: those for choices.")  # fmt: skip
@click.option("--method", default=None, help="How to look. Default: what `detect` does.")
@click.option("--threshold", type=float, default=None,
              help="The score below which no box is kept. Default: all are, and dev gives one.")  # fmt: skip
@click.option("--prior", type=click.Path(path_type=Path), default=None, help="JSON of a BoxPrior. Default: none.")
@click.option("--calibration", type=click.Choice(["isotonic", "platt"]), default="isotonic", show_default=True)
@click.option("--dev", type=click.IntRange(0), default=500, show_default=True, help="Pictures for choices.")
@click.option("--rivals/--no-rivals", default=True, show_default=True, help="The whole picture and a central box.")
@click.option("--resamples", type=click.IntRange(1), default=2000, show_default=True, help="For the intervals.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), multiple=True, help=".json, .csv, .html or .png")
def detection(
    data: Path, name: str, labels: Path | None, pairs: tuple[str, ...], id_column: str | None, half: str,
    out: tuple[Path, ...], **options: Any,
) -> None:  # fmt: skip
    """Find what is named in each picture of DATA: a COCO-format folder or its JSON, or Parquet with boxes."""
    import clipviz

    from ..evaluation.result import SUFFIXES

    for path in out:
        suffix_of(path, SUFFIXES, "An evaluation")  # told before the model has worked for nothing
    if labels and pairs:
        raise InputError("--labels and --label both say what the labels are: give one of them.")
    result = clipviz.evaluate(
        clipviz.open_source(data, id=id_column) if id_column else data, labels or _mapping(pairs) or None,
        task="detection", model=open_model(name), half=None if half == "all" else half, progress=True, **options,
    )  # fmt: skip
    shown = result.table[["metric", "method", "boxes", "value", "ci_low", "ci_high", "n", "difference"]]
    click.echo(shown.to_string(index=False, float_format=lambda number: f"{number:.3f}", na_rep="-"))
    click.echo(f"{result.model}: {result.headline}")
    click.echo(result.seen)
    for note in result.notes:
        click.echo(note)
    if result.failed:
        first = result.failed[0]
        click.echo(f"{len(result.failed)} pictures or boxes were left out, the first {first[0]!r}: {first[1]}")
    for path in out:
        click.echo(f"Wrote {result.save(path)}")
