"""Looking into a tower: every tap runs on to the embedding, and looking leaves nothing behind."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from clipviz.clip import ARCHITECTURES, CLIP
from clipviz.errors import ModelError

TOWERS = ("vit", "resnet", "text")


@pytest.fixture
def tower_of(small, make_pictures, make_captions):
    """A tower in miniature and an input for it."""

    def make(kind, dtype=torch.float32):
        if kind == "text":
            clip = small("vit", dtype)
            return clip.text, make_captions(4, clip.config.text)
        clip = small(kind, dtype)
        return clip.visual, make_pictures(4, clip.config.vision.image_size).to(dtype)

    return make


def away(tower, x, tap, attend=None):
    """The largest distance of the unit vectors of `tail` from those of a plain pass."""
    with torch.no_grad():
        given = tower.trace(x, want=[tap], attend=attend)
        plain = F.normalize(tower(x, attend=attend), dim=-1)
        after = F.normalize(tower.tail(tap, given[tap], given, attend=attend), dim=-1)
        traced = F.normalize(given["embedding"], dim=-1)
    return max(float((after - plain).abs().max()), float((traced - plain).abs().max()))


@pytest.mark.parametrize("kind", TOWERS)
def test_tail_of_every_tap_equals_encode(tower_of, kind):
    tower, x = tower_of(kind)
    wrong = {tap: far for tap in tower.taps() if (far := away(tower, x, tap)) > 1e-6}
    assert not wrong


@pytest.mark.parametrize("kind", TOWERS)
def test_every_tap_matters(tower_of, kind):
    """A tail that forgot its value, or took it from the trace, would pass the test above."""
    tower, x = tower_of(kind)
    with torch.no_grad():
        given = tower.trace(x, want=tower.taps())
        for tap in tower.taps():
            changed = tower.tail(tap, given[tap].roll(1, dims=0), given)
            assert (changed - given["embedding"]).abs().max() > 1e-5, tap


def wrong_taps(tower, x, taps):
    """As `away` for each of ``taps``, by one trace of them all: what a trace keeps for each is tested above."""
    with torch.no_grad():
        given, plain = tower.trace(x, want=taps), F.normalize(tower(x), dim=-1)
        ends = {tap: F.normalize(tower.tail(tap, given[tap], given), dim=-1) for tap in taps}
    return {tap: far for tap, end in ends.items() if (far := float((end - plain).abs().max())) > 1e-6}


def a_few(tower):
    """Of a deep tower: every part of the middle and the last block, two of the first, and all that is no block."""
    last = max((int(tap.split(".")[1]) for tap in tower.taps() if tap.startswith("block.")), default=-1)
    chosen = (f"block.{last // 2}", f"block.{last}")
    return [tap for tap in tower.taps() if tap in ("block.0", "block.0.attn") or not tap.startswith("block.")
            or tap.startswith(tuple(f"{name}." for name in chosen)) or tap in chosen]  # fmt: skip


@pytest.fixture
def at_full_size(make_random):
    def make(name, **vision):
        torch.manual_seed(0)
        config = ARCHITECTURES[name]
        return make_random(CLIP(replace(config, vision=replace(config.vision, **vision))))

    return make


@pytest.mark.parametrize("name", ["ViT-B-32", "RN50"])
def test_tail_equals_encode_at_full_size(name, at_full_size, make_pictures, make_captions):
    clip = at_full_size(name)
    taps = [tap for tap in clip.visual.taps() if not tap.startswith("block.") or tap.split(".")[1] in ("5", "11")]
    pixels, tokens = make_pictures(1, 224), make_captions(2, clip.config.text)[1:]
    assert not wrong_taps(clip.visual, pixels, taps)
    assert not wrong_taps(clip.text, tokens, ["embed", "block.0.attn", "block.11.k", "block.11.heads", "block.11.mlp"])
    for tap in ("block.11.ln_1", "block.11.v") if name == "ViT-B-32" else ("stage.4", "pool.k"):
        assert away(clip.visual, pixels, tap) <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_tail_equals_encode_for_the_nine(name, at_full_size, make_pictures, make_captions):
    """Every tap of both towers, where pictures are dear (beyond ViT-B) `a_few` of the vision transformer's;
    the test below has all of those on a small picture."""
    clip = at_full_size(name)
    visual, taps = clip.visual, a_few(clip.visual) if name.startswith("ViT-L") else clip.visual.taps()
    assert not wrong_taps(visual, make_pictures(1, clip.config.vision.image_size), taps)
    assert not wrong_taps(clip.text, make_captions(2, clip.config.text)[1:, :12], clip.text.taps())


@pytest.mark.slow
def test_tail_equals_encode_for_every_tap_of_the_deepest_tower(at_full_size, make_pictures):
    """All 24 blocks of ViT-L with all their parts; a grid of 4 x 4 costs a fifteenth of one of 16 x 16."""
    visual = at_full_size("ViT-L-14", image_size=56).visual
    assert len(visual.taps()) == 24 * 10 + 2
    assert not wrong_taps(visual, make_pictures(1, 56), visual.taps())


def test_one_trace_serves_values_of_many_rows(tower_of):
    tower, x = tower_of("vit")
    with torch.no_grad():
        one = tower.trace(x[:1], want=["block.1.mlp"])
        all_ = tower.trace(x, want=["block.1.mlp"])
        many = tower.tail("block.1.mlp", all_["block.1.mlp"], one)
    assert many.shape == all_["embedding"].shape
    assert torch.allclose(many[:1], one["embedding"], atol=1e-6)


def test_a_trace_of_several_pictures_does_not_serve_another_number(tower_of):
    tower, x = tower_of("vit")
    given = tower.trace(x, want=["block.1.mlp"])
    with pytest.raises(ModelError, match=r"3 rows.*trace of 4"):
        tower.tail("block.1.mlp", given["block.1.mlp"][:3], given)


def plain(q, k, v):
    return ((q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5).softmax(dim=-1) @ v


def causal(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@pytest.mark.parametrize(("kind", "blocks", "same"), [
    ("vit", [0], plain), ("vit", [2], plain), ("vit", [0, 1, 2], plain), ("resnet", ["pool"], plain),
    ("text", [0], causal), ("text", [2], causal), ("text", [0, 1, 2], causal),
])  # fmt: skip
def test_replacing_attention_by_itself_changes_nothing(tower_of, kind, blocks, same):
    tower, x = tower_of(kind)
    attend = dict.fromkeys(blocks, same)
    with torch.no_grad():
        before, after = tower(x), tower(x, attend=attend)
    assert torch.allclose(F.normalize(before), F.normalize(after), rtol=0, atol=1e-6)
    hidden = [f"block.{i}.probs" for i in blocks] + ["pool.probs"]
    wrong = {t: far for t in tower.taps() if t not in hidden and (far := away(tower, x, t, attend)) > 1e-6}
    assert not wrong


def q_q(q, k, v):
    return plain(q, q, v) if q.shape[2] == v.shape[2] else plain(q, k, v)


def v_v(q, k, v):
    return plain(v, v, v)


def neighbours(q, k, v):
    """Each patch asks the 3 x 3 patches around it and the class token (NACLIP's idea, with a hard edge)."""
    side = round((q.shape[2] - 1) ** 0.5)
    row, column = torch.arange(side * side) // side, torch.arange(side * side) % side
    near = ((row[:, None] - row).abs() <= 1) & ((column[:, None] - column).abs() <= 1)
    mask = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool)
    mask[1:, 1:] = near
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


