"""The course in a real browser: what `gtlab lab` opens, run there, and its widgets used.

Set GTLAB_SCREENSHOTS to a folder to keep pictures of the pages.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support import wait_until

from gtlab.lab import chosen
from gtlab.localcloud import process

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.browser, pytest.mark.long(35),
              pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")]

# The page's own objects run all cells and say when the kernel has done with them: no clicking through menus.
RUN_ALL = """async () => {
    const app = window.jupyterapp;
    await app.commands.execute('notebook:run-all-cells');
}"""
ALL_RUN = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const cells = panel.content.widgets.filter(cell => cell.model.type === 'code');
    return panel.sessionContext.session?.kernel?.status === 'idle'
        && cells.every(cell => cell.model.executionCount !== null);
}"""


@pytest.fixture(scope="module")
def jupyter(cloud, tmp_path_factory):
    """JupyterLab as `gtlab lab` starts it on a working copy, with folders of its own; gives its address."""
    folder = tmp_path_factory.mktemp("jupyter")
    config = folder / "config"
    config.mkdir()
    (config / "jupyter_server_config.json").write_text(json.dumps({
        "IdentityProvider": {"token": "course"}, "LabApp": {"expose_app_in_browser": True, "news_url": None},
        "ServerApp": {"allow_root": True, "open_browser": False}}))
    (config / "labconfig").mkdir()
    (config / "labconfig" / "default_setting_overrides.json").write_text(json.dumps({
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"JUPYTER_CONFIG_DIR": config, "JUPYTER_DATA_DIR": folder / "data", "IPYTHONDIR": folder / "ipython",
           "JUPYTER_RUNTIME_DIR": folder / "runtime", "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
           "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces", "HOME": folder}
    log = open(folder / "jupyter.log", "w")
    process = subprocess.Popen(
        [sys.executable, "-m", "gtlab", "lab", str(folder / "course"), "--no-browser", "--port", str(port)],
        env=os.environ | {name: str(value) for name, value in own.items()}, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: process.poll() is not None or f"127.0.0.1:{port}" in (folder / "jupyter.log").read_text(),
                   "JupyterLab to print its address", seconds=60)
        assert process.poll() is None, (folder / "jupyter.log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.fixture
def page(jupyter):
    """A fresh browser page; it may ask this machine only, and what else it asked for fails the test."""
    from playwright.sync_api import sync_playwright

    strays = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})

        def guard(route):
            if route.request.url.startswith((jupyter, "data:", "blob:")):
                route.continue_()
            else:
                strays.append(route.request.url)
                route.abort()

        page.route("**/*", guard)
        page.set_default_timeout(90_000)
        yield page
        browser.close()
    assert strays == []


def open_and_run(page, address: str) -> None:
    page.goto(address)
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady")
    page.evaluate(RUN_ALL)
    page.wait_for_function(ALL_RUN, timeout=180_000)  # some break things for seconds, on purpose


def shoot(page, name: str) -> None:
    """Pictures of a whole notebook, screen after screen, where GTLAB_SCREENSHOTS asks for them."""
    folder = os.environ.get("GTLAB_SCREENSHOTS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    cells = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")
    for cell in range(0, cells, 3):
        page.evaluate("index => window.jupyterapp.shell.currentWidget.content.scrollToItem(index, 'start')", cell)
        page.wait_for_timeout(300)
        page.screenshot(path=f"{folder}/{name}-{cell:02d}.png")


def errors(page) -> list[str]:
    """The error outputs of all cells, those inside widgets too."""
    return page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").all_text_contents()


def test_the_lab_opens_on_the_first_notebook_and_a_choice_is_kept(jupyter, page):
    open_and_run(page, f"{jupyter}/?token=course&reset")  # where `gtlab lab` leads, not a notebook's own address
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.title.label") == "00_start_here.ipynb"
    assert errors(page) == []
    shoot(page, "00")
    page.evaluate("index => window.jupyterapp.shell.currentWidget.content.scrollToItem(index, 'start')", 8)
    page.locator(".gt-map").get_by_label("São Paulo, Brazil").click()
    wait_until(lambda: chosen().replicas == ("us-east-1", "eu-west-1", "sa-east-1"), "the choice to be kept")
    page.locator(".gt-message").get_by_text("Saved: Singapore (home), N. Virginia, Ireland, São Paulo").wait_for()
    shoot(page, "00-chosen")
    (process.state_folder() / "choice.json").unlink()


@pytest.mark.parametrize(("notebook", "charts"), [("02_create_the_global_table", 3), ("03_verify_replication", 2),
                                                  ("04_time_it", 4), ("05_build_it_today", 3),
                                                  ("06_break_it", 2), ("07_fail_over", 2)])
def test_a_notebook_runs_by_hand_and_draws(jupyter, page, notebook, charts):
    open_and_run(page, f"{jupyter}/lab/tree/{notebook}.ipynb?token=course&reset")
    assert errors(page) == []
    shoot(page, notebook[:2])
    drawn = page.evaluate("""() => window.jupyterapp.shell.currentWidget.content.widgets
        .flatMap(cell => cell.model.outputs ? Array.from({length: cell.model.outputs.length},
                 (_, i) => cell.model.outputs.get(i)) : [])
        .filter(output => 'application/vnd.plotly.v1+json' in output.data).length""")
    assert drawn == charts
    page.locator(".js-plotly-plot .main-svg").first.wait_for(state="attached")
    waits = [text for text in page.locator(".widget-html-content").all_text_contents() if "ACTIVE" in text]
    assert waits or notebook[:2] not in ("02", "05")
    assert not any("-" in text for text in waits), "Region names are parted at the end of a line"
