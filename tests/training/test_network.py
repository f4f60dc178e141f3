"""The network of a recipe: fresh, from a parent of any kind, with frozen towers, and written down again."""

from __future__ import annotations

import json

import pytest
import torch

import clipviz
from clipviz.clip import ARCHITECTURES, CLIP, CBOWConfig, Config, ResNetConfig, TextConfig, ViTConfig
from clipviz.errors import ClipvizError, ModelError, SpecError
from clipviz.training import read_recipe
from clipviz.training.network import VOCABULARY, build, config_of, on_meta, save, seen_tokens, shape_of
from clipviz.training.optim import make_optimizer
from clipviz.training.parent import parent_of
from clipviz.training.towers import Towers
from clipviz.weights import OPENAI_MEAN, OPENAI_STD, fingerprint, random_weights, save_folder

DATA = {"sources": [{"kind": "scenes", "n": 64, "caption": "caption"}]}
SMALL = {"width": 32, "head_width": 16, "layers": 2, "embed_dim": 16, "text_width": 32, "image_size": 24}
CONFIGS = {
    "vit": Config(16, ViTConfig(24, 8, 32, 2, 16), TextConfig(12, VOCABULARY, 32, 2, 1), quick_gelu=False),
    "resnet": Config(16, ResNetConfig(32, (1, 1, 1, 1), 8, 16), TextConfig(12, VOCABULARY, 32, 2, 1)),
    "cbow": Config(16, ViTConfig(24, 8, 32, 2, 16), CBOWConfig(12, VOCABULARY, 32)),
}
WORDS = ["a red circle", "a blue square", "something green"]


def recipe(model=None, **others):
    model = model or {}
    shape = {} if model.keys() & {"weights", "architecture"} else SMALL
    return read_recipe({"model": {**shape, **model}, "data": DATA, **others})


@pytest.fixture(scope="module")
def parents(tmp_path_factory):
    """A folder of each kind, with a mean and a std that are nobody else's."""
    folders = {}
    for kind, config in CONFIGS.items():
        torch.manual_seed(len(kind))
        clip = CLIP(config)
        for module in clip.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        folder = tmp_path_factory.mktemp("parents") / kind
        folders[kind] = save_folder(
            folder, clip.eval(), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), interpolation="bilinear",
            resize_mode="squash", seen_token_ids=[320, 5000, 49406, 49407], card={"training_classes": ["dog"]},
        )  # fmt: skip
    return folders


def learn(clip, given, steps=3):
    """A few steps on noise, with the shape's own preprocessing."""
    shape = shape_of(given)
    optimizer = make_optimizer(clip, given)
    towers = Towers(clip, shape.mean, shape.std, precision=given.memory.precision).train()
    g = torch.Generator().manual_seed(0)
    tokens = torch.tensor([[0, 1, 3], [0, 2, 3], [0, 1, 3], [1, 2, 3]])
    for _ in range(steps):
        optimizer.zero_grad()
        pixels = torch.randint(0, 256, (4, shape.image_size, shape.image_size, 3), generator=g, dtype=torch.uint8)
        out = towers(pixels, None, tokens)
        logits = out["scale"] * out["images"] @ out["texts"].T
        assert logits.dtype == torch.float32
        torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
        optimizer.step()


def test_a_fresh_network_is_that_of_its_seed():
    first, again, other = build(recipe(), None), build(recipe(), None), build(recipe(seed=1), None)
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    assert shape_of(recipe()) == (24, 16, 3, OPENAI_MEAN, OPENAI_STD)
    before = torch.random.get_rng_state()
    build(recipe(), None)
    assert torch.equal(before, torch.random.get_rng_state()), "the caller's random numbers go on as before"


def test_an_architecture_by_name_brings_its_shape():
    named = recipe({"architecture": "RN50x4"})
    assert shape_of(named) == (288, 77, None, OPENAI_MEAN, OPENAI_STD)
    assert shape_of(recipe({"architecture": "ViT-L-14-336"}))[:3] == (336, 77, 24)
    assert config_of(named.model) == ARCHITECTURES["RN50x4"]
    assert config_of(named.model, 100).text.vocab_size == 100
    bag = recipe({"architecture": "ViT-B-32", "text": "cbow"})
    assert config_of(bag.model).text == CBOWConfig(77, VOCABULARY, 512)
    meta = on_meta(named.model)
    assert all(p.is_meta for p in meta.parameters())


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_run_begins_with_its_parents_weights_and_shape(kind, parents):
    given = recipe({"weights": str(parents[kind])})
    clip, parent = build(given, None), clipviz.load(parents[kind])
    assert clip.config == CONFIGS[kind] == parent.clip.config
    assert fingerprint(clip) == fingerprint(parent.clip)
    assert clip.training and all(p.requires_grad for p in clip.parameters())
    shape = shape_of(given)
    assert shape[:3] == (parent.image_size, 12, None if kind == "resnet" else 3)
    assert shape.mean == (0.5, 0.4, 0.3) and shape.std == (0.2, 0.3, 0.4)


