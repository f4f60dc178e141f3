"""`Embeddings`: a view over a store gives what a naive reading of its files gives, and refuses what is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import clipviz
from clipviz.embedding.embeddings import Embeddings
from clipviz.embedding.manifest import model_facts
from clipviz.errors import ClipvizWarning, DataError, InputError, ModelError
from clipviz.model import Model
from clipviz.sources import half_of, open_source

Make = Callable[..., Path]
Require = Callable[[object, str], None]
RACE = ["Black", "White", "East Asian", None]
COLUMNS = {
    "race": [RACE[i % 4] for i in range(37)],
    "age": list(range(37)),
    "skin tone": [i / 37 for i in range(37)],
    "index": [i % 3 for i in range(37)],
    "known": [None if i % 5 == 0 else i % 2 == 0 for i in range(37)],
}


def unit(count: int, seed: int = 0, width: int = 24) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def store(make_store: Make) -> Embeddings:
    """Parts of 10, 10, 10 and 7 pictures, of which 3 failed: one of them whole part's, one at an edge."""
    return Embeddings.load(make_store(columns=COLUMNS, gone=[4, 9, 30]))


KEPT = [i for i in range(37) if i not in (4, 9, 30)]
VECTORS = unit(37).astype(np.float16).astype(np.float32)


def same(view: Embeddings, rows: list[int]) -> None:
    """Every way to read the view gives these rows of the store."""
    assert len(view) == len(rows) and view.shape == (len(rows), 24)
    assert view.ids == tuple(f"{i:04d}.jpg" for i in rows)
    np.testing.assert_array_equal(view.to_numpy(), VECTORS[rows])
    assert view.metadata["age"].tolist() == rows and view.metadata.index.tolist() == list(view.ids)
    for size in (1, 4, 11, 100):
        batches = list(view.iter_batches(size))
        assert [len(batch.ids) for batch in batches[:-1]] == [size] * (len(batches) - 1)
        assert [key for batch in batches for key in batch.ids] == list(view.ids)
        if rows:
            np.testing.assert_array_equal(np.concatenate([batch.vectors for batch in batches]), VECTORS[rows])
            assert pd.concat([batch.metadata for batch in batches])["age"].tolist() == rows


def test_a_store_is_read_as_it_lies_there(store: Embeddings) -> None:
    same(store, KEPT)
    assert store.columns == tuple(COLUMNS)
    assert store.failed == [("0004.jpg", "cut off"), ("0009.jpg", "cut off"), ("0030.jpg", "cut off")]
    line = repr(store)
    assert "34 images x 24" in line and "small-0" in line and "3 failed" in line and "not come" not in line


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_parts_of_one_row_empty_parts_and_one_large_part(make_store: Make, dtype: str) -> None:
    for size, gone in ((1, [0, 5, 36]), (4, list(range(8))), (100, [])):
        folder = make_store(f"{size}", columns={"age": list(range(37))}, size=size, gone=gone, dtype=dtype)
        view, rows = Embeddings.load(folder), [i for i in range(37) if i not in gone]
        assert view.metadata["age"].tolist() == rows
        np.testing.assert_array_equal(view.to_numpy(), unit(37).astype(dtype).astype(np.float32)[rows])
        few = view.select([0, 3, len(view) - 1])
        np.testing.assert_array_equal(few.to_numpy(), unit(37).astype(dtype).astype(np.float32)[few.metadata["age"]])


def test_the_view_of_a_notebook_is_text_and_never_markup(make_store: Make) -> None:
    folder = make_store(columns={"caption": ["<script>alert(1)</script>"] * 37})
    html = Embeddings.load(folder)._repr_html_()
    assert "<script" not in html and "&lt;script" in html and "32 more rows" in html


# ---- parts of it

QUERIES = [
    ("race == 'Black'", lambda r: r["race"] == "Black"),
    ("race in ['Black', 'White'] and age > 20", lambda r: r["race"] in ("Black", "White") and r["age"] > 20),
    ("not race == 'Black'", lambda r: r["race"] != "Black"),
    ("race != 'Black' or age == 0", lambda r: r["race"] != "Black" or r["age"] == 0),
    ("5 < age <= 9 | `skin tone` > 0.9", lambda r: 5 < r["age"] <= 9 or r["skin tone"] > 0.9),
    ("age % 7 == 2 and ~(age < 10)", lambda r: r["age"] % 7 == 2 and r["age"] >= 10),
    ("index == 2", lambda r: r["index"] == 2),
    ("known", lambda r: r["known"] is True),
    ("id == '0012.jpg'", lambda r: r["id"] == "0012.jpg"),
    ("race == 'Black' and id not in ['0000.jpg', 'a `quoted` one']",
     lambda r: r["race"] == "Black" and r["id"] != "0000.jpg"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "test"), QUERIES)
