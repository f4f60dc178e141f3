"""The plan of the house holds: imports run one way, names do not collide, and a few habits stay out.

Every rule is a function of a folder, so that each is shown to bite on a small tree with the fault planted in it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "clipviz"

# From the top down. A room imports from itself and from the floors below its own.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("ui",),
    ("training",),
    ("auditing", "evaluation"),
    ("detection",),
    ("explanation", "embedding"),
    ("model",),
    ("weights",),
    ("clip",),
    ("sources",),
    ("images", "text", "synth"),
    ("frame",),
    ("stats", "plots", "reporting"),
    ("fonts", "assets", "files", "lock", "stopping", "versions"),
    ("errors",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
DRAWING = {"matplotlib", "seaborn"}
STATS_KNOWS = {"numpy", "scipy", "statsmodels"}


def sources(package: Path) -> Iterator[tuple[Path, str, ast.Module]]:
    """Every file of the package, its room, and its tree."""
    for path in sorted(package.rglob("*.py")):
        below = path.relative_to(package)
        yield path, below.parts[0].removesuffix(".py"), ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path, package: Path, tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """(module, name or "", line) of every import, wherever it stands, with the relative ones resolved."""
    here = [package.name, *path.relative_to(package).with_suffix("").parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, "", node.lineno
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                module = ".".join([*here[: len(here) - node.level], *filter(None, [module])])
            for alias in node.names:
                yield module, alias.name, node.lineno
        elif isinstance(node, ast.Call) and called(node).split(".")[-1] in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                base = ".".join(here[:-1]) if first.value.startswith(".") else ""
                yield (base + first.value), "", node.lineno


def called(call: ast.Call) -> str:
    """The dotted name of what is called, as ``torch.jit.load``; empty where it is not a plain name."""
    parts, node = [], call.func
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def room_of(module: str, name: str, package: Path) -> str | None:
    """The room that an import reaches into, "" for the package itself, None for something outside."""
    parts = module.split(".")
    if parts[0] != package.name:
        return None
    return parts[1] if len(parts) > 1 else name


def homes(package: Path) -> dict[str, str]:
    """Public name of the package -> the room that it comes from, as its __init__ tells type checkers."""
    init = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    told = [node for node in ast.walk(init) if isinstance(node, ast.ImportFrom) and node.level and node.module]
    return {alias.name: str(node.module).split(".")[0] for node in told for alias in node.names}


def wrong_directions(package: Path) -> list[str]:
    """Imports that climb or go sideways, and rooms that have no floor."""
    found, home = [], homes(package)
    for path, room, tree in sources(package):
        where = path.relative_to(package.parent)
        if room == "__init__":
            continue
        if room not in FLOOR:
            found.append(f"{where}: the room {room!r} has no floor; give it one in FLOORS and in the design")
            continue
        for module, name, line in imports(path, package, tree):
            target = room_of(module, name, package)
            target = home.get(target, target) if target and module == package.name else target
            # The command line stands above every public name; for a room, the whole package is more than it may see.
            if target in (None, room, "__version__") or (target == "" and room == "cli"):
                continue
            if target not in FLOOR:
                found.append(f"{where}:{line}: {target or 'the package'} is no room; import from the name's own")
            elif FLOOR[target] <= FLOOR[room]:
                found.append(f"{where}:{line}: {room} imports {target}, which is not on a lower floor")
    return found


def wrong_libraries(package: Path) -> list[str]:
    """Drawing outside plots/ and fonts.py, widgets below ui/, and anything but numbers in stats/."""
    found = []
    for path, room, tree in sources(package):
        for module, _name, line in imports(path, package, tree):
            top, at = module.split(".")[0], f"{path.relative_to(package.parent)}:{line}"
            if top in DRAWING and room not in ("plots", "fonts"):
                found.append(f"{at}: {top} outside plots/ and fonts.py")
            if top == "ipywidgets" and FLOOR.get(room, 99) > FLOOR["ui"]:
                found.append(f"{at}: ipywidgets below ui/")
            outside = top not in STATS_KNOWS | set(sys.stdlib_module_names) | {package.name}
            if room == "stats" and outside:
                found.append(f"{at}: stats/ knows {', '.join(sorted(STATS_KNOWS))} and errors only, not {top}")
            if room == "stats" and top == package.name and room_of(module, _name, package) not in ("stats", "errors"):
                found.append(f"{at}: stats/ imports {module}, and of clipviz it knows errors only")
    return found


def hidden_names(package: Path) -> list[str]:
    """Modules named like a public function of their package: importing the one would hide the other."""
    found = []
    inits = [package / "__init__.py", *sorted(package.glob("*/__init__.py"))]
    for init in filter(Path.is_file, inits):
        tree = ast.parse(init.read_text(encoding="utf-8"))
        public = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in ast.walk(tree):
            # `from . import synth` takes the module itself; `from .training import train` takes what could be hidden.
            if isinstance(node, ast.ImportFrom) and node.module:
                public |= {alias.asname or alias.name for alias in node.names}
        children = {path.stem for path in init.parent.glob("*.py")}
        children |= {path.parent.name for path in init.parent.glob("*/__init__.py")}
        for name in sorted(public & children):
            found.append(f"{init.relative_to(package.parent)}: the module {name} hides the public name {name}")
    return found


def bad_habits(package: Path) -> list[str]:
    """Unpickling, TorchScript, and printing outside the command line."""
    found = []
    for path, room, tree in sources(package):
        for node in ast.walk(tree):
            at = f"{path.relative_to(package.parent)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                safe = any(
                    k.arg == "weights_only" and isinstance(k.value, ast.Constant) and k.value.value is True
                    for k in node.keywords
                )
                if called(node) == "torch.load" and not safe:
                    found.append(f"{at}: torch.load without weights_only=True unpickles whatever the file says")
                if called(node) == "torch.jit.load":
                    found.append(f"{at}: torch.jit.load runs what the file says")
                if called(node) == "print" and room != "cli":
                    found.append(f"{at}: print in the library")
            from_torch = isinstance(node, ast.ImportFrom) and node.module in ("torch", "torch.jit")
            if from_torch and any(alias.name == "load" for alias in node.names):
                found.append(f"{at}: import torch, so that a call of torch.load can be seen for what it is")
    return found


# Spelled so that this file does not hold what it looks for.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.~/{}$-])/(?:home|root|Users|work|mnt)/[\w.]|\b[A-Z]:\\\\?Users"),
    "the host of a registry": re.compile(
        r"py"
        r"pi\.org|python"
        r"hosted\.org|(?:conda\.|//)ana"
        r"conda\.org|registry\.np"
        r"mjs|ind"
        r"ex-url\s*[=:]\s*['\"\w]"
    ),
}


def tracked(root: Path) -> list[Path]:
    """The files that a commit would hold; the plain tree where this is no clone."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        skip = {".git", ".venv", "__pycache__", "out", "runs"}
        return [p for p in sorted(root.rglob("*")) if p.is_file() and not skip & set(p.relative_to(root).parts)]
    return [path for name in listing.split("\0") if name and (path := root / name).is_file()]


