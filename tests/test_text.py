import pytest

from clipviz.errors import PromptError
from clipviz.text import Prompt, PromptSet, as_prompt, as_prompts


def test_texts_fill_every_template_and_leave_other_braces():
    prompt = Prompt("숲 {x}", ["a {}", "{} {0} of {}"])
    assert prompt.texts() == ["a 숲 {x}", "숲 {x} {0} of 숲 {x}"]
    assert prompt.templates == ("a {}", "{} {0} of {}")
    assert str(prompt) == "숲 {x}"


def test_one_string_is_one_template_and_prompts_are_values():
    assert Prompt("dog", "a {}") == Prompt("dog", ("a {}",))
    assert hash(Prompt("dog")) == hash(Prompt("dog"))
    assert Prompt("dog").texts() == ["dog"]


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b", "\ufeff \u2003"])
def test_blank_text_is_refused(text):
    with pytest.raises(PromptError, match=r"(blank|empty).*pass words"):
        Prompt(text)


@pytest.mark.parametrize("texts", [["a dog", "a cat"], ("a dog",), PromptSet.of(["a dog"])])
def test_a_list_where_one_text_is_wanted_names_explain(texts):
    with pytest.raises(PromptError, match=r"got (list|tuple|PromptSet).*clipviz\.explain"):
        as_prompt(texts)


@pytest.mark.parametrize("text", [None, 3, b"dog", Prompt("dog"), "\ud800"])
def test_other_things_are_no_text(text):
    with pytest.raises(PromptError):
        Prompt(text)


@pytest.mark.parametrize("templates", [(), "no place", ["{}", "{c}"], None, [3], {"{}": 1}, b"{}"])
def test_templates_need_a_place_for_the_text(templates):
    with pytest.raises(PromptError, match=r"\{\}"):
        Prompt("dog", templates)


def test_sets_keep_order_and_a_prompts_own_templates():
    prompts = PromptSet.of(["dog", Prompt("cat", "my {}")], templates="a {}")
    assert prompts.labels == ("dog", "cat")
    assert prompts.texts() == [["a dog"], ["my cat"]]
    assert len(prompts) == 2 and [p.text for p in prompts] == ["dog", "cat"] and prompts[1].text == "cat"


def test_as_prompts_takes_every_form():
    one = PromptSet((Prompt("dog"),))
    assert as_prompts("dog") == as_prompts(["dog"]) == as_prompts(Prompt("dog")) == as_prompts(iter(["dog"])) == one
    assert as_prompts(one) is one
    assert as_prompt(one[0]) is one[0]


@pytest.mark.parametrize("texts", [[], None, 3, {"dog": "a dog"}, b"dog", [["dog"]], [""]])
def test_sets_refuse_what_holds_no_texts(texts):
    with pytest.raises(PromptError):
        as_prompts(texts)


def test_a_set_of_bare_strings_is_refused():
    with pytest.raises(PromptError, match=r"PromptSet\.of"):
        PromptSet(("dog",))
