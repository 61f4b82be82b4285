"""The still picture of each chart: what a notebook holds for readers without plotly's script."""

from __future__ import annotations

import datetime
import pickle
import re
from copy import deepcopy
from xml.etree import ElementTree

import pytest
from chart_cases import CASES, draw, every_chart

from gtlab.charts import still
from gtlab.charts.still import text
from gtlab.charts.still.axis import Axis

SVG = "{http://www.w3.org/2000/svg}"


def parsed(name: str) -> ElementTree.Element:
    return ElementTree.fromstring(draw(name).still())


def said(picture: ElementTree.Element) -> list[str]:
    """Every text in view, without markup."""
    return ["".join(node.itertext()) for node in picture.iter(f"{SVG}text")]


@every_chart
def test_a_notebook_gets_the_picture_and_the_finding_beside_plotlys_own(name, monkeypatch):
    from plotly.io import renderers

    monkeypatch.setattr(renderers, "default", "plotly_mimetype")  # what plotly uses in a kernel
    fig = draw(name)
    data = fig._repr_mimebundle_()
    assert set(data) == {"application/vnd.plotly.v1+json", "image/svg+xml", "text/plain"}
    assert data["image/svg+xml"] == fig.still() and data["text/plain"] == still.words(fig.to_plotly_json())[0]


def test_no_button_of_a_chart_leads_to_another_server(monkeypatch):
    from plotly.io import renderers

    monkeypatch.setattr(renderers, "default", "plotly_mimetype")
    config = draw("journal")._repr_mimebundle_()["application/vnd.plotly.v1+json"]["config"]
    assert config["showSendToCloud"] is False  # "Share chart..." uploads it
    assert config["displaylogo"] is False


def test_a_renderer_that_the_user_chose_is_left_alone(monkeypatch):
    from plotly.io import renderers

    monkeypatch.setattr(renderers, "default", "browser")
    assert draw("journal")._repr_mimebundle_() == {}


def test_a_chart_that_the_picture_cannot_draw_is_still_shown(monkeypatch):
    from plotly.io import renderers

    monkeypatch.setattr(renderers, "default", "plotly_mimetype")
    fig = draw("journal", CASES["journal"])
    fig.add_scatter(x=[datetime.date(2026, 11, 27)], y=[1])
    assert {"application/vnd.plotly.v1+json", "text/plain"} <= set(fig._repr_mimebundle_())


@every_chart
def test_the_picture_is_small_valid_and_needs_nothing_else(name):
    drawn = draw(name).still()
    assert len(drawn.encode()) < 25_000
    assert "nan" not in drawn and "None" not in drawn and "<script" not in drawn
    assert re.findall(r'(?:href|src)="[^"]*"', drawn) == []
    ElementTree.fromstring(drawn)


@every_chart
def test_the_picture_is_read_aloud(name):
    fig = draw(name)
    picture = ElementTree.fromstring(fig.still())
    finding, alt = still.words(fig.to_plotly_json())
    assert picture.get("role") == "img"
    assert [picture.find(f"{SVG}{tag}").text for tag in ("title", "desc")] == [finding, alt]


@every_chart
def test_the_picture_shows_the_words_of_the_chart(name):
    layout, shown = draw(name).layout, " ".join(said(parsed(name)))
    wanted = [layout.title.text, layout.xaxis.title.text, layout.yaxis.title.text,
              *(layout.yaxis.ticktext or ()), *(note.text for note in layout.annotations)]
    plain = [text.plain(each) for each in wanted if each]
    assert [each for each in plain if each.replace(" ", "") not in shown.replace(" ", "")] == []


def test_the_finding_of_a_chart_is_written_below_it():
    fig = draw("lag_by_target", CASES["lag_by_target"])
    fig.update_layout(meta={"finding": "Ireland is 1 < 2.", "alt": "Two rows of bars."})
    picture = ElementTree.fromstring(fig.still())
    assert "Ireland is 1 < 2." in said(picture) and picture.find(f"{SVG}desc").text == "Two rows of bars."
    height = float(picture.get("viewBox").split()[3])
    assert height > fig.layout.height
    fig.update_layout(title_subtitle_text="Ireland is 1 &lt; 2.")  # said by the chart itself: not repeated
    assert float(ElementTree.fromstring(fig.still()).get("viewBox").split()[3]) == fig.layout.height


def test_marks_are_where_the_values_are():
    fig = draw("replica_states")
    creating, active = (trace for trace in fig.data if trace.name in ("CREATING", "ACTIVE"))

    def widths(colour: str) -> list[float]:
        return [float(node.get("width")) for node in ElementTree.fromstring(fig.still()).iter(f"{SVG}rect")
                if node.get("fill") == colour and float(node.get("height")) > 15]  # lower ones are the legend's

    assert widths(creating.marker.color)[0] / widths(active.marker.color)[0] == pytest.approx(12 / 39, rel=0.02)


@pytest.mark.parametrize(("settings", "values", "ticks"), [
    ({"range": [0, 10]}, [], ["0", "2", "4", "6", "8", "10"]),
    ({"range": [0, 104], "dtick": 25, "ticksuffix": " %"}, [], ["0 %", "25 %", "50 %", "75 %", "100 %"]),
    ({"range": [0, 3000]}, [], ["0", "1,000", "2,000", "3,000"]),
    ({"range": [-0.5, 3.2], "type": "log"}, [], ["1", "10", "100", "1,000"]),
    ({"rangemode": "tozero"}, [40.0, 90.0], ["0", "20", "40", "60", "80"]),
    ({}, ["Ireland", "Ohio", "Ireland"], ["Ireland", "Ohio"]),
    ({"tickvals": [0, 1], "ticktext": ["a", "b"], "range": [1.5, -0.5]}, [], ["a", "b"]),
])
def test_an_axis_has_round_values_in_its_range(settings, values, ticks):
    axis = Axis(settings, values, padded=False, start=0.0, end=450.0)
    assert [label for _, label in axis.ticks()] == ticks
    assert all(0 <= at <= 450 for at, _ in axis.ticks())


@pytest.mark.slow
def test_a_line_of_many_points_is_thinned_out():
    fig = draw("lag_by_target", CASES["lag_by_target"])
    fig.add_scatter(x=[at / 100 for at in range(50_000)], y=[0.5] * 50_000, mode="lines")
    fig.add_scatter(x=[at % 500 for at in range(50_000)], y=[0.2] * 50_000, mode="markers")
    assert len(fig.still()) < 60_000


def test_a_chart_can_be_copied_and_pickled():
    fig = draw("journal")
    assert deepcopy(fig).still() == fig.still() == pickle.loads(pickle.dumps(fig)).still()


def test_the_house_around_the_home_region_is_drawn():
    fig = draw("region_map")
    house = fig.layout.shapes[0]
    drawn = next(node for node in ElementTree.fromstring(fig.still()).iter(f"{SVG}path")
                 if node.get("d") == house.path)
    x, y = (float(each) for each in re.match(r"translate\(([\d.]+) ([\d.]+)\)", drawn.get("transform")).groups())
    assert 0 < x < still.WIDTH and 0 < y < fig.layout.height
    home = next(trace for trace in fig.data if trace.name == "home")
    assert re.search(rf"translate\({x:g} {y:g}\)", fig.still().replace(".0 ", " ").replace(".0)", ")")), home
