import io
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from clipviz.errors import DataError, SpecError
from clipviz.training import read_recipe
from clipviz.training.batches import Batches, read_ahead
from clipviz.training.plan import Plan


@pytest.fixture
def folder(tmp_path):
    """Forty pictures of two classes, each with its number in its colour; one is damaged."""
    path = tmp_path / "pictures"
    for i in range(40):
        name = path / ("cat" if i % 2 else "dog") / f"{i:02d}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 60), (6 * i, 255 - 6 * i, 128)).save(name)
    (path / "cat" / "07.png").write_bytes((path / "cat" / "07.png").read_bytes()[:60])
    return path


def pets(folder, **changes):
    source = {"path": str(folder), "name": "pets", "captions": [{"templates": ["a {label}", "the {label}"]}], **changes}
    return {"name": "pets", "data": {"sources": [source]}, "optim": {"samples": 400, "batch": 10}}


def test_every_picture_is_shown_once_before_any_is_shown_again(toy):
    toy["data"]["sources"].append({**toy["data"]["sources"][0], "weight": 3.0, "n": 90, "name": "more"})
    recipe = read_recipe(toy, ["optim.samples=1600"])
    plan = Plan(recipe, [48, 90])
    assert (plan.counts.sum(axis=1) == 16).all()
    assert plan.counts[:, 1].sum() == 1200  # three quarters of all
    for s, size in enumerate((48, 90)):
        shown = [row for step in range(recipe.steps) for row in plan.rows(step) if row[0] == s]
        shown.sort(key=lambda row: row[1])
        assert [row[1] for row in shown] == list(range(len(shown)))
        laps = [[row[2] for row in shown[first : first + size]] for first in range(0, len(shown), size)]
        assert all(len(set(lap)) == len(lap) for lap in laps) and laps[0] != laps[1]


def test_no_source_ever_owes_pictures(toy):
    rng, source = np.random.default_rng(0), toy["data"]["sources"][0]
    toy["data"]["sources"] = [{**source, "name": str(i), "n": 30} for i in range(7)]
    for i in range(60):
        weights, fades = rng.choice([0.1, 0.33, 2.0], 7), rng.choice([0.0, 0.7, 1.0], 7)
        weights, fades = ([2, 0.33, 0.1, 0.1, 0.1, 0.33, 2], [0, 1, 1, 0.7, 0.7, 1, 0]) if i == 0 else (weights, fades)
        for j in range(7):
            toy["data"]["sources"][j] |= {"weight": float(weights[j]), "fade": float(fades[j]) if j else 0.0}
        plan = Plan(read_recipe(toy, ["optim.batch=3", "optim.samples=450"]), [30] * 7)
        assert (plan.counts >= 0).all() and (plan.counts.sum(axis=1) == 3).all()


def test_a_fading_source_leaves(toy):
    source = toy["data"]["sources"][0]
    toy["data"]["sources"] = [source, {**source, "name": "easy", "level": "easy", "fade": 0.5}]
    recipe = read_recipe(toy, ["optim.samples=1600"])
    counts = Plan(recipe, [48, 48]).counts
    assert counts[0].tolist() == [8, 8] and (counts[50:, 1] == 0).all() and (counts.sum(axis=1) == 16).all()
    assert 0 < counts[25, 1] < 8


def test_a_batch_larger_than_the_data_is_refused(toy, tmp_path):
    with pytest.raises(DataError, match="larger than the data, which hold 48"):
        Batches(read_recipe(toy, ["optim.batch=49", "optim.samples=490"]), tmp_path)


@pytest.mark.parametrize("texts", ["batch", "all"])
def test_processes_share_a_batch_without_overlap(toy, tmp_path, texts):
    recipe = read_recipe(toy, [f"loss.texts={texts}", "optim.keep_patches=0.5"])
    one = Batches(recipe, tmp_path)[3]
    for world in (2, 3):
        parts = [Batches(recipe, tmp_path, rank=rank, world=world)[3] for rank in range(world)]
        for name in ("pixels", "true", "said", "keep"):
            mine = getattr(one, name)
            for rank, part in enumerate(parts):
                assert torch.equal(
                    getattr(part, name)[:, : mine.shape[1]] if mine.ndim > 1 else getattr(part, name), mine[rank::world]
                )
        for rank, part in enumerate(parts):
            length = part.tokens.shape[1]
            assert torch.equal(part.tokens, one.tokens[rank::world, :length])


