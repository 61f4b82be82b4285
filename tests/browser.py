"""JupyterLab as `gtlab lab` opens it, a browser that uses it, and what a test does and measures in a page.

The benchmarks and docs/images/make.py use it too. The fixtures are found through conftest.py. A worker of the tests has
one JupyterLab server; browser tests that follow each other have one browser, and in it one page in which JupyterLab is
open. Loading JupyterLab takes longer than running most notebooks, so they open their notebooks in this page (fixture
``page``). A test of what happens from the start of a page has one that was never used (fixture ``fresh_page``); the
next tests go on in it. Notebook 7 has a page that is closed at the end (fixture ``page_beside``).
Set GTLAB_SCREENSHOTS to a folder to keep pictures of the pages.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError
from support import wait_until

from gtlab.course import progress
from gtlab.localcloud import process as local_cloud

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")
# Chromium loads two pages for the menu of each window's address bar: a second of processor time for each window, and no
# window is seen. The list replaces Playwright's, whose names are repeated.
WITHOUT = ("WebUIOmniboxPopup", "WebUIOmniboxFullPopup", "WebUIOmniboxAimPopup",
           "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync",
           "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay",
           "MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch",
           "ThirdPartyStoragePartitioning")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-gpu",
             f"--disable-features={','.join(WITHOUT)}",
             "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # no other machine can be reached
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:")
SETTINGS = Path(".jupyter", "lab", "user-settings")  # in the home folder: what a user has set in JupyterLab
OWN_SETTING = Path("@jupyterlab", "fileeditor-extension", "plugin.jupyterlab-settings")

VIEWPORT = {"width": 1280, "height": 900}
# What each picture must be readable in: the window's width in px, with JupyterLab's sidebar open, and the theme.
LOOKS = [(width, theme) for width in (900, 1400) for theme in ("Light", "Dark")]
EACH_ONCE = (LOOKS[0], LOOKS[-1])  # each width once and each theme once

# JupyterLab shows its own objects to a page that is configured so. This is done in the page: the server is as the
# command starts it.
EXPOSE = """document.addEventListener('readystatechange', () => {
    const data = document.getElementById('jupyter-config-data');
    if (document.readyState !== 'interactive' || !data) return;
    data.textContent = JSON.stringify({...JSON.parse(data.textContent), exposeAppInBrowser: true});
});"""
# Errors of other people's code. Notebook 7.6 has two on any page of its own. anywidget rejects a promise when a widget
# takes more than two seconds to load, as on a busy machine; a widget that does not appear fails its test anyway.
# JupyterLab rejects the promise of a subshell when a notebook is closed before its kernel has answered.
OF_OTHERS = ("Cannot read properties of undefined (reading 'schema')",
             "Command 'filebrowser:open-path' not registered.", "[anywidget] Failed to initialize model.",
             "Canceled future for create_subshell_request message before replies were done")
READY = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady"
OPEN = "path => { window.jupyterapp.commands.execute('docmanager:open', {path}); }"
OPENED = f"path => window.jupyterapp.shell.currentWidget?.context?.path === path && ({READY})()"
SEEN = ".jp-NotebookPanel:not(.lm-mod-hidden)"  # the selector of the notebook in front of the others
# As it is on disk: nothing is saved.
CLOSE_ALL = "() => [...window.jupyterapp.shell.widgets('main')].forEach(widget => widget.dispose())"
RUN_ALL = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
# How far a notebook has run. After a cell with an error JupyterLab runs no other: that is an end too. An empty cell,
# such as the one that Shift+Enter adds at the end, has nothing to run.
PROGRESS = """first => {
    const panel = window.jupyterapp.shell.currentWidget;
    const kernel = panel.sessionContext.session?.kernel;
    const code = panel.content.widgets
        .filter(({model}) => model.type === 'code' && model.sharedModel.source.trim()).slice(0, first ?? undefined);
    const cells = code.map(({model}) => ({
        count: model.executionCount, state: model.executionState,
        error: Array.from({length: model.outputs.length}, (_, at) => model.outputs.get(at))
                    .filter(output => output.type === 'error').map(output => output.toJSON())
                    .map(output => `${output.ename}: ${output.evalue}`)[0] ?? null,
    }));
    const idle = kernel?.status === 'idle' && cells.every(cell => cell.state !== 'running');
    return {
        kernel: kernel?.status ?? 'none', connection: kernel?.connectionStatus ?? 'none', cells,
        ended: idle && (cells.every(cell => cell.count !== null) || cells.some(cell => cell.error !== null)),
    };
}"""
# Returns the cells that will run: their positions, and what their counts are before.
RUN_SOME = """([holds, above, below]) => {
    const {commands, shell} = window.jupyterapp, notebook = shell.currentWidget.content;
    const has = ({model}) => model.type === 'code' && model.sharedModel.source.includes(holds);
    const at = notebook.widgets.findIndex(has);
    if (at < 0) throw new Error(`no cell has: ${holds}`);
    const asked = notebook.widgets.map(({model}, position) => ({model, position}))
        .filter(({model, position}) => model.type === 'code' && model.sharedModel.source.trim()
                && (position === at || above && position < at || below && position > at))
        .map(({model, position}) => ({position, before: model.executionCount}));
    notebook.activeCellIndex = at + above;
    commands.execute(above ? 'notebook:run-all-above' : below ? 'notebook:run-all-below' : 'notebook:run-cell');
    return asked;
}"""
HAVE_RUN = """asked => {
    const panel = window.jupyterapp.shell.currentWidget;
    return panel.sessionContext.session?.kernel?.status === 'idle' && asked.every(({position, before}) => {
        const {model} = panel.content.widgets[position];
        return model.executionState !== 'running' && ![null, before].includes(model.executionCount);
    });
}"""
# Everything with text in a widget, that is cut off or smaller than 11 px; labels of the map must be within it.
UNREADABLE = """selector => {
    const root = document.querySelector(selector);
    const outer = root.getBoundingClientRect();
    const bad = [];
    for (const node of root.querySelectorAll('*')) {
        const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
        if (!own || !node.getClientRects().length) continue;
        const size = parseFloat(getComputedStyle(node).fontSize);
        const box = node.getBoundingClientRect();
        const map = node.closest('svg.gt-map')?.getBoundingClientRect() ?? outer;
        if (size < 11) bad.push(`${node.textContent}: ${size} px`);
        if (box.left < map.left - 1 || box.right > map.right + 1) bad.push(`${node.textContent}: outside`);
        if (node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== 'inline'
            && !(node instanceof SVGElement)) bad.push(`${node.textContent}: cut off`);
    }
    return bad;
}"""


@dataclass(frozen=True)
class Jupyter:
    """A server that `gtlab lab` started. ``printed`` is the address that it told the user to open."""

    printed: str
    home: Path  # the user's home folder
    log: Path

    @property
    def address(self) -> str:
        return self.printed.partition("/lab")[0]

    @property
    def token(self) -> str:
        return self.printed.partition("token=")[2]

    def url(self, path: str, *, app: str = "lab/tree") -> str:
        """Where a file of the working copy opens, without what earlier tests had open."""
        return f"{self.address}/{app}/{path}?token={self.token}&reset"

    def ask(self, method: str, path: str, body: object = None) -> object:
        """A call of the server's REST API."""
        request = urllib.request.Request(
            f"{self.address}/api/{path}", method=method, headers={"Authorization": f"token {self.token}"},
            data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def save(self, name: str, *cells: str) -> str:
        """A notebook of these code cells in the working copy; gives its name."""
        import nbformat

        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
        self.ask("PUT", f"contents/{name}", {"type": "notebook", "format": "json", "content": notebook})
        return name

    def end_kernels(self) -> None:
        for session in self.ask("GET", "sessions"):
            self.ask("DELETE", f"sessions/{session['id']}")

    def settings(self) -> dict[str, str]:
        """The user's settings: contents by path."""
        folder = self.home / SETTINGS
        return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextlib.contextmanager
def gtlab_lab(home: Path, **variables: str) -> Iterator[Jupyter]:
    """`gtlab lab` for a user with this home folder, who has set one thing in JupyterLab. ``variables`` are added to the
    environment; the local cloud is the one of ``GTLAB_HOME``. Kernels are reached through Unix sockets: with so many
    processes at work, another may take one of a kernel's ports before the kernel does."""
    own = home / SETTINGS / OWN_SETTING
    own.parent.mkdir(parents=True)
    own.write_text('{"editorConfig": {"lineNumbers": true}}')
    (home / ".jupyter" / "jupyter_server_config.json").write_text('{"KernelManager": {"transport": "ipc"}}')
    log = home / "jupyter.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    sockets = tempfile.mkdtemp(prefix="gtlab-")  # a socket's path may have about a hundred characters
    port = random.randrange(12_000, 20_000)  # servers that start together must not all try the same one
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gtlab", "lab", str(home / "course"), "--no-browser", "--port", str(port)],
            env=environment | variables | {"HOME": str(home), "JUPYTER_RUNTIME_DIR": sockets}, stdout=out,
            stderr=subprocess.STDOUT)
    try:
        def printed():
            return process.poll() is not None or re.search(r"http://127\.0\.0\.1:\d+\S*token=\w+", log.read_text())
        found = wait_until(printed, "JupyterLab to print its address", seconds=300)
        assert process.poll() is None, log.read_text()
        jupyter = Jupyter(found.group(), home, log)
        yield jupyter
        jupyter.end_kernels()
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(sockets, ignore_errors=True)


