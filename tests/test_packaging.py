"""The three lists of packages agree, the wheel carries its data, and a bare installation works with no network."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import clipviz
from clipviz import assets
from clipviz.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
LISTS = runpy.run_path(str(ROOT / "scripts" / "environment.py"))
CONDA_NAMES, BY_PIP = LISTS["CONDA_NAMES"], LISTS["BY_PIP"]
DIRECT, PINS = LISTS["direct"](), LISTS["pins"]()
PYTHONS = ("3.11", "3.12", "3.13")


def test_constraints_are_exact_pins():
    for name, lines in PINS.items():
        for line in lines:
            operators = [each.operator for each in line.specifier]
            assert operators == ["=="], f"{line} is not one exact pin"
            assert "*" not in str(line.specifier), f"{line} is a range"
            assert line.url is None, f"{line} names a URL"
            assert not line.extras, f"{line} has extras, which a constraint may not"
        assert name == canonicalize_name(name)


def test_every_dependency_is_pinned_within_its_range():
    assert {"torch", "open-clip-torch", "jupyterlab", "pytest"} <= set(DIRECT), "the extras were not followed"
    for name, requirement in DIRECT.items():
        assert name in PINS, f"{name} has no pin in constraints.txt"
        for python in PYTHONS:
            version = LISTS["pin"](name, python)
            assert requirement.specifier.contains(version), f"{name} {version} is outside {requirement.specifier}"


def test_no_package_is_pinned_twice_on_one_python():
    for python in PYTHONS:
        for name in PINS:
            assert len(LISTS["applying"](name, python)) <= 1, f"{name} is pinned twice on Python {python}"
    assert LISTS["pin"]("numpy", "3.11") != LISTS["pin"]("numpy", "3.13"), "the markers were not read"


def test_the_conda_environment_names_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"][0] == "conda-forge"
    (pip_part,) = (each["pip"] for each in environment["dependencies"] if isinstance(each, dict))
    assert pip_part[-1] == "-e ."
    conda = [each for each in environment["dependencies"] if isinstance(each, str)]
    pinned = dict(line.split("==") for line in [*conda, *pip_part[:-1]] if "==" in line)
    (python,) = (line.split("=")[1] for line in conda if line.startswith("python="))
    assert SpecifierSet(">=3.11,<3.14").contains(f"{python}.0")
    assert "pip" in conda
    expected = {CONDA_NAMES.get(name, name): LISTS["pin"](name, python) for name in DIRECT}
    assert pinned == expected
    assert {line.split("==")[0] for line in pip_part[:-1]} == BY_PIP & set(DIRECT)


def test_the_conda_environment_is_what_its_script_writes():
    assert (ROOT / "environment.yml").read_text(encoding="utf-8") == LISTS["environment"]()


def test_assets_are_found_in_a_checkout():
    assert assets.folder("notebooks") == ROOT / "notebooks"
    assert assets.find("audits", "README.md") == ROOT / "audits" / "README.md"
    assert assets.find("audits", "README") == assets.find("audits", "README.md")
    for kind in assets.BENCHES:
        for name in assets.names(kind):
            assert assets.find(kind, name).is_file()


@pytest.mark.parametrize(
    "kind,name,words",
    [
        ("audit", "README", r"no kind of asset called 'audit'.*'audits'"),
        ("audits", "REDME.md", r"no file 'REDME.md' in audits.*'README.md'"),
        ("audits", "../pyproject.toml", "no file"),
        ("audits", str(ROOT / "pyproject.toml"), "no file"),
    ],
)
def test_an_unknown_asset_is_an_error_with_the_nearest_names(kind, name, words):
    with pytest.raises(DataError, match=words):
        assets.find(kind, name)


def test_two_assets_of_one_stem_are_not_guessed_between(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "_here", tmp_path)
    (tmp_path / "audits").mkdir()
    for suffix in ("yaml", "md"):
        (tmp_path / "audits" / f"faces.{suffix}").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"several files called 'faces': say which of 'faces.md', 'faces.yaml'"):
        assets.find("audits", "faces")
    assert assets.find("audits", "faces.md") == tmp_path / "audits" / "faces.md"
    with pytest.raises(DataError, match="no folder 'train'"):
        assets.folder("train")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("clipviz-*.whl")
    return path


def test_the_wheel_carries_its_data(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    for kind in assets.BENCHES:
        assert assets.names(kind), f"{kind}/ is empty"
        for name in assets.names(kind):
            assert f"clipviz/assets/{kind}/{name}" in held
    assert "clipviz/assets/notebooks/01_gradcam.ipynb" in held
    for name in ("open_clip_config.json", "open_clip_model.safetensors", "seen_tokens.json"):
        assert f"clipviz/assets/clipviz-tiny/{name}" in held
    for path in (ROOT / "clipviz").rglob("*"):
        if path.suffix in (".py", ".jinja", ".json", ".md", ".safetensors", ".typed"):
            assert path.relative_to(ROOT).as_posix() in held
    stray = {name for name in held if not name.startswith(("clipviz/", "clipviz-"))}
    assert not stray, "the wheel puts more than clipviz into site-packages"
    assert not any(part in name for name in held for part in ("__pycache__", ".ipynb_checkpoints", ".gitkeep"))
    assert f"clipviz-{clipviz.__version__}.dist-info/METADATA" in held


def test_the_wheel_is_small(wheel):
    size = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {size:.1f} MB")
    assert size < 20
    weights = ROOT / "clipviz" / "assets" / "clipviz-tiny" / "open_clip_model.safetensors"
    assert weights.stat().st_size <= 8e6


NO_NETWORK = """
import socket
def refuse(*args, **kwargs):
    raise OSError("this test has no network")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = socket.create_connection = refuse
