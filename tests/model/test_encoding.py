"""Encoding well: order, cutting, precision, compilation, memory."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from clipviz.clip import CLIP, CBOWConfig, Config, TextConfig, ViTConfig
from clipviz.errors import ClipvizWarning, ModelError
from clipviz.model import Model
from clipviz.model.encoding import Batches, padded
from clipviz.weights import Weights

from .conftest import TOLD


def lengths() -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(["dog", "cat", "red", "tree"], n)) for n in rng.integers(1, 15, 40)]


@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_texts_are_cut_sorted_and_put_back(vit: Model, batch_size: int) -> None:
    texts = lengths()
    with torch.no_grad():
        uncut = F.normalize(vit.clip.text(vit.tokenize(texts)), dim=-1).numpy()
    np.testing.assert_allclose(vit.encode_texts(texts, batch_size=batch_size), uncut, atol=1e-6)


def test_a_batch_is_as_long_as_its_longest(vit: Model, monkeypatch) -> None:
    met = []
    read = vit._read
    monkeypatch.setattr(vit, "_read", lambda tokens: (met.append(tuple(tokens.shape)), read(tokens))[1])
    vit.encode_texts(["dog " * n for n in (14, 1, 3, 2)], batch_size=2)
    assert met == [(2, 4), (2, 16)]


def test_a_tokenizer_that_only_gives_tables(vit: Model) -> None:
    from open_clip.tokenizer import SimpleTokenizer

    whole = SimpleTokenizer(context_length=16)
    model = Model("m", Weights(vit.clip, TOLD), None, lambda texts: whole(texts))
    np.testing.assert_allclose(model.encode_texts(lengths()), vit.encode_texts(lengths()), atol=1e-6)
    assert torch.equal(model.tokenize(["a dog"]), vit.tokenize(["a dog"]))


def test_another_vocabulary_wants_its_own_tokenizer(picture) -> None:
    config = Config(24, ViTConfig(32, 8, 64, 1, 64), TextConfig(16, 1000, 64, 1, 1))
    model = Model("foreign", Weights(CLIP(config).eval(), TOLD))
    assert model.encode_images([picture]).shape == (1, 24)
    with pytest.raises(ModelError, match=r"vocabulary of 1000 tokens, not the paper's 49408"):
        model.encode_texts(["a dog"])


def test_a_bag_of_words_reads_as_a_model(picture) -> None:
    config = Config(24, ViTConfig(32, 8, 64, 1, 64), CBOWConfig(16, 49408, 32))
    model = Model("bag", Weights(CLIP(config).eval(), TOLD))
    with torch.no_grad():
        uncut = F.normalize(model.clip.text(model.tokenize(lengths())), dim=-1).numpy()
    np.testing.assert_allclose(model.encode_texts(lengths(), batch_size=7), uncut, atol=1e-6)
    assert (Model("b", Weights(model.clip, TOLD), precision="bf16").encode_texts(lengths()) * uncut).sum(1).min() > 0.99


def test_bfloat16_encodes_and_looks_in_float32(model: Model, picture) -> None:
    quick = Model("quick", Weights(model.clip, TOLD), precision="bf16")
    texts = lengths()
    for one, other in (
        (quick.encode_images([picture]), model.encode_images([picture])),
        (quick.encode_texts(texts), model.encode_texts(texts)),
    ):
        assert one.dtype == np.float32
        assert (one * other).sum(1).min() > 0.99
        assert not np.array_equal(one, other)
    assert quick.provenance["precision"] == "bf16"
    assert quick.provenance["weights_sha256"] == model.provenance["weights_sha256"]
    assert quick.clip.visual.conv1.weight.dtype == torch.float32


@pytest.mark.slow
def test_compiled_is_the_same(vit: Model, picture) -> None:
    compiled = Model("compiled", Weights(vit.clip, TOLD), compile=True)
    np.testing.assert_allclose(compiled.encode_images([picture]), vit.encode_images([picture]), atol=1e-5)
    np.testing.assert_allclose(compiled.encode_texts(lengths()), vit.encode_texts(lengths()), atol=1e-5)


def short_of_memory(limit: int, error: type[Exception] = torch.OutOfMemoryError):
    def run(rows: torch.Tensor) -> torch.Tensor:
        if len(rows) > limit:
            raise error("CUDA out of memory. Tried to allocate 2.00 GiB")
        return rows * 2

    return run


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_short_of_memory_the_batch_is_halved_and_it_is_said(error) -> None:
    rows = torch.arange(50.0)
    batches = Batches(32)
    with pytest.warns(ClipvizWarning, match=r"not enough memory for a batch of") as told:
        assert torch.equal(batches(short_of_memory(9, error), rows), rows * 2)
    assert [str(w.message).split(":")[1] for w in told] == [
        " going on with 16 at a time.",
        " going on with 8 at a time.",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the next batches know
        assert torch.equal(batches(short_of_memory(9, error), rows), rows * 2)


def test_not_even_one_fits_and_other_errors_pass() -> None:
    with pytest.warns(ClipvizWarning), pytest.raises(ModelError, match=r"batch of one"):
        Batches(2)(short_of_memory(0), torch.arange(3.0))
    with pytest.raises(RuntimeError, match="shapes"):
        Batches(2)(lambda rows: rows @ torch.ones(7, 7), torch.ones(3, 3))
    for size in (0, -1, 2.5, True):
        with pytest.raises(ModelError, match="batch_size"):
            Batches(size)


def test_a_model_short_of_memory_gives_the_same_vectors(vit: Model, picture, monkeypatch) -> None:
    images, texts = [picture] * 3 + [picture.rotate(90)], lengths()
    expected = vit.encode_images(images), vit.encode_texts(texts)

    def short(run):
        def tight(rows):
            if len(rows) > 2:
                raise torch.OutOfMemoryError("out of memory")
            return run(rows)

        return tight

    monkeypatch.setattr(vit, "_see", short(vit._see))
    monkeypatch.setattr(vit, "_read", short(vit._read))
    with pytest.warns(ClipvizWarning, match="going on with"):
        np.testing.assert_allclose(vit.encode_images(images), expected[0], atol=1e-6)
    with pytest.warns(ClipvizWarning, match="going on with"):
        np.testing.assert_allclose(vit.encode_texts(texts), expected[1], atol=1e-6)


def test_long_work_shows_its_progress(vit: Model, picture, capfd) -> None:
    vit.encode_images([picture], progress=True)
    vit.encode_texts(["a dog"], progress=True)
    said = capfd.readouterr().err
    assert "1/1" in said
    assert "image" in said
    assert "text" in said
    vit.encode_images([picture])
    assert not capfd.readouterr().err


def test_padding() -> None:
    assert padded([[1, 2], [3]]).tolist() == [[1, 2], [3, 0]]
    assert padded([[1]], 3).tolist() == [[1, 0, 0]]
    assert padded([], 3).shape == (0, 3)
