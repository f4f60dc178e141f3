"""``python -m clipviz.clip ViT-B-32``: the structure of an architecture, with shapes for a dummy batch."""

from __future__ import annotations

from dataclasses import replace

import click

from ..errors import nearest
from .config import ARCHITECTURES, CBOWConfig
from .structure import describe


@click.command(help="Print the structure of an architecture of the paper: " + ", ".join(ARCHITECTURES) + ".")
@click.argument("name", default="ViT-B-32")
@click.option("--batch", default=2, show_default=True, type=click.IntRange(min=1), help="Pictures and texts.")
@click.option("--cbow", is_flag=True, help="With the bag of words for a text encoder.")
def main(name: str, batch: int, cbow: bool) -> None:
    if name not in ARCHITECTURES:
        raise click.UsageError(f"{name!r} is none of the paper's architectures. {nearest(name, ARCHITECTURES)}")
    config = replace(ARCHITECTURES[name], text=CBOWConfig()) if cbow else ARCHITECTURES[name]
    click.echo(describe(name, config, batch), nl=False)


if __name__ == "__main__":
    main(prog_name="python -m clipviz.clip")
