"""``clipviz embed`` and ``clipviz cache``: what `clipviz.embed` and `clipviz.embedding.cache` do."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from .commands import VIEWS, main, open_model

if TYPE_CHECKING:
    import pandas as pd

    from ..embedding import Embeddings

LACKING = 3  # the exit code of a store that is whole, but lacks pictures of the data


@main.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", "name", required=True, help='Folder, or "architecture:tag" such as ViT-B-32:openai.')
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="The store's folder; the same command again goes on. Default: one in the user's cache.")  # fmt: skip
@click.option("--columns", multiple=True, metavar="A,B",
              help="Metadata to keep (may be repeated). Default: all.")  # fmt: skip
@click.option("--id", "id_column", default=None, help="The column that names each picture, where it is not found.")
@click.option("--dtype", type=click.Choice(["float32", "float16"]), default=None, help="Default: float32.")
@click.option("--view", type=VIEWS, default=None, help="How the picture meets the model's square.")
@click.option("--draft", is_flag=True, default=None, help="Decode JPEGs no larger than needed: quicker, within 0.995.")
@click.option("--batch-size", type=click.IntRange(1), default=None, help="Default: 32.")
@click.option("--part-size", type=click.IntRange(1), default=None, help="Pictures in a part of a store. Default: 4096.")
@click.option("--workers", type=click.IntRange(0), default=None,
              help="Processes that decode (0: none beside this one), or hold the model on a cluster.")  # fmt: skip
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--address", default=None, help="Of a running Ray cluster. Default: one is started here, and ended.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def embed(
    data: tuple[Path, ...], name: str, out: Path | None, columns: tuple[str, ...], id_column: str | None, quiet: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Unit vectors of the pictures of DATA (a folder, a table, shards, or files), with ids and metadata, in a store.

    \b
    Exit code 0: every picture is in the store.
              1: an error, told in a sentence; 2: a wrong option.
              3: the store is whole, and pictures failed or files were left out, as listed.
        130, 143: stopped by Ctrl-C or SIGTERM; the same command goes on with what is missing.
    """
    import clipviz

    given: Any = data[0] if len(data) == 1 else list(data)
    kept = [column.strip() for several in columns for column in several.split(",") if column.strip()] or None
    if columns and not kept:
        raise InputError(f"--columns {columns[0]!r} names no column; write for instance --columns race,gender.")
    if id_column:
        given = clipviz.open_source(given, id=id_column, columns=kept)
    try:
        found = clipviz.embed(given, model=open_model(name), out=out, columns=kept, progress=not quiet, **options)
    except KeyboardInterrupt:
        click.echo("Stopped by Ctrl-C: the parts that are done stay, the same command does the others.", err=True)
        sys.exit(128 + signal.SIGINT)
    sys.exit(_told(found))


def _told(found: Embeddings) -> int:
    """Say what the store holds and lacks; gives the exit code."""
    from ..embedding import cache
    from ..embedding.layout import FAILED

    (folder,), counts = found.stored.folders, found.manifest.counts
    failed, skipped = found.failed, counts.get("skipped", 0)
    size = cache.told_bytes(sum(path.stat().st_size for path in folder.iterdir()))
    form = f"{len(found):,} vectors of {found.shape[1]} numbers, {found.manifest.settings['dtype']}, {size}"
    click.echo(f"Wrote {folder}: {form}")
    if failed:
        click.echo(f"{len(failed):,} failed, the first {failed[0][0]!r}: {failed[0][1]}", err=True)
        click.echo(f"All are in {folder / FAILED}", err=True)
    if skipped:
        click.echo(f"{skipped:,} files of the folder are no pictures by their names, and were left out.", err=True)
    return LACKING if failed or skipped else 0


@main.group("cache", invoke_without_command=True)
@click.pass_context
def group(context: click.Context) -> None:
    """Stores of embeddings that no folder was named for: list (the default), clear, trim, path."""
    if context.invoked_subcommand is None:
        context.invoke(listed)


@group.command("list")
@click.option("--csv", is_flag=True, help="All columns, as CSV.")
def listed(csv: bool = False) -> None:
    """What lies in the cache, the store used last first."""
    from ..embedding import cache
    from ..embedding.place import cache_root

    table = cache.stores()
    if csv:
        click.echo(table.to_csv(index=False), nl=False)
        return
    if len(table):
        click.echo(_lines(table))
    size, limit = int(table["bytes"].sum()), cache.limit_asked()
    click.echo(f"{_count(table)}, {cache.told_bytes(size)} of {cache.told_bytes(limit)}, in {cache_root()}")


@group.command("clear")
@click.argument("names", nargs=-1)
@click.option("--older-than", default=None, metavar="TIME", help="Those not used since, such as '30 days'.")
@click.option("--all", "everything", is_flag=True, help="Every store that is not in use.")
def cleared(names: tuple[str, ...], older_than: str | None, everything: bool) -> None:
    """Remove the stores NAMES (the beginning of a name will do), those --older-than a time, or --all."""
    from ..embedding import cache

    if not (names or older_than or everything):
        raise InputError("Nothing was named: write names from `clipviz cache`, --older-than '30 days', or --all.")
    if names and everything:
        raise InputError("--all takes no names: write the names, or --all.")
    _removed(cache.clear(names or None, older_than=older_than))


@group.command("trim")
@click.option("--limit", default=None, metavar="SIZE", help="Such as 5GB. Default: CLIPVIZ_CACHE_LIMIT, or 20GB.")
def trimmed(limit: str | None) -> None:
    """Remove the stores whose last use is longest ago, until the others take no more than the limit."""
    from ..embedding import cache

    _removed(cache.trim(limit))


@group.command("path")
def path() -> None:
    """Print the folder of the cache; XDG_CACHE_HOME moves it."""
    from ..embedding.place import cache_root

    click.echo(cache_root())


def _removed(table: pd.DataFrame) -> None:
    from ..embedding import cache

    if len(table):
        click.echo(_lines(table))
    click.echo(f"Removed {_count(table)}, {cache.told_bytes(int(table['bytes'].sum()))}")


def _count(table: pd.DataFrame) -> str:
    return "1 store" if len(table) == 1 else f"{len(table)} stores"


def _lines(table: pd.DataFrame) -> str:
    from ..embedding import cache

    shown = table.assign(
        name=table["name"].str[:12],
        bytes=[cache.told_bytes(size) for size in table["bytes"]],
        used=[time.tz_convert(_zone()).strftime("%Y-%m-%d %H:%M") for time in table["used"]],
    )
    return str(shown.astype("string").fillna("-").to_string(index=False, max_colwidth=60))


def _zone() -> Any:
    from datetime import datetime

    return datetime.now().astimezone().tzinfo
