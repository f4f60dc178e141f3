"""Commands. Each does what the public function of its name does, and prints where the result is."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..errors import ClipvizError, ClipvizWarning
from ..files import suffix_of

VIEWS = click.Choice(["crop", "pad", "squash", "tiles"])


class _Group(click.Group):
    """Errors are one sentence and exit code 1; our warnings are notes on standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("always", ClipvizWarning)
            warnings.showwarning = _say
            try:
                return super().invoke(ctx)
            except (ClipvizError, OSError) as error:  # a full disk, a folder that may not be written
                raise click.ClickException(str(error)) from error


def _say(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Note: {message}", err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clipviz")
def main() -> None:
    """See what a CLIP model looks at, and measure whom it fails."""


@main.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out/demo"), show_default=True, help="Folder for the page."
)
@click.option(
    "--shared", type=click.Path(path_type=Path), default=None, help="Folder with more photographs and a larger model."
)
def demo(out: Path, shared: Path | None) -> None:
    """Heatmaps of drawn scenes and real photographs on one page. Works offline."""
    from .demo import run_demo

    if shared and not shared.is_dir():
        raise click.ClickException(f"There is no folder {str(shared)!r}: leave --shared out, or name one.")
    shared = shared or Path(os.environ.get("CLIPVIZ_TEST_DATA", "../shared"))
    page = run_demo(out, shared if shared.is_dir() else None)
    click.echo(f"Open {page}")


@main.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("text")
@click.option(
    "--model",
    "name",
    default=None,
    help='Folder, or "architecture:tag" such as ViT-B-32:openai. Default: clipviz-tiny.',
)
@click.option("--against", multiple=True, help="Explain the difference to this text (may be repeated).")
@click.option("--view", type=VIEWS, default=None, help="How the picture meets the model's square.")
@click.option("--strict", is_flag=True, help="Refuse a text that is longer than the model reads.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("heatmap.png"), show_default=True, help=".png, .npz or .html"
)
def gradcam(
    image: Path, text: str, name: str | None, against: tuple[str, ...], view: str | None, strict: bool, out: Path
) -> None:
    """Where in IMAGE does the model's score for TEXT come from?"""
    import clipviz

    from ..explanation.heatmap import SUFFIXES

    suffix_of(out, SUFFIXES, "A heatmap")  # told before the model has worked for nothing
    heatmap = clipviz.gradcam(
        image, text, model=open_model(name), against=list(against) or None, view=view, strict=strict
    )
    click.echo(f"{heatmap!r}")
    click.echo(f"Wrote {heatmap.save(out)}")


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("notebooks"), show_default=True)
@click.option("--browser/--no-browser", default=True, help="Open a browser window.")
def lab(folder: Path, browser: bool) -> None:
    """Open the notebooks in JupyterLab (needs the extra: pip install "clipviz[notebook]")."""
    import importlib.util
    import shutil

    from ..assets import folder as bundled
    from ..assets import names

    if importlib.util.find_spec("jupyterlab") is None:
        raise click.ClickException('JupyterLab is not installed: pip install "clipviz[notebook]".')
    folder.mkdir(parents=True, exist_ok=True)
    for name in names("notebooks"):
        if not (folder / name).exists():  # never over somebody's own changes
            shutil.copyfile(bundled("notebooks") / name, folder / name)
    first = ["01_gradcam.ipynb"] if (folder / "01_gradcam.ipynb").exists() else []
    quiet = [] if browser else ["--no-browser"]
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *quiet, *first])


@main.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--name", default=None, help="Only models whose name holds this.")
@click.option("--tag", default=None, help="Only tags that hold this.")
@click.option("--kind", type=click.Choice(["vit", "resnet", "other"]), default=None, help="Only this kind.")
@click.option("--cached", is_flag=True, help="Only what is on this disk.")
@click.option("--csv", is_flag=True, help="All columns, as CSV.")
def models(
    folders: tuple[Path, ...], name: str | None, tag: str | None, kind: str | None, cached: bool, csv: bool
) -> None:
    """What can be loaded here and now: the bundled model, FOLDERS, and every tag of open_clip."""
    import clipviz

    wanted: dict[str, Any] = {"name": name, "tag": tag, "kind": kind, "cached": cached or None}
    table = clipviz.list_models(*folders, **{key: value for key, value in wanted.items() if value is not None})
    if csv:
        click.echo(table.to_csv(index=False), nl=False)
        return
    shown = table.drop(columns=["where", "source"]).astype("string").fillna("-")
    click.echo(shown.to_string(index=False) if len(shown) else "No model fits.")


def open_model(name: str | None) -> Any:
    """None or the bundled model's name, a folder, or "architecture:tag"."""
    import clipviz

    from ..assets import MODEL

    if name is None or (name == MODEL and not Path(name).exists()):
        return clipviz.load()
    if Path(name).is_dir():
        return clipviz.load(name)
    architecture, _, tag = name.partition(":")
    return clipviz.load(architecture, tag) if tag else clipviz.load(architecture)
