"""Workers: what they send, and that they end with whoever started them."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from clipviz.embedding.decoding import Decoder
from clipviz.model.pixels import encode_squares, preparation
from clipviz.sources import open_source

sys.path.insert(0, str(Path(__file__).parent))
from pictures import damage, real_pictures


def test_a_decoder_tells_what_it_read(shared, tmp_path, model):
    folder = real_pictures(shared, tmp_path / "pictures", 40)
    wrong = damage(folder)
    source = open_source(folder)
    decoder = pickle.loads(pickle.dumps(Decoder(source.in_order(), preparation(model))))
    out = decoder(0, 40)
    assert {source.ids[i] for i, fact in enumerate(out.facts) if fact.reason} == wrong.keys()
    assert len(out.squares) == 35 and all(square.shape == (1, 32, 32, 3) for square in out.squares)
    data = source.bytes(0)
    fact, path = out.facts[0], folder / source.ids[0]
    assert (fact.size, fact.sha256) == (len(data), hashlib.sha256(data).digest())
    assert fact.stamp == (path.stat().st_size, path.stat().st_mtime_ns)
    whole = [item.image for item in source]
    np.testing.assert_array_equal(encode_squares(model, out.squares), model.encode_images(whole))


def test_tiles_become_one_vector(shared, tmp_path, model):
    source = open_source(real_pictures(shared, tmp_path / "pictures", 6))
    wide = [item.image.resize((90, 30)) for item in source]
    from clipviz.images import squares

    seen = [squares(image, **preparation(model, "tiles"))[0] for image in wide]
    assert all(len(picture) > 1 for picture in seen)
    want = model.encode_images(wide, view="tiles", batch_size=100)
    np.testing.assert_array_equal(encode_squares(model, seen, batch_size=100), want)


SCRIPT = """
import sys, clipviz
from clipviz.embedding import embed
print("begun", flush=True)
embed(sys.argv[1], model=clipviz.load(), out=sys.argv[2], part_size=16, workers=2, progress=False)
print("done", flush=True)
"""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children(pid: int) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.add(int(path.parent.name))
        except OSError:
            pass
    return found


@pytest.mark.slow
def test_a_script_without_a_guard_may_call_it_and_no_worker_outlives_it(shared, tmp_path, require):
    require(Path("/proc/self/stat").exists(), "no /proc to see processes in")
    script, pictures = tmp_path / "script.py", real_pictures(shared, tmp_path / "pictures", 600)
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(pictures), str(tmp_path / "store")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        workers: set[int] = set()
        while process.poll() is None and not (tmp_path / "store" / "record-00000.parquet").exists():
            workers |= _children(process.pid)
            time.sleep(0.01)
        workers |= _children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        said, wrong = process.communicate()
    assert said == "begun\n", wrong  # once: no worker has run the script again
    assert len(workers) >= 2
    for _ in range(3000):
        if not any(map(_alive, workers)):
            break
        time.sleep(0.01)
    assert not any(map(_alive, workers))
