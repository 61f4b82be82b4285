"""Every chart in a real browser, measured: few and many targets, and data that is hard to draw, at both widths of a
notebook and in both themes. No JupyterLab is needed.

Set GTLAB_SCREENSHOTS to a folder to keep pictures.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from browser import chromium, needs_chromium
from chart_cases import ARRIVALS, CASES, DRILL, LAGS, LATENCY, LOOP, SIMULATED, STATES, VISIBILITY
from chart_pages import WIDTHS, complaints, show, switch

from gtlab import charts, regions

pytestmark = [pytest.mark.browser, needs_chromium]

HOME = "ap-southeast-1"
TARGETS = [code for code in regions.REGIONS if code != HOME]
LONG = "a name that is much longer than anybody would expect it to be in a table"
INF, NAN = float("inf"), float("nan")


def each(frame: pd.DataFrame, column: str, number: int) -> pd.DataFrame:
    """The first target's rows for this many targets, each a little slower than the one before."""
    one = frame[frame[column] == frame[column].iloc[-1]]
    times = [name for name in frame.columns if name.endswith("_ms") and frame[name].notna().any()]
    parts = []
    for at, code in enumerate(TARGETS[:number]):
        part = one.assign(**{column: code})
        part[times] = part[times] * (1 + 0.1 * at)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def with_targets(number: int) -> list:
    """Every chart for this many targets."""
    rows = [(f"write {at}", HOME, "source", 90 * at, NAN, NAN) for at in range(1, 4)]
    rows += [(f"write {at}", code, "target", 90 * at, 90 * at + 200 + 70 * place, 90 * at + 215 + 70 * place)
             for at in range(1, 4) for place, code in enumerate(TARGETS[:number])]
    latency = pd.concat([LATENCY[:1], each(LATENCY[1:2], "region", number), each(LATENCY[2:], "region", number)])
    loop = pd.concat([LOOP] * number).assign(item=[f"Song {at}" for at in range(2 * number)])
    drill = pd.concat([DRILL, *(DRILL[4:5].assign(n=10 + at, region=code, sent_ms=2600 + at, answered_ms=2700 + at)
                                for at, code in enumerate(TARGETS[:number]))])
    return [charts.region_map(regions.frame(HOME, TARGETS[:number])),
            charts.replica_states(pd.concat([STATES[:3].assign(region=code) for code in TARGETS[:number]])),
            charts.arrivals(pd.DataFrame(rows, columns=ARRIVALS.columns)),
            charts.lag_by_target(each(LAGS, "target", number)),
            charts.lag_distribution(each(LAGS, "target", number)), charts.latency_beside_lag(latency),
            charts.loop_timing(loop), charts.t_visibility(each(VISIBILITY, "target", number)),
            charts.failover_timeline(drill)]


def long_names() -> list:
    return [charts.replica_states(STATES.assign(status=LONG)), charts.arrivals(ARRIVALS.assign(write=LONG)),
            charts.loop_timing(LOOP.assign(item=LONG)), charts.latency_beside_lag(LATENCY.assign(operation=LONG)),
            charts.lag_by_target(LAGS.assign(source="ap-southeast-1", target="ap-southeast-999-local-zone-name")),
            charts.failover_timeline(DRILL.assign(backend=LONG))]


def one_row() -> list:
    return [charts.replica_states(STATES.head(1)), charts.arrivals(ARRIVALS.head(1)),
            charts.lag_by_target(LAGS.head(1)), charts.lag_distribution(LAGS.head(1)),
            charts.latency_beside_lag(LATENCY.head(1)),
            charts.loop_timing(LOOP.head(1)), charts.t_visibility(VISIBILITY.head(1)),
            charts.failover_timeline(DRILL.head(1)), charts.region_map(regions.frame(HOME, TARGETS[:1]))]


def hundreds() -> list:
    lags = pd.concat([LAGS.assign(lag_min_ms=LAGS["lag_min_ms"] + at, lag_max_ms=LAGS["lag_max_ms"] + at)
                      for at in range(100)])
    drill = pd.concat([DRILL.head(2)] + [DRILL[4:5].assign(n=at, sent_ms=2000 + 3 * at, answered_ms=2200 + 3 * at)
                                         for at in range(10, 500)])
    return [charts.lag_by_target(lags), charts.lag_distribution(lags), charts.failover_timeline(drill),
            charts.loop_timing(pd.concat([LOOP] * 200)), charts.replica_states(pd.concat([STATES] * 100))]


def not_finite() -> list:
    return [charts.lag_by_target(LAGS.assign(lag_max_ms=INF)), charts.lag_distribution(LAGS.assign(lag_max_ms=NAN)),
            charts.lag_by_target(LAGS.assign(lag_min_ms=NAN, lag_max_ms=NAN)),
            charts.arrivals(ARRIVALS.assign(seen_max_ms=INF)), charts.latency_beside_lag(LATENCY.assign(p90_ms=INF)),
            charts.latency_beside_lag(LATENCY.assign(median_ms=NAN, p90_ms=NAN)),
            charts.loop_timing(LOOP.assign(lag_max_ms=INF)), charts.loop_timing(LOOP.assign(get_ms=NAN)),
            charts.latency_beside_lag(LATENCY.assign(p90_min_ms=30_000.0, p90_ms=INF)),
            charts.t_visibility(VISIBILITY.assign(certain=0.0)),
            charts.t_visibility(pd.concat([VISIBILITY, VISIBILITY.groupby("target").tail(1).assign(t_ms=30_000.0)]))]


