"""Notebooks in a real JupyterLab, in a real Chromium: a person runs them and uses the panels."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "not-secret-on-this-machine"
START_S, RUN_S, ANSWER_MS = 120, 420, 60_000  # generous: the machine may be busy
# Of JupyterLab itself: a fresh profile has no saved workspace, and there is no network.
LABS_OWN = re.compile(r"/api/|/lab/|/static/|Failed to load resource|favicon|service ?worker", re.I)

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.alone]


def chromium():
    """The browser's program, wherever the system keeps it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def lab(tmp_path, require):
    """The address of a JupyterLab over copies of the notebooks; the server is ended afterwards."""
    try:
        import jupyterlab  # noqa: F401
    except ImportError:
        require(False, 'JupyterLab is not installed: pip install "clipviz[notebook]"')
    work, state = tmp_path / "work", tmp_path / "jupyter"
    work.mkdir()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copyfile(path, work / path.name)
    quiet = state / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    data = os.environ.get("CLIPVIZ_TEST_DATA") or ROOT.parent / "shared"
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "CLIPVIZ_TEST_DATA": str(Path(data).resolve()),
        "JUPYTERLAB_SETTINGS_DIR": str(state / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(state / "workspaces"),
        **{f"JUPYTER_{kind}_DIR": str(state / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")},
        "IPYTHONDIR": str(state / "ipython"),
    }
    port = free_port()
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={work}"]
    address = f"http://127.0.0.1:{port}"
    with open(tmp_path / "lab.log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=work, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(address, server, tmp_path / "lab.log")
            yield address
        finally:
            end(server)


def wait_for(address, server, log):
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail("JupyterLab did not start:\n" + log.read_text(errors="replace")[-2000:])


def end(server):
    """First politely, so that it ends its kernels."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)  # it leads its own group
            server.wait(10)


@pytest.fixture
def page(require):
    program = chromium()
    require(program, "no Chromium: apt-get install chromium, or name one in CHROMIUM")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        require(False, "the Python package playwright is not installed")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser.new_page(viewport={"width": 1360, "height": 1000})
        finally:
            browser.close()


def errors_in(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return [f"{output['ename']}: {output['evalue']}" for output in outputs if output["output_type"] == "error"]


def open_and_run(page, lab, notebook):
    """Open the notebook, run all cells by the menu, and give the last panel when it is there."""
    page.goto(f"{lab}/lab/tree/{notebook.name}?token={TOKEN}", timeout=START_S * 1000)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=START_S * 1000)
    # Not the notebook's own indicator: that says idle while the kernel still connects, and Run would ask for a kernel.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=START_S * 1000)
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    panel, last = page.locator(".clipviz-panel").last, page.locator(".jp-CodeCell .jp-InputPrompt").last
    until = time.monotonic() + RUN_S
    waiting = time.monotonic()
    while not panel.is_visible():
        if last.inner_text().strip() == "[*]:":
            waiting = time.monotonic()
        # A cell that fails takes those after it out of the queue.
        if time.monotonic() > until or time.monotonic() - waiting > 20:
            page.keyboard.press("Control+s")
            page.wait_for_timeout(3000)
            pytest.fail("The panel did not come: " + ("; ".join(errors_in(notebook)) or "no cell failed"))
        page.wait_for_timeout(500)
    panel.scroll_into_view_if_needed()
    return panel


def test_a_person_uses_the_panel(lab, page, tmp_path):
    from playwright.sync_api import expect

    expect.set_options(timeout=ANSWER_MS)
    said = []
    page.on("console", lambda m: m.type == "error" and said.append(f"{m.text} ({m.location.get('url', '')})"))
    page.on("pageerror", lambda error: said.append(f"uncaught: {error}"))
    page.set_default_timeout(ANSWER_MS)
    panel = open_and_run(page, lab, tmp_path / "work" / "01_gradcam.ipynb")
    figure = panel.locator("img.clipviz-figure")
    title = panel.locator(".clipviz-head")

    expect(title).to_contain_text("a red circle")
    for part in (figure, title, panel.locator(".clipviz-scale"), panel.get_by_text("highest at the")):
        expect(part).to_be_visible()
    assert figure.evaluate("image => image.naturalWidth") == 224
    page.screenshot(path=tmp_path / "1-first.png")

    def unlike(old):
        """Wait until the figure shows another picture, and give that."""
        expect(figure).not_to_have_attribute("src", old)
        page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=figure.element_handle())
        return figure.get_attribute("src")

    # another text: another score, another picture
    score, src = panel.locator(".clipviz-score").inner_text(), figure.get_attribute("src")
    panel.get_by_label("Text", exact=True).fill("a blue square")
    panel.get_by_label("Text", exact=True).press("Enter")
    expect(title).to_contain_text("a blue square")
    expect(panel.locator(".clipviz-score")).not_to_have_text(score)
    src = unlike(src)

    # the slider, by the keyboard: another drawing, the same score
    score = panel.locator(".clipviz-score").inner_text()
    handle = panel.get_by_role("slider")
    handle.focus()
    for _ in range(4):
        handle.press("ArrowRight")
    expect(panel.locator(".widget-readout")).to_have_text("80%")
    src = unlike(src)
    expect(panel.locator(".clipviz-score")).to_have_text(score)

    # another picture, in another view
    panel.get_by_label("Picture", exact=True).select_option("Photograph of a temple")
    src = unlike(src)
    panel.get_by_label("View", exact=True).select_option(label="tiles: all of it, in squares")
    expect(panel).to_contain_text("tiles view")
    src = unlike(src)
    page.screenshot(path=tmp_path / "2-photograph.png")

    # a bad path: one sentence, and the old figure is marked as old
    panel.get_by_label("Path", exact=True).fill("no/such/photo.jpg")
    panel.get_by_label("Path", exact=True).press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("There is no file 'no/such/photo.jpg'")
    expect(figure).to_have_class(re.compile("clipviz-stale"))
    page.screenshot(path=tmp_path / "3-bad-path.png")

    # an upload puts it right
    with page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Upload").click()
    chooser.value.set_files(small_picture(tmp_path))
    expect(panel.get_by_role("alert")).to_have_count(0)
    expect(panel.get_by_label("Picture", exact=True)).to_have_value("An uploaded file")
    unlike(src)
    assert figure.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [90, 60]
    page.screenshot(path=tmp_path / "4-upload.png")

    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    ours = [line for line in said if not LABS_OWN.search(line)]
    assert not ours, "\n".join(ours)


def test_a_person_moves_through_the_layers_and_sets_texts_against_each_other(lab, page, tmp_path):
    from playwright.sync_api import expect

    expect.set_options(timeout=ANSWER_MS)
    said = []
    page.on("console", lambda m: m.type == "error" and said.append(f"{m.text} ({m.location.get('url', '')})"))
    page.on("pageerror", lambda error: said.append(f"uncaught: {error}"))
    page.set_default_timeout(ANSWER_MS)
    versus = open_and_run(page, lab, tmp_path / "work" / "02_explainers.ipynb")
    depth = page.locator(".clipviz-panel").first

    # the slider, by the keyboard: another drawing of another layer, the same score
    depth.scroll_into_view_if_needed()
    figure, readout = depth.locator("img.clipviz-figure"), depth.locator(".widget-readout")
    expect(readout).to_have_text("3")
    assert figure.evaluate("image => image.naturalWidth") == 224
    page.screenshot(path=tmp_path / "1-last-layer.png")
    score, last = depth.locator(".clipviz-score").inner_text(), figure.get_attribute("src")
    depth.get_by_role("slider").focus()
    depth.get_by_role("slider").press("ArrowLeft")
    expect(readout).to_have_text("2")
    expect(figure).not_to_have_attribute("src", last)
    expect(depth).to_contain_text("Rank correlation with the map of layer 3")
    expect(depth.locator(".clipviz-score")).to_have_text(score)
    depth.get_by_label("Method", exact=True).select_option("legrad")
    expect(depth).to_contain_text("legrad, crop view")
    expect(readout).to_have_text("2")
    depth.get_by_label("Text", exact=True).fill("")
    depth.get_by_label("Text", exact=True).press("Enter")
    expect(depth.get_by_role("alert")).to_contain_text("empty")
    expect(figure).to_have_class(re.compile("clipviz-stale"))
    page.screenshot(path=tmp_path / "2-no-text.png")

    # two texts: three figures, a probability, and a text against itself
    versus.scroll_into_view_if_needed()
    figures, titles = versus.locator("img.clipviz-figure"), versus.locator(".clipviz-head")
    expect(figures).to_have_count(3)
    expect(titles.last).to_contain_text("difference of cosines")
    page.screenshot(path=tmp_path / "3-two-texts.png")
    old = figures.last.get_attribute("src")
    versus.get_by_label("Contrast", exact=True).select_option(label="softmax among the two")
    expect(titles.last).to_contain_text("probability")
    versus.get_by_label("Against", exact=True).fill("a blue triangle")
    versus.get_by_label("Against", exact=True).press("Enter")
    expect(titles.nth(1)).to_contain_text("a blue triangle")
    expect(figures.last).not_to_have_attribute("src", old)
    page.screenshot(path=tmp_path / "4-softmax.png")
    versus.get_by_label("Text", exact=True).fill("a blue triangle")
    versus.get_by_label("Text", exact=True).press("Enter")
    expect(versus.get_by_role("alert")).to_contain_text("against itself")
    page.screenshot(path=tmp_path / "5-itself.png")

    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    ours = [line for line in said if not LABS_OWN.search(line)]
    assert not ours, "\n".join(ours)


def test_a_person_looks_for_things(lab, page, tmp_path):
    from playwright.sync_api import expect

    expect.set_options(timeout=ANSWER_MS)
    said = []
    page.on("console", lambda m: m.type == "error" and said.append(f"{m.text} ({m.location.get('url', '')})"))
    page.on("pageerror", lambda error: said.append(f"uncaught: {error}"))
    page.set_default_timeout(ANSWER_MS)
    panel = open_and_run(page, lab, tmp_path / "work" / "03_detection.ipynb")
    panel.scroll_into_view_if_needed()
    figure, head = panel.locator("img.clipviz-figure"), panel.locator(".clipviz-head")
    expect(head).to_contain_text("clipviz-tiny, patches")
    expect(panel).to_contain_text("a pizza: nothing here")
    page.screenshot(path=tmp_path / "1-boxes.png")

    # a higher threshold, by the keyboard: another drawing
    old = figure.get_attribute("src")
    panel.get_by_role("slider").focus()
    panel.get_by_role("slider").press("End")
    expect(head).to_contain_text("No boxes")
    expect(figure).not_to_have_attribute("src", old)
    panel.get_by_role("slider").press("Home")
    expect(head).not_to_contain_text("No boxes")

    # other labels, another way, and the map of one label
    panel.get_by_label("Labels", exact=True).fill("a green circle\na red bar")
    panel.get_by_label("Labels", exact=True).blur()
    expect(panel).to_contain_text("a green circle: ")
    panel.get_by_label("Method", exact=True).select_option("grid: a crop for each window")
    expect(head).to_contain_text("clipviz-tiny, grid")
    old = figure.get_attribute("src")
    panel.get_by_label("Patches", exact=True).select_option("3 x 3 cells alone")
    expect(figure).not_to_have_attribute("src", old)
    old = figure.get_attribute("src")
    panel.get_by_label("Map", exact=True).select_option("a green circle")
    expect(figure).not_to_have_attribute("src", old)
    page.screenshot(path=tmp_path / "2-map.png")
    panel.get_by_label("Labels", exact=True).fill("")
    panel.get_by_label("Labels", exact=True).blur()
    expect(panel.get_by_role("alert")).to_contain_text("No label is given")
    expect(figure).to_have_class(re.compile("clipviz-stale"))
    page.screenshot(path=tmp_path / "3-no-label.png")

    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    ours = [line for line in said if not LABS_OWN.search(line)]
    assert not ours, "\n".join(ours)


def small_picture(folder):
    from PIL import Image

    path = folder / "mine.png"
    Image.new("RGB", (90, 60), (40, 120, 200)).save(path)
    return path
