"""The verb `report`: results as pages in one folder, with a page that leads to them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipviz.errors import InputError
from clipviz.files import write
from clipviz.reporting.blocks import Item, Listing, Notice, Section
from clipviz.reporting.html import page

_MORE = {".json": "JSON, all of it", ".csv": "CSV, the table", ".md": "Section for a model's card",
         ".xml": "JUnit, the gate"}  # fmt: skip
_TOLD = 6  # findings of one result on the first page


def report(*results: Any, path: str | Path = "out/", people: bool = False) -> Path:
    """Write each result as a page, and as everything else that it can be saved as, with a page that leads to them.

    Parameters
    ----------
    results : audits, evaluations, heatmaps, detections, comparisons: whatever ``.save("x.html")`` knows.
    path : a folder; it is made. Files of an earlier report in it are written over.
    people : show pictures of people in audits. Results that are pictures (heatmaps) always show theirs.

    Returns the path of ``index.html`` in it. The pages need no network and no other file.

    Raises
    ------
    InputError : nothing to report, something that cannot be saved as a page, or a path that is a file.

    >>> clipviz.report(audit, evaluation, path="out/faces")  # doctest: +SKIP
    """
    folder = Path(path)
    if not results:
        raise InputError('There is nothing to report; pass results, such as clipviz.report(audit, path="out/").')
    if folder.is_file() or folder.suffix.lower() in (".html", *_MORE):
        other = str(folder.with_suffix(""))
        raise InputError(f"A report is a folder of pages, got {str(path)!r}; pass path={other!r}, or save one result "
                         "by its own .save().")  # fmt: skip
    for number, result in enumerate(results, 1):
        if not callable(getattr(result, "save", None)):
            raise InputError(f"Result {number} is a {type(result).__name__}, which has no page; pass what "
                             "clipviz.audit, evaluate, explain, compare or detect gave.")  # fmt: skip
    sections = [_section(number, result, folder, people) for number, result in enumerate(results, 1)]
    count = "one result" if len(results) == 1 else f"{len(results)} results"
    return write(folder / "index.html", page("Report", sections, lead=f"By clipviz, of {count}."))


def _section(number: int, result: Any, folder: Path, people: bool) -> Section:
    """Save one result; what it is, and where."""
    title = _title(result)
    stem = f"{number:02}-{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')[:40] or 'result'}"
    taken = inspect.signature(result.save).parameters
    options: dict[str, Any] = {"people": True} if people and "people" in taken else {}
    files = [Path(result.save(folder / f"{stem}.html", **options)).name]
    for suffix in _MORE:
        try:
            files.append(Path(result.save(folder / f"{stem}{suffix}")).name)
        except InputError:
            continue  # not something that this kind of result is saved as
    links = [Item("The page", file=files[0])]
    links += [Item(_MORE[Path(name).suffix], file=name) for name in files[1:]]
    about = getattr(result, "provenance", None)
    tiny = isinstance(about, Mapping) and about.get("demonstration") is True
    head = [Notice("These figures show how a report reads, not what a model in use does.", "warning",
                   "Demonstration model")] if tiny else []  # fmt: skip
    return Section(title, *head, Listing(*_findings(result)), Listing(*links))


def _title(result: Any) -> str:
    spec = getattr(result, "spec", None)
    named = str(getattr(spec, "title", "") or "")
    return f"{type(result).__name__}: {named}" if named else type(result).__name__


def _findings(result: Any) -> list[Item]:
    """What a result says of itself: its verdicts where it has any, else its one line."""
    items = [Item(str(getattr(result, "headline", "") or repr(result)))]
    found = [one for one in getattr(result, "verdicts", ()) if one.state == "found"]
    for one in found[:_TOLD]:
        tag, tone = ("Fragile", "warning") if one.fragile else ("Found", "strong")
        items.append(Item(one.sentence, tag, tone))  # type: ignore[arg-type]
    if len(found) > _TOLD:
        items.append(Item(f"{len(found) - _TOLD} more are on the page."))
    return items
