"""OpenAI's archives (TorchScript) are read as data: equal weights, and nothing in them is run."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from clipviz.clip import CLIP
from clipviz.errors import ModelError
from clipviz.weights import build, fingerprint, from_open_clip, read_file, read_state
from clipviz.weights.archive import is_archive

pytestmark = [
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]


def archive_of(module: torch.nn.Module, path: Path, size: int, context: int) -> Path:
    """The layout of OpenAI's files: a traced model of which the zip holds program, tensors and constants."""
    for name, value in (("input_resolution", size), ("context_length", context), ("vocab_size", 49408)):
        if hasattr(module, name):
            delattr(module, name)
        module.register_buffer(name, torch.tensor(value))
    dtype = module.visual.conv1.weight.dtype
    pixels, tokens = torch.zeros(1, 3, size, size, dtype=dtype), torch.zeros(1, context, dtype=torch.long)
    traced = torch.jit.trace_module(
        module, {"encode_image": pixels, "encode_text": tokens, "forward": (pixels, tokens)}, check_trace=False
    )
    traced.save(str(path))
    return path


def test_an_archive_holds_the_same_network(clip: CLIP, theirs, tmp_path: Path) -> None:
    path = archive_of(theirs(clip), tmp_path / "RN50.pt", clip.config.vision.image_size, 16)
    assert is_archive(path)
    state = from_open_clip(read_state(path))
    assert fingerprint(build(clip.config, state, "it")) == fingerprint(clip)
    told = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    found = read_file(path, True, **told)
    assert found.clip.config == clip.config
    assert fingerprint(found.clip) == fingerprint(clip)


def test_a_half_precision_archive(vit: CLIP, theirs, tmp_path: Path) -> None:
    module = theirs(vit).half()
    path = archive_of(module, tmp_path / "half.pt", 32, 16)
    state = from_open_clip(read_state(path))
    assert state["visual.proj"].dtype == torch.float16
    built = build(vit.config, state, "it")
    assert torch.equal(built.visual.proj, vit.visual.proj.half().float())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["RN50", "ViT-B-32"])
def test_an_archive_of_the_released_size(name: str, tmp_path: Path) -> None:
    import open_clip

    torch.manual_seed(0)
    module = open_clip.create_model(name, force_quick_gelu=True).eval().requires_grad_(False)
    pixels, tokens = torch.randn(2, 3, 224, 224), open_clip.tokenize(["a photo of a dog", "a cat"])
    expected = module.encode_image(pixels), module.encode_text(tokens)
    path = archive_of(module, tmp_path / f"{name}.pt", 224, 77)
    clip = read_file(path, True, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).clip
    with torch.no_grad():
        torch.testing.assert_close(clip.visual(pixels), expected[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(clip.text(tokens), expected[1], atol=1e-5, rtol=1e-5)


def hostile(path: Path, data: bytes, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", data)
        archive.writestr("m/constants.pkl", b"\x80\x02).")
        archive.writestr("m/code/__torch__.py", "")
        for name, content in files.items():
            archive.writestr(f"m/data/{name}", content)
    return path


class Runs:
    """What a hostile file would have executed."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.system, "touch trapped"),
        (eval, "open('trapped', 'w')"),
        (Path.touch, Path("trapped")),
        (getattr, os, "system"),
        (torch.load, "other.pt"),
    ],
    ids=["system", "eval", "path", "getattr", "torch.load"],
)
def test_a_hostile_reduce_is_refused_and_not_run(call, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        data = pickle.dumps({"w": Runs(*call)}, protocol=2)
    except TypeError:  # a module cannot be pickled; what would be asked for is the same
        data = pickle.dumps({"w": Runs(getattr, "os", "system")}, protocol=2)
    path = hostile(tmp_path / "m.pt", data)
    assert is_archive(path)
    with pytest.raises(ModelError, match=r"it asks for .*safetensors"):
        read_state(path)
    assert not (tmp_path / "trapped").exists()


def test_a_hostile_setstate_is_refused_and_not_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A module of the archive's own whose __setstate__ would run: only its state is kept, its program never opened.
    module = b"c__torch__.Evil\nEvil\n)\x81}(X\x01\x00\x00\x00wcos\nsystem\nub."
    with pytest.raises(ModelError, match=r"it asks for os\.system"):
        read_state(hostile(tmp_path / "a.pt", b"\x80\x02" + module))
    # BUILD on what find_class gives, to change it for every later archive.
    for target in (b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"c__torch__.E\nE\n",
                   b"ctorch\nFloatStorage\n"):  # fmt: skip
        with pytest.raises(ModelError, match=r"more than tensors|not of a model"):
            read_state(hostile(tmp_path / "b.pt", b"\x80\x02" + target + b"}X\x01\x00\x00\x00xK\x01sb."))
        state = b"N}X\x0c\x00\x00\x00__defaults__K\x01s\x86b."  # the second of a pair is set by setattr
        with pytest.raises(ModelError, match=r"more than tensors|not of a model"):
            read_state(hostile(tmp_path / "c.pt", b"\x80\x02" + target + state))


def test_no_tensor_and_no_storage_takes_a_state(tmp_path: Path) -> None:
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00K\x04\x85K\x01\x85\x89}tR"
    module = b"c__torch__.M\nM\n)\x81}X\x01\x00\x00\x00w"
    good = hostile(tmp_path / "good.pt", b"\x80\x02" + module + tensor + b"sb.", **{"0": bytes(16)})
    assert read_state(good)["w"].shape == (4,)
    for held in (tensor, storage):
        state = b"(" + storage + b"K\x00K\x7f\x85K\x01\x85t"  # of Tensor.__setstate__: set_ beyond the storage
        data = b"\x80\x02" + module + held + state + b"bsb."
        with pytest.raises(ModelError, match=r"sets the state"):
            read_state(hostile(tmp_path / "bad.pt", data, **{"0": bytes(16)}))
    data = b"\x80\x02" + module + tensor.replace(b"K\x04\x85", b"K\x05\x85") + b"sb."
    with pytest.raises(ModelError, match=r"damaged"):
        read_state(hostile(tmp_path / "far.pt", data, **{"0": bytes(16)}))


def test_a_setstate_program_is_not_run(tmp_path: Path) -> None:
    class Stateful(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(2))

        @torch.jit.export
        def __getstate__(self):
            return (self.w, self.training)

        @torch.jit.export
        def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
            assert False, "this program was run"  # noqa: PT015
            self.w = state[0]
            self.training = state[1]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.w

    torch.jit.script(Stateful()).save(str(tmp_path / "m.pt"))
    assert read_state(tmp_path / "m.pt") == {}


def test_tensors_outside_their_storage_are_refused(vit: CLIP, theirs, tmp_path: Path) -> None:
    path = archive_of(theirs(vit), tmp_path / "m.pt", 32, 16)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    short = next(name for name in held if name.split("/")[1] == "data" and len(held[name]) > 64)
    for content in (held[short][:-4], None):
        damaged = io.BytesIO()
        with zipfile.ZipFile(damaged, "w") as archive:
            for name, data in held.items():
                if name != short or content is not None:
                    archive.writestr(name, content if name == short and content is not None else data)
        (tmp_path / "d.pt").write_bytes(damaged.getvalue())
        with pytest.raises(ModelError, match=r"damaged"):
            read_state(tmp_path / "d.pt")
    (tmp_path / "t.pt").write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ModelError):
        read_state(tmp_path / "t.pt")
