"""The blocks that a page is made of: plain frozen values, checked when they are made, rendered by `page`."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from clipviz.errors import InputError

_PAPER = 100  # rows of folded tables that are printed


@dataclass(frozen=True)
class Text:
    """Paragraphs, separated by blank lines.

    >>> Text("One paragraph.\\n\\nAnother.")
    Text(text='One paragraph.\\n\\nAnother.')
    """

    text: str


@dataclass(frozen=True)
class Code:
    """A command or a piece of code, shown as it is."""

    text: str


@dataclass(frozen=True)
class Notice:
    """What a reader must not miss: "outside what this model was trained on".

    >>> Notice("The word 'glacier' never occurred in training.", "warning").kind
    'warning'
    """

    text: str
    kind: Literal["info", "warning"] = "info"
    title: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("info", "warning"):
            raise InputError(f"A notice cannot be of kind {self.kind!r}; give 'info' or 'warning'.")


@dataclass(frozen=True)
class Picture:
    """A figure with its caption; neighbours are set side by side where there is room.

    Parameters
    ----------
    image : PNG, JPEG, GIF or WebP bytes, a PIL image, a matplotlib Figure, or anything that shows itself as PNG in a
        notebook.
    caption : below the picture. alt : what it shows, for those who cannot see it; the caption where it is left out.
    wide : takes the whole width, alone.
    drawn : a chart on white paper at 144 pixels an inch: its letters keep their size, a narrow page scrolls it, and a
        dark page turns it dark. Not for photographs.

    Raises
    ------
    InputError : neither a caption nor an alt text.
    """

    image: Any = field(repr=False)
    caption: str = ""
    alt: str = ""
    wide: bool = False
    drawn: bool = False

    def __post_init__(self) -> None:
        if not (self.alt.strip() or self.caption.strip()):
            raise InputError("A picture has neither caption nor alt text; say in alt= what it shows.")


@dataclass(frozen=True)
class Table:
    """A table with a caption.

    Parameters
    ----------
    rows : a DataFrame (a named or non-default index becomes leading columns) or a list of dicts, whose keys in order of
        appearance are the columns.
    caption : above the table.
    formats : column -> format specification such as ``".3f"`` or ``".1%"``; other floats get four digits.
    note : below the table, small.
    figures : columns of text that stand for numbers, set flush right as numbers are.

    >>> Table([{"model": "clipviz-tiny", "accuracy": 0.551}], "Scores", formats={"accuracy": ".1%"}).caption
    'Scores'
    """

    rows: Any
    caption: str
    formats: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    figures: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.caption.strip():
            raise InputError("A table has no caption; say in caption= what it shows.")


@dataclass(frozen=True)
class Provenance:
    """Where the figures come from: a dict, nested as deep as it likes, shown as a list of names and values."""

    values: Mapping[str, Any]
    caption: str = ""


@dataclass(frozen=True)
class Item:
    """One statement of a `Listing`, with a tag before it that says its kind in a word.

    Parameters
    ----------
    text : a sentence or two. tag : such as "Found"; none where it is empty. note : below, small.
    tone : how the tag looks; the word says it, the colour repeats it.
    file : a file in the same folder as the page, or below it, that the text leads to.

    >>> Item("Men are labelled so more often.", "Found", "strong").tag
    'Found'
    """

    text: str
    tag: str = ""
    tone: Literal["strong", "warning", "good", "quiet"] = "quiet"
    note: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        if self.tone not in ("strong", "warning", "good", "quiet"):
            raise InputError(f"An item has no tone {self.tone!r}; give 'strong', 'warning', 'good' or 'quiet'.")
        parts = self.file.replace("\\", "/").split("/")
        if self.file and (parts[0] == "" or ".." in parts):
            raise InputError(f"An item leads to {self.file[:80]!r}; give a file in the folder of the page.")


@dataclass(frozen=True, init=False)
class Listing:
    """Items below each other.

    >>> len(Listing(Item("One."), Item("Two.")).items)
    2
    """

    items: tuple[Item, ...]

    def __init__(self, *items: Item) -> None:
        if any(not isinstance(item, Item) for item in items):
            raise InputError("A listing holds Items; give Listing(Item('text'), ...).")
        object.__setattr__(self, "items", items)


@dataclass(frozen=True, init=False)
class Details:
    """Blocks that stay folded until a reader opens them; in print they are open, but for tables of over 100 rows.

    >>> Details("All figures", Text("...")).summary
    'All figures'
    """

    summary: str
    blocks: tuple[Block, ...]

    def __init__(self, summary: str, *blocks: Block) -> None:
        _check_blocks(blocks, "Details")
        if not summary.strip():
            raise InputError("Details have no summary; say in a few words what they hold.")
        object.__setattr__(self, "summary", summary)
        object.__setattr__(self, "blocks", blocks)

    @property
    def long(self) -> bool:
        """Whether it would take many pages of paper."""
        return sum(len(block.rows) for block in self.blocks if isinstance(block, Table)) > _PAPER


Block: TypeAlias = Text | Code | Notice | Picture | Table | Provenance | Listing | Details


@dataclass(frozen=True, init=False)
class Section:
    """A heading and the blocks under it.

    >>> Section("Scores", Text("Higher is better.")).title
    'Scores'
    """

    title: str
    blocks: tuple[Block, ...]

    def __init__(self, title: str, *blocks: Block) -> None:
        _check_blocks(blocks, "A section")
        object.__setattr__(self, "title", title)
        object.__setattr__(self, "blocks", blocks)


def _check_blocks(blocks: Iterable[object], what: str) -> None:
    kinds = (Text, Code, Notice, Picture, Table, Provenance, Listing, Details)
    for block in blocks:
        if not isinstance(block, kinds):
            named = ", ".join(kind.__name__ for kind in kinds[:-1])
            holds = "cannot hold" if what != "Details" else "cannot fold"
            raise InputError(f"{what} {holds} {type(block).__name__}; give {named} or {kinds[-1].__name__}.")


@dataclass(frozen=True)
class Grid:
    """A table as text: column names, cells, and which columns are numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]


