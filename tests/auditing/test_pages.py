"""The page of an audit, read back as a browser would."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipviz.auditing import pages
from clipviz.auditing.page_parts import verdict_section
from clipviz.auditing.result import Audit
from clipviz.errors import DataError
from clipviz.reporting import page
from clipviz.sources.base import Item

sys.path.insert(0, str(Path(__file__).parent))
from handmade import HOSTILE, make_audit

BOUNDS = ("crime-related.race.gap.ci_low > 0.05", "alien.race.gap.value > 0.1")


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.hidden = "", 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.hidden += tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag == "style"

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@pytest.fixture(scope="module")
def audit() -> Audit:
    return make_audit(fail_if=BOUNDS)


@pytest.fixture(scope="module")
def html(audit: Audit) -> str:
    return pages.audit_page(audit)


def test_verdicts_stand_first_in_plain_sentences(html: str) -> None:
    text = read(html).text
    sentence = "Black is labelled crime-related 20.0 points more often than White (30.0 against 10.0 %"
    order = [sentence, "No difference between Indian and White", "No verdict on", "The gate is broken", "A note.",
             "Differences", "By group", "Crude and adjusted disagree", "other words", "Does the model know the words?",
             "No self-test ran", "What this audit could not have seen", "Not these.", "word for word", "Made up.",
             "truncated", "cdcdcd"]  # fmt: skip
    body = text[text.index("Who is called a criminal?") :]
    places = [body.index(part) for part in order if part != "Differences"]
    assert places == sorted(places)
    assert "16.4 %" in body and "30.0 % (25.5 to 34.8)" in body, "the published figure stands beside ours"
    assert "a photo of a criminal." in body


def test_a_fragile_verdict_is_marked_on_top() -> None:
    import dataclasses

    audit = make_audit()
    fragile = [dataclasses.replace(v, fragile=v.state == "found") for v in audit.verdicts]
    changed = dataclasses.replace(audit, verdicts=tuple(fragile))
    reader = read(page("t", [verdict_section(changed)], lead=pages.headline(changed)))
    tags = [attrs["class"] for tag, attrs in reader.tags if tag == "span"]
    assert tags[0] == "tag warning" and "Fragile" in reader.text and "1 of them fragile" in reader.text


def test_a_demonstration_model_heads_its_report(html: str) -> None:
    tiny = make_audit(model="clipviz-tiny", demonstration=True)
    assert pages.title_of_page(tiny) == "Demonstration model: A handmade audit"
    assert "says anything about a model that people use" in read(page("t", [verdict_section(tiny)])).text
    assert "Demonstration model" not in read(html).text and "<title>Bias audit: A handmade audit" in html


def test_the_page_stands_alone_and_is_the_same_twice(audit: Audit, html: str) -> None:
    reader = read(html)
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "iframe", "object", "embed", "form"}
    assert all((attrs.get("href") or "#").startswith("#") for _, attrs in reader.tags)
    sources = [attrs["src"] or "" for tag, attrs in reader.tags if tag == "img"]
    assert len(sources) > 5 and all(source.startswith("data:image/png") for source in sources)
    assert all((attrs["alt"] or "").strip() for tag, attrs in reader.tags if tag == "img")
    assert html == pages.audit_page(make_audit(fail_if=BOUNDS))


def test_hostile_texts_are_texts() -> None:
    def tags(word: str) -> list[str]:
        audit = make_audit(
            word, groups=(word + "1", "White", word + "2"), title=word, templates=("{} " + word,), meaning=word,
            failed=((word, word),), notes=(word,), model=word, limits=(word,), headline=word, about=word, purpose=word,
        )  # fmt: skip
        reader = read(pages.audit_page(audit))
        found = [tag for tag, attrs in reader.tags if tag != "bdi"]
        assert not [name for _, attrs in reader.tags for name in attrs if name.startswith("on")]
        view = read(pages.audit_view(audit)).tags
        assert "script" not in {tag for tag, _ in view}
        return found

    assert tags(HOSTILE) == tags("é")  # as little English as the hostile one: no English wordings around it


def test_people_are_shown_only_where_they_are_asked_for(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def examples(self: Audit, *, group: str, label: str, by: str, k: int) -> tuple[Item, ...]:
        asked.append((group, label, by))
        if group == "White":
            raise DataError("The pictures have moved.")
        face = Image.fromarray(np.full((20, 20, 3), 120, np.uint8))
        return tuple(Item(str(i), face) for i in range(k))

    monkeypatch.setattr(Audit, "examples", examples)
    monkeypatch.setattr(pages, "CHECKS", ())
    monkeypatch.setattr(pages, "figure_section", lambda audit: None)
    monkeypatch.setattr(pages, "group_section", lambda audit: None)
    pages.audit_page(audit)
    assert not asked
    shown = read(pages.audit_page(audit, people=True))
    assert asked == [("Black", "crime-related", "race"), ("White", "crime-related", "race")]
    assert [tag for tag, _ in shown.tags].count("img") == 4 and "The pictures have moved." in shown.text
