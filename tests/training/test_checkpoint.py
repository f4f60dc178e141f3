import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clipviz.errors import ClipvizWarning, DataError, ModelError, SpecError
from clipviz.files import replace
from clipviz.training import read_recipe
from clipviz.training.checkpoint import Checkpoints, Torn, check_recipe, read, sweep
from clipviz.weights.staging import write_folder


def state(step: int) -> dict:
    rng = torch.Generator().manual_seed(step)
    weights = {f"w{i}": torch.randn(5000, generator=rng) for i in range(4)}
    return {"recipe": {"seed": 0}, "done": step, "clip": weights, "best": float("-inf"), "losses": [1.5]}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def equal(a: dict, b: dict) -> bool:
    return a["done"] == b["done"] and all(torch.equal(a["clip"][k], b["clip"][k]) for k in a["clip"])


@pytest.fixture
def three(tmp_path):
    """Checkpoints of steps 1, 2 and 3, the second of them the best."""
    checkpoints = Checkpoints(tmp_path / "checkpoints", 3)
    for step in (1, 2, 3):
        checkpoints.save(step, state(step), best=0.5 if step == 2 else None)
    return checkpoints


def test_the_last_few_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", 2)
    for step, best in ((10, 0.1), (20, 0.3), (30, None), (40, None), (50, None)):
        checkpoints.save(step, state(step), best=best)
    assert names(checkpoints.folder) == ["best.pt", "step-000000040.pt", "step-000000050.pt"]
    assert equal(read(checkpoints.folder / "best.pt"), state(20))
    assert equal(checkpoints.newest(), state(50))
    checkpoints.save(60, state(60), best=0.4)
    assert equal(read(checkpoints.folder / "best.pt"), state(60))
    assert os.path.samefile(checkpoints.folder / "best.pt", checkpoints.path(60)), "no second copy on the disk"


def test_no_checkpoint_is_none(tmp_path):
    assert Checkpoints(tmp_path / "nowhere", 2).newest() is None


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_the_end(content: bytes) -> bytes:
    return content[:-1]


def empty(content: bytes) -> bytes:
    return b""


def zeros(content: bytes) -> bytes:
    return bytes(len(content))


def a_page_of_zeros(content: bytes) -> bytes:  # what a file system may leave after a power cut
    return content[:8192] + bytes(4096) + content[12288:]


def text(content: bytes) -> bytes:
    return b"no checkpoint"


def another(content: bytes) -> bytes:
    import io

    file = io.BytesIO()
    torch.save(torch.zeros(3), file)
    return file.getvalue()


@pytest.mark.parametrize("damage", [cut, without_the_end, empty, zeros, a_page_of_zeros, text, another])
def test_a_torn_checkpoint_is_named_and_kept_aside_and_the_one_before_it_used(three, damage):
    path = three.path(3)
    torn = damage(path.read_bytes())
    path.write_bytes(torn)
    with pytest.warns(ClipvizWarning, match=r"step-000000003\.pt.*goes on from step-000000002\.pt"):
        found = three.newest()
    assert equal(found, state(2))
    assert (three.folder / "step-000000003.pt.torn").read_bytes() == torn
    assert three.steps() == [1, 2]
    assert equal(three.newest(), state(2)), "and is not warned of again"


def test_torch_alone_does_not_see_the_page_of_zeros(three):
    path = three.path(3)
    path.write_bytes(a_page_of_zeros(path.read_bytes()))
    found = torch.load(path, weights_only=True)
    assert not equal(found, state(3)), "if this fails, torch checks its sums and `read` need not"


def test_damage_anywhere_is_seen_or_does_no_harm(three):
    path, rng = three.path(3), random.Random(0)
    whole = path.read_bytes()
    seen = 0
    for _ in range(300):
        content = bytearray(whole)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        try:
            assert equal(read(path), state(3))
        except Torn:
            seen += 1
    assert seen > 200


def test_where_none_is_whole_nothing_is_moved(three):
    for path in three.folder.iterdir():
        path.write_bytes(b"")
    before = names(three.folder)
    with pytest.raises(DataError, match=r"step-000000003\.pt.*step-000000001\.pt.*another out"):
        three.newest()
    assert names(three.folder) == before


def test_the_best_is_used_where_no_other_is_whole(three):
    for step in (1, 2, 3):
        three.path(step).unlink()
        three.path(step).write_bytes(b"torn")
    with pytest.warns(ClipvizWarning, match=r"goes on from best\.pt"):
        assert equal(three.newest(), state(2))


def test_a_kill_between_the_checkpoint_and_the_best_is_made_good(three):
    three.save(4, state(4), best=0.9)
    shutil.copyfile(three.path(3), three.folder / "best.new")
    os.replace(three.folder / "best.new", three.folder / "best.pt")  # as it was before it was linked
    three.newest(tidy=False)
    assert equal(read(three.folder / "best.pt"), state(3)), "another process of the run touches nothing"
    three.newest()
    assert equal(read(three.folder / "best.pt"), state(4))


def test_a_kill_before_the_oldest_is_dropped_is_made_good(three):
    kept = Checkpoints(three.folder, 2)
    assert equal(kept.newest(tidy=False), state(3)) and kept.steps() == [1, 2, 3]
    assert equal(kept.newest(), state(3)) and kept.steps() == [2, 3]


