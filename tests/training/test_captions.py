import numpy as np
import pytest

from clipviz.errors import DataError, SpecError
from clipviz.training.captions import Captions, Concepts
from clipviz.training.data_recipe import CaptionRecipe, SourceRecipe

ROWS = [
    [{"kind": "cat", "age": "0-2", "text": "a tabby"}],
    [{"kind": "dog", "age": "3-9", "text": "  "}],
    [{"kind": "cat", "age": "3-9", "text": None}],
]
NAMES = {"kind": {"cat": ["cat", "tomcat", "mouser"], "dog": ["dog"]}}


def captions(*groups, concepts=None, names=NAMES, **more):
    source = SourceRecipe(path="x", name="pets", captions=tuple(groups), names=names, **more)
    return Captions(source, ROWS, concepts or Concepts())


def test_pictures_with_the_same_words_share_a_concept():
    found = captions(CaptionRecipe(("a {kind}", "the {kind}")))
    assert found.own.tolist() == [[0], [1], [0]] and found.of.tolist() == [[0], [1], [0]]
    first = found.concepts.every[0]
    assert first.first == "a cat"
    assert sorted(first.wordings()) == ["a cat", "a mouser", "a tomcat", "the cat", "the mouser", "the tomcat"]


def test_a_value_is_called_by_its_first_name_half_of_the_time():
    concept = captions(CaptionRecipe(("a {kind}",))).concepts.every[0]
    rng = np.random.default_rng(0)
    said = [concept.say(rng) for _ in range(4000)]
    shares = {text: said.count(text) / 4000 for text in set(said)}
    assert set(shares) == {"a cat", "a tomcat", "a mouser"}
    assert abs(shares["a cat"] - 0.5) < 0.04 and abs(shares["a tomcat"] - 0.25) < 0.04


def test_two_sources_share_the_concepts_that_they_name_alike():
    concepts = Concepts()
    captions(CaptionRecipe(("a {kind}",)), concepts=concepts)
    again = captions(CaptionRecipe(("a {kind}", "{kind}")), concepts=concepts)
    assert len(concepts.every) == 2 and again.own.tolist() == [[0], [1], [0]]


def test_a_caption_may_hold_for_some_pictures_only():
    found = captions(
        CaptionRecipe(("a {kind}",)),
        CaptionRecipe(("young",), only={"age": ["0-2"]}),
        CaptionRecipe(("old",), unless={"age": ["0-2"]}),
    )
    assert [[found.concepts.every[c].first if c >= 0 else None for c in row] for row in found.own] == [
        ["a cat", "young", None],
        ["a dog", None, "old"],
        ["a cat", None, "old"],
    ]


def test_own_captions_are_drawn_by_weight_among_those_that_hold():
    groups = CaptionRecipe(("a {kind}",), weight=3.0), CaptionRecipe(("young",), only={"age": ["0-2"]})
    found = captions(*groups)
    rng = np.random.default_rng(1)
    drawn = [found.draw(0, rng) for _ in range(4000)]
    assert abs(drawn.count(found.own[0, 0]) / 4000 - 0.75) < 0.03
    assert {found.draw(1, rng) for _ in range(50)} == {found.own[1, 0]}


def test_an_empty_caption_is_dropped_and_counted():
    found = Captions(SourceRecipe(path="x", caption="text"), ROWS, Concepts())
    assert found.useful.tolist() == [True, False, False]
    assert found.concepts.every[found.own[0, 0]].first == "a tabby"


def test_all_things_in_a_picture_are_true_of_it_and_the_first_is_its_own():
    things = [[{"colour": "red"}, {"colour": "blue"}], [{"colour": "blue"}]]
    concepts = Concepts()
    found = Captions(SourceRecipe(path="x", captions=(CaptionRecipe(("a {colour} thing",)),)), things, concepts)
    said = [sorted(concepts.every[c].first for c in row if c >= 0) for row in found.of]
    assert said == [["a blue thing", "a red thing"], ["a blue thing"]]
    assert [concepts.every[row[0]].first for row in found.own] == ["a red thing", "a blue thing"]


def test_braces_in_a_name_are_text_and_reach_nothing():
    rows = [[{"kind": "{age} {0.__class__}", "age": "3"}]]
    source = SourceRecipe(path="x", captions=(CaptionRecipe(("a {kind}",)),))
    assert Captions(source, rows, Concepts()).concepts.every[0].first == "a {age} {0.__class__}"


def test_what_is_wrong_is_named():
    with pytest.raises(DataError, match="Did you mean 'kind'"):
        captions(CaptionRecipe(("a {knd}",)))
    with pytest.raises(SpecError, match=r"lacks \{kind\}"):
        captions(CaptionRecipe(("a {kind}", "a pet")))
    with pytest.raises(SpecError, match="brace that encloses no column"):
        captions(CaptionRecipe(("a {kind",)))
    with pytest.raises(DataError, match="not 'dog'"):
        captions(CaptionRecipe(("a {kind}",)), names={"kind": {"cat": ["cat"]}})
    with pytest.raises(DataError, match="column 'txt'"):
        Captions(SourceRecipe(path="x", caption="txt"), ROWS, Concepts())


def test_classes_are_read_from_json(tmp_path):
    (tmp_path / "classes.json").write_text(
        '[{"kind": "cat", "names": ["cat", "puss"]}, {"kind": "dog", "names": ["dog"]}]'
    )
    found = captions(CaptionRecipe(("{kind}",)), names={}, classes=str(tmp_path / "classes.json"))
    assert sorted(found.concepts.every[0].wordings()) == ["cat", "puss"]
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(SpecError, match="JSON list"):
        captions(CaptionRecipe(("{kind}",)), names={}, classes=str(tmp_path / "bad.json"))
