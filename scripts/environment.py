"""Write environment.yml, for conda users, from pyproject.toml and constraints.txt.

    python scripts/environment.py          writes the file
    python scripts/environment.py --check  says whether it is up to date

A test runs the check, so the three files name one set of packages in one set of versions.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYTHON = "3.12"  # Where a pin depends on the interpreter, conda's is this one.

# conda-forge has these under another name ...
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "build": "python-build"}
# ... and these not, or not in time with the registry of Python.
BY_PIP = {"datasets", "faiss-cpu", "grad-cam", "playwright", "ray", "umap-learn", "webdataset"}


def direct(root: Path = ROOT) -> dict[str, Requirement]:
    """The direct dependencies of the package with everything in ``all``, by canonical name."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines, extras = list(project["dependencies"]), ["all"]
    own = canonicalize_name(project["name"])
    found: dict[str, Requirement] = {}
    done = set()
    while lines or extras:
        if not lines:
            extra = extras.pop()
            if extra not in done:
                done.add(extra)
                lines = list(project["optional-dependencies"][extra])
            continue
        requirement = Requirement(lines.pop())
        if canonicalize_name(requirement.name) == own:
            extras += sorted(requirement.extras)
        else:
            found[canonicalize_name(requirement.name)] = requirement
    return found


def pins(root: Path = ROOT) -> dict[str, list[Requirement]]:
    """Every line of constraints.txt, by canonical name; several where a pin depends on the interpreter."""
    found: dict[str, list[Requirement]] = {}
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if text := line.partition("#")[0].strip():
            requirement = Requirement(text)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def applying(name: str, python: str, root: Path = ROOT) -> list[Requirement]:
    """The pins of a package that hold on a Linux machine with this Python: one, or none where it is not needed."""
    where = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    where |= {"platform_machine": "x86_64", "os_name": "posix", "platform_python_implementation": "CPython"}
    where |= {"implementation_name": "cpython", "platform_system": "Linux"}
    return [each for each in pins(root)[name] if each.marker is None or each.marker.evaluate(where)]


def pin(name: str, python: str = PYTHON, root: Path = ROOT) -> str:
    """The version that constraints.txt gives a package on a Linux machine with this Python, as ``2.5.5``."""
    (only,) = applying(name, python, root)
    return str(only.specifier).removeprefix("==")


def environment(root: Path = ROOT) -> str:
    """The text of environment.yml."""
    conda: list[str] = []
    pip: list[str] = []
    for name in sorted(direct(root)):
        (pip if name in BY_PIP else conda).append(f"{CONDA_NAMES.get(name, name)}=={pin(name, root=root)}")
    lines = [
        "# Written by scripts/environment.py from pyproject.toml and constraints.txt: do not edit.",
        "# conda env create -f environment.yml && conda activate clipviz",
        "name: clipviz",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
        f"  - python={PYTHON}",
        "  - pip",
        *(f"  - {line}" for line in conda),
        "  - pip:",
        *(f"      - {line}" for line in pip),
        "      - -e .",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    path = ROOT / "environment.yml"
    if "--check" in sys.argv[1:]:
        fresh = path.is_file() and path.read_text(encoding="utf-8") == environment()
        print("environment.yml is up to date" if fresh else "environment.yml is stale: run scripts/environment.py")
        return 0 if fresh else 1
    path.write_text(environment(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
