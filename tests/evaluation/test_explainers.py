"""`evaluate(task="explainers")`: on drawn pictures where it is known which explanation is right."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

import clipviz
from clipviz import assets
from clipviz.cli import main
from clipviz.errors import DataError, InputError, ModelError
from clipviz.evaluation.league import RIVALS, League, Plan, entrants, run, scene_world
from clipviz.evaluation.league.running import mixes
from clipviz.explanation import registry
from clipviz.explanation.registry import list_explainers, register_explainer
from clipviz.explanation.verbs import gradcam as _registers_all  # noqa: F401
from clipviz.stats import paired_bootstrap
from clipviz.synth import scenes

OPTIONS: dict[str, Any] = {"scenes": 3, "photographs": 24, "mosaics": 4, "few": 6, "checks": 2, "resamples": 100}


def contrast(model: clipviz.Model, look: Any, target: Any) -> torch.Tensor:
    """How far a cell's colour is from the picture's: it finds a thing on plain ground, without text or weights."""
    far = (look.pixels - look.pixels.flatten(2).median(dim=2).values[..., None, None]).abs().sum(dim=1)
    return F.adaptive_avg_pool2d(far, model.grid)[:, None].expand(-1, len(target), -1, -1)


def picky(model: clipviz.Model, look: Any, target: Any) -> torch.Tensor:
    if any("circle" in name for name in target.names):
        raise ValueError("circles are beyond me")
    return contrast(model, look, target)


@pytest.fixture(scope="module")
def methods() -> Iterator[list[str]]:
    register_explainer("contrast", contrast, uses_text=False)
    register_explainer("picky", picky)
    yield ["gradcam", "contrast", "picky"]
    for name in ("contrast", "picky"):
        registry._REGISTRY.pop(name)


@pytest.fixture(scope="module")
def tiny() -> clipviz.Model:
    return clipviz.load()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Single shapes on plain ground with their boxes, one without a box and one that is damaged."""
    rows = []
    for i, scene in enumerate(scenes(60, seed=5, level="easy", split="train", size=64)):
        buffer = io.BytesIO()
        scene.picture.save(buffer, "PNG")
        rows.append({"file": f"{i}.png", "image": buffer.getvalue(), "label": " ".join(scene.pair),
                     "box": list(scene.target.box)})  # fmt: skip
    rows[0]["box"] = None
    rows[1]["image"] = rows[1]["image"][:40]
    path = tmp_path_factory.mktemp("league") / "shapes.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def league(tiny: clipviz.Model, pictures: Path, methods: list[str]) -> League:
    source = clipviz.open_source(pictures, id="file")
    found = clipviz.evaluate(source, task="explainers", model=tiny, half="report", methods=methods, seed=3, **OPTIONS)
    assert isinstance(found, League)
    return found


def test_tells_a_map_that_is_right_from_those_that_know_nothing(league: League) -> None:
    world = "photographs, all boxes"
    assert league[world, "pointing", "contrast"] > 0.8
    assert league[world, "pointing", "a random map"] < 0.5
    assert league[world, "mass inside", "contrast"] > 2 * league[world, "mass inside", "a random map"]
    # It sees neither weights nor text, and the checks say so.
    assert league[world, "parameter randomisation", "contrast"] == pytest.approx(1)
    assert league[world, "text sensitivity", "contrast"] == 0
    assert league[world, "parameter randomisation", "gradcam"] < 0.9
    ranked = league.ranking(world)
    assert ranked["value"].is_monotonic_decreasing and set(RIVALS) < set(ranked["method"])
    assert league.ranking(world, "deletion")["value"].is_monotonic_increasing


def test_every_number_can_be_had_again_from_the_items(league: League) -> None:
    items = league.items[league.items["world"] == "photographs"]
    wide = items.pivot(index="id", columns="method", values="pointing")
    row = league.table[
        (league.table["world"] == "photographs, all boxes") & (league.table["metric"] == "pointing")
    ].set_index("method").loc["contrast"]  # fmt: skip
    both = wide[["contrast", "gradcam"]].dropna()
    own = paired_bootstrap(both["contrast"], resamples=100, seed=3)
    paired = paired_bootstrap(both["contrast"], both["gradcam"], resamples=100, seed=3)
    assert (row["value"], row["low"], row["high"], row["n"]) == (own.estimate, own.low, own.high, own.n)
    assert [row["difference"], row["difference_low"], row["difference_high"]] == pytest.approx(
        [paired.estimate, paired.low, paired.high]
    )
    small = league.table[(league.table["world"] == "photographs, small boxes") & (league.table["metric"] == "pointing")]
    areas = items[items["method"] == "contrast"]["area"]
    assert small.set_index("method")["n"]["contrast"] == (areas < 0.25).sum() > 0
    assert (league.table["half"][league.table["world"].str.startswith(("photo", "mosaic"))] == "report").all()


