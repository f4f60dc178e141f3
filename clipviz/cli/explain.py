"""``clipviz explain`` and ``clipviz compare``: what the functions of these names do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..files import suffix_of
from .commands import VIEWS, main, open_model

_MODEL = 'Folder, or "architecture:tag" such as ViT-B-32:openai. Default: clipviz-tiny.'
_AGAINST = "Explain the difference to this text (may be repeated)."
_CONTRASTS = click.Choice(["margin", "softmax"])
_BASELINES = click.Choice(["neutral"])


@main.command()
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, help="What to look for (may be repeated).")
@click.option("--method", default=None, help="One of those that --list shows. Default: the one measured best.")
@click.option("--model", "name", default=None, help=_MODEL)
@click.option("--against", multiple=True, help=_AGAINST)
@click.option("--contrast", type=_CONTRASTS, default="margin", show_default=True)
@click.option("--baseline", type=_BASELINES, default=None, help="Take off what texts that name nothing share.")
@click.option("--view", type=VIEWS, default=None, help="How the picture meets the model's square.")
@click.option("--layer", default=None, help="Where the method looks: a number, -1 for the last, or a name.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Of the method (may be repeated).")
@click.option("--strict", is_flag=True, help="Refuse a text that is longer than the model reads.")
@click.option("--list", "listed", is_flag=True, help="List the methods (that serve --model) instead.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("heatmaps.png"), show_default=True,
              help=".png, .npz, .html or .csv")  # fmt: skip
def explain(
    images: tuple[Path, ...], texts: tuple[str, ...], method: str | None, name: str | None, against: tuple[str, ...],
    contrast: str, baseline: str | None, view: str | None, layer: str | None, options: tuple[str, ...], strict: bool,
    listed: bool, out: Path,
) -> None:  # fmt: skip
    """Where in IMAGES (files, or one folder or table of pictures) does the score of each --text come from?"""
    import clipviz

    from ..explanation.heatmaps import SUFFIXES

    if listed:
        table = clipviz.list_explainers(open_model(name) if name else None)
        click.echo(table.drop(columns="nonnegative").to_string(index=False, max_colwidth=48))
        return
    if not images or not texts:
        raise InputError("Name at least one picture and one text: clipviz explain photo.jpg --text 'the forest'.")
    suffix_of(out, SUFFIXES, "A set of heatmaps")  # told before the model has worked for nothing
    found = clipviz.explain(
        pictures_of(images), list(texts), model=open_model(name), method=method, against=list(against) or None,
        contrast=contrast, baseline=baseline, view=view, strict=strict, progress=len(images) > 1 or images[0].is_dir(),
        **pairs_of(options, layer),
    )  # fmt: skip
    if not len(found):
        raise InputError(f"No picture could be opened, the first: {found.failed[0][1]}")
    for i, row in zip(found.ids, found, strict=True):
        for heatmap in row:
            click.echo(f"{i if isinstance(i, str) else images[i]}: {heatmap!r}")
    for i, reason in found.failed:
        click.echo(f"Left out {i if isinstance(i, str) else images[i]}: {reason}", err=True)
    click.echo(f"Wrote {found.save(out)}")


@main.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("text")
@click.option("--method", "methods", multiple=True, help="May be repeated. Default: some of each family.")
@click.option("--model", "names", multiple=True, help=f"{_MODEL} Several are compared by one method.")
@click.option("--layers", is_flag=True, help="One method through the depth of the network.")
@click.option("--against", multiple=True, help=_AGAINST)
@click.option("--contrast", type=_CONTRASTS, default="margin", show_default=True)
@click.option("--baseline", type=_BASELINES, default=None, help="Take off what texts that name nothing share.")
@click.option("--view", type=VIEWS, default=None, help="How the picture meets the model's square.")
@click.option("--checks/--no-checks", default=True, help="Hold each map against the one under random weights.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random weights.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("comparison.png"), show_default=True,
              help=".png, .npz, .html or .csv")  # fmt: skip
def compare(
    image: Path, text: str, methods: tuple[str, ...], names: tuple[str, ...], layers: bool, against: tuple[str, ...],
    contrast: str, baseline: str | None, view: str | None, checks: bool, seed: int, out: Path,
) -> None:  # fmt: skip
    """Explain TEXT in IMAGE by several methods, or in several models, and tell how far they agree."""
    import clipviz

    from ..explanation.comparison import SUFFIXES

    suffix_of(out, SUFFIXES, "A comparison")  # told before the models have worked for nothing
    models = [open_model(name) for name in names]
    common: dict[str, Any] = {
        "against": list(against) or None, "contrast": contrast, "baseline": baseline, "view": view, "checks": checks,
        "seed": seed,
    }  # fmt: skip
    if layers:
        if len(models) > 1 or len(methods) > 1:
            raise InputError("--layers follows one method through one model: name one --method and one --model.")
        model, method = models[0] if models else None, methods[0] if methods else None
        found = clipviz.through_depth(image, text, model=model, method=method, **common)
    elif len(models) > 1:
        found = clipviz.compare(image, text, models=models, methods=list(methods) or None, **common)
    else:
        model = models[0] if models else None
        found = clipviz.compare(image, text, model=model, methods=list(methods) or None, **common)
    click.echo(found.table.drop(columns=["like_centre", "like_random"]).round(3).to_string(index=False, na_rep="-"))
    click.echo(f"{found!r}")
    click.echo(f"Wrote {found.save(out)}")


def pictures_of(paths: tuple[Path, ...]) -> Any:
    """Files one by one, or what one folder or table holds."""
    import clipviz

    if len(paths) == 1 and (paths[0].is_dir() or paths[0].suffix.lower() in (".parquet", ".csv", ".jsonl", ".tar")):
        return clipviz.open_source(paths[0])
    return list(paths)


def pairs_of(options: tuple[str, ...], layer: str | None = None) -> dict[str, Any]:
    """KEY=VALUE as numbers, true, false, null or lists where they are such, and as text where not."""
    given = [f"layer={layer}"] if layer is not None else []
    found: dict[str, Any] = {}
    for pair in (*given, *options):
        key, equals, value = pair.partition("=")
        if not (key.isidentifier() and equals):
            raise InputError(f"--option {pair!r} is not KEY=VALUE; write for instance --option layer=2.")
        if key in found:
            raise InputError(f"The option {key!r} is given twice: give it once.")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found