def table_text(table: Table) -> Grid:
    """The cells of ``table`` as text."""
    names, rows = _cells(table.rows)
    for option, columns in (("formats", table.formats), ("figures", table.figures)):
        for column in columns:
            if column not in names and names:
                raise InputError(f"{option} names the column {column!r}; the table has {', '.join(map(repr, names))}.")
    numeric = tuple(
        names[i] in table.figures
        or (any(_is_number(row[i]) for row in rows) and all(_is_number(row[i]) or _absent(row[i]) for row in rows))
        for i in range(len(names))
    )
    text = tuple(tuple(_show(v, table.formats.get(n, "")) for n, v in zip(names, row, strict=True)) for row in rows)
    return Grid(tuple(names), text, numeric)


def _cells(rows: Any) -> tuple[list[str], list[Sequence[Any]]]:
    if hasattr(rows, "itertuples"):  # a DataFrame, known by what it does: pandas need not be imported to write a page
        index = rows.index
        plain = index.nlevels == 1 and index.name is None and list(index) == list(range(len(index)))
        frame = rows if plain else rows.reset_index(allow_duplicates=True)
        names = [" · ".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns]
        return names, list(frame.itertuples(index=False, name=None))
    if isinstance(rows, Iterable) and not isinstance(rows, str | bytes | Mapping):
        listed = list(rows)
        if all(isinstance(row, Mapping) for row in listed):
            keys = list(dict.fromkeys(key for row in listed for key in row))
            return [str(k) for k in keys], [[row.get(key) for key in keys] for row in listed]
    raise InputError(f"A table cannot be made of {type(rows).__name__}; give a DataFrame or a list of dicts.")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)  # numpy's numbers count themselves as Real


def _absent(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (_is_number(value) and value != value)


def _show(value: Any, spec: str = "") -> str:
    if _absent(value):
        return "–"
    if _is_number(value):
        try:
            text = format(value, spec or ("" if isinstance(value, numbers.Integral) else ".4g"))
        except ValueError:
            raise InputError(f"{spec!r} cannot format {value!r}; give a specification like '.3f' or '.1%'.") from None
        return text.replace("-", "\u2212") if text[:1] == "-" else text
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return ", ".join(_show(item) for item in items) or "–"
    return str(value)


def value_text(value: Any) -> str:
    """One value of a provenance list as text; numbers in full, for they are there to be copied."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {value_text(item)}" for key, item in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(value_text(item) for item in value) or "–"
    if _is_number(value) and value == value:
        return repr(float(value)) if not isinstance(value, numbers.Integral) else str(int(value))
    return _show(value)