def test_a_step_depends_on_nothing_that_was_read_before(toy, tmp_path):
    recipe = read_recipe(toy)
    batches = Batches(recipe, tmp_path)
    later = batches[7]
    for step in range(7):
        batches[step]
    for other in (
        batches[7],
        next(read_ahead(Batches(recipe, tmp_path), 7, 0)),
        pickle.loads(pickle.dumps(batches))[7],
    ):
        assert torch.equal(other.pixels, later.pixels) and torch.equal(other.tokens, later.tokens)


@pytest.mark.slow
def test_workers_read_the_same_batches_ahead(toy, tmp_path):
    recipe = read_recipe(toy)
    batches = Batches(recipe, tmp_path)
    found = list(read_ahead(batches, 16, 2))
    assert [batch.step for batch in found] == [16, 17, 18, 19]
    for batch in found:
        assert torch.equal(batch.pixels, batches[batch.step].pixels)


@pytest.mark.parametrize("cache", [False, True])
def test_a_damaged_picture_is_skipped_and_listed(folder, tmp_path, cache):
    recipe = read_recipe(pets(folder, cache=cache))
    batches = Batches(recipe, tmp_path / "cache")
    read = [batches[step] for step in range(8)]
    assert {len(batch.pixels) for batch in read} == {10}
    skipped = [row for batch in read for row in batch.skipped]
    assert {row[:2] for row in skipped} == {("pets", "cat/07.png")} and "damaged" in skipped[0][2]


def test_what_is_shown_is_true_of_the_picture(folder, tmp_path):
    batches = Batches(read_recipe(pets(folder)), tmp_path)
    names = [c.first for c in batches.concepts.every]
    reds = Counter()
    for step in range(8):
        batch = batches[step]
        assert batch.pixels.shape == (10, 56, 56, 3) and batch.pixels.dtype == torch.uint8
        for pixels, said in zip(batch.pixels, batch.said, strict=True):
            number = round(pixels[:, :, 0].float().mean().item() / 6)
            reds[number] += 1
            assert names[said] == ("a cat" if number % 2 else "a dog")
    assert set(reds) == set(range(40)) - {7}


def test_the_papers_crop_is_a_random_square_of_the_resized_picture(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 120).astype(np.uint8)[None, :, None], (60, 1, 3))
    (tmp_path / "p").mkdir()
    for i in range(16):
        Image.fromarray(ramp).save(tmp_path / "p" / f"{i}.png")
    recipe = read_recipe(
        {
            "data": {"sources": [{"path": str(tmp_path / "p"), "captions": [{"templates": ["a ramp"]}]}]},
            "optim": {"batch": 16, "samples": 160},
        }
    )
    batches = Batches(recipe, tmp_path)
    pixels = torch.cat([batches[step].pixels for step in range(10)]).float()
    width = (pixels[:, :, -1] - pixels[:, :, 0]).mean(dim=(1, 2)) / (255 / 119)
    assert (width - 59).abs().max() < 2.5  # the full height, and as much of the length
    left = pixels[:, :, 0].mean(dim=(1, 2)) / (255 / 119)
    assert left.min() < 6 and left.max() > 54  # anywhere along the length


def test_bytes_in_parquet_need_a_caption_column_that_is_there(tmp_path):
    import pandas as pd

    def jpeg(i):
        out = io.BytesIO()
        Image.new("RGB", (64, 64), (i, i, i)).save(out, "JPEG")
        return out.getvalue()

    table = pd.DataFrame({"file": [f"{i}.jpg" for i in range(12)], "image": [jpeg(20 * i) for i in range(12)]})
    table["text"] = ["", None, *(f"grey number {i}" for i in range(2, 12))]
    table.to_parquet(tmp_path / "grey.parquet")
    content = {"data": {"sources": [{"path": str(tmp_path / "grey.parquet"), "caption": "text"}]}}
    content["optim"] = {"batch": 4, "samples": 40}
    batches = Batches(read_recipe(content), tmp_path)
    assert batches.empty_captions == {str(tmp_path / "grey.parquet"): 2}
    seen = {c.first for c in batches.concepts.every}
    assert seen == {f"grey number {i}" for i in range(2, 12)}
    with pytest.raises(DataError, match=r"column 'txt'.*'text'"):
        Batches(read_recipe(content, ["data.sources.0.caption=txt"]), tmp_path)
    with pytest.raises(DataError, match="No file matches"):
        Batches(read_recipe(content, [f"data.sources.0.path={tmp_path}/none-*.parquet"]), tmp_path)
    content["data"]["sources"][0] |= {"caption": "", "captions": [{"templates": ["a {text}"]}], "classes": "none.json"}
    with pytest.raises(SpecError, match="JSON list"):
        Batches(read_recipe(content), tmp_path)
