"""The board's pages in a browser: the instructor's and the projector's, with learners who try to write into them."""

from __future__ import annotations

import time

import pytest
from browser import PROGRESS, RUN_ALL, errors, needs_chromium, open_notebook, run_all, watched_page
from classes import running_board
from filelock import FileLock
from support import wait_until

from gtlab.classroom import catalogue, membership
from gtlab.lab import classmate
from gtlab.localcloud import process

pytestmark = [pytest.mark.browser, needs_chromium]

SCRIPT = "<img src=x onerror=\"window.pwned = 1\">"
LAGS = {"backend": "simulated: local cloud, fast network, built-in lag model",
        "rows": [[40.0, 45.0, 41.0, 46.0], [60.0, 66.0, 61.0, None]] * 10}


@pytest.fixture
def board(tmp_path):
    """A board with three learners; one of them has a name that is markup."""
    with running_board(tmp_path / "board", "--name", "Tuesday <b>class</b>") as board:
        cell = next(iter(catalogue.cells()["03"]))
        for name, answer in ((SCRIPT, "all"), ("Ana", "all"), ("Bo", "home")):
            now = time.time()
            board.report(board.join(name), ["predicted", "03-stale", answer, now],
                         ["place", "now", {"notebook": "03", "cell": cell}, now - 10 * 60],
                         ["hinted", "03-replica-write", 2, now], ["regions", "now", ["eu-west-1", "us-east-1"], now],
                         ["lags", "eu-west-1>us-east-1", LAGS, now])
        yield board


def contains(page, selector: str, text: str) -> None:
    page.wait_for_function("([selector, text]) => document.querySelector(selector)?.textContent.includes(text)",
                           arg=[selector, text])


@pytest.mark.long(20)
def test_the_instructor_and_the_projector_see_one_class(board, browser):
    with watched_page(browser) as page, watched_page(browser) as projector:
        page.goto(f"http://127.0.0.1:{board.port}/board#{board.token}")
        projector.goto(f"http://127.0.0.1:{board.port}/projector#{board.projector}")
        contains(page, "#count", "0 learners connected, 3 joined")
        contains(page, "#name", "Tuesday <b>class</b>")
        contains(page, "#learners", SCRIPT)
        contains(page, "#learners", "2 hints for 03")
        for each in (page, projector):
            contains(each, "#spread-finding", "2 of 3 expected: All of them")
            contains(each, "#code", board.code)
            contains(each, "#curve", "60 probes of 3 learners (simulated, fast network)")
            contains(each, "#map svg", "Ireland: 3")
            assert each.evaluate("window.pwned === undefined && !document.querySelector('#learners img')")
        assert "Ana" not in projector.content() and SCRIPT not in projector.text_content("body")
        assert not projector.is_visible("#event-form") and not projector.is_visible("#learners-card")

        page.fill("#note-form textarea", "Break <i>now</i>")
        page.click("#note-form button")
        contains(page, "#notes", "Break <i>now</i>")
        page.select_option("#question", "03-strong")
        contains(projector, "#question-text", catalogue.questions()["03-strong"].text)
        page.select_option("#event-form select", "lag everywhere")
        page.fill("#event-form [name=seconds]", "600")
        page.click("#event-form button:not([type])")
        for each in (page, projector):
            contains(each, "#countdown", "set the replication lag to 5 s everywhere")
        page.click("#mend")
        projector.wait_for_function("() => /called off|Over/.test(document.querySelector('#countdown').textContent)")
        page.click("#names")
        page.wait_for_function("() => document.querySelector('#learners-card').hidden")
        with page.expect_download() as download:
            page.click("[data-export=answers]")
        assert "Ana,03,03-stale,all," in download.value.path().read_text(encoding="utf-8-sig")


def test_a_page_without_a_token_shows_nothing(board, browser):
    with watched_page(browser) as page:
        page.goto(f"http://127.0.0.1:{board.port}/board#wrong")
        contains(page, "#message", "no valid token")
        assert "Ana" not in page.content() and board.code not in page.content()
        page.goto(f"http://127.0.0.1:{board.port}/")
        contains(page, "#notice", "no code, no items, no files")
        contains(page, "#command", f"gtlab class join http://127.0.0.1:{board.port} CODE")


@pytest.mark.long(25)
def test_a_learner_in_jupyterlab_is_seen_and_gets_a_note_below_the_last_cell(board, jupyter, page):
    cell = next(iter(catalogue.cells()["03"]))
    name = jupyter.save("03_class.ipynb", "import gtlab\nfrom gtlab import classroom",
                        f"classroom.join('{board.url}', '{board.code}', 'Dora')", "lab = gtlab.connect()", "1 + 1")
    notebook = jupyter.ask("GET", f"contents/{name}")
    notebook["content"]["cells"][-1]["id"] = cell  # as if it were the course's
    jupyter.ask("PUT", f"contents/{name}", notebook)
    try:
        open_notebook(page, name)
        run_all(page)
        assert errors(page) == []
        seen = wait_until(lambda: (found := board.learner("Dora")) and found["cell"] and found, "Dora's place", 120)
        assert (seen["notebook"], seen["cell"]) == ("03", 1) and seen["connected"]
        assert board.act(do="note", text="Look <b>up</b>").status == 200
        shown = page.locator(".jp-Cell", has_text="1 + 1").locator("[role=status]", has_text="Look <b>up</b>")
        shown.wait_for()
        assert board.act(do="pace", notebooks="02", solutions="").status == 200
        wait_until(lambda: classmate.news()["pace"]["notebooks"] == "02", "the pace")
        page.evaluate(RUN_ALL)  # it stops at the error
        wait_until(lambda: any("Notebook 03 is not open yet" in str(each["error"])
                               for each in page.evaluate(PROGRESS, None)["cells"]), "the refusal", 120)
    finally:
        membership.leave()
        with FileLock(process.state_folder() / classmate.AGENT_FILE).acquire(timeout=120):
            pass
