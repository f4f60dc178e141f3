"""``clipviz report RUN ...``: what `clipviz.report` does, from what was saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import DataError
from .commands import main


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/report"), show_default=True,
              help="Folder for the pages; index.html leads to them.")  # fmt: skip
@click.option("--people", is_flag=True, help="Show pictures of people in audits.")
def report(runs: tuple[Path, ...], out: Path, people: bool) -> None:
    """Pages, tables and machine-readable files of RUNS, what was saved before: audits (folders), evaluations and
    detections (.json), heatmaps and comparisons (.npz)."""
    import clipviz

    click.echo(f"Wrote {clipviz.report(*[read(run) for run in runs], path=out, people=people)}")


def read(path: Path) -> Any:
    """The result that was saved there. Raises DataError where it is none that can be read back."""
    if not path.exists():
        raise DataError(f"There is no {str(path)!r}: name the folder or file that a result was saved as.")
    readers = _readers(path)
    if not readers:
        raise DataError(
            f"{str(path)!r} is nothing that a report is made of: name an audit's folder, an evaluation or detections "
            "(.json), or heatmaps (.npz)."
        )
    told = []
    for load in readers:
        try:
            return load(path)
        except DataError as error:
            told.append(str(error))
    raise DataError(told[0] if len(told) == 1 else f"{str(path)!r} cannot be read back: {' '.join(told)}")


def _readers(path: Path) -> Sequence[Callable[[Path], Any]]:
    import clipviz

    if path.is_dir():
        return [clipviz.Audit.load]
    return {
        ".json": [clipviz.Evaluation.load, clipviz.Detections.load],
        ".npz": [clipviz.Heatmaps.load, clipviz.Heatmap.load, clipviz.Comparison.load],
    }.get(path.suffix.lower(), [])