def test_what_fails_is_listed_with_its_reason(league: League, pictures: Path) -> None:
    failing = [(name, reason) for name, reason in league.failed if reason.startswith("picky: ValueError: circles")]
    assert failing
    kept = league.items[(league.items["method"] == "picky") & (league.items["world"] == "photographs")]
    lost = kept["reason"] != ""
    assert kept[lost]["text"].str.contains("circle").all() and kept[lost]["pointing"].isna().all()
    assert not kept[~lost]["text"].str.contains("circle").any() and kept[~lost]["pointing"].notna().all()
    whole = clipviz.open_source(pictures, id="file")
    for half in ("dev", "report"):
        part = whole.half(half)
        asked = {"0.png", "1.png"} & set(part.ids)
        if half == league.provenance["half"]:
            assert asked <= {name for name, _ in league.failed}


def test_mosaics_are_of_different_classes_and_hold_to_the_larger_grid(league: League) -> None:
    mosaics = league.items[league.items["world"] == "mosaics 2 x 2"]
    assert set(mosaics["method"]) == {*RIVALS, "gradcam", "contrast", "picky"}
    labels = clipviz.open_source(league.provenance["data"]["where"].strip("'"), id="file").table()["label"]
    for name in set(mosaics["id"]):
        members = name.split(": ")[1].split(" + ")
        assert len({labels[member] for member in members}) == 4
    assert league.provenance["worlds"]["mosaics 2 x 2"]["image_size"] == 112
    assert mosaics[mosaics["method"] == "gradcam"]["peak"].isin([0.0, 1.0]).all()


def test_an_expensive_method_takes_the_first_pictures_of_the_same_order(
    tiny: clipviz.Model, pictures: Path, methods: list[str]
) -> None:
    source = clipviz.open_source(pictures, id="file")
    options = OPTIONS | {"scenes": 0, "mosaics": 0, "photographs": 8, "few": 4, "rare": 4, "checks": 0}
    found = clipviz.evaluate(
        source, task="explainers", model=tiny, half="dev", methods=["gradcam"], costly=0.0, **options
    )
    counts = found.items.groupby("method").size()
    assert counts["gradcam"] == 4 and counts["the centre"] == 8
    first = found.items[found.items["method"] == "the centre"]["id"].tolist()[:4]
    assert found.items[found.items["method"] == "gradcam"]["id"].tolist() == first
    row = found.table[found.table["method"] == "the centre"].iloc[0]
    assert (row["n"], row["pairs"]) == (8, 4)
    # The half for choices has no other half to choose a threshold on, and says that it is no figure.
    assert not found.table["metric"].str.startswith("IoU").any()
    assert any("'dev' is for choices" in note for note in found.notes)


def test_the_slower_a_method_the_fewer_pictures_it_takes() -> None:
    plan = Plan(few=20, rare=5, checks=10, dev=10, costly=20)
    assert plan.of_cost(20) == (plan, None) and plan.of_cost(21) == (plan, 20)
    slowest, count = plan.of_cost(201)
    assert (count, slowest.checks, slowest.dev) == (5, 2, 2)


def test_saves_and_loads(league: League, tmp_path: Path) -> None:
    again = clipviz.Evaluation.load(league.save(tmp_path / "league.json"))
    assert isinstance(again, League)
    pd.testing.assert_frame_equal(again.table, league.table)
    pd.testing.assert_frame_equal(again.items, league.items)
    assert (again.failed, again.notes) == (league.failed, league.notes)
    assert again.provenance == json.loads(json.dumps(league.provenance))
    assert len(pd.read_csv(league.save(tmp_path / "league.csv"))) == len(league.table)
    page = league.save(tmp_path / "league.html").read_text()
    assert (
        "mosaic peak" in page
        and "circles are beyond me" in page
        and league.provenance["model"]["weights_sha256"] in page
    )
    assert league.save(tmp_path / "league.png").read_bytes().startswith(b"\x89PNG")
    assert "contrast" in repr(league) or "gradcam" in repr(league)
    broken = json.loads((tmp_path / "league.json").read_text())
    broken["table"].pop("cost")
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    with pytest.raises(DataError, match="no saved evaluation"):
        clipviz.Evaluation.load(tmp_path / "broken.json")


def test_provenance_is_complete(league: League, tiny: clipviz.Model) -> None:
    about = league.provenance
    assert about["model"]["weights_sha256"] == tiny.provenance["weights_sha256"]
    assert about["half"] == "report" and about["seed"] == 3 and len(about["data"]["fingerprint"]) == 64
    assert about["thresholds"]["photographs"]["gradcam"] is not None and about["versions"]["clipviz"]
    assert set(about["methods"]) == {*RIVALS, "gradcam", "contrast", "picky"}


