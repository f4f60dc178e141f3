"""The verb: `audit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .opening import asked_spec, counted, opened, plain_options
from .result import Audit
from .running import run

if TYPE_CHECKING:
    from ..model import Model


def audit(
    data: Any,
    spec: Any,
    *,
    model: Model | str | None = None,
    columns: str | Sequence[str] | Mapping[str, str] | None = None,
    mapping: Mapping[str, Mapping[str, str]] | None = None,
    reference: Mapping[str, str] | None = None,
    known: str | None = None,
    empty: str | None = None,
    person: str | None = None,
    box: str | None = None,
    variants: bool = True,
    selftest: int = 0,
    seed: int | None = None,
    progress: bool = True,
) -> Audit:
    """Whom does a model fail, by how much, and how sure is that? An `Audit`: a table of figures, verdicts, caveats.

    Parameters
    ----------
    data : an `Embeddings` store (or its folder), which names its model, or what `open_source` takes, with ``model``.
    spec : a bundled name ("nurse_doctor", "fairface_denigration", ...), the path of a TOML file, or an `AuditSpec`.
    columns : by which columns to group, or the spec's column -> the data's. ``mapping`` : column -> value -> group.
    reference : column -> the group that others are compared to, "rest" or "best". ``known`` : the table whose codes the
        values are ("utkface"). ``empty`` : what an empty cell is: "refuse", "leave out" or "a group".
    person : the column that says who is seen, where several pictures show one person. ``box`` : that of face boxes.
    variants : run other wordings too. ``selftest`` : repetitions of a calibration with these group sizes, 0 for none.

    Raises SpecError, DataError, ModelError or InputError, each with what to type. Damaged pictures are in ``.failed``.

    >>> clipviz.audit("faces/", "nurse_doctor", model=clipviz.load("ViT-B-32", "openai"))  # doctest: +SKIP
    """
    repetitions = counted("selftest", selftest)
    asked = asked_spec(
        spec, columns=plain_options(columns), mapping=mapping, reference=reference, known=known, empty=empty,
        person=person, box=box, seed=None if seed is None else counted("seed", seed), variants=variants,
    )  # fmt: skip
    embeddings, judge = opened(data, model, progress, asked)
    return run(asked, embeddings, judge, variants=variants, selftest=repetitions, progress=progress)
