"""Pages for people: titles, text, pictures and tables in, one self-contained HTML page out. Nothing is computed here.

>>> html = page("A look", [Section("Pictures", Text("Where the model looks."))])
"""

from clipviz.reporting.blocks import (
    Block,
    Code,
    Details,
    Item,
    Listing,
    Notice,
    Picture,
    Provenance,
    Section,
    Table,
    Text,
)
from clipviz.reporting.html import page
from clipviz.reporting.indexing import report

__all__ = [
    "Block",
    "Code",
    "Details",
    "Item",
    "Listing",
    "Notice",
    "Picture",
    "Provenance",
    "Section",
    "Table",
    "Text",
    "page",
    "report",
]
