"""The widgets without a browser: what a click does, what is refused, what the map holds, and what stays in a file."""

from __future__ import annotations

import itertools
import math
import re

import pytest

from gtlab import charts, regions, widgets
from gtlab.lab import Choice, chosen, connect, remember
from gtlab.widgets import atlas
from gtlab.widgets.picker import Draft

SINGAPORE, VIRGINIA, IRELAND, PARIS, TOKYO = "ap-southeast-1", "us-east-1", "eu-west-1", "eu-west-3", "ap-northeast-1"
ARTICLE = Draft(SINGAPORE, (VIRGINIA, IRELAND))


@pytest.mark.parametrize("name", ["picker", "live", "panel", "quiz"])
def test_a_widgets_looks_do_not_depend_on_which_widget_came_last(name):
    """Each loads the rule .gt-root once more. A rule of one class that sets the same would hold only until then."""
    from gtlab.widgets.drawn import style

    common = {"font", "color", "padding", "box-sizing"}
    assert all(f"{each}:" in style("map.css").partition("}")[0] for each in common)
    for found in re.finditer(r"^\.gt-(?:picker|live|panel|quiz) \{([^}]*)\}", style(f"{name}.css"), re.MULTILINE):
        set_here = re.findall(r"(?:^|;)\s*([a-z]+)(?:-size)?\s*:", found[1])
        assert not common & set(set_here), found[0]


def test_the_map_of_all_regions_has_each_where_it_can_be_clicked_and_reached_by_arrow_keys():
    spots = atlas.world()["spots"]
    assert set(spots) == set(regions.REGIONS)
    assert all(10 < x < atlas.WIDTH - 10 and 10 < y < atlas.HEIGHT - 10 for x, y in spots.values())
    assert min(math.dist(spots[a], spots[b]) for a, b in itertools.combinations(spots, 2)) > atlas.APART - 0.2
    assert spots[VIRGINIA][0] < spots[IRELAND][0] < spots[SINGAPORE][0] < spots[TOKYO][0]
    near = atlas.neighbours(spots)
    for start in spots:
        reached, ahead = {start}, [start]
        while ahead:
            new = set(near[ahead.pop()].values()) - reached
            reached |= new
            ahead += new
        assert reached == set(spots), f"from {start}"
    for arrow, axis, sign in (("ArrowLeft", 0, -1), ("ArrowRight", 0, 1), ("ArrowUp", 1, -1), ("ArrowDown", 1, 1)):
        steps = [(code, there[arrow]) for code, there in near.items() if arrow in there]
        assert steps and all((spots[to][axis] - spots[code][axis]) * sign > 0 for code, to in steps)


def test_the_outlines_are_path_data_of_a_size_for_a_notebook():
    land = atlas.world()["land"]
    assert set(land) <= set("Mlz-0123456789 ")
    assert all(re.match(r"M-?\d+ -?\d+l", ring) for ring in land.removesuffix("z").split("z"))
    assert 5_000 < len(land) < 20_000


def test_a_map_of_members_shows_them_all_and_is_cut_at_the_widest_gap():
    pacific = atlas.around([TOKYO, "us-west-2"])["spots"]
    assert pacific[TOKYO][0] < pacific["us-west-2"][0]  # across the Pacific
    with pytest.raises(regions.UnknownRegion, match="mars-1"):
        atlas.around(["mars-1"])


def test_a_region_looks_as_in_the_charts_and_home_is_marked_beside_its_symbol():
    looks = atlas.looks([SINGAPORE, VIRGINIA, IRELAND])
    assert {code: (each["colour"], each["symbol"]) for code, each in looks.items()} == {
        code: tuple(charts.look(code)) for code in looks}
    assert [code for code, each in looks.items() if each["home"]] == [SINGAPORE]
    assert atlas.looks([IRELAND, SINGAPORE])[SINGAPORE] == looks[SINGAPORE] | {"home": False}


@pytest.mark.parametrize(("draft", "pressed", "then"), [
    (Draft(), PARIS, Draft(PARIS)),                                             # no home yet
    (ARTICLE, PARIS, Draft(SINGAPORE, (VIRGINIA, IRELAND, PARIS))),
    (ARTICLE, VIRGINIA, Draft(SINGAPORE, (IRELAND,))),                          # the second click takes it away
    (ARTICLE, SINGAPORE, Draft("", (VIRGINIA, IRELAND))),
    (Draft("", (VIRGINIA, IRELAND)), IRELAND, Draft("", (VIRGINIA,))),
])
def test_one_click_chooses_a_region_and_a_second_takes_it_away(draft, pressed, then):
    assert draft.press(pressed) == then


