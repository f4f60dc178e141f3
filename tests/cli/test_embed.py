"""``clipviz embed`` and ``clipviz cache``: real pictures, the bundled model, exit codes that say what is lacking."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from clipviz import Embeddings, assets
from clipviz.cli import main

TINY = assets.folder(assets.MODEL)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five pictures in two classes."""
    for i in range(5):
        folder = tmp_path / "pictures" / ("cats", "dogs")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "pictures"


def run(*arguments: object, command: str = "embed") -> Result:
    model = ["--model", str(TINY), "--quiet", "--workers", "0"] if command == "embed" else []
    return CliRunner().invoke(main, [command, *model, *(str(a) for a in arguments)])


def test_a_whole_store_is_exit_code_0(pictures: Path, tmp_path: Path) -> None:
    result = run(pictures, "--out", tmp_path / "store", "--dtype", "float16", "--part-size", 2)
    assert result.exit_code == 0, result.output
    assert f"Wrote {tmp_path / 'store'}: 5 vectors of 192 numbers, float16" in result.stdout and not result.stderr
    store = Embeddings.load(tmp_path / "store")
    assert store.metadata["label"].tolist() == ["cats"] * 3 + ["dogs"] * 2 and len(store.stored.pieces) == 3
    again = run(pictures, "--out", tmp_path / "store", "--dtype", "float32")
    assert again.exit_code == 1 and "was made with dtype='float16'" in again.stderr


def test_what_is_lacking_is_exit_code_3(pictures: Path, tmp_path: Path) -> None:
    (pictures / "cats" / "text.jpg").write_text("no picture")
    result = run(pictures, "--out", tmp_path / "store")
    assert result.exit_code == 3, result.output
    assert "5 vectors" in result.stdout and "1 failed, the first 'cats/text.jpg': " in result.stderr
    assert "cats/text.jpg" in (tmp_path / "store" / "failed.csv").read_text()
    assert run(pictures, "--out", tmp_path / "store").exit_code == 3  # nothing was computed, and it still lacks one
    (pictures / "cats" / "text.jpg").rename(pictures / "cats" / "text.md")
    result = run(pictures, "--out", tmp_path / "store")
    assert result.exit_code == 3 and "1 files of the folder are no pictures by their names" in result.stderr


def test_columns_ids_and_mistakes(pictures: Path, tmp_path: Path) -> None:
    rows = "".join(f"pictures/{('cats', 'dogs')[i % 2]}/{i}.png,{i},{i * i},n{i}\n" for i in range(5))
    (tmp_path / "table.csv").write_text(f"path,n,square,name\n{rows}")
    result = run(tmp_path / "table.csv", "--columns", "n, square", "--id", "name", "--out", tmp_path / "store")
    assert result.exit_code == 0, result.output
    store = Embeddings.load(tmp_path / "store")
    assert store.ids == tuple(f"n{i}" for i in range(5)) and store.columns == ("n", "square")
    for mistake, told in [
        (("--columns", "sqare"), "Did you mean 'square'?"),
        (("--columns", " ,"), "names no column"),
        (("--address", "auto"), "pass engine='ray'"),
    ]:
        result = run(tmp_path / "table.csv", "--out", tmp_path / "other", *mistake)
        assert result.exit_code == 1 and told in result.stderr, result.output
    assert not (tmp_path / "other").exists()


def test_the_cache_is_listed_trimmed_and_cleared(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "cache" / "clipviz" / "embeddings"
    assert run("path", command="cache").stdout.strip() == str(root)
    assert run(command="cache").stdout.startswith("0 stores, 0 B of 20.0 GB")
    assert run(pictures).exit_code == 0
    assert run(pictures, "--dtype", "float16").exit_code == 0
    gc.collect()  # what was read in this process is in use until then
    listed = run(command="cache").stdout
    assert listed.count("clipviz-tiny") == 2 and "2 stores, " in listed and str(root) in listed
    table = run("list", "--csv", command="cache").stdout.splitlines()
    assert table[0] == "name,kind,model,data,rows,bytes,used" and len(table) == 3
    nothing = run("clear", command="cache")
    assert nothing.exit_code == 1 and "or --all" in nothing.stderr
    name = table[2].split(",")[0]
    assert "Removed 1 store, " in run("clear", name[:8], command="cache").stdout and not (root / name).exists()
    assert "Removed 0 stores" in run("clear", "--older-than", "1 day", command="cache").stdout
    assert "Removed 1 store" in run("trim", "--limit", "0", command="cache").stdout and not list(root.iterdir())


@pytest.mark.slow
def test_ctrl_c_leaves_a_store_and_says_so(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    command = [sys.executable, "-m", "clipviz", "embed", str(shared / "data/tiny-imagenet/val-00.parquet"), "--quiet"]
    command += ["--model", str(TINY), "--out", str(out), "--workers", "0", "--part-size", "64"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=env, text=True) as process:
        while not list(out.glob("record-*")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        told = process.communicate()[1]
    # Python tells of an interrupt that came within a finalizer, and the run stops after its part
    assert process.returncode == 130 and told.splitlines()[-1].startswith("Stopped by Ctrl-C"), told
    assert "Traceback" not in told or "Exception ignored" in told
    assert 64 <= len(Embeddings.load(out)) < 5000
    assert json.loads((out / "manifest.json").read_text())["complete"] is False
