"""``clipviz audit SPEC``: what `clipviz.audit` does, and the gate of continuous integration."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ClipvizError, InputError
from ..files import suffix_of, write
from .commands import main, open_model

if TYPE_CHECKING:
    from ..auditing import Audit, AuditSpec
    from ..auditing.gate import GateResult

BROKEN = 1  # the exit code of a gate with a broken bound
SELFTEST = 200
_LISTED = 12  # sentences of a kind


@main.command()
@click.argument("spec", required=False)
@click.option("--data", type=click.Path(path_type=Path), default=None,
              help="A folder, a table, shards; or a store that `clipviz embed` made.")  # fmt: skip
@click.option("--model", "name", default=None,
              help='Folder, or "architecture:tag" such as ViT-B-32:openai. A store names its own.')  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), multiple=True,
              help="A folder to keep all of it, or .html, .json, .csv, .md, .xml (may be repeated).")  # fmt: skip
@click.option("--gate", "gated", is_flag=True, help="Exit with 1 when a bound of the spec is broken.")
@click.option(
    "--fail-if",
    "bounds",
    multiple=True,
    metavar="BOUND",
    help='A bound in place of the spec\'s, such as "crime-related.race.gap.ci_low > 0.05" (may be repeated); implies '
    "--gate.",
)
@click.option(
    "--selftest",
    type=click.IntRange(1),
    is_flag=False,
    flag_value=SELFTEST,
    default=None,
    metavar="[REPETITIONS]",
    help=f"Plant known rates and tell how well they are found. [{SELFTEST}]",
)
@click.option("--new", type=click.Path(path_type=Path), default=None, metavar="FILE",
              help="Write a spec to start from, with comments, and do nothing else.")  # fmt: skip
@click.option("--column", "columns", multiple=True, metavar="COLUMN[=DATA]",
              help="Group by this column, or, as race=ethnicity, find the spec's column under this name of the data "
              "(may be repeated). Default: the spec's.")  # fmt: skip
@click.option("--map", "mapped", multiple=True, metavar="COLUMN:VALUE=GROUP",
              help="What a value of the data means (may be repeated).")  # fmt: skip
@click.option("--reference", "references", multiple=True, metavar="COLUMN=GROUP",
              help='Whom the others are compared with: a group, "rest" or "best".')  # fmt: skip
@click.option("--known", default=None, help="The table whose codes the values are: fairface, utkface, celeba.")
@click.option("--empty", type=click.Choice(["refuse", "leave out", "a group"]), default=None,
              help="What an empty cell is. Default: refuse.")  # fmt: skip
@click.option(
    "--person", default=None, help="The column that says who is seen, where several pictures show one person."
)
@click.option("--box", default=None, help="The column of the face's box.")
@click.option("--id", "id_column", default=None, help="The column that names each picture, where it is not found.")
@click.option("--variants/--no-variants", default=True, help="Run other wordings too.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Default: the spec's.")
@click.option("--people", is_flag=True, help="Show pictures of people on the .html page.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def audit(
    spec: str | None, data: Path | None, name: str | None, out: tuple[Path, ...], gated: bool, bounds: tuple[str, ...],
    selftest: int | None, new: Path | None, columns: tuple[str, ...], mapped: tuple[str, ...],
    references: tuple[str, ...], id_column: str | None, people: bool, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Whom does a model fail? Run SPEC (a bundled name, or a TOML file) on the pictures of --data.

    \b
    Exit code 0: the audit ran and, with --gate, every bound is kept.
              1: with --gate, a bound is broken; or an error, told in a sentence.
              2: a wrong option.
    """
    import clipviz

    if new is not None:
        _start(new, spec)
        return
    if spec is None or data is None:
        raise click.UsageError(
            "Name a spec and --data: clipviz audit nurse_doctor --data faces/ --model ...; or --new."
        )
    asked = _spec(spec, bounds, gated)
    for path in out:
        _check(path)
    try:
        found = clipviz.audit(
            _data(data, id_column), asked, model=open_model(name) if name else None, columns=_columns(columns),
            mapping=_mapping(mapped), reference=_pairs(references, "--reference"), selftest=selftest or 0,
            progress=not quiet, **options,
        )  # fmt: skip
    except ClipvizError as error:
        raise type(error)(as_typed(str(error))) from error
    _tell(found)
    for path in sorted(out, key=lambda one: bool(one.suffix)):  # folders first: they hold all, and need no gate
        kept = found.save(path, people=True) if people and path.suffix.lower() == ".html" else found.save(path)
        click.echo(f"Wrote {kept}")
    if (gated or bounds) and _gate(found).broken:
        sys.exit(BROKEN)


