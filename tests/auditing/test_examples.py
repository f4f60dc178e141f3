"""From a figure to its pictures: those of the group that were given the label, opened where they lie."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import clipviz
from clipviz.auditing import Audit
from clipviz.errors import DataError


def test_they_are_the_pictures_of_the_figure(audited, shared) -> None:
    found = audited.examples(group="Female", label="a woman", k=3)
    items = audited.items[audited.items["variant"] == "as written"].set_index("id")
    assert len(found) == 3
    for one in found:
        assert (items.loc[one.id, "gender"], items.loc[one.id, "decision"]) == ("Female", "a woman")
        assert one.metadata["gender"] == "Female"
    source = clipviz.open_source(shared / "data/fairface/val-00.parquet")
    assert (np.asarray(found[0].image) == np.asarray(source[found[0].id].image)).all()
    assert [one.id for one in found] == [one.id for one in audited.examples(group="Female", label="a woman", k=3)]
    clearest = audited.examples(group="Female", label="a woman", k=3, order="clearest")
    margins = items["cosine: a woman"] - items[["cosine: a man", "cosine: a child", "cosine: a gorilla"]].max(axis=1)
    own = margins[(items["gender"] == "Female") & (items["decision"] == "a woman")]
    assert [one.id for one in clearest] == own.sort_values(ascending=False).index[:3].tolist()


def test_a_saved_audit_finds_its_store_again_and_says_where_it_is_gone(audited, faces, tmp_path) -> None:
    store = tmp_path / "store"
    shutil.copytree(faces.stored.folders[0], store)
    audit = clipviz.audit(clipviz.Embeddings.load(store), audited.spec, variants=False, progress=False)
    again = Audit.load(audit.save(tmp_path / "runs" / "run"))
    pictures = clipviz.open_source(faces.source().opening["data"], columns=["age", "gender", "race"])
    part = pictures.select(range(len(faces)))
    assert again.examples(label="a man", k=1, data=part)[0].id == audited.examples(label="a man", k=1)[0].id
    shutil.rmtree(store)
    with pytest.raises(DataError, match=r"not at .*store.* any more"):
        Audit.load(tmp_path / "runs" / "run").examples(label="a man")


def test_what_is_not_there_is_named(audited) -> None:
    for asked, said in (
        ({"group": "Femal"}, "Did you mean 'Female'"), ({"label": "a womann"}, "Did you mean 'a woman'"),
        ({"by": "hair", "group": "Female"}, "no grouping 'hair'"), ({"wording": "plain"}, "no wording 'plain'"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=said):
            audited.examples(**asked)
    with pytest.raises(clipviz.ClipvizError, match="order='best'"):
        audited.examples(order="best")


def test_explained_decisions_are_of_those_pictures(audited) -> None:
    found = audited.explain(group="Male", label="a man", k=2, blur=False)
    assert found.table["id"].tolist() == [one.id for one in audited.examples(group="Male", label="a man", k=2)]
    assert set(found.table["decision"]) == {"a man"}
    assert any("fixed one was taken" in note for note in found.notes)