def test_a_query_chooses_the_rows_that_python_would(store: Embeddings, query: str, test: Callable) -> None:
    rows = [i for i in KEPT if test({"id": f"{i:04d}.jpg", **{name: values[i] for name, values in COLUMNS.items()}})]
    same(store.select(query), rows)
    assert rows


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("@np.random", "cannot be read"),
        ("race.str.len() == 3", "more than a query"),
        ("__import__('os').system('true')", "more than a query"),
        ("race == @x", "cannot be read"),
        ("age ** age ** age > 1", "more than a query"),
        ("race[0] == 'B'", "more than a query"),
        ("[x for x in race]", "more than a query"),
        ("rcae == 'Black'", "no column 'rcae'.*'race'"),
        ("`skin tones` > 1", "no column 'skin tones'.*'skin tone'"),
        ("_quoted_0 > 1", "no column '_quoted_0'"),
        ("race > 3", "cannot be worked out.*'race' is"),
        ("age + 1", "cannot be worked out.*neither true nor false"),
        ("1 == 1", "names no column"),
        ("race ==", "cannot be read"),
        ("", "cannot be read"),
        ("race == 'black'", "No row has race == 'black'.*'Black', 'White', 'East Asian'"),
        ("age > 90", "'age' goes from 0 to 36"),
    ],
)
def test_a_query_that_is_more_than_one_or_fits_nothing_is_refused(store: Embeddings, query: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        store.select(query)


def test_masks_and_places(store: Embeddings) -> None:
    mask = np.random.default_rng(0).random(34) < 0.4
    same(store.select(mask), [KEPT[i] for i in np.flatnonzero(mask)])
    same(store.select(list(mask)), [KEPT[i] for i in np.flatnonzero(mask)])
    same(store.select([20, 3, -1, 3]), [KEPT[3], KEPT[20], KEPT[33]])
    same(store.select([]), [])
    same(store.select("age > 10").select("race == 'White'").select([1]), [17])
    for wrong in (mask[:5], [40], [-35], [1.5], ["0000.jpg"], [[1]]):
        with pytest.raises(DataError):
            store.select(wrong)


def test_halves_are_those_of_a_source(store: Embeddings, make_store: Make) -> None:
    for name in ("dev", "report"):
        rows = [i for i in KEPT if half_of(f"{i:04d}.jpg") == name]
        half = store.half(name)
        same(half, rows)
        assert half.part == name and half.select([0]).part == name and half.provenance["half"] == name
        assert {key for key, _ in half.failed} == {k for k, _ in store.failed if half_of(k) == name}
        with pytest.raises(DataError, match="half"):
            half.half("dev")
    made_of_a_half = {"where": "pictures", "fingerprint": None, "half": "dev", "id_column": None, "opening": None}
    assert Embeddings.load(make_store("dev", data=made_of_a_half)).part == "dev"
    with pytest.raises(DataError, match="'dev' or 'report'"):
        store.half("test")  # type: ignore[arg-type]


# ---- joining

LABELS = pd.DataFrame({"file": [f"{i:04d}.jpg" for i in reversed(range(37))], "smile": list(reversed(range(37)))})


def test_a_join_puts_every_value_beside_its_key(store: Embeddings, tmp_path: Path) -> None:
    table = LABELS[~LABELS["file"].isin([f"{i:04d}.jpg" for i in (4, 9, 30)])]
    table.to_csv(tmp_path / "labels.csv", index=False)
    table.to_parquet(tmp_path / "labels.parquet")
    for other in (table, table.set_index("file"), pa.Table.from_pandas(table), table.to_dict("list"),
                  tmp_path / "labels.csv", str(tmp_path / "labels.parquet")):  # fmt: skip
        joined = store.join(other, on="file")
        same(joined, KEPT)
        assert joined.metadata["smile"].tolist() == KEPT
    chosen = joined.select("smile > 12 and race == 'White'")
    assert chosen.metadata["smile"].tolist() == chosen.metadata["age"].tolist() == [13, 17, 21, 25, 29, 33]
    assert [row for batch in chosen.iter_batches(4) for row in batch.metadata["smile"]] == [13, 17, 21, 25, 29, 33]
    again = chosen.join({"age": [13, 17, 21, 25, 29, 33], "more": list("abcdef")}, on="age")
    assert again.metadata["smile"].tolist() == [13, 17, 21, 25, 29, 33] and "".join(again.metadata["more"]) == "abcdef"
    assert store.columns == tuple(COLUMNS)


def test_what_has_no_partner_is_counted_and_stays(store: Embeddings) -> None:
    part = pd.concat([LABELS[5:], pd.DataFrame({"file": ["nobody.jpg", None], "smile": [1, 2]})])
    said = r"3 of 34 rows here have no partner \(such as '0032.jpg'\).*4 rows of the other table match none"
    with pytest.warns(ClipvizWarning, match="4 of 34|5 of 34|" + said):
        joined = store.join(part, on="file")
    same(joined, KEPT)
    values = joined.metadata["smile"]
    assert values[:"0029.jpg"].tolist() == [i for i in KEPT if i < 30] and values["0032.jpg":].isna().all()


def test_numbers_written_as_words_stay_words(make_store: Make, tmp_path: Path) -> None:
    store = Embeddings.load(make_store(vectors=unit(3), ids=["007", "008", "009"]))
    (tmp_path / "t.csv").write_text("id,name\n007,NA\n008,null\n009,\n")
    assert store.join(tmp_path / "t.csv").metadata["name"].tolist()[:2] == ["NA", "null"]


@pytest.mark.parametrize(
    ("table", "on", "said"),
    [
        (LABELS, "fiel", "no column 'fiel'.*'file'"),
        (pd.concat([LABELS, LABELS[:2]]), "file", r"2 keys more than once.*'0036.jpg'"),
        (LABELS.rename(columns={"smile": "race"}), "file", "'race' are there already"),
        (LABELS[["file"]], "file", "no column beside"),
        (pd.DataFrame({"file": [1, 2], "x": [1, 2]}), "file", r"None of the keys.*1 \(int\).*'0000.jpg' \(str\)"),
        (pd.DataFrame({"file": ["0000.jpg", "0001.jpg"], "x": [1, "a"]}), "file", "mixed type"),
        ("labels.xyz", "file", "no table"),
        ("labels.csv", "file", "cannot be read"),
        ([1, 2], "file", "DataFrame or a file, got list"),
    ],
)
def test_a_join_that_would_be_wrong_is_refused(store: Embeddings, table: object, on: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        store.join(table, on=on)


# ---- several stores


def test_two_stores_of_one_model_are_read_as_one(make_store: Make) -> None:
    one = Embeddings.load(make_store("a", columns=COLUMNS, gone=[0, 1]))
    two = Embeddings.load(make_store("b", unit(5, 1), {"age": [50, 51, 52, 53, 54], "town": list("vwxyz")},
                                     ids=list("vwxyz"), dtype="float32"))  # fmt: skip
    both = Embeddings.concat([one.select("age > 30"), two])
    assert both.ids == (*(f"{i:04d}.jpg" for i in range(31, 37)), *"vwxyz")
    np.testing.assert_array_equal(both.to_numpy(), np.concatenate([VECTORS[31:], unit(5, 1)]))
    assert both.metadata["age"].tolist() == [*range(31, 37), *range(50, 55)]
    assert both.metadata["town"].isna().tolist() == [True] * 6 + [False] * 5
    assert both.select("town == 'w' or age == 36").ids == ("0036.jpg", "w")
    assert "'" + str(one.stored.folders[0]) in repr(both) and str(two.stored.folders[0]) in repr(both)
    joined = Embeddings.concat([one.select([0]), two.join({"id": list("vwxyz"), "race": list("12345")})])
    assert joined.metadata["race"].tolist() == ["East Asian", *"12345"]
    same(Embeddings.concat([one.half("dev"), one.half("report")]).select("age > 20").select([0]),
         [next(i for i in range(21, 37) if half_of(f"{i:04d}.jpg") == "dev")])  # fmt: skip


def test_stores_that_must_not_mix(make_store: Make, model: Model, other_model: Model) -> None:
    one = Embeddings.load(make_store("a", columns={"age": list(range(37))}))
    two = Embeddings.load(make_store("b", unit(3), ids=list("abc"), of=other_model))
    with pytest.raises(ModelError, match=r"(?s)(?=.*small-0)(?=.*small-1)(?=.*/a')(?=.*/b')"):
        Embeddings.concat([one, two])
    coarse = {**model_facts(model), "precision": "bf16"}
    with pytest.raises(ModelError, match="precision"):
        Embeddings.concat([one, Embeddings.load(make_store("c", unit(3), ids=list("abc"), model=coarse))])
    with pytest.raises(DataError, match="37 ids occur more than once"):
        Embeddings.concat([one, one])
    words = Embeddings.load(make_store("d", unit(3), {"age": list("abc")}, ids=list("abc")))
    with pytest.raises(DataError, match=r"'age' is int64 in .*/a' and string in .*/d'"):
        Embeddings.concat([one, words])
    draft = {"part_size": 10, "dtype": "float16", "view": "crop", "draft": 256}
    with pytest.raises(DataError, match=r"draft None, .* with draft 256"):
        Embeddings.concat([one, Embeddings.load(make_store("e", unit(3), ids=list("abc"), settings=draft))])
    for wrong in ([], [one, "b"]):
        with pytest.raises(InputError, match="list of"):
            Embeddings.concat(wrong)  # type: ignore[list-item]


# ---- questions


def test_similarity_top_and_nearest_are_those_of_a_naive_loop(store: Embeddings, model: Model) -> None:
    texts, templates = ["a red circle", "a blue square"], ["{}", "a photo of {}"]
    wanted = model.encode_prompts(clipviz.PromptSet.of(texts, templates))
    for view, rows in ((store, KEPT), (store.select("age > 9"), [i for i in KEPT if i > 9])):
        slow = VECTORS[rows].astype(float) @ wanted.T.astype(float)
        found = view.similarity(texts, templates=templates, model=model)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, slow, atol=1e-6)
        np.testing.assert_allclose(view.similarity(wanted), slow, atol=1e-6)
        top = view.top(texts, 4, templates=templates, model=model)
        for j, text in enumerate(texts):
            mine = top[top["text"] == text]
            order = np.argsort(-slow[:, j], kind="stable")[:4]
            assert mine["place"].tolist() == order.tolist() and mine["rank"].tolist() == [1, 2, 3, 4]
            assert mine["id"].tolist() == [view.ids[place] for place in order]
            assert mine["age"].tolist() == [rows[place] for place in order]
            np.testing.assert_allclose(mine["score"], slow[order, j], atol=1e-6)
        for key in (0, -1, view.ids[7]):
            place = view.place(key)
            cosines = VECTORS[rows].astype(float) @ VECTORS[rows[place]].astype(float)
            order = [i for i in np.argsort(-cosines, kind="stable") if i != place][:5]
            near = view.nearest(key, 5)
            assert near["place"].tolist() == order and "text" not in near
            np.testing.assert_allclose(near["score"], cosines[order], atol=1e-6)
        by_vector = view.nearest(wanted[0], 4)
        assert by_vector["id"].tolist() == top[top["text"] == texts[0]]["id"].tolist()


def test_a_row_is_not_its_own_neighbour_even_among_copies(make_store: Make) -> None:
    vectors = np.repeat(unit(2), [6, 2], axis=0)
    store = Embeddings.load(make_store(vectors=vectors, size=3, columns={"score": list(range(8))}))
    near = store.nearest(4, 3)
    assert near["place"].tolist() == [0, 1, 2] and near["score (metadata)"].tolist() == [0, 1, 2]
    assert store.nearest(7, 100)["place"].tolist() == [6, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_faiss_gives_the_same(make_store: Make, dtype: str, require: Require) -> None:
    require(find_spec("faiss"), "faiss-cpu")
    several = np.concatenate([unit(400), np.repeat(unit(1, 5), 300, axis=0)])
    store = Embeddings.load(make_store(vectors=several, size=128, dtype=dtype)).select(np.arange(0, 700, 3))
    for key in (0, 100, 133, 200):
        for k in (1, 10, 90, 1000):
            pd.testing.assert_frame_equal(store.nearest(key, k, engine="faiss"), store.nearest(key, k))


def test_an_engine_that_is_none(store: Embeddings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="'blocks' or 'faiss'"):
        store.nearest(0, 3, engine="fais")
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(InputError, match=r"pip install \"clipviz\[search\]\""):
        store.nearest(0, 3, engine="faiss")


def test_questions_that_cannot_be_answered(store: Embeddings, other_model: Model) -> None:
    for ask in (store.similarity, store.top):
        with pytest.raises(ModelError, match=r"(?s)(?=.*small-0)(?=.*small-1)"):
            ask("a dog", model=other_model)
        with pytest.raises(ModelError, match="pass model="):
            ask("a dog")  # small-0 is found by no name
        with pytest.raises(ModelError, match=r"24 numbers.*8"):
            ask(unit(2, width=8))
        with pytest.raises(InputError, match="length 2"):
            ask(2 * unit(2))
        with pytest.raises(InputError, match="floats of the shape"):
            ask(np.ones(24, np.float32))
    for key in ("0004.jpg", 34, -35, True, 1.0):
        with pytest.raises(DataError):
            store.nearest(key)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="k=0"):
        store.top(unit(1), 0)


def test_the_bundled_model_is_found_by_its_name(make_store: Make) -> None:
    tiny = clipviz.load()
    vectors = tiny.encode_texts(["a red circle", "a blue square", "a star"])
    store = Embeddings.load(make_store(vectors=vectors, of=tiny, ids=["red", "blue", "star"], dtype="float32"))
    assert store.top(["a blue square", "a star"], 1)["id"].tolist() == ["blue", "star"]
    assert store.model is store.half("dev").model
    with pytest.warns(ClipvizWarning, match="never saw 'zebra'"):
        store.top("a zebra")
    other = Embeddings.load(make_store("b", vectors, of=tiny, model={**model_facts(tiny), "weights_sha256": "f" * 64}))
    with pytest.raises(ModelError, match=r"ffffffffffff.*clipviz-tiny"):
        other.similarity("a star")
    moved = Embeddings.load(make_store("c", vectors, of=tiny, model={**model_facts(tiny), "mean": [0.5, 0.5, 0.5]}))
    with pytest.raises(ModelError, match="mean"):
        moved.similarity("a star", model=tiny)


# ---- out of it


def test_parquet_for_anyone(store: Embeddings, tmp_path: Path) -> None:
    path = store.join({"id": list(store.ids), "smile": KEPT}).select("age > 5").to_parquet(tmp_path / "all.parquet")
    table = pq.read_table(path)
    rows = [i for i in KEPT if i > 5]
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 24)
    np.testing.assert_array_equal(np.stack(table["vector"].to_pylist()), VECTORS[rows])
    assert table["smile"].to_pylist() == table["age"].to_pylist() == rows
    about = json.loads(table.schema.metadata[b"clipviz"])
    assert about["model"]["model"] == "small-0" and about["rows"] == len(rows)
    assert sorted(p.name for p in tmp_path.glob("*.parquet")) == ["all.parquet"]
    whole = store.to_pandas(vectors=True)
    assert whole.columns.tolist() == ["id", *COLUMNS, "vector"] and whole["vector"][3].shape == (24,)
    assert "vector" not in store.to_pandas()