@pytest.mark.parametrize("other", [q_q, v_v, neighbours], ids=lambda f: f.__name__)
def test_another_attention_takes_its_place_in_its_block_only(tower_of, other):
    tower, x = tower_of("vit")
    attend = {1: other}
    with torch.no_grad():
        want = ["block.0", "block.1.q", "block.1.k", "block.1.v", "block.1.heads", "block.2"]
        before, after = tower.trace(x, want), tower.trace(x, want, attend=attend)
        expected = other(*(before[f"block.1.{part}"] for part in "qkv"))
        assert torch.equal(before["block.0"], after["block.0"])
        assert torch.allclose(after["block.1.heads"], expected, atol=1e-6)
        assert not torch.allclose(after["block.2"], before["block.2"], atol=1e-3)
    for tap in ("block.0", "block.1.v", "block.1.heads", "block.1", "block.2.probs"):
        assert away(tower, x, tap, attend) <= 1e-6
    given = tower.trace(x, ["block.0"], attend=attend)
    value = given["block.0"].detach().requires_grad_()
    (gradient,) = torch.autograd.grad(tower.tail("block.0", value, given, attend=attend).sum(), value)
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("kind", ["vit", "text"])
def test_the_heads_contributions_sum_to_the_attention(tower_of, kind):
    tower, x = tower_of(kind)
    for i in range(3):
        with torch.no_grad():
            given = tower.trace(x, [f"block.{i}.heads", f"block.{i}.attn", f"block.{i}.probs", f"block.{i}.v"])
        heads, out = given[f"block.{i}.heads"], tower.transformer.resblocks[i].attn.out_proj
        weight = out.weight.unflatten(1, (heads.shape[1], -1))  # [D, H, D / H]
        by_head = torch.einsum("nhlc,dhc->nhld", heads, weight)
        assert torch.allclose(by_head.sum(dim=1) + out.bias, given[f"block.{i}.attn"], atol=1e-5)
        assert torch.allclose(given[f"block.{i}.probs"] @ given[f"block.{i}.v"], heads, atol=1e-5)
        assert torch.allclose(given[f"block.{i}.probs"].sum(dim=-1), torch.ones(()), atol=1e-5)


