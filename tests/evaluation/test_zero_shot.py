"""`evaluate(task="zero_shot")`: against open_clip's own computation, and what it refuses or tells."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import clipviz
from clipviz.errors import ClipvizWarning, DataError, InputError, ModelError, PromptError
from clipviz.evaluation import class_vectors, list_tasks, register_task, zero_shot_metrics
from clipviz.evaluation import registry as registry_module

FIVE = ("a photo of a {}", "a photo of the {}", "a {}", "a close-up photo of a {}", "a picture of a {}")


@pytest.fixture(scope="session")
def oc_tiny(shared: Path) -> clipviz.Model:
    return clipviz.load(shared / "models" / "oc-tiny")


def open_clips_own(shared: Path, pictures: list[Any], names: list[list[str]], templates: tuple[str, ...]) -> np.ndarray:
    """Cosines [N, C] by open_clip alone: its model, its transform, its tokenizer."""
    import open_clip

    where = f"local-dir:{shared / 'models' / 'oc-tiny'}"
    network, _, transform = open_clip.create_model_and_transforms(where)
    tokenizer = open_clip.get_tokenizer(where)
    network.eval()
    with torch.no_grad():
        seen = torch.stack([transform(picture) for picture in pictures])
        images = torch.cat([network.encode_image(part, normalize=True) for part in seen.split(100)])
        classes = []
        for of_class in names:
            tokens = tokenizer([template.format(name) for name in of_class for template in templates])
            mean = network.encode_text(tokens, normalize=True).mean(dim=0)
            classes.append(mean / mean.norm())
        return (images @ torch.stack(classes).T).numpy()


@pytest.mark.parametrize(("templates", "synonyms"), [(("a photo of a {}.",), "first"), (FIVE, "all")])
def test_equals_open_clips_own_computation(
    shared: Path, oc_tiny: clipviz.Model, templates: tuple[str, ...], synonyms: str
) -> None:
    folder = shared / "data" / "tiny-imagenet"
    source = clipviz.open_source(folder / "val-00.parquet").select(range(0, 5050, 25))
    rows = json.loads((folder / "classes.json").read_text())
    found = clipviz.evaluate(
        source, folder / "classes.json", model=oc_tiny, truth="class_id", templates=templates, synonyms=synonyms
    )
    names = [row["names"] if synonyms == "all" else row["names"][:1] for row in rows]
    scores = open_clips_own(shared, [item.image for item in source], names, templates)
    ids = np.array([row["class_id"] for row in rows])
    truth = source.table()["class_id"].to_numpy()
    own = scores[np.arange(len(truth)), [int(np.flatnonzero(ids == t)[0]) for t in truth]]
    rank = 1 + (scores > own[:, None]).sum(axis=1)
    assert found.items["id"].tolist() == list(source.ids)
    assert found.items["truth"].tolist() == truth.tolist()
    assert (found.items["predicted"].to_numpy() == ids[scores.argmax(axis=1)]).mean() > 0.99  # ties of the last bit
    assert np.abs(found.items["rank"].to_numpy() - rank).max() <= 1
    assert found["top-1 accuracy"] == pytest.approx((rank == 1).mean(), abs=0.006)
    assert found["top-5 accuracy"] == pytest.approx((rank <= 5).mean(), abs=0.006)
    assert found.provenance["key"] == "class_id"
    assert found.seen == "not known whether the classes were seen in training"


@pytest.mark.slow
def test_the_published_figures_of_oc_tiny(shared: Path, oc_tiny: clipviz.Model) -> None:
    places, faces = shared / "data" / "tiny-imagenet", shared / "data" / "fairface" / "val-00.parquet"

    def named(**options: Any) -> clipviz.Evaluation:
        return clipviz.evaluate(
            places / "val-00.parquet", places / "classes.json", model=oc_tiny, truth="class_id", **options
        )

    assert round(100 * named(templates="a photo of a {}.", synonyms="first")["top-1 accuracy"], 1) == 25.1
    every = named(templates=FIVE)
    assert round(100 * every["top-1 accuracy"], 1) == 29.9
    assert round(100 * every["top-5 accuracy"], 1) == 57.0
    gender = clipviz.evaluate(
        faces, {"Female": "woman", "Male": "man"}, model=oc_tiny, truth="gender", templates="a photo of a {}"
    )
    assert round(100 * gender["top-1 accuracy"], 1) == 77.9


def test_a_folder_with_its_subfolders_as_labels(model: clipviz.Model, folder: Path) -> None:
    found = clipviz.evaluate(folder, model=model, batch_size=4)
    assert [value for value, _ in found.labels] == ["blue square", "green star", "red circle"]
    assert len(found.items) == 17
    ((name, reason),) = found.failed
    assert (name == "red circle/0.png" and "damaged" in reason) or "picture" in reason
    source = clipviz.open_source(folder)
    images = model.encode_images([item.image for item in source])
    texts = model.encode_prompts(clipviz.PromptSet.of([v for v, _ in found.labels], "a photo of a {}."))
    truth = [["blue square", "green star", "red circle"].index(v) for v in found.items["truth"]]
    direct = zero_shot_metrics(images, texts, truth)
    assert found["top-1 accuracy"] == pytest.approx(direct["top1"])
    assert found["balanced accuracy"] == pytest.approx(direct["balanced"])
    assert found.table["chance"].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert found.table["majority"].tolist() == pytest.approx([7 / 17, 1 / 3])
    assert "top-5 accuracy" not in set(found.table["metric"])


def test_the_order_of_labels_changes_nothing(model: clipviz.Model, folder: Path) -> None:
    names = ["red circle", "blue square", "green star"]
    one, two = (clipviz.evaluate(folder, order, model=model) for order in (names, names[::-1]))
    pd.testing.assert_frame_equal(one.items, two.items)


def test_halves_share_one_label_set_and_are_named(model: clipviz.Model, folder: Path) -> None:
    for path in (folder / "green star").iterdir():  # leave the label to one half alone
        if clipviz.sources.half_of(f"green star/{path.name}") == "dev":
            path.unlink()
    dev, report = (clipviz.evaluate(folder, model=model, half=half) for half in ("dev", "report"))
    assert dev.provenance["labels_sha256"] == report.provenance["labels_sha256"]
    assert set(dev.items["half"]) == {"dev"} and set(report.items["half"]) == {"report"}
    assert not set(dev.items["id"]) & set(report.items["id"])
    assert dev.provenance["data"]["fingerprint"] != report.provenance["data"]["fingerprint"]
    assert any("for choices" in note for note in dev.notes)
    assert any("have no picture here" in note for note in dev.notes)
    source = clipviz.open_source(folder).half("report")
    assert clipviz.evaluate(source, model=model, half="report", labels=["red circle", "blue square", "green star"])
    with pytest.raises(DataError, match="is the half 'report' already"):
        clipviz.evaluate(source, model=model, half="dev")


def test_truths_outside_of_the_labels_are_refused_or_told(model: clipviz.Model, folder: Path) -> None:
    draw = Image.new("RGB", (40, 40))
    draw.save(folder / "beside.png")
    with pytest.raises(DataError, match=r"5 of 19 pictures have a 'label'.*None, 'green star'"):
        clipviz.evaluate(folder, ["red circle", "blue square"], model=model)
    found = clipviz.evaluate(folder, ["red circle", "blue square"], model=model, unlisted="skip")
    assert len(found.items) == 13 and len(found.failed) == 6  # four stars, the one without, the damaged one
    assert dict(found.failed)["beside.png"] == "its 'label' is None, which is not among the labels"
    with pytest.raises(DataError, match="19 of 19"):
        clipviz.evaluate(folder, ["a dog", "a cat"], model=model, unlisted="skip")


def test_a_ribbon_does_not_stop_the_others(model: clipviz.Model, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (4000, 1)).save(folder / "blue square" / "ribbon.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)  # 32 times 128,000 pixels are above it
    found = clipviz.evaluate(folder, model=model)
    assert len(found.items) == 17
    assert "would become" in dict(found.failed)["blue square/ribbon.png"]


def test_all_damaged(model: clipviz.Model, folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"None of the 18 pictures .* can be read; 'blue square/0.png'"):
        clipviz.evaluate(folder, model=model)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"model": None}, ModelError, "none is named"),
        ({"model": "ViT-B-32"}, InputError, "got str"),
        ({"truth": "lable"}, DataError, r"no column 'lable'.*Did you mean 'label'"),
        ({"half": "test"}, InputError, "half='test'"),
        ({"task": "zero_shoot"}, InputError, "Did you mean 'zero_shot'"),
        ({"template": "a {}"}, InputError, "no option 'template'. Did you mean 'templates'"),
        ({"templates": "a photo"}, PromptError, "has no {}"),
        ({"unlisted": "drop"}, InputError, "unlisted='drop'"),
        ({"batch_size": 0}, InputError, "batch_size=0"),
        ({"labels": ["red circle"]}, InputError, "one label"),
    ],
)
def test_bad_input(
    model: clipviz.Model, folder: Path, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        clipviz.evaluate(folder, **{"model": model, **options})


def test_a_half_that_is_not_there(model: clipviz.Model, folder: Path) -> None:
    dev = [i for i, name in enumerate(clipviz.open_source(folder).ids) if clipviz.sources.half_of(name) == "dev"]
    with pytest.raises(DataError, match=r"No picture of .* is in the half 'report'"):
        clipviz.evaluate(clipviz.open_source(folder).select(dev), model=model, half="report")


def test_names_that_the_model_reads_alike_are_refused(model: clipviz.Model, folder: Path) -> None:
    """Sixteen tokens are read: what tells the two apart is cut off."""
    long = "a very long name of a thing that goes on and on and on and on until it says "
    labels = {"red circle": long + "red", "blue square": long + "blue", "green star": "green star"}
    with pytest.warns(ClipvizWarning, match="were cut"), pytest.raises(PromptError, match="the same vector"):
        clipviz.evaluate(folder, labels, model=model)
    with pytest.raises(PromptError, match="shorten it"):
        clipviz.evaluate(folder, labels, model=model, strict=True)


def test_words_never_seen_are_told(shared: Path, oc_tiny: clipviz.Model, folder: Path) -> None:
    labels = {"red circle": "xylophone", "blue square": "school bus", "green star": "lemon"}
    with pytest.warns(ClipvizWarning, match="never saw 'xylophone' in training") as caught:
        found = clipviz.evaluate(folder, labels, model=oc_tiny)
    assert caught[0].filename == __file__
    assert any("xylophone" in note for note in found.notes)


def test_what_the_card_tells_reaches_the_result(model: clipviz.Model, folder: Path) -> None:
    model.card["training_classes"] = ["lemon"]
    try:
        assert clipviz.evaluate(folder, model=model).seen == "zero-shot"
        model.card["training_classes"] += ["red circle", "Blue Square", "green star"]
        assert clipviz.evaluate(folder, model=model).seen == "prompt accuracy, classes seen in training"
    finally:
        del model.card["training_classes"]


def test_a_task_of_ones_own(model: clipviz.Model, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_REGISTRY", dict(registry_module._REGISTRY))
    asked: list[Any] = []

    def function(question: Any, *, k: int = 1) -> clipviz.Evaluation:
        asked.append((len(question.source), len(question.whole), k))
        return clipviz.evaluate(question.source, model=question.model)

    register_task("mine", function, about="a test")
    assert clipviz.evaluate(folder, task="mine", model=model, half="dev", k=3)
    assert asked[0][2] == 3 and asked[0][0] < asked[0][1] == 18
    assert {"zero_shot", "mine"} <= set(list_tasks()["name"])
    with pytest.raises(InputError, match="registered already"):
        register_task("mine", function, about="again")


def test_class_vectors_are_means_over_all_names_and_templates(model: clipviz.Model) -> None:
    (vector,) = class_vectors(model, [["cat", "kitten"]], ("a {}", "the {}", "{} {}"))
    texts = ["a cat", "the cat", "cat cat", "a kitten", "the kitten", "kitten kitten"]
    mean = model.encode_texts(texts).mean(axis=0)
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)
    alone = class_vectors(model, [["cat"], ["dog"]], FIVE)
    np.testing.assert_allclose(alone, model.encode_prompts(clipviz.PromptSet.of(["cat", "dog"], FIVE)), atol=1e-6)


def test_the_same_twice(model: clipviz.Model, folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, two = (clipviz.evaluate(folder, model=model) for _ in range(2))
    pd.testing.assert_frame_equal(one.items, two.items, check_exact=True)
    assert one.provenance == two.provenance
