"""``clipviz detect``: what `clipviz.detect` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..files import suffix_of
from ..sources.paths import SUFFIXES as PICTURES
from .commands import main, open_model
from .explain import pairs_of, pictures_of

_SHOWN = 50  # boxes that are printed; a file holds all
_USAGE = "clipviz detect photo.jpg 'a dog' 'a cat'"


@main.command()
@click.argument("words", nargs=-1, metavar="IMAGES... LABELS...")
@click.option("--label", "labels", multiple=True, help="A further label, such as one that is a file's name too.")
@click.option("--model", "name", default=None,
              help='Folder, or "architecture:tag" such as ViT-B-32:openai. Default: clipviz-tiny.')  # fmt: skip
@click.option("--method", default=None, help="patches (default), windows or grid.")
@click.option("--threshold", type=float, default=None, help="The score below which no box is kept.")
@click.option("--per-label", type=int, default=5, show_default=True, help="At most so many boxes of a label.")
@click.option("--smallest", type=float, default=None, help="The side in pixels of the smallest thing of interest.")
@click.option(
    "--prior", type=click.Path(path_type=Path), default=None, help="Where things tend to be: BoxPrior's JSON."
)
@click.option("--background", multiple=True, help="What else there may be (may be repeated). Default: neutral texts.")
@click.option("--no-background", is_flag=True, help="Score by the cosine alone: then nothing is told from something.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Of the method (may be repeated).")
@click.option("--strict", is_flag=True, help="Refuse a text that is longer than the model reads.")
@click.option("--out", type=click.Path(path_type=Path), multiple=True, default=["detections.png"], show_default=True,
              help=".png, .json, .csv or .html (may be repeated)")  # fmt: skip
def detect(
    words: tuple[str, ...], labels: tuple[str, ...], name: str | None, method: str | None, threshold: float | None,
    per_label: int, smallest: float | None, prior: Path | None, background: tuple[str, ...], no_background: bool,
    options: tuple[str, ...], strict: bool, out: tuple[Path, ...],
) -> None:  # fmt: skip
    """Boxes in IMAGES (files, or one folder or table of pictures) around what the LABELS name.

    The pictures come first: the first word is one, and so are those after it that are files or end like one.
    """
    import clipviz

    from ..detection.detections import SUFFIXES

    for path in out:
        suffix_of(path, SUFFIXES, "A set of detections")  # told before the model has worked for nothing
    images, asked = told_apart(words, labels)
    if background and no_background:
        raise InputError("--background names texts and --no-background wants none: give one of them.")
    given: dict[str, Any] = {"method": method, "threshold": threshold, "per_label": per_label, "strict": strict}
    if smallest is not None:  # which not every method takes
        given["smallest"] = smallest
    if background or no_background:
        given["background"] = list(background) or None
    for key, value in pairs_of(options).items():
        if key in {*given, "model", "prior", "progress", "background"}:
            raise InputError(f"The option {key!r} is none of the method: leave --option {key}=... out.")
        given[key] = value
    given["prior"] = None if prior is None else clipviz.BoxPrior.load(prior)
    found = clipviz.detect(_opened(images), asked, model=open_model(name), progress=True, **given)
    if not found.images:
        raise InputError(f"No picture could be opened, the first: {found.failed[0][1]}")
    for box in list(found)[:_SHOWN]:
        place = ", ".join(f"{edge:.0f}" for edge in box.box)
        click.echo(f"{box.image}: {box.label!r} {box.score:.3f} at {place}")
    if len(found) > _SHOWN:
        click.echo(f"and {len(found) - _SHOWN} more boxes")
    click.echo(f"{found!r}, score {found.threshold:.3g} or more")
    for picture, reason in found.failed:
        click.echo(f"Left out {picture}: {reason}", err=True)
    for path in out:
        click.echo(f"Wrote {found.save(path)}")


def told_apart(words: tuple[str, ...], labels: tuple[str, ...]) -> tuple[list[Path], list[str]]:
    """Pictures, then labels. InputError where there is none of one kind, or a picture among the labels."""

    def is_picture(word: str) -> bool:
        return Path(word).suffix.lower() in PICTURES or Path(word).is_file()

    n = min(1, len(words))
    while n < len(words) and is_picture(words[n]):
        n += 1
    for word in words[n:]:
        if is_picture(word):
            raise InputError(
                f"The picture {word!r} stands behind the label {words[n]!r}: name the pictures first (a label that is "
                f"a file's name goes with --label), as in {_USAGE}."
            )
    asked = [*words[n:], *labels]
    if not n or not asked:
        raise InputError(f"Name at least one picture and one label: {_USAGE}.")
    return [Path(word) for word in words[:n]], asked


def _opened(paths: list[Path]) -> Any:
    """What one folder or table holds, or files one by one, which their names stand for in the result."""
    import clipviz

    if all(path.suffix.lower() in PICTURES and not path.is_dir() for path in paths):
        return clipviz.open_source(paths)
    return pictures_of(tuple(paths))