def test_the_pooling_heads_contributions_sum_to_the_embedding(tower_of):
    tower, x = tower_of("resnet")
    with torch.no_grad():
        given = tower.trace(x, ["features", "pool.probs", "pool.v"])
    heads = (given["pool.probs"] @ given["pool.v"])[:, :, 0]  # [N, H, C / H]
    weight = tower.attnpool.c_proj.weight.unflatten(1, (heads.shape[1], -1))
    by_head = torch.einsum("nhc,ehc->nhe", heads, weight)
    assert torch.allclose(by_head.sum(dim=1) + tower.attnpool.c_proj.bias, given["embedding"], atol=1e-5)


def test_the_class_token_alone_equals_the_whole_last_block(tower_of):
    tower, x = tower_of("vit")
    sizes = []

    def see(name, tensor):
        sizes.append((name, tensor.shape[-2]))
        return tensor

    see.looks_at = lambda *names: False
    with torch.no_grad():
        embed = tower.embed(x)
        short = tower.transformer(embed, see, pool_first=True)
        whole = tower.transformer(embed)
    assert ("block.2.mlp", 1) in sizes and ("block.1.mlp", whole.shape[1]) in sizes, "the shortcut is not taken"
    assert short.shape[1] == 1
    assert torch.allclose(short[:, 0], whole[:, 0], rtol=0, atol=1e-5)
    # to look at what the shortcut leaves out brings it back
    assert tower.trace(x, ["block.2.q"])["block.2.q"].shape[2] == whole.shape[1]


@pytest.mark.parametrize("kind", TOWERS)
def test_gradients_from_every_tap_agree_with_a_difference(tower_of, kind):
    tower, x = tower_of(kind, torch.float64)
    generator = torch.Generator().manual_seed(0)
    for tap in tower.taps():
        given = tower.trace(x, [tap])
        value = given[tap].detach().requires_grad_()
        out = tower.tail(tap, value, given)
        toward = torch.randn(out.shape, generator=generator, dtype=out.dtype)
        (gradient,) = torch.autograd.grad((out * toward).sum(), value)
        step = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        with torch.no_grad():
            ends = [(tower.tail(tap, value + h * step, given) * toward).sum() for h in (1e-6, -1e-6)]
        measured = (ends[0] - ends[1]) / 2e-6
        assert torch.isclose((gradient * step).sum(), measured, rtol=1e-4, atol=1e-6), tap


