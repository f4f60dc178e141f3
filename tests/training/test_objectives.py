"""The three objectives of the efficiency comparison: what they minimise, how they score, and that they learn."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from clipviz.clip import CBOWConfig
from clipviz.errors import SpecError
from clipviz.training import read_recipe
from clipviz.training.batches import Batch, Batches
from clipviz.training.objectives import OBJECTIVES, BagPrediction, Classes, colours, make_objective
from clipviz.training.objectives_language import LanguageModel, Tree, plain
from clipviz.training.objectives_run import learn, ranks, vocabulary_of

SHIPPED = Path(__file__).parents[2] / "train" / "objectives.toml"
CONTRASTIVE, PREDICTION, LANGUAGE = OBJECTIVES
TEMPLATE = "a photo of something {}."
TOY = {
    "name": "toy",
    "model": {
        "image_size": 16, "patch_size": 8, "width": 32, "head_width": 16, "layers": 2, "embed_dim": 32,
        "text": "cbow", "text_width": 32, "vocabulary": "seen", "start": "convolution",
    },
    "loss": {"multi_positive": True},
    "optim": {"samples": 1920, "batch": 32, "learning_rate": 4e-3, "keep_patches": 0.75, "full_from": 1.0},
}  # fmt: skip
INKS = {"red": (200, 30, 30), "green": (30, 160, 30), "blue": (30, 30, 200), "white": (220, 220, 220)}


def toy(folder):
    """Pictures of one colour each, with noise, and a manifest that names it."""
    rng = np.random.default_rng(0)
    lines = ["path,colour"]
    for i, (name, ink) in enumerate(list(INKS.items()) * 12):
        noisy = np.clip(np.array(ink) + rng.normal(0, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{name}")
    (folder / "toy.csv").write_text("\n".join(lines) + "\n")
    captions = [{"templates": [TEMPLATE.replace("{}", "{colour}"), "{colour}"]}]
    return read_recipe({**TOY, "data": {"sources": [{"path": str(folder / "toy.csv"), "captions": captions}]}})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    recipe = toy(folder)
    batches = Batches(recipe, folder / "cache")
    return recipe, vocabulary_of(batches), [batches[step] for step in range(recipe.steps)]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_learns_a_toy_world_well_above_chance(world, name):
    recipe, seen, batches = world
    classes = Classes.of(list(INKS), TEMPLATE, seen, recipe.model.context_length)
    fresh = np.random.default_rng(1).normal(0, 20, (40, 16, 16, 3)) + np.array(list(INKS.values()) * 10)[:, None, None]
    pixels = torch.from_numpy(np.clip(fresh, 0, 255).astype(np.uint8))
    truth = torch.arange(4).repeat(10)
    first, last = learn(recipe, name, seen, batches, [1, recipe.steps])
    assert (first.pictures, last.pictures) == (32, recipe.optim.samples) and 0 < first.seconds < last.seconds
    assert last.loss < first.loss
    for rule, rank in ranks(last.objective, pixels, truth, classes).items():
        # of 40 guesses among four, 24 or more are right about once in two million times
        assert (rank == 1).sum() >= 24, (name, rule, rank)


def test_all_begin_with_the_same_image_tower(world):
    recipe, seen, _ = world
    towers = [make_objective(name, recipe, seen).visual.state_dict() for name in OBJECTIVES]
    for tower in towers[1:]:
        assert all(torch.equal(tower[key], value) for key, value in towers[0].items())
    other = make_objective(LANGUAGE, dataclasses.replace(recipe, seed=1), seen).visual.state_dict()
    assert not torch.equal(other["conv1.weight"], towers[0]["conv1.weight"])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_run_repeats_itself_and_leaves_the_batches_as_they_are(world, name):
    recipe, seen, batches = world
    before = batches[0].tokens.clone()
    runs = [next(learn(recipe, name, seen, batches[:3], [3])) for _ in range(2)]
    assert runs[0].loss == runs[1].loss and torch.equal(batches[0].tokens, before)
    states = [run.objective.state_dict() for run in runs]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def plain_recipe(**model):
    data = {"sources": [{"kind": "scenes", "n": 64, "caption": "caption"}]}
    return read_recipe({**TOY, "model": {**TOY["model"], **model}, "data": data})


def vision():
    return make_objective(PREDICTION, plain_recipe(), torch.arange(20)).visual


def writer(vocabulary=4, context=5, layers=2):
    torch.manual_seed(3)
    model = LanguageModel(vision(), vocabulary, context, 16, layers, 2).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)  # far from uniform, so that a wrong sum shows
    return model


@pytest.fixture(scope="module")
def pixels():
    return torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def spoken(model, pixels, text):
    """log p of the tokens after the first, one by one and one picture at a time, as a plain loop."""
    out = []
    for picture in pixels:
        places = model.see(colours(picture[None]))
        total = 0.0
        for k in range(1, len(text)):
            logits = model.next_tokens(places, *plain(torch.tensor([text[:k]])))
            total += logits[0, -1].log_softmax(dim=-1)[text[k]].item()
        out.append(total)
    return torch.tensor(out)


@torch.no_grad()
def test_the_language_models_probabilities_sum_to_one_over_all_captions(pixels):
    # rows 2 and 3 of four tokens are start and end; every text either ends within three tokens or has not ended yet
    model, start, end = writer(), 2, 3
    ended = [[start, *words, end] for length in range(3) for words in itertools.product([0, 1, start], repeat=length)]
    unended = [[start, *words] for words in itertools.product([0, 1, start], repeat=3)]
    assert len(ended) == 1 + 3 + 9 and len(unended) == 27
    captions = torch.tensor([text + [0] * (5 - len(text)) for text in ended])
    found = model.scores(pixels, Classes(captions, captions))["sum"]  # [3, 13]
    open_ones = torch.stack([spoken(model, pixels, text) for text in unended], dim=1)
    torch.testing.assert_close(found.exp().sum(dim=1) + open_ones.exp().sum(dim=1), torch.ones(3), atol=1e-5, rtol=0)
    assert found.exp().sum(dim=1).max() < 0.99  # the check is of both parts


@torch.no_grad()
def test_the_tree_scores_each_caption_as_it_stands_alone(pixels):
    model = writer(vocabulary=6, context=6)
    texts = [[4, 0, 1, 5], [4, 0, 2, 3, 5], [4, 0, 1, 2, 3, 5], [4, 5], [4, 3, 0, 1, 5]]
    captions = torch.tensor([text + [0] * (6 - len(text)) for text in texts])
    scores = model.scores(pixels, Classes(captions, captions))
    expected = torch.stack([spoken(model, pixels, text) for text in texts], dim=1)
    torch.testing.assert_close(scores["sum"], expected, atol=1e-4, rtol=1e-5)
    lengths = torch.tensor([len(text) - 1 for text in texts])  # the start is given, the end is said
    torch.testing.assert_close(scores["mean"], expected / lengths, atol=1e-4, rtol=1e-5)
    tree = Tree.of(captions)
    assert len(tree.tokens) == len({tuple(text[:k]) for text in texts for k in range(1, len(text))})


@torch.no_grad()
def test_the_language_models_loss_is_the_mean_over_all_tokens_said(pixels):
    model = writer(vocabulary=6, context=6)
    texts = [[4, 0, 1, 5], [4, 0, 2, 3, 1, 5], [4, 5]]
    tokens = torch.tensor([text + [0] * (6 - len(text)) for text in texts])
    keep = torch.tensor([[0, 2], [1, 3], [0, 1]])
    batch = Batch(0, pixels, torch.zeros(3, 1), tokens, torch.zeros(3), keep, [])
    total = 0.0
    for i, text in enumerate(texts):
        places = model.see(colours(pixels[i : i + 1]), keep[i : i + 1])
        assert places.shape[1] == 3  # the class token and the two patches kept
        logits = model.next_tokens(places, *plain(torch.tensor([text[:-1]])))
        total += F.cross_entropy(logits[0], torch.tensor(text[1:]), reduction="sum").item()
    assert model.loss(batch).item() == pytest.approx(total / (3 + 5 + 1), rel=1e-5)


@torch.no_grad()
def test_a_token_sees_neither_later_ones_nor_other_pictures(pixels):
    model = writer(vocabulary=6, context=6)
    places = model.see(colours(pixels))
    one, other = (torch.tensor([text] * 3) for text in ([4, 0, 1, 2], [4, 0, 3, 3]))
    first, second = model.next_tokens(places, *plain(one)), model.next_tokens(places, *plain(other))
    torch.testing.assert_close(first[:, :2], second[:, :2])
    assert not torch.allclose(first[:, 2:], second[:, 2:])
    alone = model.next_tokens(places[:1], *plain(one[:1]))
    torch.testing.assert_close(first[:1], alone)
    assert not torch.allclose(first[0], first[1], atol=1e-3)  # what is said depends on the picture


@torch.no_grad()
def test_the_bag_of_words_is_scored_and_learnt_as_plain_loops_say(pixels):
    torch.manual_seed(2)
    model = BagPrediction(vision(), 32, 7).eval()  # words 0 to 4, start 5, end 6
    torch.nn.init.normal_(model.words.bias)
    # the second has a padding of zeros after its end, which are not the word 0
    words = [[1], [2, 3], [4, 4, 0]]
    tokens = torch.tensor([[5, *text, 6] + [0] * (3 - len(text)) for text in words])
    scores = model.scores(pixels, Classes(tokens, tokens))
    log_p = model.words(model.visual(colours(pixels))).log_softmax(dim=-1)
    assert log_p.shape == (3, 5)
    for i, row in enumerate(log_p.tolist()):
        for c, text in enumerate(words):
            total = sum(row[word] for word in text)
            assert scores["sum"][i, c].item() == pytest.approx(total, rel=1e-5)
            assert scores["mean"][i, c].item() == pytest.approx(total / len(text), rel=1e-5)
    batch = Batch(0, pixels, torch.zeros(3, 1), tokens, torch.zeros(3), None, [])
    means = [np.mean([row[word] for word in set(text)]) for row, text in zip(log_p.tolist(), words, strict=True)]
    assert model.loss(batch).item() == pytest.approx(-np.mean(means), rel=1e-5)


@torch.no_grad()
def test_the_contrastive_objective_scores_cosines_and_its_loss_is_infonce_where_nothing_repeats(world, pixels):
    recipe, seen, _ = world
    model = make_objective(CONTRASTIVE, recipe, seen).eval()
    assert isinstance(model.clip.config.text, CBOWConfig)
    classes = Classes.of(list(INKS)[:3], TEMPLATE, seen, recipe.model.context_length)
    cosines = model.scores(pixels, classes)["cosine"]
    images, texts, scale = model.clip(colours(pixels), classes.captions)
    torch.testing.assert_close(cosines, images @ texts.T)
    batch = Batch(0, pixels, torch.tensor([[0], [1], [2]]), classes.captions, torch.tensor([0, 1, 2]), None, [])
    logits, own = scale * cosines, torch.arange(3)
    infonce = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    assert model.loss(batch).item() == pytest.approx(infonce.item(), rel=1e-5)
    # a caption that is true of two pictures is no negative of either
    batch.true = torch.tensor([[0], [0], [2]])
    batch.said = torch.tensor([0, 0, 2])
    assert model.loss(batch).item() < infonce.item()


def test_a_rank_counts_ties_against_the_model():
    class Fixed:
        def scores(self, pixels, classes):
            return {"rule": torch.tensor([[1.0, 3, 2], [5, 5, 1], [0, 0, 0]])[pixels[:, 0, 0, 0].long()]}

    pixels = torch.arange(3)[:, None, None, None].expand(3, 2, 2, 3)
    found = ranks(Fixed(), pixels, torch.tensor([2, 0, 1]), None, at_once=2)
    assert found["rule"].tolist() == [2, 2, 3]


def test_classes_are_rows_of_the_seen_tokens(world):
    _, seen, _ = world
    classes = Classes.of(["red", "blue"], "a photo of something {}.", seen, 16)
    assert seen[classes.captions[:, 0]].unique().item() == 49406
    assert seen[classes.words].tolist() == [[49406, 736, 49407], [49406, 1746, 49407]]
    assert set(seen[classes.words[0]].tolist()) <= set(seen[classes.captions[0]].tolist())


@pytest.mark.parametrize(
    ("name", "model", "told"),
    [
        ("bag-of-words predicton", {}, "bag-of-words prediction"),
        (LANGUAGE, {"text": "transformer"}, 'model.text="cbow"'),
    ],
)
def test_what_cannot_be_compared_is_refused(name, model, told):
    with pytest.raises(SpecError, match=told):
        make_objective(name, plain_recipe(**model), torch.arange(20))


@pytest.mark.parametrize("asked", [{"loss": {"texts": "all", "multi_positive": True}}, {"memory": {"micro_batch": 8}}])
def test_a_recipe_that_asks_for_more_than_is_compared_is_refused(asked):
    recipe = read_recipe({**plain_recipe().to_dict(), **asked})
    with pytest.raises(SpecError, match="leave"):
        make_objective(PREDICTION, recipe, torch.arange(20))


def test_the_shipped_recipe_builds_every_objective():
    recipe = read_recipe(SHIPPED)
    assert recipe.steps * recipe.optim.batch == recipe.optim.samples
    sizes = {}
    for name in OBJECTIVES:
        objective = make_objective(name, recipe, torch.arange(600))
        sizes[name] = sum(p.numel() for p in objective.visual.parameters())
    assert len(set(sizes.values())) == 1 and 5e5 < sizes[LANGUAGE] < 1e6


def test_the_shipped_recipe_names_what_is_there(shared):
    source = read_recipe(SHIPPED).data.sources[0]
    entries = json.loads((shared / "data" / "tiny-imagenet" / "classes.json").read_text(encoding="utf-8"))
    assert len({entry["names"][0] for entry in entries}) == 202  # a prompt names one class
    assert Path(source.classes).name == "classes.json" and all("{class_id}" in t for t in source.captions[0].templates)
