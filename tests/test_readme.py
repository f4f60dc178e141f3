"""The README tells the truth: every block in it runs, every link leads somewhere, and the two commands are there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BIN = Path(sys.executable).parent
SHELL, PYTHON, PROSE = {"sh", "bash", "shell", "console"}, {"python", "py", "pycon"}, {"text", "yaml", "toml", "json"}


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int  # of the first line inside the fence


def blocks(markdown: str) -> list[Block]:
    found, inside, kept, start, language = [], "", [], 0, ""
    for number, line in enumerate(markdown.splitlines(), 1):
        fence = re.match(r"\s*(`{3,}|~{3,})\s*([\w+-]*)", line)
        if inside:
            if fence and fence[1].startswith(inside) and not fence[2]:
                found.append(Block(language, "\n".join(kept) + "\n", start))
                inside = ""
            else:
                kept.append(line)
        elif fence:
            inside, language, kept, start = fence[1], fence[2].lower(), [], number + 1
    assert not inside, f"README.md:{start - 1}: this block is never closed"
    return found


def commands(text: str) -> list[str]:
    """The commands of a shell block: comments, prompts and continued lines put right, a console's output left out."""
    joined = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    prompted = [line for line in joined if line.lstrip().startswith("$ ")]
    lines = [line.lstrip()[2:] for line in prompted] or joined
    parts = [part for line in lines for part in re.split(r"\s+&&\s+", line.strip())]
    return [part for part in parts if part and not part.startswith("#") and shlex.split(part, comments=True)]


def inputs(text: str) -> set[str]:
    """Picture files that a block reads: named in it, and not as where something is written."""
    written = set(re.findall(r"(?:save\(|--out[= ]|-o |path=|> ?)\s*f?[\"']?([\w./-]+)", text))
    named = set(re.findall(r"[\w./-]*\w\.(?:jpe?g|png|webp)\b", text))
    return {name for name in named - written if not name.startswith("/")}


BLOCKS = blocks(README.read_text(encoding="utf-8"))