def test_the_pictures_are_opened_again(make_store: Make, tmp_path: Path) -> None:
    from PIL import Image

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(6):
        Image.new("RGB", (8, 8), (40 * i, 0, 0)).save(pictures / f"{i}.png")
    source = open_source(pictures)
    data = {"where": "pictures", "fingerprint": source.fingerprint, "half": "all", "id_column": None,
            "opening": {"data": "../pictures"}}  # fmt: skip
    store = Embeddings.load(make_store(vectors=unit(6), ids=source.ids, data=data))
    assert store.source().ids == source.ids
    part = store.select([4, 1])
    assert part.source().ids == part.ids and part.source()["4.png"].image.getpixel((0, 0)) == (160, 0, 0)
    moved = tmp_path / "elsewhere"
    pictures.rename(moved)
    with pytest.raises(DataError, match="Pass data="):
        store.source()
    assert part.source(moved).ids == part.source(open_source(moved)).ids == part.ids
    Image.new("RGB", (8, 8), "white").save(moved / "2.png")
    with pytest.raises(DataError, match="other pictures"):
        store.source(moved)
    with pytest.raises(DataError, match="pass data="):
        Embeddings.load(make_store("b", vectors=unit(6), ids=source.ids)).source()


def test_what_embed_wrote_is_read_and_its_part_of_the_pictures_opened_again(tmp_path: Path, model: Model) -> None:
    from PIL import Image

    from clipviz.embedding import embed

    for i in range(12):
        (tmp_path / "p" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 48), (20 * i, 90, 0)).save(tmp_path / "p" / "ab"[i % 2] / f"{i}.png")
    (tmp_path / "p" / "a" / "4.png").write_bytes(b"no picture")
    part = open_source(tmp_path / "p").where(lambda row: row["label"] == "a")
    store = embed(part, model=model, out=tmp_path / "s", dtype="float32", workers=0, part_size=4, progress=False)
    assert store.ids == tuple(key for key in part.ids if key != "a/4.png")
    assert [key for key, _ in store.failed] == ["a/4.png"]
    seen = model.encode_images([item.image for item in part])
    np.testing.assert_allclose(store.to_numpy(), seen, atol=1e-6)
    assert store.source().ids == store.ids and set(store.metadata["label"]) == {"a"}
    assert store.source(part).ids == store.ids
    (tmp_path / "p").rename(tmp_path / "q")
    assert store.select([0]).source(tmp_path / "q").ids == store.ids[:1]


