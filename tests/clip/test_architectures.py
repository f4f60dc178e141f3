"""The nine of the paper: their sizes and costs are those of its tables."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from clipviz.clip import ARCHITECTURES, CLIP, CBOWConfig, Config, ResNetConfig, TextConfig, ViTConfig

FACTS_COLUMNS = [
    "embed_dim", "resolution", "vision_layers", "vision_width", "patch", "vision_heads", "text_layers", "text_width",
    "text_heads", "params_M", "image_GFLOP", "text_GFLOP", "learning_rate",
]  # fmt: skip


@pytest.fixture(scope="session")
def facts(shared):
    table = json.loads((shared / "facts" / "clip_paper.json").read_text(encoding="utf-8"))["architectures"]
    assert table["columns"] == FACTS_COLUMNS
    return table


def without_numbers(config: Config) -> CLIP:
    with torch.device("meta"):
        return CLIP(config).eval()


def test_the_table_holds_the_nine_and_no_other(facts):
    assert list(ARCHITECTURES) == [name for name in facts if name.startswith(("RN", "ViT"))]
    assert len(ARCHITECTURES) == 9


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_dimensions_and_parameters_equal_the_paper(name, facts):
    config, row = ARCHITECTURES[name], dict(zip(FACTS_COLUMNS, facts[name], strict=True))
    vision, text = config.vision, config.text
    layers = list(vision.layers) if isinstance(vision, ResNetConfig) else vision.layers
    assert [config.embed_dim, vision.image_size, layers, vision.width, getattr(vision, "patch_size", None),
            vision.heads, text.layers, text.width, text.heads] == facts[name][:9]  # fmt: skip
    assert (text.vocab_size, text.context_length) == (facts["vocabulary"], facts["context_length"])
    assert config.quick_gelu
    parameters = sum(p.numel() for p in without_numbers(config).parameters())
    assert round(parameters / 1e6, 2) == row["params_M"]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_operations_are_within_two_percent_of_the_paper(name, facts):
    row = dict(zip(FACTS_COLUMNS, facts[name], strict=True))
    cost = without_numbers(ARCHITECTURES[name]).flops()
    assert cost.image / 1e9 == pytest.approx(row["image_GFLOP"], rel=0.02)
    assert cost.text / 1e9 == pytest.approx(row["text_GFLOP"], rel=0.02)


ODD = {
    "vit": Config(24, ViTConfig(40, 8, 48, 3, 8, mlp_ratio=3.0), TextConfig(16, 64, 32, 4, 3)),
    "resnet": Config(24, ResNetConfig(96, (1, 2, 1, 2), 8, 16), TextConfig(16, 64, 32, 4, 3)),
}


@pytest.mark.parametrize("config", [*ARCHITECTURES.values(), *ODD.values()], ids=[*ARCHITECTURES, *ODD])
def test_operations_equal_those_that_torch_counts(config):
    """The formula against the network itself, with everything that it would spare asked for."""
    clip = without_numbers(config)
    size = config.vision.image_size
    pixels = torch.empty(1, 3, size, size, device="meta")
    tokens = torch.zeros(1, config.text.context_length, dtype=torch.long, device="meta")

    def counted(tower, x):
        everything = [tap for tap in tower.taps() if tap.endswith("probs")]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            tower.trace(x, want=everything)
        return counter.get_total_flops()

    image, text = clip.flops()
    assert counted(clip.text, tokens) == text
    if isinstance(config.vision, ViTConfig):
        assert counted(clip.visual, pixels) == image
    else:  # the table has every cell ask in the pooling; here the mean alone does
        rows, features = config.vision.grid**2, config.vision.features
        spared = rows * features * (features + config.embed_dim) + 2 * rows * (rows + 1) * features
        assert counted(clip.visual, pixels) == image - 2 * spared


def test_a_bag_of_words_costs_its_projection():
    config = replace(ARCHITECTURES["RN50"], text=CBOWConfig())
    assert without_numbers(config).flops().text == 2 * 512 * 1024
