"""The control panel without a browser: what a click asks for, the lines that do the same, and the true state."""

from __future__ import annotations

import shlex

import pytest
from click.testing import CliRunner
from support import IRELAND, SINGAPORE, VIRGINIA, wait_until

from gtlab import connect, widgets
from gtlab.cli import main
from gtlab.contract import DEFAULT_ACCOUNT
from gtlab.widgets.actions import Action, asked, listed, notes

THROTTLED = (DEFAULT_ACCOUNT, IRELAND, "Music")
ACTIONS = [
    (Action("partition", (VIRGINIA, IRELAND)), 'lab.world.partition("us-east-1", "eu-west-1")',
     "gtlab world partition us-east-1 eu-west-1"),
    (Action("isolate", (IRELAND,)), 'lab.world.isolate("eu-west-1")', "gtlab world isolate eu-west-1"),
    (Action("outage", (IRELAND,), "error"), 'lab.world.outage("eu-west-1", "error")',
     "gtlab world outage eu-west-1 --how error"),
    (Action("slow", (VIRGINIA, IRELAND), 300.0), 'lab.world.slow("us-east-1", "eu-west-1", 300)',
     "gtlab world slow us-east-1 eu-west-1 300"),
    (Action("lag", (), 0.5), "lab.world.lag(0.5)", "gtlab world lag 0.5"),
    (Action("lag", (VIRGINIA, IRELAND), 5), 'lab.world.lag(5, source="us-east-1", target="eu-west-1")',
     "gtlab world lag 5 us-east-1 eu-west-1"),
    (Action("throttle", THROTTLED, {"write_units": 2.0, "burst_s": 0}),
     'lab.world.throttle("Music", "eu-west-1", write_units=2, burst_s=0)',
     "gtlab world throttle Music --region eu-west-1 --write-units 2 --burst-s 0"),
    (Action("caller", (), "eu-central-1"), 'lab.world.caller("eu-central-1")', "gtlab world caller eu-central-1"),
]


@pytest.fixture
def lab(cloud):
    made = connect(home=SINGAPORE, replicas=[VIRGINIA, IRELAND])
    made.world.reset()
    yield made
    made.world.reset()


@pytest.mark.parametrize(("action", "python", "command"), ACTIONS, ids=[action.knob for action, *_ in ACTIONS])
def test_an_action_its_python_line_and_its_command_do_the_same(lab, action, python, command):
    assert (action.python, action.command) == (python, command)
    off = Action(action.knob, action.place, action.value, off=True)
    action.do(lab._control)
    state = lab._control("world")["knobs"]
    assert len(state) == 1
    off.do(lab._control)
    assert lab._control("world")["knobs"] == []
    eval(python, {"lab": lab})
    assert lab._control("world")["knobs"] == state
    eval(off.python, {"lab": lab})
    assert lab._control("world")["knobs"] == []
    for line, left in ((command, state), (off.command, [])):
        done = CliRunner().invoke(main, shlex.split(line)[1:])
        assert done.exit_code == 0, done.output
        assert lab._control("world")["knobs"] == left


def test_everything_is_put_right(lab):
    lab.world.isolate(IRELAND)
    reset = Action("reset")
    assert reset.do(lab._control)["knobs"] == []
    assert (reset.python, reset.command) == ("lab.world.reset()", "gtlab world reset")


def test_a_toggle_sets_and_clears_whichever_way_round_a_pair_is():
    knobs = [{"knob": "partition", "place": [IRELAND, VIRGINIA], "value": None}]
    toggle = {"do": "toggle", "knob": "partition", "place": [VIRGINIA, IRELAND]}
    assert asked(toggle, []) == Action("partition", (VIRGINIA, IRELAND))
    assert asked(toggle, knobs) == Action("partition", (VIRGINIA, IRELAND), off=True)
    assert asked({"do": "turn", "knob": "throttle", "place": [IRELAND, "Music"], "value": {}}, []).place == THROTTLED
    with pytest.raises(ValueError, match="no knob 'gravity'"):
        asked({"do": "turn", "knob": "gravity", "place": []}, [])


def test_what_is_written_on_the_map():
    knobs = [{"knob": "slow", "place": [VIRGINIA, IRELAND], "value": 300},
             {"knob": "lag", "place": [VIRGINIA, IRELAND], "value": 5}, {"knob": "lag", "place": [], "value": 2},
             {"knob": "throttle", "place": list(THROTTLED), "value": {}},
             {"knob": "pause", "place": list(THROTTLED), "value": "EXP1"},
             {"knob": "caller", "place": [], "value": SINGAPORE}]
    assert notes(knobs) == {
        "links": {f"{IRELAND} {VIRGINIA}": ["+300 ms", f"lag 5 s to {IRELAND}"]},
        "regions": {IRELAND: ["Music throttled", "Music paused"], SINGAPORE: ["all callers are here"]}}
    assert [each["mendable"] for each in listed(knobs)] == [True, True, True, True, False, True]


def test_a_click_changes_the_world_and_says_the_lines(lab):
    panel = widgets.panel(lab)
    panel._handle_custom_msg({"do": "toggle", "knob": "partition", "place": [SINGAPORE, IRELAND], "value": None}, [])
    assert panel.places["cut"] == [[SINGAPORE, IRELAND]] and len(lab.world.state()) == 1
    assert panel.last["command"] == "gtlab world partition ap-southeast-1 eu-west-1"
    assert "✕" in panel.still()
    panel._handle_custom_msg({"do": "reset"}, [])
    assert panel.knobs == [] and lab.world.state().empty and "nothing is broken" in panel.still()


def test_a_value_that_makes_no_sense_is_refused_with_the_reason(lab):
    panel = widgets.panel(lab)
    panel._handle_custom_msg({"do": "turn", "knob": "lag", "place": [], "value": -1}, [])
    assert "lag" in panel.problem and panel.last == {} and lab.world.state().empty
    panel._handle_custom_msg({"do": "turn", "knob": "lag", "place": [], "value": 1}, [])
    assert panel.problem == "" and panel.last["python"] == "lab.world.lag(1)"


def test_the_panel_shows_what_others_break_and_mend(lab):
    panel = widgets.panel(lab)
    panel._handle_custom_msg({"do": "here", "view": "1"}, [])
    with lab.world.outage(IRELAND, "refused"):
        wait_until(lambda: panel.places["down"] == {IRELAND: "refused"}, "the outage to be shown")
    wait_until(lambda: panel.knobs == [], "the mending to be shown")
    panel.close()


def test_other_backends_have_no_panel(cloud):
    with pytest.raises(ValueError, match="this lab is on other endpoints"):
        widgets.panel(connect({SINGAPORE: cloud.url}, home=SINGAPORE, replicas=IRELAND))
