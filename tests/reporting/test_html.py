"""The page, read back as a browser would."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipviz.errors import InputError
from clipviz.reporting import Code, Details, Item, Listing, Notice, Picture, Provenance, Section, Table, Text, page
from clipviz.reporting.html import isolate

HOSTILE = "<script>alert(1)</script>\"'&.jpg"
VOID = {"meta", "img", "br", "link"}


class Reader(HTMLParser):
    """Tags with their attributes, the text, and whether the tags are well nested."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open
    return reader


def pil(colour: str = "red") -> Image.Image:
    return Image.new("RGB", (12, 8), colour)


def everything(text: str) -> str:
    """A page with ``text`` in every place that takes one."""
    return page(
        text,
        [
            Section(
                text,
                Text(text),
                Code(text),
                Notice(text, "warning", title=text),
                Notice(text),
                Picture(pil(), caption=text, alt=text),
                Picture(pil(), caption=text, wide=True),
                Table([{text: text, "n": 1}], text, note=text),
                Provenance({text: text, "nested": {text: [text, {text: text}]}}, caption=text),
                Listing(Item(text, text, "strong", text), Item(text)),
                Details(text, Text(text), Details(text, Picture(pil(), text, drawn=True)), Table([{text: text}], text)),
            )
        ]
        * 3,
        lead=text,
        date=text,
        footer=text,
    )


def test_everything_is_escaped() -> None:
    plain, hostile = read(everything("plain")), read(everything(HOSTILE))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert not hostile.all("script")
    assert hostile.text.count(HOSTILE) == plain.text.count("plain") > 30
    assert [a["alt"] for a in hostile.all("img")] == [HOSTILE] * 9


def test_the_page_stands_alone() -> None:
    html = everything("plain")
    reader = read(html)
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    images = reader.all("img")
    assert images and all((a["src"] or "").startswith("data:image/") for a in images)
    for _, attrs in reader.tags:
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href", "srcset", "poster", "action"):
            assert (attrs.get(name) or "#").startswith(("#", "data:image/"))
    assert "http://" not in html and "https://" not in html and "url(" not in html and "@import" not in html


def test_the_page_is_built_for_everyone() -> None:
    html = page(
        "t", [Section("One", Table([{"model": "a", "n": 1}], "Scores"), Picture(pil(), alt="a red box"))], lang="ko"
    )
    reader = read(html)
    assert reader.all("html") == [{"lang": "ko"}]
    assert [len(reader.all(tag)) for tag in ("h1", "h2", "main", "header", "caption")] == [1, 1, 1, 1, 1]
    assert [a["scope"] for a in reader.all("th")] == ["col", "col", "row"]
    assert reader.all("img")[0]["alt"] == "a red box"
    assert (reader.all("img")[0]["width"], reader.all("img")[0]["height"]) == ("12", "8")
    assert "prefers-color-scheme: dark" in html and "@media print" in html


def test_contents_lead_to_sections_that_exist() -> None:
    reader = read(page("t", [Section(str(i)) for i in range(3)]))
    wanted = [(a["href"] or "")[1:] for a in reader.all("a")]
    assert wanted == [a["id"] for a in reader.all("section")] and len(wanted) == 3


def test_the_same_input_gives_the_same_page() -> None:
    assert everything("plain") == everything("plain")
    assert "2024" in page("t", [], date="2024-05-01") and "date" not in read(page("t", [])).text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a 나무가 있는 숲 b", 'a <bdi lang="ko">나무가 있는 숲</bdi> b'),
        ("森の中", '<bdi lang="ja">森の中</bdi>'),
        ("森林", '<bdi lang="zh">森林</bdi>'),
        ("say שלום עולם!", 'say <bdi dir="rtl">שלום עולם</bdi>!'),
        ("<숲>", '&lt;<bdi lang="ko">숲</bdi>&gt;'),
        ("photo\u202egpj.exe", "<bdi>photo\u202egpj.exe</bdi>"),
        ("a\x00b\udcff", "a\ufffdb\ufffd"),
        ("café – 5 €", "café – 5 €"),
    ],
)
def test_foreign_text_is_isolated(text: str, wanted: str) -> None:
    assert str(isolate(text)) == wanted


def test_a_file_name_that_is_no_text_can_be_written_down() -> None:
    html = everything("bad\udcff\x00name 숲 שלום \u202e")
    html.encode("utf-8")
    assert "\x00" not in html
    read(html)