def test_a_limit_on_files_leaves_the_checkpoint_before_it(three):
    before = {path.name: path.read_bytes() for path in three.folder.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(DataError, match=r"step 4 .*File too large.*step-000000003\.pt.*resume=True"):
            three.save(4, state(4))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in three.folder.iterdir()} == before


FULL = """
import sys
from pathlib import Path
import torch
from clipviz.errors import DataError
from clipviz.training.checkpoint import Checkpoints
checkpoints = Checkpoints(Path(sys.argv[1]), 9)
for step in range(1, 9):
    try:
        checkpoints.save(step, {"recipe": {}, "done": step, "w": torch.full((100_000,), float(step))})
    except DataError as error:
        print(error)
        print(step, checkpoints.newest()["done"], sorted(p.name for p in checkpoints.folder.iterdir()))
        break
"""


def test_a_full_disk_leaves_the_checkpoint_before_it(tmp_path, require):
    """On a real file system of 1 MiB, which holds two checkpoints of 400 kB."""
    mount = f"mount -t tmpfs -o size=1m tmpfs {tmp_path}"
    allowed = shutil.which("unshare") and not subprocess.run(["unshare", "-rm", "sh", "-c", mount]).returncode
    if not allowed:
        pytest.skip("mounting a small file system in a namespace of its own is not permitted here")
    command = f'{mount} && exec "$0" -c "$1" {tmp_path}/checkpoints'
    done = subprocess.run(["unshare", "-rm", "sh", "-c", command, sys.executable, FULL], capture_output=True, text=True)
    sentence, found = done.stdout.splitlines()
    assert "step 3 could not be written" in sentence and "No space left on device" in sentence, done.stderr
    assert "step-000000002.pt" in sentence
    assert found == "3 2 ['step-000000001.pt', 'step-000000002.pt']"


def test_weights_that_are_not_finite_are_not_kept(three):
    bad = state(4)
    bad["clip"]["w2"][7] = float("nan")
    with pytest.raises(ModelError, match=r"clip\.w2.*step-000000003\.pt"):
        three.save(4, bad)
    assert three.steps() == [1, 2, 3]


def test_what_a_kill_leaves_is_swept_away_and_nothing_else(tmp_path):
    left: list[Path] = []

    def note(draft) -> None:
        left.append(Path(draft))
        Path(draft).mkdir() if Path(draft).suffix == ".new" else Path(draft).write_bytes(b"half")

    keep = ["checkpoints/step-000000001.pt", "metrics.jsonl", "cache/0123456789abcdef.npy", "README"]
    for name in keep:
        replace(tmp_path / name, note)
    shutil.rmtree(write_folder(tmp_path / "model", lambda draft: left.append(draft), []))
    others = [tmp_path / ".lock", tmp_path / ".gitignore", tmp_path / "checkpoints" / ".hidden.1.pt"]
    for path in others:
        path.write_bytes(b"")
    for path in left:
        path.mkdir() if path.suffix == ".new" else path.write_bytes(b"half")
    assert sorted(sweep(tmp_path)) == sorted(left) and len(left) == 5
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in [*others, *(tmp_path / name for name in keep)])


def test_a_model_that_was_moved_for_a_new_one_is_put_back(tmp_path):
    drafts: list[Path] = []
    write_folder(tmp_path / "model", lambda draft: (draft / "card.json").write_text("old"), [])
    write_folder(tmp_path / "model", lambda draft: drafts.append(draft), ["card.json"])
    shutil.rmtree(tmp_path / "model")
    old = drafts[0].with_suffix(".old")  # between its two renamings, a kill leaves both
    drafts[0].mkdir()
    old.mkdir()
    (old / "card.json").write_text("old")
    sweep(tmp_path)
    assert names(tmp_path) == ["model"] and (tmp_path / "model" / "card.json").read_text() == "old"


RECIPE = {
    "name": "toy",
    "data": {"sources": [{"kind": "scenes", "n": 64, "caption": "caption"}]},
    "optim": {"samples": 320, "batch": 16},
}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("seed=5", "seed"),
        ("optim.batch=32", r"optim\.batch"),
        ("optim.learning_rate=3e-4", r"optim\.learning_rate"),
        ("optim.samples=640", r"optim\.samples"),
        ("model.width=128", r"model\.width"),
        ("model.text=cbow", r"model\.text"),
        ("data.sources.0.n=65", r"data\.sources\.0\.n"),
        ("memory.precision=bfloat16", r"memory\.precision"),
        ("memory.half_moments=true", r"memory\.half_moments"),
    ],
)
def test_another_recipe_is_refused_by_the_first_key_that_differs(change, key):
    before, now = (read_recipe(RECIPE, changes).to_dict() for changes in ((), (change,)))
    with pytest.raises(SpecError, match=f"made with {key}=.*choose another out"):
        check_recipe({"recipe": before}, now, Path("run"))


@pytest.mark.parametrize(
    "change",
    ["name=other", "threads=2", "data.workers=2", "keep.seconds=5", "keep.last=4", "memory.micro_batch=4"],
)
def test_what_does_not_change_the_mathematics_may_differ(change):
    before, now = (read_recipe(RECIPE, changes).to_dict() for changes in ((), (change,)))
    assert before != now
    check_recipe({"recipe": before}, now, Path("run"))