@contextlib.contextmanager
def chromium() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def jupyter(cloud, tmp_path_factory) -> Iterator[Jupyter]:
    with gtlab_lab(tmp_path_factory.mktemp("jupyter")) as jupyter:
        yield jupyter


class Open:
    """What browser tests that follow each other share, whatever their modules are."""

    def __init__(self):
        self._stack, self._browser, self._lab = contextlib.ExitStack(), None, None

    def browser(self):
        if self._browser is None:
            self._browser = self._stack.enter_context(chromium())
        return self._browser

    def lab(self, jupyter: Jupyter) -> RunningLab:
        if self._lab is None:
            self._lab = RunningLab(jupyter, self.browser())
        return self._lab

    def close(self) -> None:
        self._browser = self._lab = None
        self._stack.close()


OPEN_NOW = Open()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Close the browser before a test that uses none: while it is open, no other test could run an event loop, and
    Playwright could not be started again."""
    if nextitem is None or "browser" not in getattr(nextitem, "fixturenames", ()):
        OPEN_NOW.close()


def pytest_sessionfinish() -> None:
    """A run that stops early leaves it open."""
    OPEN_NOW.close()


@pytest.fixture
def browser():
    """Chromium; browser tests that follow each other share it."""
    return OPEN_NOW.browser()


class RunningLab:
    """JupyterLab in a page that several tests use, one after the other."""

    def __init__(self, jupyter: Jupyter, browser):
        self._jupyter, self._browser = jupyter, browser
        self._watched: watched_page | None = None
        self._page = None

    def fresh(self):
        """A new page, in which nothing was loaded yet."""
        self.close()
        self._watched = watched_page(self._browser)
        self._page = self._watched.__enter__()
        return self._page

    def page(self):
        """The page, as large as at first; nothing is open."""
        if self._watched is None:
            self.fresh()
            self._page.goto(self._jupyter.url("", app="lab"))
            self._page.wait_for_function("() => window.jupyterapp?.shell")
            self._page.evaluate("() => window.jupyterapp.restored.then(() => null)")
            self._page.evaluate(CLOSE_ALL)
        self._page.set_viewport_size(VIEWPORT)
        return self._page

    def leave(self) -> None:
        """Close what is open. Fails where a page had an error or asked another machine."""
        self._page.evaluate(CLOSE_ALL)
        self._jupyter.end_kernels()
        self._watched.check()

    def close(self) -> None:
        """The next test gets a page of its own."""
        if self._watched is not None:
            self._watched.context.close()
            self._watched = None
            self._jupyter.end_kernels()


@pytest.fixture
def running_lab(jupyter, browser) -> RunningLab:
    return OPEN_NOW.lab(jupyter)


@pytest.fixture
def new_learner(jupyter) -> Iterator[None]:
    """The learner has chosen no Regions yet, predicted nothing and solved nothing, whatever ran before in this
    process."""
    choice = local_cloud.state_folder() / "choice.json"
    choice.unlink(missing_ok=True)
    progress.reset()
    yield
    choice.unlink(missing_ok=True)


@pytest.fixture
def page(request, running_lab, new_learner):
    """The page in which JupyterLab is open and nothing in it. A request to another machine or an error in the page
    fails the test; after a test that failed, the next one gets a new page."""
    with left_clean(request, running_lab):
        yield running_lab.page()


@pytest.fixture
def fresh_page(request, running_lab, new_learner):
    """A page of a browser that has never been used; it is watched as ``page`` is."""
    with left_clean(request, running_lab):
        yield running_lab.fresh()


@pytest.fixture
def page_beside(jupyter, browser, new_learner):
    """A page that is closed at the end, for what is not JupyterLab: the page of the other tests stays open."""
    with watched_page(browser) as page:
        yield page
    jupyter.end_kernels()


@contextlib.contextmanager
def left_clean(request, lab: RunningLab) -> Iterator[None]:
    failed, left = request.session.testsfailed, False
    yield
    try:
        if request.session.testsfailed == failed:
            lab.leave()
            left = True
    finally:
        if not left:
            lab.close()


class watched_page:
    """A context manager: a new page, and at its end an AssertionError if it asked another machine or had an error."""

    def __init__(self, browser, **options: object):
        self.problems: list[str] = []
        self.context = browser.new_context(**{"viewport": VIEWPORT} | options)
        self.context.add_init_script(EXPOSE)
        self.context.set_default_timeout(120_000)
        self.context.on("request", lambda request: self._see(request.url))
        self.context.on("weberror", self._fail)

    def _fail(self, error) -> None:
        if not str(error.error).endswith(OF_OTHERS):
            self.problems.append(f"error in the page: {error.error}")

    def _see(self, url: str) -> None:
        if not url.startswith(LOCAL):
            self.problems.append(f"request to {url}")

    def check(self) -> None:
        found, self.problems = self.problems, []
        assert found == []

    def __enter__(self):
        page = self.context.new_page()
        page.on("websocket", lambda socket: self._see(socket.url))
        page.on("crash", lambda _: self.problems.append("the page crashed"))
        # Otherwise a condition is looked at each time that the page is drawn, which takes a large part of the time.
        page.wait_for_function = functools.partial(page.wait_for_function, polling=100)
        return page

    def __exit__(self, kind, error, trace) -> None:
        self.context.close()
        if error is None:
            self.check()


@pytest.fixture
def theme(jupyter):
    """``theme(page, "Dark")`` switches JupyterLab's theme. At the end it is light, and the user's settings are as
    before. A test names this fixture before its page: then it ends after the page's, when no notebook is open any more
    that would be drawn again."""
    before, pages = jupyter.settings(), set()

    def switch(page, name: str) -> None:
        pages.add(page)
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
                      f"JupyterLab {name}")
        page.wait_for_function("light => document.body.dataset.jpThemeLight === light",
                               arg="false" if name == "Dark" else "true")

    yield switch
    for page in list(pages):
        if not page.is_closed():
            switch(page, "Light")
    for path in jupyter.settings():
        if path not in before:
            (jupyter.home / SETTINGS / path).unlink()


def load_notebook(page, address: str) -> None:
    """Load JupyterLab with a notebook, or Notebook 7."""
    page.goto(address)
    page.wait_for_function(READY)


def open_notebook(page, name: str) -> None:
    """Open a notebook of the working copy in a page in which JupyterLab is open."""
    page.evaluate(OPEN, name)
    page.wait_for_function(OPENED, arg=name)


def run_all(page) -> None:
    page.evaluate(RUN_ALL)
    wait_until_run(page)


def wait_until_run(page, first: int | None = None) -> None:
    """Wait until all code cells have run, or only the first ones; fail with their state if they cannot all run."""
    ended = f"first => {{ const now = ({PROGRESS})(first); return now.ended && now; }}"
    try:
        reached = page.wait_for_function(ended, arg=first, timeout=300_000).json_value()  # some break things for long
    except TimeoutError:
        pytest.fail(f"after five minutes: {page.evaluate(PROGRESS, first)}")
    errors = [cell["error"] for cell in reached["cells"] if cell["error"]]
    assert all(cell["count"] is not None for cell in reached["cells"]), errors


def run_cells(page, holds: str, *, above: bool = False, below: bool = False) -> None:
    """Run the first cell whose code has this text; also all cells above it, or below it. Wait until they have run."""
    asked = page.evaluate(RUN_SOME, [holds, above, below])
    try:
        page.wait_for_function(HAVE_RUN, arg=asked, timeout=300_000)
    except TimeoutError:
        pytest.fail(f"cells from {holds!r} on, after five minutes: {page.evaluate(PROGRESS, None)}")


def errors(page) -> list[str]:
    """The errors that code cells ended with, and what the page shows of any other, as in a widget's output."""
    ended = [cell["error"] for cell in page.evaluate(PROGRESS, None)["cells"] if cell["error"]]
    outputs = page.locator(".jp-OutputArea-output").all_text_contents()
    return ended + [text for text in outputs if "Traceback (most recent call last)" in text]


