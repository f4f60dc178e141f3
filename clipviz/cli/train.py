"""``clipviz train``: what `clipviz.train` does, and with ``--check`` what it would do."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ..errors import ClipvizError
from ..files import suffix_of
from .commands import main

if TYPE_CHECKING:
    from ..training import Recipe
    from ..training.checked import Check

SHEET = Path("train-check.html")


@main.command()
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="Folder for model, checkpoints and metrics.  [default: runs/ and the recipe's name]")  # fmt: skip
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE",
              help="Replace a key of the recipe, as in optim.learning_rate=3e-4 (may be repeated).")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in that folder.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.option("--check", "only_check", is_flag=True,
              help="Train nothing: look at some pictures and captions, and estimate time and memory.")  # fmt: skip
@click.option("--sheet", type=click.Path(path_type=Path), default=SHEET, show_default=True,
              help="With --check: where its page goes, .html, .png (the pictures) or .json (the numbers).")  # fmt: skip
def train(
    recipe: str, out: Path | None, changes: tuple[str, ...], resume: bool, quiet: bool, only_check: bool, sheet: Path
) -> None:
    """Train a CLIP from RECIPE: a TOML file, or the name of a bundled one such as "tiny".

    The same command under torchrun shares each batch among its processes.
    """
    with _interruptions():
        try:
            read = _read(recipe, changes)
        except ClipvizError:
            if _first():
                raise
            sys.exit(1)  # the first process tells it
        if only_check:
            if _first():
                _check(read, sheet)
            return
        _train(read, out or Path("runs") / _file_name(read.name), resume, quiet)


def _read(recipe: str, changes: tuple[str, ...]) -> Recipe:
    from ..assets import find
    from ..training import read_recipe

    return read_recipe(Path(recipe) if Path(recipe).is_file() else find("train", recipe), changes)


def _train(recipe: Recipe, out: Path, resume: bool, quiet: bool) -> None:
    import clipviz

    from .. import plots
    from ..files import write
    from ..training.log import curves

    try:
        folder = clipviz.train(recipe, out=out, resume=resume, quiet=quiet)
    except (ClipvizError, OSError) as error:
        if _first():
            raise
        raise click.ClickException(f"Process {os.environ['RANK']}: {error}") from error
    if _first():
        click.echo(f"Wrote {folder}")
        click.echo(f"Wrote {write(out / 'curves.png', plots.png(curves(out)))}")


def _check(recipe: Recipe, sheet: Path) -> None:
    from ..training.checked import SUFFIXES, said
    from ..training.preview import check

    suffix_of(sheet, SUFFIXES, "A check")  # told before anything was read for nothing
    found: Check = check(recipe)
    click.echo(f"{found.name}: {found.headline}.")
    for row in found.sources:
        dropped = f", {row['empty, dropped']:,} without a caption" if row["empty, dropped"] else ""
        click.echo(f"  {row['source']}: {row['pictures']:,} pictures{dropped}, weight {row['weight']:g}")
    for title, numbers in (("Captions", found.captions), ("The run", found.run)):
        click.echo(f"{title}:")
        for line in said(numbers):
            click.echo(f"  {line['what']}: {line['value']}")
    if found.memory:
        parts = ", ".join(f"{name} {count / 2**20:,.1f}" for name, count in found.memory.items())
        click.echo(f"Memory in MiB: {parts}")
    click.echo("Said most often: " + "; ".join(f"{text!r} {share:.1%}" for text, share in found.frequent[:5]))
    click.echo(f"Damaged pictures: {len(found.damaged)} among those looked at")
    for source, name, reason in found.damaged[:5]:
        click.echo(f"  {source} {name!r}: {reason}")
    for note in found.notes:
        click.echo(f"Note: {note}")
    click.echo(f"Wrote {found.save(sheet)}")


@contextmanager
def _interruptions() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the command with a sentence, and exit codes 130 and 143.

    Within a step the run itself takes them, and writes a checkpoint; here is what comes before and after.
    """

    def stopped(number: int, frame: FrameType | None) -> None:
        if _first():
            click.echo("Stopped by SIGTERM outside of a step: --resume goes on with what is written.", err=True)
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, stopped)
    try:
        yield
    except KeyboardInterrupt as error:
        if _first():
            told = str(error) or "Stopped by Ctrl-C outside of a step: --resume goes on with what is written."
            click.echo(told, err=True)
        sys.exit(128 + signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before)


def _first() -> bool:
    """Whether this is the process that speaks: the only one, or the first that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".") or "unnamed"
