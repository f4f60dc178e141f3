"""Every notebook runs from top to bottom in a copy, and neither its outputs nor its widgets hold an error.

A panel catches its own errors, so a notebook that ended is not a notebook that worked: the widgets' state is read too.
"""

from __future__ import annotations

import base64
import io
import os
import re
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
LIMIT_S = 300  # of the whole notebook, on a busy machine


def run(notebook, folder, **options):
    """The notebook with outputs and widget state, run in ``folder`` by this interpreter on this checkout."""
    data = os.environ.get("CLIPVIZ_TEST_DATA") or ROOT.parent / "shared"
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CLIPVIZ_TEST_DATA": str(Path(data).resolve())}
    env = {"CLIPVIZ_TRAIN_SECONDS": "15", **env}  # the notebook that trains takes two minutes of its reader's time
    NotebookClient(notebook, timeout=LIMIT_S, resources={"metadata": {"path": str(folder)}}, **options).execute(env=env)
    return notebook


def faults(notebook):
    """Each thing that went wrong in a notebook that was run, as a sentence."""
    found = []
    widgets = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        if cell.source.strip() and cell.execution_count is None:
            found.append(f"cell {number} was not run")
        for output in cell.outputs:
            found += [f"cell {number}: {fault}" for fault in _faults_of_output(output)]
            view = output.get("data", {}).get(VIEW)
            if view and view["model_id"] not in widgets:
                found.append(f"cell {number}: its widget has no state")
    for model in widgets.values():
        name, state = model["model_name"], model["state"]
        if name == "HTMLModel" and re.search('class="clipviz-error"|Traceback', state.get("value", "")):
            found.append("a panel shows: " + re.sub("<[^>]+>", " ", state["value"]).strip())
        if name == "ImageModel" and (fault := _fault_of_picture(model)):
            found.append(fault)
        if name == "OutputModel":
            for output in state.get("outputs", ()):
                found += [f"an Output widget: {fault}" for fault in _faults_of_output(output)]
    return found


def _faults_of_output(output):
    if output["output_type"] == "error":
        return [f"{output['ename']}: {output['evalue']}"]
    if output["output_type"] == "stream" and "Traceback (most recent call last)" in output["text"]:
        return ["a traceback was printed"]
    return []


def _fault_of_picture(model):
    held = [buffer for buffer in model.get("buffers", ()) if buffer["path"] == ["value"]]
    if not held or not held[0]["data"]:
        return "an Image widget is empty"
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(held[0]["data"])))
        picture.load()
    except OSError as error:
        return f"an Image widget holds no picture: {error}"
    return "" if picture.format == "PNG" else f"an Image widget holds {picture.format}"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_untouched(path, tmp_path, record_property):
    began = time.monotonic()
    notebook = run(nbformat.read(path, as_version=4), tmp_path)
    record_property("seconds", round(time.monotonic() - began, 1))
    assert faults(notebook) == []
    assert any(VIEW in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))
    pictures = [m for m in notebook.metadata.widgets[STATE]["state"].values() if m["model_name"] == "ImageModel"]
    assert pictures, "the panel's figure is in the state"


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3" and "widgets" not in notebook.metadata
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None, cell.id


PLANTED = """
import clipviz, ipywidgets as widgets
panel = clipviz.workbench(model="no/such/folder")
panel
---
1 / 0
---
out = widgets.Output()
with out:
    raise KeyError("swallowed")
---
widgets.Image(format="png")
---
widgets.Image(value=b"no picture", format="png")
---
import sys, traceback
try:
    raise ValueError("printed")
except ValueError:
    traceback.print_exc()
---
widgets.HTML("all is well")
"""


def test_the_scan_finds_planted_faults(tmp_path):
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in PLANTED.split("---")]
    notebook = run(nbformat.v4.new_notebook(cells=cells), tmp_path, allow_errors=True)
    found = "\n".join(faults(notebook))
    assert "a panel shows: There is no folder" in found and "no/such/folder" in found
    assert "cell 1: ZeroDivisionError" in found
    assert "KeyError: 'swallowed'" in found
    assert found.count("an Image widget is empty") == 2, "the widget alone, and the panel's figure that never came"
    assert "an Image widget holds no picture" in found
    assert "cell 5: a traceback was printed" in found
    assert "cell 6" not in found and "all is well" not in found
    del notebook.metadata["widgets"]
    assert "cell 0: its widget has no state" in "\n".join(faults(notebook))
    notebook.cells[6].execution_count = None
    assert "cell 6 was not run" in "\n".join(faults(notebook))
