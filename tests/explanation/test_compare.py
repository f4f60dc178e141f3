"""Maps side by side: what agrees with what, what trivial rivals reach, and how a comparison is written and read."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw

import clipviz
from clipviz.errors import ClipvizWarning, DataError, InputError, ModelError, PromptError
from clipviz.explanation.defaults import REPRESENTATIVES, default_method, representatives
from clipviz.explanation.registry import _REGISTRY
from clipviz.explanation.rivals import CENTRE_LIMIT, RANDOM_LIMIT, Rivalry
from clipviz.model import Look, Model
from clipviz.weights import Weights


@pytest.fixture
def own() -> Iterator[None]:
    """Maps whose agreement is known: rising to the right, the same, falling, the centre, and one everywhere."""

    def ramp(model: Model, look: Look, target: object, sign: float = 1.0) -> torch.Tensor:
        return sign * torch.arange(16.0).view(1, 1, 4, 4)

    def centre(model: Model, look: Look, target: object) -> torch.Tensor:
        at = torch.linspace(-1, 1, 4) ** 2
        return -(at[:, None] + at[None, :])[None, None]

    made = {"ramp": ramp, "centre": centre, "flat": lambda *_: torch.ones(1, 1, 4, 4)}
    for name, function in made.items():
        clipviz.register_explainer(name, function)
    yield
    for name in made:
        _REGISTRY.pop(name)


def test_agreement_is_what_the_maps_say(own: None, vit: Model, picture: Image.Image) -> None:
    methods = ["ramp", ("ramp", {"sign": 2.0}), ("ramp", {"sign": -1.0}), "flat"]
    found = clipviz.compare(picture, "a dog", methods=methods, model=vit, checks=False)
    assert found.names == ("ramp", "ramp(sign=2.0)", "ramp(sign=-1.0)", "flat")
    table = found.table.set_index("method")
    assert table["rank_correlation"].tolist()[:3] == pytest.approx([1, 1, -1])
    assert table["top_iou"].tolist()[:3] == pytest.approx([1, 1, 0], abs=0.05)
    assert table["mean_rank_correlation"].tolist()[:3] == pytest.approx([0, 0, -1])
    assert found.agreement.loc["ramp", "ramp(sign=-1.0)"] == pytest.approx(-1)
    assert np.allclose(found.agreement, found.agreement.T, equal_nan=True)
    assert math.isnan(found.agreement.loc["flat", "ramp"]) and math.isnan(table.loc["flat", "peak_x"])
    assert (table["score"] == found[0].score).all()
    assert (table.loc["ramp", "peak_x"], table.loc["ramp", "peak_y"]) == found["ramp"].peak()
    assert found.notes == ("flat: the map is the same everywhere, and says nothing.",)
    assert len(found) == 4 and "\n" not in repr(found)
    with pytest.raises(KeyError, match=r"no method 'rump'.*ramp"):
        _ = found["rump"]


def test_the_centre_is_told(own: None, vit: Model, picture: Image.Image) -> None:
    with pytest.warns(ClipvizWarning, match="centre is no better than the centre: it orders"):
        found = clipviz.compare(picture, "a dog", methods=["centre", "ramp"], model=vit, checks=False)
    assert found.table["like_centre"].tolist() == [True, False]
    assert found.table["centre"][0] > CENTRE_LIMIT > found.table["centre"][1]
    assert found.table["random_weights"].isna().all() and not found.table["like_random"].any()
    assert "1 no better" in repr(found)
    assert any("bell over the middle" in note for note in found.notes)


def test_what_random_weights_draw_as_well_is_told(own: None, vit: Model, picture: Image.Image) -> None:
    with pytest.warns(ClipvizWarning) as said:
        found = clipviz.compare(picture, "a dog", methods=["ramp", "maskclip"], model=vit, seed=1)
    rows = found.table.set_index("method")
    assert rows.loc["ramp", "random_weights"] == pytest.approx(1)
    assert rows.loc["ramp", "like_random"]
    assert abs(rows.loc["maskclip", "random_weights"]) < 1
    assert rows.loc["maskclip", "like_random"] == (rows.loc["maskclip", "random_weights"] > RANDOM_LIMIT)
    assert any("ramp is no better than its own map under random weights" in str(w.message) for w in said)
    assert rows["centre_insertion"].nunique(dropna=False) == 1  # of one picture and one grid there is one centre


def test_doubts_follow_from_the_numbers() -> None:
    assert not Rivalry(0.5).like_centre and not Rivalry(math.nan).like_random
    assert Rivalry(0.5, insertion=0.4, centre_insertion=0.4).like_centre
    assert not Rivalry(0.5, insertion=0.5, centre_insertion=0.4).like_centre
    assert Rivalry(0.0, random=0.9).like_random
    assert Rivalry(0.1, 0.1, 0.9, 0.1).notes("x") == []
    assert ["insertion" in n for n in Rivalry(0.1, 0.9, 0.1, 0.9).notes("x")] == [True, False]


def test_where_the_blank_scores_higher_there_is_no_verdict(picture: Image.Image) -> None:
    drawn = Image.new("RGB", (112, 112), "white")
    ImageDraw.Draw(drawn).ellipse((6, 6, 106, 106), "red")
    model, ways = clipviz.load(), ["gradcam"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ClipvizWarning)
        up = clipviz.compare(drawn, "a circle", methods=ways, model=model)
        down = clipviz.compare(drawn, "a red circle", methods=ways, model=model)  # the blur is no less red
        tiles = clipviz.compare(drawn.resize((300, 100)), "a circle", methods=ways, model=model, view="tiles")
    assert up.table["insertion"].notna().all() and not any("was not measured" in note for note in up.notes)
    for found, why in ((down, "scores the picture at .* and its blur at"), (tiles, "saw the picture in [0-9]+ tiles")):
        assert found.table[["insertion", "centre_insertion"]].isna().all(axis=None)
        assert not any("rises no faster" in note for note in found.notes)
        assert sum(bool(re.search(f"Insertion was not measured: .*{why}", note)) for note in found.notes) == 1


def test_models_are_compared_where_both_saw_the_picture(vit: Model, picture: Image.Image) -> None:
    small = Model("another", Weights(vit.clip))
    found = clipviz.compare(picture, "a dog", models=[vit, small], methods=["gradcam"], view="crop", checks=False)
    assert found.by == "model" and found.names == ("small-vit", "another")
    assert found.agreement.to_numpy() == pytest.approx(1)
    np.testing.assert_array_equal(found[0].values, found[1].values)
    twice = clipviz.compare(picture, "a dog", models=[vit, vit], checks=False)
    assert twice.names == ("small-vit", "small-vit (2)")
    look = vit.look(picture)
    assert clipviz.compare(look, "a dog", models=[vit, small], checks=False).agreement.iloc[0, 1] == pytest.approx(1)
    assert "score" in found._under("another", found[1], found._rows()[1])


def test_of_different_grids_the_pixels_are_compared(vit: Model, picture: Image.Image) -> None:
    found = clipviz.compare(picture, "a red circle", models=[vit, clipviz.load()], methods=["gradcam"], checks=False)
    assert found[0].values.shape != found[1].values.shape
    assert -1 <= found.agreement.iloc[0, 1] < 1


def test_by_default_each_family_is_there(model: Model, picture: Image.Image) -> None:
    names = representatives(model)
    assert names[0] == default_method(model) and "gradcam" in names
    assert set(names) <= {default_method(model), *REPRESENTATIVES}
    assert len(names) >= 3
    found = clipviz.compare(picture, "a dog", model=model, checks=False)
    assert found.names == names and not [note for note in found.notes if "consensus" not in note]


def test_what_cannot_be_done_is_left_out_only_where_nobody_named_it(
    own: None, vit: Model, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: Model, look: Look, target: object) -> torch.Tensor:
        raise InputError("This one never works.")

    clipviz.register_explainer("flat", broken, replace=True)
    monkeypatch.setattr("clipviz.explanation.defaults.REPRESENTATIVES", ("flat", "ramp"))
    found = clipviz.compare(picture, "a dog", model=vit, checks=False)
    assert found.names == (default_method(vit), "ramp")
    assert found.notes[-1:] == ("flat was left out: This one never works.",)
    assert not [note for note in found.notes[:-1] if "consensus" not in note]
    with pytest.raises(InputError, match="never works"):
        clipviz.compare(picture, "a dog", model=vit, methods=["flat"], checks=False)


def test_through_depth(model: Model, picture: Image.Image) -> None:
    found = clipviz.through_depth(picture, "a dog", model=model)
    assert found.by == "layer"
    assert found.names == (("0", "1", "2") if model.kind == "vit" else ("1", "2", "3", "4"))
    last = clipviz.gradcam(picture, "a dog", model=model)
    np.testing.assert_array_equal(found[-1].values, last.values)
    assert not np.array_equal(found[0].values, last.values)
    assert found.table["random_weights"].isna().all()
    some = clipviz.through_depth(picture, "a dog", model=model, method="layercam", layers=[-1, 1])
    assert some.names == ("-1", "1") and {h.method for h in some.heatmaps} == {"layercam"}
    texts = {t.get_text() for t in found.plot().texts}
    assert any(t.startswith(f"layer {found.names[1]}\nrank correlation") for t in texts)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda p, m: clipviz.compare(p, "a", model=m, methods="gradcam"), InputError, r"methods=\['gradcam', ...\]"),
        (lambda p, m: clipviz.compare(p, "a", model=m, methods=[]), InputError, "at least one; got none"),
        (lambda p, m: clipviz.compare(p, "a", model=m, methods=["gradcam"] * 2), InputError, "methods that differ"),
        (lambda p, m: clipviz.compare(p, "a", model=m, methods=["gradcan"]), InputError, "Did you mean 'gradcam'"),
        (lambda p, m: clipviz.compare(p, "a", model=m, methods=[("gradcam", 2)]), InputError, "or a pair such as"),
        (lambda p, m: clipviz.compare(p, "a", model=m, methods=[("gradcam", {"x": 1})]), InputError, "no option 'x'"),
        (lambda p, m: clipviz.compare(p, "a", model=m, models=[m]), InputError, "give one of them"),
        (lambda p, m: clipviz.compare(p, "a", models=["tiny"]), InputError, r"list of clipviz\.Model"),
        (lambda p, m: clipviz.compare(p, "a", models=[m], methods=["gradcam", "gem"]), InputError, "one method, got 2"),
        (lambda p, m: clipviz.compare(p, "a", model="tiny"), InputError, r"clipviz\.load"),
        (lambda p, m: clipviz.compare([p], "a", model=m), InputError, "One picture"),
        (lambda p, m: clipviz.compare("no.png", "a", model=m, methods=["gem"]), InputError, "no file"),
        (lambda p, m: clipviz.through_depth(p, "a", model=m, method="occlusion"), InputError, "no layer.*gradcam"),
        (lambda p, m: clipviz.through_depth(p, "a", model=m, layers=1), InputError, r"layers=\[1\]"),
        (lambda p, m: clipviz.through_depth(p, "a", model=m, layer=1), InputError, r"write layers=\[1\]"),
        (lambda p, m: clipviz.compare(p, "a", models=5), InputError, r"list of clipviz\.Model"),
        (lambda p, m: clipviz.compare(p, "a", model=m, methods=5), InputError, r"list of names; got 5"),
        (lambda p, m: clipviz.compare(p, "a", model=m, methods=[(3, {})]), InputError, "or a pair such as"),
        (lambda p, m: clipviz.compare(p, "a", model=m, seed="x"), InputError, "seed='x'"),
        (lambda p, m: clipviz.compare("no.png", "a", model=m), InputError, r"^There is no file 'no.png'[^:]*$"),
        (lambda p, m: clipviz.compare(p, "A", model=m, against="a"), PromptError, "against itself"),
        (lambda p, m: clipviz.through_depth(p, "a", model=m, layers=[9]), InputError, "from 0 to 2"),
        (lambda p, m: clipviz.compare(Model("b", Weights(m.clip)).look(p), "a", model=m, methods=["rise?"]),
         InputError, "rise"),
    ],
)  # fmt: skip
def test_bad_input(call, error: type[Exception], says: str, vit: Model, picture: Image.Image) -> None:
    with pytest.raises(error, match=says):
        call(picture, vit)


def test_a_resnet_says_which_methods_it_cannot_be_asked(picture: Image.Image, model: Model) -> None:
    if model.kind == "resnet":
        with pytest.raises(ModelError, match="needs a ViT"):
            clipviz.compare(picture, "a dog", model=model, methods=["gradcam", "gem"], checks=False)


def test_saved_and_read_back(own: None, vit: Model, picture: Image.Image, tmp_path: Path) -> None:
    found = clipviz.compare(
        picture, "a dog", methods=["ramp", "gradcam", "rollout", "flat"], model=vit, checks=False, against="a cat"
    )
    back = clipviz.Comparison.load(found.save(tmp_path / "x.npz"))
    assert repr(back) == repr(found) and back.notes == found.notes and back.by == "method"
    pd.testing.assert_frame_equal(back.table, found.table)
    pd.testing.assert_frame_equal(back.agreement, found.agreement)
    pd.testing.assert_frame_equal(back.overlap, found.overlap)
    np.testing.assert_array_equal(back["gradcam"].values, found["gradcam"].values)
    assert dict(back[1].provenance) == dict(found[1].provenance) and dict(back.provenance) == dict(found.provenance)
    assert found._repr_mimebundle_()["image/png"] == back._repr_mimebundle_()["image/png"]
    page = found.save(tmp_path / "x.html").read_text()
    assert "rollout does not read the text" in page and "Every two of them" in page and "a cat" in page
    table = pd.read_csv(found.save(tmp_path / "x.csv"))
    assert table["method"].tolist() == list(found.names) and set(table["against"]) == {"a cat"}
    assert found.save(tmp_path / "x.png").stat().st_size > 1000
    with pytest.raises(InputError, match=r"\.npz"):
        found.save(tmp_path / "x.txt")
    with pytest.raises(DataError, match="it holds comparison"):
        clipviz.Heatmaps.load(tmp_path / "x.npz")
    (tmp_path / "y.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="holds no comparison"):
        clipviz.Comparison.load(tmp_path / "y.npz")


def test_the_figure_says_what_is_to_be_doubted(own: None, vit: Model, picture: Image.Image) -> None:
    with pytest.warns(ClipvizWarning):
        found = clipviz.compare(picture, "a dog", methods=["centre", "rollout"], model=vit, checks=False)
    texts = [t.get_text() for t in found.plot().texts]
    assert any("no better than the centre" in t for t in texts)
    assert any(t.startswith("rollout\n") and "does not read the text" in t for t in texts)
