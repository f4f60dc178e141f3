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