@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_written_is_the_trained_network_with_its_parents_preprocessing(kind, parents, tmp_path):
    given = recipe({"weights": str(parents[kind])})
    clip, parent = build(given, None), parent_of(given)
    learn(clip, given)
    occurred = torch.tensor([0, 1, 2, 3])
    folder = save(clip, None, occurred, tmp_path / "model", {"name": "child"}, False, parent)
    child, before = clipviz.load(folder), clipviz.load(parents[kind])
    assert fingerprint(child.clip) == fingerprint(clip) != fingerprint(before.clip)
    for what in ("mean", "std", "interpolation", "view", "image_size", "kind"):
        assert getattr(child, what) == getattr(before, what), what
    assert child.provenance["activation"] == before.provenance["activation"]
    assert child.seen_token_ids == {0, 1, 2, 3, 320, 5000, 49406, 49407}
    told = json.loads((folder / "card.json").read_text())["parent"]
    assert told["weights_sha256"] == before.provenance["weights_sha256"] and told["model"] == kind
    assert str(parents[kind].parent) not in (folder / "card.json").read_text(), "no path of this machine"


def test_rows_that_were_not_trained_are_the_parents(parents, tmp_path):
    given = recipe({"weights": str(parents["vit"]), "vocabulary": "seen"})
    seen, parent = seen_tokens(WORDS, 12), parent_of(given)
    clip = build(given, seen)
    before = clipviz.load(parents["vit"])
    table = before.clip.text.token_embedding.weight
    assert torch.equal(clip.text.token_embedding.weight, table[seen]) and len(seen) < 20
    learn(clip, given)
    small = save(clip, seen, seen, tmp_path / "small", {}, False, parent)
    child = clipviz.load(small)
    rows = child.clip.text.token_embedding.weight
    assert torch.equal(rows[seen], clip.text.token_embedding.weight)
    assert torch.equal(rows[5000], table[5000]) and child.seen_token_ids == {320, 5000, *seen.tolist()}
    # where the parent does not tell what it saw, all of its rows may mean something
    untold = save_folder(tmp_path / "untold", before.clip)
    given = recipe({"weights": str(untold), "vocabulary": "seen"})
    clip, parent = build(given, seen), parent_of(given)
    child = clipviz.load(save(clip, seen, seen, tmp_path / "whole", {}, False, parent))
    others = torch.ones(VOCABULARY, dtype=torch.bool)
    others[seen] = False
    assert torch.equal(child.clip.text.token_embedding.weight[others], table[others])
    assert child.seen_token_ids is None


def test_a_child_has_seen_the_classes_of_its_parent(parents, tmp_path):
    given = recipe({"weights": str(parents["vit"])})
    clip, own = build(given, None), {"training_classes": ["circle"]}
    child = clipviz.load(save(clip, None, torch.tensor([1]), tmp_path / "a", own, True, parent_of(given)))
    assert child.card["training_classes"] == ["circle", "dog"]
    untold = save_folder(tmp_path / "untold", build(given, None).eval())
    given = recipe({"weights": str(untold)})
    child = clipviz.load(save(clip, None, torch.tensor([1]), tmp_path / "b", own, True, parent_of(given)))
    assert "training_classes" not in child.card, "what the parent saw is not known"


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("tower", ["visual", "text"])
def test_a_frozen_tower_is_the_same_to_the_bit(kind, tower, parents, tmp_path):
    given = recipe({"weights": str(parents[kind]), "frozen": [tower]}, optim={"weight_decay": 0.5})
    clip, parent = build(given, None), parent_of(given)
    held = {p for group in make_optimizer(clip, given).param_groups for p in group["params"]}
    assert held == {p for name, p in clip.named_parameters() if not name.startswith(f"{tower}.")}
    clip.eval().train()  # as scoring in between does
    assert not getattr(clip, tower).training and clip.training
    before = {k: v.clone() for k, v in clip.state_dict().items()}
    learn(clip, given)
    changed = {k.split(".")[0] for k, v in clip.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"visual", "text", "logit_scale"} - {tower}
    child = clipviz.load(save(clip, None, torch.tensor([1]), tmp_path / "model", {}, True, parent)).clip
    assert all(torch.equal(v, before[k]) for k, v in child.state_dict().items() if k.startswith(f"{tower}."))


def test_the_text_tower_in_bfloat16_learns_and_is_written(tmp_path):
    seen = seen_tokens(WORDS, 16)
    for precision in ("float32", "bfloat16"):
        given = recipe(memory={"half_text": True, "precision": precision}, optim={"learning_rate": 1e-2})
        clip = build(given, seen)
        assert {p.dtype for p in clip.text.parameters()} == {torch.bfloat16}
        assert {p.dtype for p in clip.visual.parameters()} == {torch.float32} == {clip.logit_scale.dtype}
        before = {k: v.clone() for k, v in clip.state_dict().items()}
        learn(clip, given)
        assert all(not torch.equal(v, before[k]) for k, v in clip.state_dict().items() if "in_proj_weight" in k)
        model = clipviz.load(save(clip, seen, seen, tmp_path / precision, {}, True))
        rows = model.clip.text.token_embedding.weight[seen]
        assert torch.allclose(rows, clip.text.token_embedding.weight.float(), atol=1e-7)
        assert model.encode_texts(["a red circle"]).shape == (1, 16)