SETS = {
    "cases": lambda: [getattr(charts, name)(frame.assign(backend=SIMULATED)) for name, frame in CASES.items()
                      if name != "journal"],
    **{f"{number} targets": lambda number=number: with_targets(number) for number in (1, 3, 9)},
    "long names": long_names, "one row": one_row, "hundreds of rows": hundreds, "not finite": not_finite,
}


@pytest.fixture(scope="module")
def page():
    problems: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        # plotly rejects the promise of an animation that is interrupted, with nothing.
        page.on("pageerror", lambda error: problems.append(str(error)) if str(error) != "undefined" else None)
        page.set_default_timeout(90_000)
        yield page
    assert problems == []


@pytest.mark.parametrize("name", SETS)
def test_no_text_is_cut_off_covered_small_or_faint(page, name):
    figures = SETS[name]()
    found = {}
    for width in WIDTHS:
        show(page, figures, width, "light")
        for theme in ("light", "dark"):  # switched while the page is open, as in JupyterLab
            switch(page, theme)
            found[width, theme] = complaints(page)
            if folder := os.environ.get("GTLAB_SCREENSHOTS"):
                Path(folder).mkdir(parents=True, exist_ok=True)
                page.screenshot(path=f"{folder}/charts-{name.replace(' ', '-')}-{width}-{theme}.png", full_page=True)
    assert not any(found.values()), found


def test_a_chart_follows_a_theme_that_changes_while_the_page_is_open(page):
    show(page, SETS["cases"]()[:1], 468, "light")
    ink = "getComputedStyle(document.querySelector('.gtitle')).fill"
    for theme, colour in (("light", "rgb(31, 41, 51)"), ("dark", "rgb(228, 232, 236)"), ("light", "rgb(31, 41, 51)")):
        switch(page, theme)
        assert page.evaluate(ink) == colour


def test_a_diagram_is_drawn_over_time_by_keyboard(page):
    show(page, [charts.journal(CASES["journal"])], 968, "light")
    edge = "document.querySelector('.js-plotly-plot').data.at(-1).x[0]"  # of what hides what is later
    end = page.evaluate(edge)
    focused, press = "() => document.activeElement.textContent || document.activeElement.type", page.keyboard.press
    for name, key, reached in (("Play", "Enter", f"end => {edge} < end"), ("Pause", "Space", "() => true"),
                               ("range", "Home", f"() => {edge} === 0"), ("range", "End", f"end => {edge} === end")):
        for _ in range(30):  # plotly's own buttons come first
            if page.evaluate(focused) != name:
                press("Tab")
        assert page.evaluate(focused) == name
        press(key)
        page.wait_for_function(reached, arg=end)


def test_the_line_in_a_legend_does_not_cover_its_mark(page):
    show(page, [charts.journal(CASES["journal"])], WIDTHS[0], "light")
    widths = page.evaluate("""() => [...document.querySelectorAll('.layers')]
        .filter(each => each.querySelector('.legendpoints path') && each.querySelector('.legendlines path'))
        .map(each => parseFloat(getComputedStyle(each.querySelector('.legendlines path')).strokeWidth))""")
    assert widths and max(widths) <= 2


def test_the_picture_of_a_chart_in_a_notebook_that_is_opened_again_fits_into_the_page(page):
    show(page, [charts.replica_states(STATES)], WIDTHS[0], "light")
    widths = page.evaluate("""() => {
        document.body.insertAdjacentHTML('beforeend', '<div class="jp-RenderedPlotly"><img class="plot-img" '
            + 'width="848" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></div>');
        const picture = document.querySelector('.plot-img');
        return [picture.offsetWidth, picture.parentElement.clientWidth];
    }""")
    assert widths[0] == widths[1] <= WIDTHS[0]
    shown = "getComputedStyle(document.querySelector('.plot-img')).filter"
    for theme, turned in (("light", False), ("dark", True), ("light", False)):  # its picture is light in any theme
        switch(page, theme)
        assert page.evaluate(shown).startswith("invert") == turned


def test_the_measure_finds_what_is_cut_off_covered_small_and_faint(page):
    fig = charts.replica_states(STATES)
    text = {"showarrow": False, "xref": "paper", "yref": "paper"}
    fig.add_annotation(x=1, y=0.5, text="beyond the edge", xanchor="left", xshift=200, **text)
    fig.add_annotation(x=0.5, y=0.5, text="one over", **text)
    fig.add_annotation(x=0.5, y=0.5, text="the other", **text)
    fig.add_annotation(x=0.1, y=0.1, text="tiny", font={"size": 8}, **text)
    fig.add_annotation(x=0.9, y=0.9, text="faint", font={"color": "#BBBBBB"}, **text)
    show(page, [fig], 968, "light")
    found = " ".join(complaints(page))
    for expected in ("outside: beyond the edge", "overlap: the other | one over", "8.0 px: tiny", "contrast 1.9"):
        assert expected in found