def test_pictures_of_every_kind_come_back_as_they_were() -> None:
    from matplotlib.figure import Figure

    out = io.BytesIO()
    pil("blue").save(out, "JPEG")
    figure = Figure(figsize=(1, 1))
    cmyk = Image.new("CMYK", (3, 3))
    images: list[Any] = [pil(), out.getvalue(), figure, cmyk, pil().convert("RGBA")]
    reader = read(page("t", [Section("s", *(Picture(i, alt="x") for i in images))]))
    sources = [a["src"] or "" for a in reader.all("img")]
    kinds = [s[len("data:image/") : s.index(";")] for s in sources]
    assert kinds == ["png", "jpeg", "png", "png", "png"]
    first = Image.open(io.BytesIO(base64.b64decode(sources[0].split(",")[1])))
    assert np.array_equal(np.asarray(first), np.asarray(pil()))


def test_a_photograph_leaves_its_place_and_camera_behind() -> None:
    image = pil()
    image.getexif()[271] = "SecretCamera"
    image.info["comment"] = "SecretPlace"
    out = io.BytesIO()
    image.save(out, "PNG", exif=image.getexif())
    opened = Image.open(io.BytesIO(out.getvalue()))
    assert opened.getexif()[271] == "SecretCamera"
    source = read(page("t", [Section("s", Picture(opened, alt="x"))])).all("img")[0]["src"] or ""
    assert b"Secret" not in base64.b64decode(source.split(",")[1])


@pytest.mark.parametrize("image", [b"", b"hello", b"\x89PNG\r\n\x1a\n broken", 7, "photo.png"])
def test_what_is_no_picture_is_refused(image: object) -> None:
    with pytest.raises(InputError, match="picture"):
        page("t", [Section("s", Picture(image, alt="x"))])


@pytest.mark.parametrize("lang", ["", "e", "en us", 'en" onload="x'])
def test_a_language_is_a_tag(lang: str) -> None:
    with pytest.raises(InputError, match="lang="):
        page("t", [], lang=lang)


def test_sections_only() -> None:
    with pytest.raises(InputError, match="Section"):
        page("t", [Text("x")])  # type: ignore[list-item]


def test_writing_a_page_needs_no_matplotlib_and_no_pandas() -> None:
    code = (
        "import sys; from clipviz.reporting import *; page('t', [Section('s', Text('x'), Table([{'a': 1}], 'c'))]);"
        "assert not {'matplotlib', 'pandas', 'torch'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""


def test_an_item_leads_to_a_file_beside_the_page_and_nowhere_else() -> None:
    reader = read(page("t", [Section("s", Listing(Item("x", file="a b/c?d:e#f%.html")))]))
    assert [a["href"] for a in reader.all("a")] == ["./a%20b/c%3Fd%3Ae%23f%25.html"]
    for file in ("/etc/passwd", "../x.html", "a/../../x", "\\\\host\\x"):
        with pytest.raises(InputError, match="folder of the page"):
            Item("x", file=file)


def test_details_are_folded_and_a_chart_keeps_its_size() -> None:
    reader = read(page("t", [Section("s", Details("More", Text("inside")), Picture(pil(), "c", drawn=True))]))
    assert len(reader.all("details")) == len(reader.all("summary")) == 1 and "open" not in reader.all("details")[0]
    assert (reader.all("img")[0]["width"], reader.all("img")[0]["height"]) == ("10", "6")
    assert "details::details-content { content-visibility: visible" in page("t", []), "open in print"


def test_long_tables_are_left_out_in_print() -> None:
    short, long = (Details("More", Table([{"a": 1}] * rows, "c")) for rows in (100, 101))
    classes = [tag.get("class") for tag in read(page("t", [Section("s", short, long)])).all("details")]
    assert classes == [None, "long"] and "details.long::details-content { display: none; }" in page("t", [])


def test_a_chart_has_a_palette_and_looks_the_same_and_a_photograph_stays_as_it_is() -> None:
    from clipviz import plots

    chart = plots.intervals(["a", "나"], [0.1, 0.3], [0.0, 0.2], [0.2, 0.4], looks=["strong", "quiet"])
    shown = []
    for drawn in (True, False):
        (image,) = read(page("t", [Section("s", Picture(chart, alt="a", drawn=drawn))])).all("img")
        shown.append(base64.b64decode(str(image["src"]).partition(",")[2]))
    small, whole = shown
    assert whole == plots.png(chart) and len(small) < 0.7 * len(whole)
    first, second = (np.asarray(Image.open(io.BytesIO(one)).convert("RGB")).astype(int) for one in shown)
    assert first.shape == second.shape and abs(first - second).max() <= 24 and abs(first - second).mean() < 0.2