def bound_to_a_machine(root: Path) -> list[str]:
    """Absolute paths of one machine and registry hosts in text files."""
    found = []
    for path in tracked(root):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            found += [
                f"{path.relative_to(root)}:{number}: {what}: {match.group()}"
                for what, pattern in FORBIDDEN.items()
                if (match := pattern.search(line))
            ]
    return found


RULES = [wrong_directions, wrong_libraries, hidden_names, bad_habits]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule):
    faults = rule(PACKAGE)
    assert not faults, "\n" + "\n".join(faults)


def test_nothing_is_bound_to_one_machine():
    faults = bound_to_a_machine(ROOT)
    assert not faults, "\n" + "\n".join(faults)


PLANTED = [
    (wrong_directions, "images.py", "from clipviz.model import load"),
    (wrong_directions, "images.py", "def f():\n    from .text import Prompt"),
    (wrong_directions, "text.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from clipviz import model"),
    (wrong_directions, "clip/vit.py", "from ..weights.folder import read"),
    (wrong_directions, "clip/vit.py", "from .. import explanation"),
    (wrong_directions, "auditing/run.py", "import clipviz.evaluation.probe"),
    (wrong_directions, "sources/folder.py", "import importlib\nimportlib.import_module('clipviz.ui')"),
    (wrong_directions, "ui/panel.py", "from clipviz import gradcam"),
    (wrong_directions, "ui/panel.py", "import clipviz"),
    (wrong_directions, "images.py", "from clipviz import load"),
    (wrong_directions, "attic/__init__.py", ""),
    (wrong_directions, "errors.py", "from . import fonts"),
    (wrong_libraries, "explanation/heatmap.py", "def plot():\n    from matplotlib.figure import Figure"),
    (wrong_libraries, "reporting/page.py", "import seaborn as sns"),
    (wrong_libraries, "explanation/heatmap.py", "import ipywidgets"),
    (wrong_libraries, "stats/shares.py", "import pandas"),
    (wrong_libraries, "stats/shares.py", "from clipviz.fonts import glyphs"),
    (hidden_names, "training/__init__.py", "from .loop import loop"),
    (hidden_names, "__init__.py", "from .training import images"),
    (hidden_names, "training/__init__.py", "def loop(): ..."),
    (bad_habits, "weights/tags.py", "import torch\ntorch.load('x.pt')"),
    (bad_habits, "weights/tags.py", "import torch\ntorch.load('x.pt', weights_only=False)"),
    (bad_habits, "weights/tags.py", "from torch import load"),
    (bad_habits, "weights/tags.py", "import torch\ntorch.jit.load('x.pt')"),
    (bad_habits, "sources/folder.py", "def f():\n    print('read')"),
    (bound_to_a_machine, "clipviz.cfg", "cache = " + "/ho" + "me/someone/cache"),
    (bound_to_a_machine, "clipviz.cfg", "https://py" + "pi.org/simple"),
]