# ---- damage


def break_part(folder: Path, what: str) -> None:
    vectors, rows = folder / "vectors-00001.npy", folder / "rows-00001.parquet"
    if what == "no vectors":
        vectors.unlink()
    elif what == "no rows":
        rows.unlink()
    elif what == "no part":
        (folder / "record-00001.parquet").unlink()
    elif what == "cut":
        vectors.write_bytes(vectors.read_bytes()[:-7])
    elif what == "longer":
        np.save(vectors, unit(11).astype(np.float16))
    elif what == "other width":
        np.save(vectors, unit(10, width=8).astype(np.float16))
    elif what == "other type":
        np.save(vectors, np.arange(240).reshape(10, 24))
    elif what == "rows cut":
        rows.write_bytes(rows.read_bytes()[:-7])
    elif what == "pickle":
        np.save(vectors, np.array([{"a": 1}], dtype=object), allow_pickle=True)


DAMAGE = ["no vectors", "no rows", "no part", "cut", "longer", "other width", "other type", "rows cut", "pickle"]


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_store_is_refused_with_what_to_do(make_store: Make, what: str) -> None:
    folder = make_store()
    break_part(folder, what)
    with pytest.raises(DataError, match="run embed on the same data and store again") as caught:
        Embeddings.load(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("what", ["no vectors", "cut", "longer", "no rows"])
def test_damage_after_the_opening_is_told_too(make_store: Make, what: str) -> None:
    folder = make_store(columns={"age": list(range(37))})
    view = Embeddings.load(folder)
    break_part(folder, what)
    with pytest.raises(DataError, match="run embed"):
        view.to_pandas(vectors=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "format 2"),
        ({"format": "someone's"}, "no store of embeddings"),
        ({"settings": {}}, "manifest"),
        ({"model": {"model": "x"}}, "manifest"),
        ({"unknown": 1}, "keys"),
    ],
)
def test_another_manifest_is_refused(make_store: Make, change: dict, said: str) -> None:
    folder = make_store()
    told = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**told, **change}))
    with pytest.raises(DataError, match=said):
        Embeddings.load(folder)


def test_what_is_no_store(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DataError, match=r"manifest\.json"):
            Embeddings.load(path)


def test_a_store_whose_run_was_stopped_can_be_read(make_store: Make) -> None:
    folder = make_store(columns={"age": list(range(37))}, complete=False)
    break_part(folder, "no part")
    view = Embeddings.load(folder)
    assert view.metadata["age"].tolist() == [*range(10), *range(20, 37)] and "not come to its end" in repr(view)
    for path in folder.glob("record-*"):
        path.unlink()
    with pytest.raises(DataError, match="no vectors yet"):
        Embeddings.load(folder)
