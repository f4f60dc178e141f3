"""Blocks -> one self-contained HTML page."""

from __future__ import annotations

import base64
import functools
import io
import itertools
import re
import unicodedata
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from clipviz.errors import InputError
from clipviz.reporting.blocks import Block, Picture, Section, table_text, value_text

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# Runs of Korean, Japanese, Chinese and of right-to-left scripts, with the spaces inside them.
_HANGUL, _RTL = r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3", r"\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
_RUN = re.compile(
    rf"(?P<ko>[{_HANGUL}]+(?: +[{_HANGUL}]+)*)"
    r"|(?P<ja>[\u4e00-\u9fff]*[\u3040-\u30ff][\u3040-\u30ff\u4e00-\u9fff]*)"
    r"|(?P<zh>[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)"
    rf"|(?P<rtl>[{_RTL}]+(?: +[{_RTL}]+)*)"
)
_BIDI = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_WORD, _PROSE = 36, 60  # letters of a word that is broken anywhere, of a cell that is a sentence
_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))


def page(
    title: str,
    sections: Iterable[Section],
    *,
    lang: str = "en",
    lead: str = "",
    date: str | None = None,
    footer: str = "",
) -> str:
    """One HTML page that needs nothing else: no script, no network, pictures inside; light, dark and in print.

    Everything given is shown as text, never read as markup. Korean, Japanese, Chinese and right-to-left runs are
    isolated and named, so that they are drawn and read out as what they are. The same arguments give the same page.

    Parameters
    ----------
    title, lead : the heading and the sentence under it.
    sections : `Section`s; from three on, a table of contents leads to them.
    lang : language of the page, as in HTML (``"en"``, ``"ko"``).
    date : shown under the title as it is; None for none.
    footer : last line of the page.

    Raises
    ------
    InputError : a picture or a table that cannot be read as one.

    >>> "<h1>A look</h1>" in page("A look", [Section("Pictures")])
    True
    """
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", lang):
        raise InputError(f"lang={lang!r} is not a language tag; give one such as 'en' or 'ko'.")
    listed = list(sections)
    for section in listed:
        if not isinstance(section, Section):
            raise InputError(f"A page is made of sections, not {type(section).__name__}; give Section(title, *blocks).")
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            title=title,
            lead=lead,
            date=date,
            lang=lang,
            footer=footer,
            sections=[(s.title, _groups(s.blocks)) for s in listed],
        )
    )


def isolate(text: object) -> Markup:
    """``text`` escaped, with its foreign runs in ``<bdi>``; control characters, which HTML forbids, become U+FFFD.

    >>> str(isolate("<b> 숲"))
    '&lt;b&gt; <bdi lang="ko">숲</bdi>'
    """
    from markupsafe import Markup, escape

    plain = _printable(str(text))
    out, end = [], 0
    for run in _RUN.finditer(plain):
        kind = run.lastgroup
        mark = 'dir="rtl"' if kind == "rtl" else f'lang="{kind}"'
        out.append(f"{escape(plain[end : run.start()])}<bdi {mark}>{escape(run.group())}</bdi>")
        end = run.end()
    out.append(str(escape(plain[end:])))
    if _BIDI.search(plain):  # an override left open ends with its bdi and cannot turn the rest of the line
        out = ["<bdi>", *out, "</bdi>"]
    return Markup("".join(out))


def data_uri(image: Any, drawn: bool = False) -> tuple[str, int, int]:
    """A picture as a data URI, with its width and height in pixels.

    A chart that is ``drawn`` has few colours, and takes a third of the room with a palette of 255 of them.
    """
    data = _few_colours(_encoded(image)) if drawn else _encoded(image)
    kind = next((name for magic, name in _SIGNATURES if data.startswith(magic)), None)
    if kind is None:
        raise InputError(
            f"A picture of {len(data)} bytes is no PNG, JPEG, GIF or WebP; give one of these or a PIL image."
        )
    from PIL import Image, UnidentifiedImageError

    try:
        width, height = Image.open(io.BytesIO(data)).size
    except (UnidentifiedImageError, OSError):
        raise InputError(
            f"A {kind} picture of {len(data)} bytes is damaged; give a whole one or a PIL image."
        ) from None
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}", width, height


def _encoded(image: Any) -> bytes:
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    out = io.BytesIO()
    if hasattr(image, "save") and hasattr(image, "mode") and hasattr(image, "convert"):  # PIL
        keep = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else image.convert("RGB")
        # Only the pixels travel: no EXIF, no place where the picture was taken.
        keep.save(out, "PNG", exif=b"", icc_profile=None, pnginfo=None)
    elif hasattr(image, "_repr_png_"):
        shown = image._repr_png_()
        out.write(shown if isinstance(shown, bytes) else base64.b64decode(shown))
    elif hasattr(image, "savefig"):  # any matplotlib Figure
        image.savefig(out, format="png", dpi=144, metadata={"Software": None})
    else:
        raise InputError(f"{type(image).__name__} is no picture; give image bytes, a PIL image or a matplotlib Figure.")
    return out.getvalue()


def _few_colours(data: bytes) -> bytes:
    """A PNG of a chart with a palette; as it is where it has one, is transparent, or would grow."""
    from PIL import Image

    if not data.startswith(_SIGNATURES[0][0]):
        return data
    chart = Image.open(io.BytesIO(data))
    if chart.mode != "RGB":
        return data
    out = io.BytesIO()
    chart.quantize(255, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return min(data, out.getvalue(), key=len)


def _groups(blocks: Iterable[Block]) -> list[tuple[str, list[Block]]]:
    """Blocks by kind, with neighbouring pictures together."""

    def key(item: tuple[int, Block]) -> tuple[str, int]:
        place, block = item
        if isinstance(block, Picture) and not block.wide:
            return "charts" if block.drawn else "gallery", -1
        return type(block).__name__.lower(), place

    return [(kind, [b for _, b in items]) for (kind, _), items in itertools.groupby(enumerate(blocks), key)]


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("clipviz.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: (
            _printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
        ),
    )
    made.filters.update(
        isolate=isolate, table_text=table_text, value_text=value_text, paragraphs=_paragraphs, groups=_groups,
        unbroken=_unbroken, prose=lambda text: len(text) > _PROSE, address=_address,
    )  # fmt: skip
    made.globals.update(data_uri=data_uri)
    made.tests["nested"] = lambda value: isinstance(value, Mapping)
    return made


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _unbroken(text: str) -> bool:
    """Whether a word is so long that a table must break it anywhere."""
    return any(len(word) > _WORD for word in text.split())


def _address(file: str) -> str:
    """A file beside the page as an address: a colon or a question mark in its name is no part of the address."""
    path = file.replace("\\", "/").encode("utf-8", "surrogateescape")
    return "./" + urllib.parse.quote(path)


def _printable(text: str) -> str:
    # Lone surrogates come from file names that are not UTF-8; they and control characters cannot stand in a page.
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" else c for c in text)