def violations(page, selector: str) -> list[str]:
    """What axe-core finds wrong in an element."""
    from axe_playwright_python.base import AXE_FILE_PATH

    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
    # What passed would be described too, element by element.
    run = "async selector => (await axe.run(selector, {resultTypes: ['violations']})).violations"
    return [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}: {each['nodes'][0]['failureSummary']}"
            for each in page.evaluate(run, selector)]


def settled(page) -> None:
    """Wait until what reacts to a new size or theme has been drawn: no change of the page for half a second. What
    happens in a live view does not count: it may never end, and its size changes in the same frame as the page's."""
    page.evaluate("""() => new Promise(done => {
        let quiet = setTimeout(done, 500);
        const inside = ({target}) => (target.closest ? target : target.parentElement)?.closest('.gt-live');
        const watch = new MutationObserver(changes => {
            if (changes.every(inside)) return;
            clearTimeout(quiet);
            quiet = setTimeout(done, 500);
        });
        watch.observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
        setTimeout(done, 10_000);
    })""")


def picture(page, name: str) -> None:
    """A picture of what is seen, where GTLAB_SCREENSHOTS asks for it."""
    if folder := os.environ.get("GTLAB_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def pictures(page, name: str) -> None:
    """Pictures of a whole notebook, screen after screen, where GTLAB_SCREENSHOTS asks for them."""
    if not os.environ.get("GTLAB_SCREENSHOTS"):
        return
    cells = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")
    for cell in range(0, cells, 3):
        page.evaluate("index => window.jupyterapp.shell.currentWidget.content.scrollToItem(index, 'start')", cell)
        page.wait_for_timeout(300)
        picture(page, f"{name}-{cell:02d}")
