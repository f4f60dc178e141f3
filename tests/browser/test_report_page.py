"""The page of an audit, in a real Chromium and before validators that come through npm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clipviz.reporting import report

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "auditing"))
from handmade import HOSTILE, make_audit

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PACKAGES = ("html-validate@9.7.1", "axe-core@4.14.1")  # the first that runs on Debian's node as on newer ones
RULES = {"root": True, "extends": ["html-validate:standard", "html-validate:a11y"]}
WAYS = (("light", 1280), ("dark", 1280), ("light", 360))


@pytest.fixture(scope="module")
def node(tmp_path_factory, require):
    """A folder with the validators' ``node_modules``."""
    npm = shutil.which("npm")
    require(npm, "no npm: apt-get install npm")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"name": "checks", "private": true}')
    (folder / ".htmlvalidate.json").write_text(json.dumps(RULES))
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"]
    done = subprocess.run([npm, "install", *options, *PACKAGES], cwd=folder, capture_output=True, text=True)
    require(done.returncode == 0, f"npm cannot install the validators: {done.stderr.strip()[-300:]}")
    return folder


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report of two audits, one of which is hostile: its pages, the one that leads to them last."""
    bounds = ("crime-related.race.gap.ci_low > 0.05", "crime-related.race.gap.ci_low > 0.9")
    hostile = make_audit(
        HOSTILE, groups=(HOSTILE, "White", "한국"), title=HOSTILE[:60], templates=("{} " + HOSTILE,), model=HOSTILE,
        failed=((HOSTILE, HOSTILE),), notes=(HOSTILE,), demonstration=True, headline=HOSTILE,
    )  # fmt: skip
    index = report(make_audit(fail_if=bounds), hostile, path=tmp_path_factory.mktemp("report"))
    return [*sorted(set(index.parent.glob("*.html")) - {index}), index]


def test_the_pages_are_valid_html(node, pages) -> None:
    program = node / "node_modules" / ".bin" / "html-validate"
    for page in pages:
        shutil.copyfile(page, node / page.name)
    names = [page.name for page in pages]
    done = subprocess.run([program, "-f", "text", *names], cwd=node, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (node / "bad.html").write_text("<p><div></p>")
    assert subprocess.run([program, "bad.html"], cwd=node, capture_output=True).returncode != 0


def test_a_reader_of_any_kind_can_use_the_pages(node, pages, require) -> None:
    names = ("chromium", "chromium-browser", "google-chrome")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    require(program, "no Chromium: apt-get install chromium, or name one in CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api")
    axe = (node / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            for scheme, width in WAYS:
                check(browser, axe, pages[0], scheme, width)
            for file in pages[1:]:
                check(browser, axe, file, "dark", 360)
        finally:
            browser.close()


def check(browser, axe, file, scheme, width) -> None:
    """No finding of axe, no request to anywhere, nothing said on the console, nothing wider than the window."""
    asked, said = [], []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, (file.name, width)
    for link in page.locator("main a[href]").all():
        target = link.get_attribute("href")
        assert target.startswith("#") or (file.parent / target).is_file(), target
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 20
    told = [f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:300]}" for one in found["violations"]]
    assert not told, "\n".join([f"{file.name}, {scheme}, {width} wide", *told])
    assert asked == [file.as_uri()] or all(url.startswith(("data:", file.as_uri())) for url in asked), asked
    assert not said, said
    page.close()
