"""The public names: loaded when first used, listed in one place, and hidden by no order of imports."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest

import clipviz

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "clipviz"


def modules() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] != "__main__":
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


PROBE = """
import importlib, inspect, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
import clipviz
for name in clipviz.__all__:
    value = getattr(clipviz, name)
    if name == "__version__":
        assert isinstance(value, str), value
    elif name == "synth":
        assert callable(value.scenes), "synth.scenes"
    else:
        assert callable(value) and not inspect.ismodule(value), f"{name} is {value!r}"
    assert name in dir(clipviz), name
for name in [m for m in list(sys.modules) if m.startswith("clipviz.") and m.count(".") == 1]:
    room = sys.modules[name]
    children = {m.rpartition(".")[2] for m in sys.modules if m.startswith(name + ".")}
    for public in getattr(room, "__all__", ()):
        value = getattr(room, public)
        assert not (inspect.ismodule(value) and public in children), f"{name}.{public} is hidden by a module"
"""


@pytest.mark.parametrize("seed", [random.SystemRandom().randrange(10_000) for _ in range(2)], ids=("first", "second"))
def test_every_public_name_survives_any_order_of_imports(seed):
    order = modules()
    random.Random(seed).shuffle(order)
    print(f"seed {seed}")
    done = subprocess.run([sys.executable, "-c", PROBE, *order], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"seed {seed}\n{done.stderr}"


LIGHT = """
import sys, time
start = time.perf_counter()
import clipviz
dir(clipviz)
print(f"import clipviz took {time.perf_counter() - start:.3f} s")
heavy = {"torch", "torchvision", "matplotlib", "open_clip", "pandas", "scipy", "ipywidgets", "pyarrow"}
sys.exit(f"loaded {heavy & set(sys.modules)}" if heavy & set(sys.modules) else 0)
"""


def test_import_is_light():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, cwd=ROOT)
    print(done.stdout)
    assert done.returncode == 0, done.stderr


def test_light_names_stay_light():
    code = (
        "import sys, clipviz; clipviz.ClipvizError, clipviz.Prompt('a dog'), clipviz.open_image;"
        "sys.exit('loaded torch' if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'grad_cam'"):
        _ = clipviz.grad_cam


def test_type_checkers_are_told_of_the_same_names():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    told = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == {**clipviz._HOMES, "synth": None}
    assert sorted(clipviz.__all__) == sorted([*told, "__version__"])
    assert set(clipviz.__all__) <= set(dir(clipviz))