"""

USE = """
import pathlib, socket, sys
try:
    socket.create_connection(("127.0.0.1", 9))
except OSError as error:
    assert "no network" in str(error), error
else:
    raise AssertionError("the network is open")
import clipviz, numpy
from PIL import Image, ImageDraw
home = pathlib.Path(clipviz.__file__).resolve()
assert home.is_relative_to(pathlib.Path(sys.prefix).resolve()), home
picture = Image.new("RGB", (224, 224), "white")
draw = ImageDraw.Draw(picture)
draw.ellipse((130, 130, 190, 190), fill="red")
draw.rectangle((30, 30, 80, 80), fill="blue")
heatmap = clipviz.gradcam(picture, "a red circle")
assert heatmap.values.ndim == 2 and heatmap.values.dtype == numpy.float32
assert numpy.isfinite(heatmap.values).all() and numpy.ptp(heatmap.values) > 0
assert heatmap.on_image().shape == (224, 224)
print("peak", heatmap.peak(), "score", heatmap.score)
heatmap.save("circle.png")
assert pathlib.Path("circle.png").stat().st_size > 1000
from clipviz import assets
assert assets.find("notebooks", "01_gradcam.ipynb").is_relative_to(home.parent)
assert assets.find("audits", "README").is_relative_to(home.parent)
"""


def has_uv() -> bool:
    """Whether uv runs; a version manager's shim may exist and fail."""
    try:
        return subprocess.run(["uv", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


def install(wheel: Path, env: Path) -> None:
    constraints = ["-c", str(ROOT / "constraints.txt"), str(wheel)]
    if has_uv():
        steps = [
            ["uv", "venv", "--python", sys.executable, str(env)],
            ["uv", "pip", "install", "--python", str(env / "bin" / "python"), *constraints],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(env)],
            [str(env / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", *constraints],
        ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, cwd=wheel.parent)
        assert done.returncode == 0, f"{' '.join(step)}\n{done.stdout}{done.stderr}"


@pytest.mark.slow
def test_a_bare_installation_works_with_no_network(wheel, tmp_path):
    env, home, here, block = (tmp_path / name for name in ("env", "home", "here", "block"))
    for folder in (home, here, block):
        folder.mkdir()
    try:
        install(wheel, env)
        (block / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TMPDIR", "OMP_NUM_THREADS")}
        clean = {**keep, "HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(block)}

        def run(*command: str) -> str:
            done = subprocess.run(command, capture_output=True, text=True, cwd=here, env=clean, timeout=600)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        print(run(str(env / "bin" / "python"), "-c", USE))
        said = run(str(env / "bin" / "clipviz"), "demo", "--out", str(here / "demo"))
        pages = list((here / "demo").rglob("*.html"))
        assert pages, said
        assert pages[0].stat().st_size > 10_000
        assert str(pages[0]) in said.replace("\n", ""), said
    finally:
        shutil.rmtree(env, ignore_errors=True)