def _start(path: Path, spec: str | None) -> None:
    from ..auditing.starting import spec_template

    if spec is not None:
        raise InputError(f"--new starts a spec of its own, and {spec!r} was named too: leave one of them out.")
    if path.suffix.lower() != ".toml":
        raise InputError(f"A spec is a TOML file, got {path.name!r}: write --new {path.stem or 'my'}.toml.")
    if path.exists():
        raise InputError(f"{str(path)!r} is there already and is not written over: name another file.")
    click.echo(
        f"Wrote {write(path, spec_template(path.stem))}: edit it, then clipviz audit {path} --data ... --model ..."
    )


def _spec(spec: str, bounds: tuple[str, ...], gated: bool) -> AuditSpec:
    from ..auditing import AuditSpec
    from ..auditing.bounds import example_bound
    from ..auditing.parts import Gate

    found = AuditSpec.load(spec)
    if bounds:
        found = found.with_(gate=Gate(tuple(bounds)))
    if gated and not found.gate.fail_if:
        raise InputError(
            f"--gate was asked and the spec {found.name!r} has no bound, so that it could never close: add "
            f'[gate] fail_if = ["..."] to the spec, or --fail-if "{example_bound(found)}".'
        )
    return found


def _data(data: Path, id_column: str | None) -> Any:
    import clipviz

    return clipviz.open_source(data, id=id_column) if id_column else data


def _check(path: Path) -> None:
    """Told before the model has worked for nothing."""
    from ..auditing.exports import SUFFIXES

    if path.suffix:
        suffix_of(path, SUFFIXES, "An audit")


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str] | None:
    found = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise InputError(f"{option} {pair!r} is not COLUMN=GROUP; write for instance {option} gender=Male.")
        found[key] = value
    return found or None


def _columns(given: tuple[str, ...]) -> list[str] | dict[str, str] | None:
    """Names to group by, or the spec's columns as the data calls them."""
    if not any("=" in one for one in given):
        return list(given) or None
    if plain := [one for one in given if "=" not in one]:
        raise InputError(
            f"--column {plain[0]!r} groups by a column and another --column names one anew (race=ethnicity): give "
            "all of one kind."
        )
    return _pairs(given, "--column")


# What the library tells a caller in Python -> what is typed here.
_TYPED = (
    (re.compile(r"""columns=\{"([^"]*)": "the data's column"\}"""), r'--column "\1=COLUMN OF THE DATA"'),
    (re.compile(r"columns=\[\.\.\.\]"), "--column"),
    (re.compile(r"model=clipviz\.load\([^)]*\)"), "--model, such as --model ViT-B-32:openai"),
    (re.compile(r'reference=\{"([^"]*)": "([^"]*)"\}'), r'--reference "\1=\2"'),
    (re.compile(r'\b(empty|known|person|box)=("[^"]*"|\.\.\.)'), r"--\1 \2"),
)  # fmt: skip


def as_typed(text: str) -> str:
    """An error of the library with the options of this command in place of the arguments of `clipviz.audit`.

    >>> as_typed('fill them, or say what it means: empty="leave out".')
    'fill them, or say what it means: --empty "leave out".'
    """
    for pattern, typed in _TYPED:
        text = pattern.sub(typed, text)
    return text


def _mapping(given: tuple[str, ...]) -> dict[str, dict[str, str]] | None:
    found: dict[str, dict[str, str]] = {}
    for one in given:
        column, colon, rest = one.partition(":")
        value, equals, group = rest.partition("=")
        if not (column and colon and value and equals):
            raise InputError(
                f"--map {one!r} is not COLUMN:VALUE=GROUP; write for instance --map race:B=Black, and --map race:X= "
                "to leave a value out."
            )
        found.setdefault(column, {})[value] = group
    return found or None


def _tell(found: Audit) -> None:
    click.echo(repr(found))
    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    for state, heading in (("found", "Found:"), ("none", "No verdict:"), ("not found", "Not found:")):
        sentences = [verdict.sentence for verdict in found.verdicts if verdict.state == state]
        if sentences:
            click.echo(heading)
        for sentence in sentences[:_LISTED]:
            click.echo(f"  {sentence}")
        if len(sentences) > _LISTED:
            click.echo(f"  ... and {len(sentences) - _LISTED} more, in the report.")
    if found.failed:
        key, why = found.failed[0]
        click.echo(f"{len(found.failed)} pictures were not judged, the first {key!r}: {why}", err=True)


def _gate(found: Audit) -> GateResult:
    from ..auditing.gate import gate

    result = gate(found)
    click.echo("Gate:")
    for bound in result.bounds:
        click.echo(f"  {bound.sentence}")
    click.echo(result.sentence)
    return result
