"""The two commands: when .venv is made again, what each target runs, and what a machine without Python is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str, where: Path = ROOT, **setting: str) -> str:
    # A make that runs these tests hands its own variables down; this one starts without them.
    ours = {
        "MAKEFLAGS",
        "MFLAGS",
        "MAKEOVERRIDES",
        "MAKELEVEL",
        "SLOW",
        "ARGS",
        "JOBS",
        "CLIPVIZ_REQUIRE_ALL",
        "PYTHON",
    }
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(["make", *arguments], cwd=where, env={**clean, **setting}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_slow_tests_run_when_asked_for():
    quick = make("-n", "test")
    assert '-m "not alone and not slow"' in quick and '-m "alone and not slow"' in quick
    for command in ("ruff check", "mypy", "pytest"):
        assert command in quick
    asked = [make("-n", "test", "SLOW=1"), make("-n", "test", CLIPVIZ_REQUIRE_ALL="1"), make("-n", "test-all")]
    for everything in asked:
        assert "pytest" in everything
        assert "not slow" not in everything


@pytest.mark.parametrize("target", ["demo", "test", "test-all", "lint", "lab", "bench"])
def test_help_names_every_target(target):
    assert f"make {target}" in make("help")
    make("-n", target)


def test_the_environment_is_made_again_when_what_it_is_made_from_changes(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "make_venv.sh").write_text("mkdir -p .venv && touch .venv/.stamp && echo made\n")
    stamp = tmp_path / ".venv" / ".stamp"
    assert "made" in make(".venv/.stamp", where=tmp_path)
    assert "made" not in make(".venv/.stamp", where=tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        later = stamp.stat().st_mtime + 5
        os.utime(tmp_path / name, (later, later))
        assert "made" in make(".venv/.stamp", where=tmp_path), f"a newer {name} went unnoticed"
        os.utime(stamp, (later + 5, later + 5))


@pytest.fixture
def bare(tmp_path) -> Path:
    """A copy of the script on a machine with a shell, and with the commands that a test adds."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "scripts" / "make_venv.sh", tmp_path / "scripts")
    for name in ("sh", "rm", "dirname", "touch"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    return tmp_path


def command(bare: Path, name: str, script: str) -> None:
    path = bare / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def make_venv(bare: Path) -> tuple[int, str]:
    env = {"PATH": str(bare / "bin"), "LOG": str(bare / "log")}
    done = subprocess.run(["sh", "scripts/make_venv.sh"], cwd=bare, env=env, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_a_machine_without_python_is_told_so(bare):
    assert make_venv(bare) == (
        1,
        "clipviz needs Python 3.11, 3.12 or 3.13 and none was found: "
        "install one, or name it with make PYTHON=/path/to/python3.12.\n",
    )


def test_a_python_without_venv_is_told_so(bare):
    command(bare, "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    code, said = make_venv(bare)
    assert code == 1
    assert said.startswith("python3 has no venv module")
    assert "apt install python3-venv" in said


# A Python that makes an environment whose own Python is the same script, and writes down what it was asked.
PYTHON = """
echo "python $*" >> "$LOG"
case "$*" in
    *"print(sys.executable)"*) echo "$0" ;;
    "-m venv .venv") /bin/mkdir -p .venv/bin; /bin/cp "$0" .venv/bin/python ;;
esac
"""


def test_a_failing_shim_of_uv_means_pip(bare):
    command(bare, "python3.12", PYTHON)
    command(bare, "uv", "exit 127")
    assert make_venv(bare) == (0, "")
    log = (bare / "log").read_text()
    assert "python -m venv .venv" in log
    assert "python -m pip install --disable-pip-version-check -c constraints.txt -e .[all]" in log
    assert (bare / ".venv" / ".stamp").exists()


def test_uv_is_used_where_it_works_and_pip_where_it_fails_midway(bare):
    command(bare, "python3.12", PYTHON)
    uv = 'echo "uv $*" >> "$LOG"; if [ "$1" = venv ]; then /bin/mkdir -p .venv/bin; /bin/cp "$4" .venv/bin/python; fi'
    command(bare, "uv", uv)
    assert make_venv(bare) == (0, "")
    log = (bare / "log").read_text()
    assert "uv pip install --python .venv/bin/python -c constraints.txt -e .[all]" in log
    assert "-m pip install" not in log
    command(bare, "uv", uv + '; case "$*" in *install*) exit 1;; esac')
    code, said = make_venv(bare)
    assert (code, said) == (0, "uv could not install the packages; trying pip.\n")
    assert "-m pip install" in (bare / "log").read_text()


def test_the_script_of_ci_is_sound_shell():
    path = ROOT / ".ci" / "run"
    assert os.access(path, os.X_OK)
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = path.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    assert text.index("export CLIPVIZ_REQUIRE_ALL=1") < text.index("\nmake test\n")