def sample(path: Path) -> None:
    """A photograph with a free licence, as every installation of clipviz has one: the temple of scikit-learn."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        Image.fromarray(load_sample_image("china.jpg")).save(path)


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder such as a reader has: the pictures that the README names, a folder of pictures, and nothing else."""
    folder = tmp_path_factory.mktemp("reader")
    made = {name for block in BLOCKS for name in re.findall(r"(?:save\(|--out[= ])[\"']?([\w./-]+)", block.text)}
    for name in {"photo.jpg", "photos/one.jpg", "photos/two.jpg"} | {n for b in BLOCKS for n in inputs(b.text)}:
        if name not in made:
            sample(folder / name)
    # What the README shows of the project itself (its own pictures and notebooks) lies where it lies in a clone.
    for name in ("docs", "notebooks", "benchmarks", "train", "audits"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
    return folder


def surroundings() -> dict[str, str]:
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1"}


def execute(command: list[str], where: Path, name: str) -> str:
    done = subprocess.run(
        command, cwd=where, env=surroundings(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"{name}\n{done.stdout}\n{done.stderr}"
    return done.stdout


PYTHON_RUNNER = """
import ast, doctest, json, sys
blocks = json.load(open(sys.argv[1], encoding="utf-8"))
shared = {"__name__": "__main__"}
for line, text in blocks:
    if ">>>" in text:
        test = doctest.DocTestParser().get_doctest(text, shared, "README.md", "README.md", line - 1)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        runner.run(test, clear_globs=False)
        shared.update(test.globs)
        if runner.failures:
            sys.exit(1)
    else:
        exec(compile(ast.parse("\\n" * (line - 1) + text), "README.md", "exec"), shared)
    print(f"ran README.md:{line}")
"""


def run_python(found: list[Block], where: Path) -> str:
    (where / "blocks.json").write_text(json.dumps([(b.line, b.text) for b in found]), encoding="utf-8")
    return execute([sys.executable, "-c", PYTHON_RUNNER, "blocks.json"], where, "the Python blocks of README.md")


def make_target(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"make {target}: {done.stderr}"


def run_shell(block: Block, where: Path) -> list[str]:
    """Run the commands of a block; returns those that were run and not only looked up."""
    ran = []
    for command in commands(block.text):
        words = shlex.split(command, comments=True)
        if words[0] == "make":
            for target in words[1:]:
                make_target(target)
        elif words[:2] == ["git", "clone"] or words[0] == "cd":
            continue
        elif (words[0] in ("pip", "uv", "conda") and "install" in words) or words[:2] == ["conda", "env"]:
            # What it installs is installed here; test_packaging does it for real, in an empty environment.
            continue
        else:
            execute(["bash", "-ec", command], where, f"README.md:{block.line}: {command}")
            ran.append(command)
    return ran


def test_it_names_the_two_commands():
    shell = [command for block in BLOCKS if block.language in SHELL for command in commands(block.text)]
    said = [shlex.join(shlex.split(command, comments=True)) for command in shell]
    assert "make demo" in said
    assert "make test" in said


def test_no_block_escapes():
    for block in BLOCKS:
        known = SHELL | PYTHON | PROSE
        assert block.language in known, f"README.md:{block.line}: name the block's language, one of {sorted(known)}"


def test_the_python_blocks_run_one_after_the_other(desk):
    found = [block for block in BLOCKS if block.language in PYTHON]
    assert found, "README.md has no Python block"
    said = run_python(found, desk)
    assert [f"ran README.md:{block.line}" for block in found] == re.findall(r"ran README\.md:\d+", said)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in SHELL], ids=lambda b: f"line {b.line}")
def test_the_commands_run(block, desk):
    assert commands(block.text), f"README.md:{block.line}: there is no command in this block"
    run_shell(block, desk)


def test_links_and_pictures_lead_somewhere():
    text = re.sub(r"```.*?```", "", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    for target in targets:
        if not re.match(r"[a-z]+:|#", target):
            path = ROOT / target.partition("#")[0]
            assert path.exists(), f"README.md links to {target}, which is not there"
            assert path.resolve().is_relative_to(ROOT), f"README.md links out of the clone: {target}"


# How this file reads a README, shown on small ones: a block that is skipped by mistake would pass for ever.


def test_blocks_are_found():
    text = "# a\n\n```python\nx = 1\n```\n\n  ~~~sh\n  ls\n  ~~~\n````text\n```\n````\n"
    assert [(b.language, b.line) for b in blocks(text)] == [("python", 4), ("sh", 8), ("text", 11)]
    with pytest.raises(AssertionError, match="never closed"):
        blocks("```python\nx = 1\n")


def test_commands_are_found():
    plain = "# first\nmake demo   # look\n\ngit clone a b && cd b\n"
    assert commands(plain) == ["make demo   # look", "git clone a b", "cd b"]
    console = "$ clipviz gradcam a.jpg \\\n    'the forest'\nwrote it\n"
    assert commands(console) == ["clipviz gradcam a.jpg 'the forest'"]


def test_read_files_are_told_from_written_ones():
    assert inputs('clipviz.gradcam("a.jpg", "x").save("b.png")') == {"a.jpg"}
    assert inputs("clipviz gradcam pics/a.png 'x' --out b.png") == {"pics/a.png"}


def test_a_false_block_is_noticed(tmp_path):
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_python([Block("python", "x = 0\n", 1), Block("python", "1 / x\n", 5)], tmp_path)
    with pytest.raises(AssertionError, match="Expected"):
        run_python([Block("python", ">>> 1 + 1\n3\n", 1)], tmp_path)
    with pytest.raises(AssertionError, match="no-such-command"):
        run_shell(Block("sh", "no-such-command\n", 1), tmp_path)
    with pytest.raises(AssertionError, match="no-such-target"):
        run_shell(Block("sh", "make no-such-target\n", 1), tmp_path)
    assert run_shell(Block("sh", "echo yes > said.txt\nmake demo\n", 1), tmp_path) == ["echo yes > said.txt"]
    assert (tmp_path / "said.txt").read_text() == "yes\n"


@pytest.mark.slow
def test_make_demo_ends_with_a_page():
    said = subprocess.run(["make", "demo"], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    pages = [ROOT / name for name in re.findall(r"[^\s'\"]+\.html", said.stdout)]
    assert pages, f"make demo does not say where its page is:\n{said.stdout}"
    html = pages[0].read_text(encoding="utf-8")
    assert "<html" in html
    assert "data:image/" in html, "the page has no picture in it"
    outside = re.findall(r"<(?:link|script|img|iframe)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*>", html)
    assert not outside, f"the page needs the network: {outside[:3]}"