def plant(root: Path, files: dict[str, str]) -> Path:
    package = root / "clipviz"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package


# What is allowed, in every place where something is forbidden.
SOUND = {
    "__init__.py": "if TYPE_CHECKING:\n    from . import synth\n    from .model import load",
    "__main__.py": "from clipviz.cli import main",
    "cli.py": "import clipviz\nfrom . import __version__\nfrom .ui import workbench\nprint('done')",
    "ui/__init__.py": "import ipywidgets\nfrom ..training import train\nfrom clipviz import load",
    "training/__init__.py": "from .loop import train",
    "training/loop.py": "from clipviz import __version__, images\nfrom .recipe import read",
    "weights/__init__.py": "import torch\ntorch.load(0, weights_only=True)",
    "training/recipe.py": "read = 'one ' + 'two'",
    "plots/__init__.py": "import matplotlib\nfrom ..fonts import glyphs",
    "stats/__init__.py": "import math\nimport numpy\nfrom ..errors import InputError",
    "images.py": "from .errors import InputError",
    "model.py": "from .clip.model import CLIP\nimport importlib\nimportlib.import_module('open_clip')",
}


@pytest.mark.parametrize("rule,file,text", PLANTED, ids=lambda v: getattr(v, "__name__", None) and v.__name__)
def test_each_rule_bites_where_a_fault_is_planted(tmp_path, rule, file, text):
    package = plant(tmp_path, SOUND)
    checked = package.parent if rule is bound_to_a_machine else package
    assert rule(checked) == []
    plant(tmp_path, {file: text})
    faults = rule(checked)
    assert len(faults) == 1, faults
    assert file in faults[0]
