"""The board's pages in a browser: the instructor's and the projector's, with learners who try to write into them."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from browser import (
    PROGRESS,
    RUN_ALL,
    Jupyter,
    errors,
    gtlab_lab,
    load_notebook,
    needs_chromium,
    open_notebook,
    picture,
    run_all,
    run_cells,
    watched_page,
)
from classes import Learner, gtlab, running_board
from filelock import FileLock
from support import SOAK, wait_until

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


@dataclass
class Seat:
    """A learner at a machine of their own: JupyterLab in a page, and their local cloud."""

    learner: Learner
    jupyter: Jupyter
    page: Any


@pytest.fixture
def seats(tmp_path, browser):
    """Three learners with their own home folder, state folder, local cloud (on the fast network) and JupyterLab."""
    names = ("Anastasia", "Bogdan", "Cyprian")  # which stand nowhere in the course
    learners = [Learner(tmp_path / f"state-{name}", name) for name in names]
    with contextlib.ExitStack() as ends:
        def sit(learner: Learner) -> Jupyter:
            learner.home.mkdir()
            assert gtlab(learner.home, "up", "--network", "fast", "--in-memory").returncode == 0
            ends.callback(gtlab, learner.home, "down")
            (tmp_path / learner.name).mkdir()
            return ends.enter_context(gtlab_lab(tmp_path / learner.name, GTLAB_HOME=str(learner.home)))

        with ThreadPoolExecutor(3) as together:
            jupyters = list(together.map(sit, learners))
        for learner in learners:
            ends.callback(learner.leave)
        yield [Seat(learner, jupyter, ends.enter_context(watched_page(browser)))
               for learner, jupyter in zip(learners, jupyters, strict=True)]


WIDE = {"viewport": {"width": 1400, "height": 1000}}


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not SOAK, reason="three JupyterLabs: only with `make soak`")
def test_a_class_of_three_goes_through_a_notebook_and_an_outage(seats, browser, tmp_path):
    """One instructor, three learners in three JupyterLabs, notebook 03, and one Region lost for everybody."""
    with (running_board(tmp_path / "board", "--name", "Tuesday") as board, watched_page(browser, **WIDE) as instructor,
          watched_page(browser, **WIDE) as projector):
        instructor.goto(f"http://127.0.0.1:{board.port}/board#{board.token}")
        projector.goto(f"http://127.0.0.1:{board.port}/projector#{board.projector}")
        ana, *others = seats
        load_notebook(ana.page, ana.jupyter.url("00_start_here.ipynb"))
        ana.page.evaluate(FILL_IN, "class_url, class_code, my_name = " + str((board.url, board.code, ana.learner.name)))
        run_cells(ana.page, "import gtlab")
        run_cells(ana.page, "classroom.join(")
        for seat in others:
            seat.learner.join(board)
        for view in (instructor, projector):
            contains(view, "#count", "3 learners connected, 3 joined")

        open_notebook(ana.page, "03_verify_replication.ipynb")
        for seat in others:
            load_notebook(seat.page, seat.jupyter.url("03_verify_replication.ipynb"))
        for seat, expected in zip(seats, ("Only home", "All of them", "Only home"), strict=True):
            run_cells(seat.page, 'check.predict("03-stale")', above=True)
            seat.page.locator(".gt-quiz").first.get_by_text(expected).click()
        for view in (instructor, projector):
            contains(view, "#spread-finding", "2 of 3 expected: Only home")
        for seat in seats:
            run_cells(seat.page, "at_once = watch.look(", below=True)
            assert errors(seat.page) == []
        for view in (instructor, projector):
            contains(view, "#curve", "24 probes of 3 learners (simulated, fast network)")
            contains(view, "#map svg", ": 3")
        instructor.check("#measured")
        contains(instructor, "#spread-finding", "of 3 were right.")
        picture(instructor, "class-board-03")
        picture(projector, "class-projector-03")

        instructor.select_option("#event-form select", "lose first error")
        instructor.fill("#event-form [name=seconds]", "300")
        instructor.fill("#event-form [name=countdown]", "3")
        instructor.click("#event-form button:not([type])")
        for view in (instructor, projector):
            contains(view, "#countdown", "lose the first replica's Region (error). Applied: 3.")
        for seat in seats:
            assert seat.learner.broken() == {"outage": "error"}
            seat.page.locator("[role=status]", has_text="your instructor will lose the first replica").wait_for()
            run_cells(seat.page, "at_once = watch.look(")
            assert "simulates an outage of us-east-1" in str(errors(seat.page))
        contains(instructor, "#arrivals", "Each dot is a write")  # in the Regions that are not lost
        picture(instructor, "class-board-outage")
        picture(projector, "class-projector-outage")
        picture(ana.page, "class-learner-outage")
        instructor.click("#mend")
        for view in (instructor, projector):
            contains(view, "#countdown", "Mended: 3.")
            contains(view, "#arrivals", "Each dot is a write")
        for seat in seats:
            assert seat.learner.broken() == {}
            run_cells(seat.page, "at_once = watch.look(")
            assert errors(seat.page) == []
            contains(instructor, "#learners", seat.learner.name)
            assert seat.learner.name not in projector.content()
        wait_until(lambda: late(board) == 3, "the writes that waited for the lost Region, of each learner")
        instructor.locator("#event-card").scroll_into_view_if_needed()
        picture(instructor, "class-board-after")
        picture(projector, "class-projector-after")


def late(board) -> int:
    """How many learners have a write that waited until the event was over."""
    event = board.view()["event"]
    return sum(any(since > event["ends"] - event["starts"] for since, _ in rows) for rows in event["arrivals"])


FILL_IN = """text => {
    const cell = window.jupyterapp.shell.currentWidget.content.widgets.find(
        ({model}) => model.sharedModel.source.includes('classroom.join('));
    const [, ...rest] = cell.model.sharedModel.source.split('\\n');
    cell.model.sharedModel.setSource([text, ...rest].join('\\n'));
}"""