def test_clipviz_tiny_and_the_shared_model_are_parents(shared):
    tiny = recipe({"weights": "clipviz-tiny"})
    assert fingerprint(build(tiny, None)) == fingerprint(clipviz.load().clip)
    assert parent_of(tiny).seen_token_ids == clipviz.load().seen_token_ids
    folder = shared / "models" / "oc-tiny"
    theirs = recipe({"weights": str(folder)})
    assert shape_of(theirs) == (56, 16, 7, OPENAI_MEAN, OPENAI_STD)
    assert build(theirs, None).config == clipviz.load(folder).clip.config


@pytest.mark.slow
def test_a_file_is_a_parent_with_what_it_does_not_tell(tmp_path):
    name, file = "ViT-S-32-alt", tmp_path / "weights.pt"  # open_clip's smallest that the reference network runs
    clip = random_weights(name, False).clip
    torch.save({k: v.half() for k, v in clip.state_dict().items()}, file)
    with pytest.raises(ModelError, match="activation"):
        shape_of(recipe({"weights": str(file)}))
    told = {"weights": f"{name}:{file}", "activation": "gelu", "mean": [0.5, 0.4, 0.3], "std": list(OPENAI_STD)}
    assert shape_of(recipe(told)) == (224, 77, 7, (0.5, 0.4, 0.3), OPENAI_STD)
    assert fingerprint(build(recipe(told), None)) == fingerprint(clip.half().float())
    with pytest.raises(SpecError, match="is no RN50: its embed_dim is 256"):
        shape_of(recipe({**told, "architecture": "RN50"}))


def test_another_resolution_begins_with_interpolated_positions(tmp_path, monkeypatch):
    """As the paper's 336 pixel model from its 224 pixel one; here with small networks in their places."""
    small = Config(16, ViTConfig(32, 8, 32, 2, 16), TextConfig(77, VOCABULARY, 32, 2, 1))
    larger = Config(16, ViTConfig(48, 8, 32, 2, 16), small.text)
    monkeypatch.setitem(ARCHITECTURES, "ViT-L-14", small)
    monkeypatch.setitem(ARCHITECTURES, "ViT-L-14-336", larger)
    folder = save_folder(tmp_path / "224", CLIP(small).eval())
    given = recipe({"weights": str(folder), "architecture": "ViT-L-14-336"})
    assert shape_of(given)[:3] == (48, 77, 6)
    clip, parent = build(given, None), clipviz.load(folder, image_size=48).clip
    assert clip.config == larger and fingerprint(clip) == fingerprint(parent)
    with pytest.raises(SpecError, match="is no RN50: its embed_dim is 16 and not 1024"):
        shape_of(recipe({"weights": str(folder), "architecture": "RN50"}))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"model": {"frozen": ["visual", "text"]}}, "both towers"),
        ({"model": {"frozen": ["text"]}, "memory": {"half_text": True}}, "half_text"),
        ({"memory": {"half_text": True, "precision": "float64"}}, "half_text.*'float64'"),
        ({"memory": {"half_text": True, "precision": "float16"}}, "half_text.*'float16'"),
        ({"memory": {"half_moments": True, "precision": "float64"}}, "half_moments.*'float64'"),
        ({"model": {"weights": "no/such/folder"}}, "no folder or file 'no/such/folder'"),
        ({"model": {"weights": "ViT-B-23:openai"}}, "'ViT-B-32'"),
        ({"model": {"weights": "ViT-B-32"}}, "which weights"),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_sentence(given, told):
    with pytest.raises(ClipvizError, match=told):
        build(recipe(given.pop("model", None), **given), None)


def test_patches_of_a_resnet_are_refused(parents):
    for key in ({"optim": {"keep_patches": 0.5}}, {"loss": {"local_weight": 0.5}}):
        with pytest.raises(SpecError, match=f"{next(iter(key))}.*ResNet"):
            shape_of(recipe({"weights": str(parents["resnet"])}, **key))
    with pytest.raises(SpecError, match=r"model\.activation"):
        shape_of(recipe({"activation": "gelu"}))
    with pytest.raises(SpecError, match="text transformer"):
        shape_of(recipe({"weights": str(parents["vit"]), "text": "cbow"}))


def test_a_model_that_open_clip_runs_is_refused_by_name(tmp_path):
    import open_clip

    config = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "layers": 1,
            "width": 32,
            "patch_size": 8,
            "head_width": 16,
            "pool_type": "avg",
        },
        "text_cfg": {"context_length": 12, "vocab_size": VOCABULARY, "width": 32, "heads": 2, "layers": 1},
    }
    folder = tmp_path / "average"
    folder.mkdir()
    preprocess = {"mean": OPENAI_MEAN, "std": OPENAI_STD}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    torch.save(open_clip.CLIP(**config).state_dict(), folder / "open_clip_pytorch_model.bin")
    assert clipviz.load(folder).kind == "other"
    with pytest.raises(SpecError, match=r"average.*run by open_clip"):
        build(recipe({"weights": str(folder)}), None)