@pytest.mark.parametrize(("draft", "made", "then"), [
    (ARTICLE, IRELAND, Draft(IRELAND, (VIRGINIA, SINGAPORE))),  # they change places
    (ARTICLE, PARIS, Draft(PARIS, (VIRGINIA, IRELAND))),
    (ARTICLE, SINGAPORE, ARTICLE),
    (Draft("", (VIRGINIA, IRELAND)), IRELAND, Draft(IRELAND, (VIRGINIA,))),
])
def test_another_region_is_made_home(draft, made, then):
    assert draft.make_home(made) == then


def test_one_replica_too_many_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"Paris \(eu-west-3\) is not added: this notebook allows 2 replicas"):
        Draft(SINGAPORE, (VIRGINIA, IRELAND), most=2).press(PARIS)


@pytest.mark.parametrize(("draft", "missing"), [(Draft(), "home"), (Draft(SINGAPORE), "one replica"), (ARTICLE, "")])
def test_what_a_draft_lacks(draft, missing):
    assert missing in draft.missing and bool(missing) == bool(draft.missing)


@pytest.fixture
def picked():
    choices = []
    return widgets.choose_regions(Choice(), choices.append, most=3), choices


def test_complete_choices_are_handed_on_and_incomplete_ones_explained(picked):
    picker, choices = picked
    picker.press(SINGAPORE)
    assert choices == [] and picker.message["kind"] == "missing" and "home Region" in picker.message["text"]
    assert (picker.home, picker.replicas, picker.rtt_ms) == ("", [VIRGINIA, IRELAND], {})
    picker.press(PARIS)
    assert choices == [Choice(PARIS, (VIRGINIA, IRELAND))] == [picker.choice]
    assert picker.message["text"].startswith("Saved: Paris (home), N. Virginia, Ireland.")
    assert "Cells that you ran with Singapore (home)" in picker.message["text"]
    assert picker.rtt_ms[IRELAND] == regions.rtt_ms(PARIS, IRELAND)


def test_a_refusal_changes_nothing(picked):
    picker, choices = picked
    picker.press(PARIS)
    picker.press(TOKYO)
    assert picker.message["kind"] == "refused" and "3 replicas" in picker.message["text"]
    assert picker.replicas == [VIRGINIA, IRELAND, PARIS] and len(choices) == 1


def test_a_choice_that_cannot_be_kept_says_so():
    def full(_: Choice) -> None:
        raise OSError("No space left on device")

    picker = widgets.choose_regions(Choice(), full)
    picker.press(PARIS)
    assert picker.message == {"kind": "refused", "text": "No space left on device"}
    assert picker.choice == Choice() and picker.replicas == [VIRGINIA, IRELAND]


def test_the_browser_reports_clicks_as_messages(picked):
    picker, choices = picked
    picker._handle_custom_msg({"do": "home", "region": IRELAND}, [])
    assert choices == [Choice(IRELAND, (VIRGINIA, SINGAPORE))]


def test_an_executed_notebook_keeps_a_still_picture(picked):
    picker, _ = picked
    data, _ = picker._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == picker.model_id
    still = data["text/html"]
    assert "Singapore (home)" in still and "219 ms" in still and "<script" not in still and "http://" not in still
    assert len(still) < 20_000


def test_plain_widgets_are_put_beside_a_guard_for_their_keys():
    import ipywidgets

    from gtlab.widgets.keys import KeyGuard, guarded

    button = ipywidgets.Button()
    box = guarded(button, name="Buttons")
    assert box.children[0] is button and isinstance(box.children[1], KeyGuard) and box.children[1].name == "Buttons"


def test_a_lab_that_was_made_with_an_older_choice_says_so(cloud, tmp_path, monkeypatch):
    monkeypatch.setattr("gtlab.lab.choice.process.state_folder", lambda: tmp_path)
    before = connect({SINGAPORE: cloud.url, VIRGINIA: cloud.url, IRELAND: cloud.url})
    given = connect({SINGAPORE: cloud.url}, home=SINGAPORE, replicas=VIRGINIA)
    assert before.older_choice == "" and "older choice" not in repr(before)
    remember(Choice(PARIS, (TOKYO,)))
    assert chosen() == Choice(PARIS, (TOKYO,))
    says = f"older choice ({SINGAPORE}, {VIRGINIA}, {IRELAND}): run gtlab.connect() again"
    assert says in repr(before)
    with pytest.warns(UserWarning, match="older choice"):
        before.client(SINGAPORE)
    assert given.older_choice == "" and connect({PARIS: cloud.url}).older_choice == ""