def test_a_method_that_mixes_pictures_sees_them_one_by_one(model: clipviz.Model) -> None:
    """Pictures go through a method together, as the tiles of one do, only where that changes nothing."""
    world = scene_world(model, 3, seed=1)
    assert world is not None
    found = {e.name: mixes(e, world, Plan()) for e in entrants(model, ["gradcam", "maskclip", "legrad", "consensus"])}
    assert found["consensus"] and not any(found[name] for name in ("gradcam", "maskclip", "legrad"))
    rows = {}
    (consensus,) = [e for e in entrants(model, ["consensus"]) if not e.rival]
    for size in (1, 8):
        rows[size], _ = run(consensus, world, Plan(checks=0, dev=0, batch_size=size), 3.0)
    assert [row["inside"] for row in rows[1]] == pytest.approx([row["inside"] for row in rows[8]])


@pytest.mark.parametrize("name", list_explainers()["name"])
def test_every_method_takes_part(model: clipviz.Model, name: str) -> None:
    """A map for two pictures and two texts, in the shape that is measured."""
    if name not in set(list_explainers(model)["name"]):
        return
    entrant = entrants(model, [name])[-1]
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    vectors = torch.from_numpy(model.encode_texts(["a red circle", "a blue square"]))
    maps = entrant.maps(model, pixels, vectors, ("a red circle", "a blue square"), [0])
    assert maps.shape == (2, 2, *model.grid) and np.isfinite(maps).all()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"methods": ["grdcam"]}, InputError, "gradcam"),
        ({"methods": "gradcam"}, InputError, "list of names"),
        ({"methods": [("gradcam", {"layr": 1})]}, InputError, "layer"),
        ({"scenes": -1}, InputError, "scenes=-1 is no count"),
        ({"checks": True}, InputError, "checks=True"),
        ({"scenes": 0, "photographs": 0, "mosaics": 0}, InputError, "nothing to measure on"),
        ({"box": "boxx"}, DataError, "'box'"),
        ({"truth": "lable"}, DataError, "'label'"),
        ({"mosaic": 3}, InputError, "mosaics"),
    ],
)
def test_bad_input(tiny: clipviz.Model, pictures: Path, options: dict[str, Any], error: type, said: str) -> None:
    source = clipviz.open_source(pictures, id="file")
    with pytest.raises(error, match=said):
        clipviz.evaluate(source, task="explainers", model=tiny, **({**OPTIONS, "scenes": 0} | options))


def test_refuses_what_is_not_in_it(league: League, tiny: clipviz.Model, pictures: Path) -> None:
    with pytest.raises(InputError, match="world, metric and method"):
        league["pointing"]
    with pytest.raises(InputError, match="gradcam"):
        league["photographs, all boxes", "pointing", "gradcm"]
    with pytest.raises(InputError, match="no world"):
        league.ranking("photos")
    with pytest.raises(ModelError, match="none is named"):
        clipviz.evaluate(clipviz.open_source(pictures, id="file"), task="explainers")


def test_command_line(pictures: Path, tmp_path: Path) -> None:
    folder = assets.folder("clipviz-tiny")
    out = tmp_path / "league.csv"
    told = CliRunner().invoke(main, [
        "evaluate", "explainers", "--model", str(folder), "--data", str(pictures), "--id", "file", "--half", "report",
        "--methods", "gradcam", "--scenes", "2", "--photographs", "4", "--mosaics", "0", "--checks", "0",
        "--out", str(out),
    ])  # fmt: skip
    assert told.exit_code == 0, told.output
    assert "pointing" in told.output and "the centre" in told.output and f"Wrote {out}" in told.output
    assert set(pd.read_csv(out)["method"]) == {*RIVALS, "gradcam"}
    wrong = CliRunner().invoke(main, ["evaluate", "explainers", "--model", str(folder), "--data", str(pictures),
                                      "--out", str(tmp_path / "league.pdf")])  # fmt: skip
    assert wrong.exit_code == 1 and ".json" in wrong.output


def test_the_clip_of_the_shared_models(shared: Path) -> None:
    data = shared / "data" / "tiny-imagenet"
    source = clipviz.open_source(data / "val-00.parquet", id="file").select(range(0, 5050, 50))
    model = clipviz.load(shared / "models" / "oc-tiny")
    found = clipviz.evaluate(
        source, data / "classes.json", task="explainers", model=model, truth="class_id", half="report",
        methods=["gradcam"], box_inclusive=True, **OPTIONS | {"photographs": 12, "checks": 1, "scenes": 5},
    )  # fmt: skip
    assert isinstance(found, League)
    assert any("never saw the words of the drawn scenes" in note for note in found.notes)  # it knows no circle
    assert not found.table["world"].str.startswith("scenes").any()
    assert found["mosaics 2 x 2", "mosaic peak", "gradcam"] in (0, 0.25, 0.5, 0.75, 1)
