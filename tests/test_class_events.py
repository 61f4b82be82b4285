"""One event for everybody, in the local clouds of real learners; and stages for everybody."""

from __future__ import annotations

import pytest
from classes import Board, Learner, gtlab, running_board
from support import wait_until

pytestmark = [pytest.mark.server, pytest.mark.long(40)]

CUT = {"do": "event", "what": "cut", "place": "home-first", "value": None, "seconds": 600, "countdown_s": 3}
LAG = CUT | {"what": "lag", "place": "everywhere", "value": 7}
WRITE = """
import gtlab
lab = gtlab.connect()
lab.client(lab.home).put_item(TableName="Music", Item={"Artist": {"S": "a"}, "SongTitle": {"S": "b"}})
"""


class WithCloud(Learner):
    """A learner whose local cloud runs."""

    def up(self) -> None:
        assert gtlab(self.home, "up", "--network", "fast", "--in-memory").returncode == 0

    def down(self) -> None:
        self.leave()
        gtlab(self.home, "down")


@pytest.fixture
def class_of(tmp_path):
    """``class_of(*names)``: a board and learners with these names."""
    learners: list[WithCloud] = []
    with running_board(tmp_path / "board") as board:
        def make(*names: str) -> tuple[Board, list[WithCloud]]:
            for name in names:
                learners.append(WithCloud(tmp_path / name, name).join(board))
                learners[-1].up()
            return board, learners
        try:
            yield make
        finally:
            for each in learners:
                each.down()


def test_an_event_breaks_every_local_cloud_and_mends_it(class_of):
    board, (ana, bo, cy) = class_of("Ana", "Bo", "Cy")
    assert gtlab(cy.home, "class", "events", "off").returncode == 0
    wait_until(lambda: not board.learner("Cy")["events"], "Cy to have opted out")
    assert board.act(do="stage", notebook="03").status == 200
    wait_until(lambda: board.view()["stage"]["states"] == {"done": 2}, "Ana's and Bo's clouds to be staged", 300)

    assert board.act(**CUT).status == 200
    wait_until(lambda: "your instructor will cut" in str(ana.read("class-news.json").get("notes")), "Ana to be told")
    wait_until(lambda: board.view()["event"]["states"] == {"applied": 2, "opted out": 1}, "the cut", 120)
    assert ana.broken() == bo.broken() == {"partition": ["ap-southeast-1", "us-east-1"]}
    assert cy.broken() == {}, "Cy has opted out"
    ana.run(WRITE)
    assert board.act(do="mend").status == 200
    event = wait_until(lambda: (found := board.view()["event"])["states"].get("mended") == 2 and found["arrivals"]
                       and found, "the cable to be mended, and the arrivals", 120)
    assert ana.broken() == bo.broken() == {}
    assert all(lag > 0 for rows in event["arrivals"] for _, lag in rows)

    assert gtlab(ana.home, "world", "lag", "2").returncode == 0
    assert board.act(**LAG).status == 200
    wait_until(lambda: ana.broken() == bo.broken() == {"lag": 7}, "the lag of the class", 120)
    board.act(do="mend")
    wait_until(lambda: ana.broken() == {"lag": 2} and bo.broken() == {}, "the lag that each had before", 120)


def test_everybody_is_mended_who_opts_out_or_leaves_or_loses_the_board(class_of):
    board, (ana, bo) = class_of("Ana", "Bo")
    assert board.act(**LAG).status == 200
    wait_until(lambda: ana.broken() == bo.broken() == {"lag": 7}, "the lag", 120)
    gtlab(ana.home, "class", "events", "off")
    bo.leave()
    wait_until(lambda: ana.broken() == bo.broken() == {}, "the lag to be mended", 120)
    wait_until(lambda: board.view()["event"]["states"].get("opted out") == 1, "the board to be told")

    gtlab(ana.home, "class", "events", "on")
    wait_until(lambda: board.learner("Ana")["events"], "Ana to take part again")
    board.act(do="mend")
    assert board.act(**CUT | {"what": "lose", "place": "first", "value": "error", "seconds": 30}).status == 200
    wait_until(lambda: ana.broken() == {"outage": "error"}, "the outage", 120)
    board.kill()
    wait_until(lambda: ana.broken() == {}, "the end of the outage, without a board", 120)