@pytest.mark.parametrize("kind", TOWERS)
def test_looking_leaves_nothing_behind(tower_of, kind):
    tower, x = tower_of(kind)
    before = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
    state, mode = torch.random.get_rng_state(), tower.training
    tap = tower.taps()[-3]
    given = tower.trace(x, [tap])
    value = given[tap].detach().requires_grad_()
    torch.autograd.grad(tower.tail(tap, value, given).sum(), value)
    assert all(p.grad is None and not p.requires_grad for p in tower.parameters())
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    assert not any(getattr(module, hook) for module in tower.modules() for hook in hooks)
    assert tower.training == mode and torch.equal(torch.random.get_rng_state(), state)
    after = tower.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_two_threads_look_at_once(tower_of):
    tower, x = tower_of("vit")
    alone = [tower.trace(x[i : i + 1], ["block.1.probs"])["block.1.probs"] for i in range(4)]
    found, faults = {}, []

    def look(i):
        for _ in range(10):
            found[i] = tower.trace(x[i : i + 1], ["block.1.probs"])["block.1.probs"]
            if not torch.equal(found[i], alone[i]):
                faults.append(i)

    threads = [threading.Thread(target=look, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and not faults


@pytest.mark.parametrize(("kind", "asked", "nearest"), [
    ("vit", "blok.1.attn", "'block.1.attn'"), ("vit", "block.3", "'block.2'"), ("resnet", "stage4", "'stage.4'"),
    ("resnet", "layer4", "'stage.4'"), ("text", "block.1.prob", "'block.1.probs'"),
])  # fmt: skip
def test_an_unknown_tap_is_answered_by_the_nearest(tower_of, kind, asked, nearest):
    tower, x = tower_of(kind)
    for ask in (lambda: tower.trace(x, [asked]), lambda: tower.tail(asked, x, {})):
        with pytest.raises(ModelError) as error:
            ask()
        assert repr(asked) in str(error.value) and nearest in str(error.value)


def test_a_tail_without_what_it_needs_says_what_to_type(tower_of):
    tower, x = tower_of("vit")
    given = tower.trace(x, ["block.2"])
    with pytest.raises(ModelError, match=r"needs 'block\.1' beside it.*want=\['block\.2\.ln_1'\]"):
        tower.tail("block.2.ln_1", given["block.2"], given)


@pytest.mark.parametrize(("kind", "key"), [("vit", 3), ("vit", "pool"), ("text", -1), ("resnet", 0)])
def test_an_attention_that_is_not_there_cannot_be_replaced(tower_of, kind, key):
    tower, x = tower_of(kind)
    for call in (lambda: tower(x, attend={key: plain}), lambda: tower.trace(x, [], attend={key: plain})):
        with pytest.raises(ModelError, match=r"attend=.*" + repr(key)):
            call()


@pytest.mark.parametrize(("kind", "tap", "key"), [("vit", "block.1.probs", 1), ("resnet", "pool.probs", "pool")])
def test_a_replaced_attention_has_no_probabilities(tower_of, kind, tap, key):
    tower, x = tower_of(kind)
    given = tower.trace(x, [tap])
    for call in (
        lambda: tower.trace(x, [tap], attend={key: plain}),
        lambda: tower.tail(tap, given[tap], given, attend={key: plain}),
    ):
        with pytest.raises(ModelError, match=f"{tap}.*attend"):
            call()


def test_the_tail_refuses_unknown_attentions_as_the_trace_does() -> None:
    from clipviz.clip import CBOWConfig, Config, ResNetConfig, TextConfig, ViTConfig

    text = TextConfig(16, 100, 64, 1, 2)
    vit, resnet = ViTConfig(32, 8, 64, 2, 64), ResNetConfig(64, (1, 1, 1, 1), 8, 64)
    one, other = CLIP(Config(24, vit, text)), CLIP(Config(24, resnet, CBOWConfig(16, 100, 32)))
    for tower in (one.visual, one.text, other.visual, other.text):
        for key in (2, "1", "poool"):
            with pytest.raises(ModelError, match=r"names no attention that could be replaced"):
                tower.tail("features", torch.zeros(1, 64), {}, attend={key: lambda q, k, v: v})
