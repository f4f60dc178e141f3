"""The cache of stores: named, bounded, listed, cleared, and nothing taken from under who uses it."""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipviz.embedding import Embeddings, cache, embed, embed_texts
from clipviz.errors import ClipvizWarning, DataError, InputError

OPTIONS = {"workers": 0, "progress": False, "part_size": 4}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    return tmp_path / "cache" / "clipviz" / "embeddings"


@pytest.fixture
def make(tmp_path: Path, root: Path, model):
    """``make("a", ...)`` embeds a folder for each name, used an hour after the one before; gives the stores' names."""

    def made(*names: str) -> list[str]:
        found = []
        for hour, name in enumerate(names):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            for i in range(5):
                pixels = np.random.default_rng([hour, i]).integers(0, 256, (20, 20, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
            before = {path.name for path in root.iterdir()} if root.is_dir() else set()
            embed(folder, model=model, **OPTIONS)
            (store,) = {path.name for path in root.iterdir()} - before
            os.utime(root / store / cache.USED, (10**9 + 3600 * hour,) * 2)
            found.append(store)
        gc.collect()  # of what embed gave
        return found

    return made


def test_what_is_there_is_listed(make, root, model, tmp_path):
    assert cache.stores().empty and list(cache.stores()["bytes"]) == []
    a, b = make("a", "b")
    embed_texts(["a dog", "a cat"], model=model, progress=False)
    table = cache.stores()
    assert list(table["name"])[1:] == [b, a] and list(table["kind"]) == ["texts", "images", "images"]
    assert list(table["rows"]) == [2, 5, 5] and set(table["model"]) == {"small-0"}
    assert str(tmp_path / "a") in table["data"][2] and table["used"][2].timestamp() == 10**9
    assert table["bytes"][2] == sum(path.stat().st_size for path in (root / a).iterdir())
    (root / a / "manifest.json").write_text("{")
    (root / "mine").mkdir()  # somebody's own folder is no store
    assert list(cache.stores()["name"]) == list(table["name"]) and cache.stores()["model"].isna().sum() == 1


def test_reading_is_a_use(make, root):
    a, b = make("a", "b")
    store = Embeddings.load(root / a)
    assert list(cache.stores()["name"]) == [a, b]
    again = pickle.loads(pickle.dumps(store.select([0, 3])))
    assert again.ids == ("0.png", "3.png")
    del store
    assert list(cache.trim(0)["name"]) == [b]
    del again
    gc.collect()
    assert list(cache.trim(0)["name"]) == [a] and not list(root.iterdir())


def test_the_least_recently_used_go_first_and_whole(make, root):
    a, b, c = make("a", "b", "c")
    sizes = cache.stores().set_index("name")["bytes"]
    assert cache.trim(int(sizes.sum())).empty and cache.trim().empty
    assert list(cache.trim(int(sizes.sum()) - 1)["name"]) == [a]
    held = Embeddings.load(root / b).half("dev")
    os.utime(root / b / cache.USED, (1, 1))
    assert list(cache.trim(int(sizes[b]))["name"]) == [c]  # b is older, and in use
    assert len(held.to_numpy()) == len(held) and [path.name for path in root.iterdir()] == [b]


def test_a_run_trims_the_cache_and_keeps_its_own_store(make, root, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, "0")
    with pytest.warns(ClipvizWarning, match=r"takes \d.* more than the cache's 0 B"):
        a, b = make("a", "b")
    assert [path.name for path in root.iterdir()] == [b] != [a]
    monkeypatch.setenv(cache.VARIABLE, "much")
    with pytest.raises(InputError, match=r"CLIPVIZ_CACHE_LIMIT='much' is no size; .* '20GB'"):
        make("c")


def test_what_another_process_uses_stays_until_it_is_gone(make, root):
    (a,) = make("a")
    code = (
        "import sys; from pathlib import Path; from clipviz.embedding.cache import Use\n"
        "use = Use(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(root / a)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as other:
        assert other.stdout.readline() == b"held\n"
        assert cache.trim(0).empty
        with pytest.raises(DataError, match=f"{a} is in use"):
            cache.clear(a)
        with pytest.warns(ClipvizWarning, match="1 stores are in use and stay"):
            assert cache.clear().empty
        other.kill()
    assert list(cache.clear(a)["name"]) == [a]


def test_stores_are_cleared_by_name_age_or_all(make, root):
    a, b, c, d = make("a", "b", "c", "d")
    os.utime(root / d / cache.USED)
    assert list(cache.clear(a[:12])["name"]) == [a]
    assert cache.clear(b, older_than=timedelta(days=365_00)).empty
    (root / ".removed-of-a-killed-process").mkdir()
    assert list(cache.clear(older_than="12 hours")["name"]) == [c, b]
    assert [path.name for path in root.iterdir()] == [d]
    assert list(cache.clear()["name"]) == [d]
    for nothing in (cache.clear(), cache.clear(older_than="1 day"), cache.trim(0)):
        assert nothing.empty and list(nothing.columns) == list(cache.stores().columns)


def test_what_is_refused(make, root):
    with pytest.raises(DataError, match="The cache is empty"):
        cache.clear("f00")
    (a,) = make("a")
    shutil.copytree(root / a, root / (a[:-1] + ("0" if a[-1] != "0" else "1")))
    with pytest.raises(DataError, match="the beginning of 2 stores"):
        cache.clear(a[:8])
    for name in ("", "..", "xyz"):
        with pytest.raises(DataError, match="no store"):
            cache.clear(name)
    for age in ("30", "soon", "-3 days", 7):
        with pytest.raises(InputError, match="no length of time"):
            cache.clear(older_than=age)
    for size in ("20 apples", -1, 1.5, True, ""):
        with pytest.raises(InputError, match="is no size"):
            cache.trim(size)
    assert len(cache.stores()) == 2
    assert [cache.limit_asked(x) for x in ("20GB", "1 MiB", "5", 7, None)] == [20 * 10**9, 2**20, 5, 7, 20 * 10**9]


def test_a_store_elsewhere_is_no_part_of_it(make, tmp_path, root, model):
    (a,) = make("a")
    store = embed(tmp_path / "a", model=model, out=tmp_path / "mine", **OPTIONS)
    assert not store.stored.uses and not (tmp_path / "mine" / cache.USED).exists()
    assert list(cache.clear()["name"]) == [a] and len(store.to_numpy()) == 5
