"""The charts: what a learner reads off them, and what they refuse."""

import inspect
import json
import random
import re
from functools import cache

import pandas as pd
import pytest
from chart_cases import (
    ARRIVALS,
    CASES,
    DRILL,
    EVENTS,
    KEY,
    LAGS,
    LATENCY,
    LOOP,
    PAIR,
    SIMULATED,
    STATES,
    VISIBILITY,
    draw,
    every_chart,
    words,
)

from gtlab import charts, measure, regions, statistics
from gtlab.charts import colours, looks
from gtlab.intervals import percentile, rank


def plot_height(fig):
    """Together with the legend above it."""
    return fig.layout.height - fig.layout.margin.t - (fig.layout.margin.b or 48)


def traces(fig, name):
    return [trace for trace in fig.data if trace.name == name]


def test_every_chart_is_tested():
    public = {
        name
        for name, function in inspect.getmembers(charts, inspect.isfunction)
        if function.__module__.startswith(charts.__name__) and not name.startswith("_")
    }
    assert public - {"alt_text", "finding", "look", "table"} == set(CASES)


@every_chart
def test_draws_offline_in_plain_svg(name):
    fig = draw(name)
    assert {trace.type for trace in fig.data} <= {"scatter", "bar"}
    text = fig.to_json()
    assert "http" not in text
    # A saved notebook holds every figure it shows.
    assert len(text) < 60_000


@every_chart
def test_fits_a_notebook(name):
    fig = draw(name)
    assert 110 <= plot_height(fig) <= 350 + 28 * 4 * bool(fig.layout.showlegend)
    assert fig.layout.height <= 600
    assert fig.layout.width is None
    sizes = [int(size) for size in re.findall(r"'size': (\d+)", repr(fig.layout.to_plotly_json()))]
    assert sizes and min(sizes) >= 12


def test_a_long_loop_still_fits_a_notebook():
    fig = draw("loop_timing", pd.concat([LOOP] * 20))
    assert plot_height(fig) < 350 + 4 * 28
    # The names of all 40 rows would cover each other.
    assert len(fig.layout.yaxis.ticktext) == 20


@every_chart
def test_names_every_backend_once_takes_any_index_and_does_not_change_its_frame(name):
    """All in one drawing, because drawing takes long."""
    last = len(CASES[name]) - 1
    frame = CASES[name].set_axis([7] * (last + 1), axis="index").assign(backend=[SIMULATED] * last + ["AWS"])
    before = frame.copy(deep=True)
    fig = draw(name, frame)
    pd.testing.assert_frame_equal(frame, before)
    subtitle = re.sub("<[^>]*>", " ", fig.layout.title.subtitle.text)  # its lines
    assert subtitle.endswith(f"{SIMULATED} · AWS") and subtitle.count(SIMULATED) == 1
    # All other words are those of the chart without backends, of the frame with its own index.
    assert words(fig).replace(f" | {subtitle}", "", 1) == words(draw(name))
    assert "simulated" not in words(draw(name))


@every_chart
def test_refuses_a_frame_without_a_column_and_names_it(name):
    needed = [column for column in CASES[name].columns if column not in ("country", "lag_max_ms")]
    if name.startswith("lag_"):
        needed.append("lag_max_ms")
    for column in needed:
        with pytest.raises(ValueError, match=f"{name} needs the column '{column}'"):
            draw(name, CASES[name].drop(columns=column))


@every_chart
def test_refuses_an_empty_frame(name):
    with pytest.raises(ValueError, match=f"{name} has nothing to draw: the data frame has no rows"):
        draw(name, CASES[name].head(0))


# ------------------------------------------------------------------------------------- what a chart says in words

FOUND = {  # what each chart finds in its data, in part
    "region_map": "179 ms to Ireland, the nearest of 2 replicas, and 219 ms to N. Virginia",
    "replica_states": "At the end, N. Virginia is ACTIVE and Ireland is ARCHIVING.",
    "arrivals": "put Song 1 in Ireland, 590\N{EN DASH}604 ms after it was sent. The slowest: put Song 1 in N. Virginia",
    "lag_by_target": "smallest to Ireland, 620\N{EN DASH}640 ms, and largest to N. Virginia, 720\N{EN DASH}740 ms.",
    "lag_distribution": "smallest to Ireland, 620\N{EN DASH}640 ms",
    "latency_beside_lag": "replication lag to N. Virginia, 742 ms. The smallest: put in Singapore, 12 ms.",
    "loop_timing": "A put takes 12 ms and a get 222 ms at the median; 1 of 2 gets found the item.",
    "t_visibility": "in Ireland 700 ms after the acknowledgement, and in N. Virginia after 900 ms.",
    "journal": "1 arrival lost a conflict; 1 arrival came after a newer write; 1 delivery had not "
               "arrived by the end.",
    "spacetime": "3 writes, 3 arrivals in other Regions after 500\N{EN DASH}3,100 ms",
    "failover_timeline": "again 1.2 s after the outage began; 2 acknowledged writes were missing",
}


@pytest.mark.parametrize("name", FOUND)
def test_states_its_finding_in_the_chart_and_in_its_alt_text(name):
    fig = draw(name)
    found = charts.finding(fig)
    assert FOUND[name] in found and not found[0].islower() and found.endswith(".")
    assert " ".join(found.split()) in " ".join(words(fig).split())
    assert found in charts.alt_text(fig) and len(charts.alt_text(fig)) > len(found) + 30


@pytest.mark.parametrize("name", FOUND)
def test_has_a_table_twin(name):
    fig = draw(name)
    table = charts.table(fig)
    assert not table.empty and len(table.columns) >= 3
    # It stays with the figure in a file, where only the figure's JSON is kept.
    read = json.loads(fig.to_json())["layout"]["meta"]
    assert read["table"]["columns"] == list(table.columns) and read["finding"] == charts.finding(fig)


def test_a_table_twin_has_at_most_200_rows():
    fig = draw("replica_states", pd.concat([STATES] * 60))
    assert len(charts.table(fig)) == 200


def test_a_figure_from_elsewhere_has_no_finding():
    import plotly.graph_objects as go

    with pytest.raises(ValueError, match="only the charts of gtlab"):
        charts.finding(go.Figure())


def test_two_charts_and_the_summary_show_the_same_median():
    lags = LAGS[LAGS["target"] == "eu-west-1"].assign(backend=SIMULATED)
    unseen = lags.tail(1).assign(probe=9, lag_min_ms=900.0, lag_max_ms=None)
    lags = pd.concat([lags, unseen], ignore_index=True)  # 6 probes: an even number, and one was not seen
    (row,) = measure.summary(lags).itertuples()
    shown = f"{row.median_min_ms:.0f}\N{EN DASH}{row.median_max_ms:.0f} ms"
    assert shown == "620\N{EN DASH}640 ms"
    assert f"median {shown}" in words(draw("lag_by_target", lags))
    assert shown in charts.finding(draw("lag_distribution", lags))
    calls = pd.DataFrame({"operation": ["put"], "region": ["ap-southeast-1"], "ms": [12.0], "backend": [SIMULATED]})
    assert shown in words(draw("latency_beside_lag", measure.beside_lag(calls, lags)))
    (half,) = statistics.percentiles(lags, [50]).itertuples()
    assert (half.low_ms, half.high_ms) == (row.median_min_ms, row.median_max_ms)


def test_medians_that_overlap_are_not_ranked():
    lags = pd.DataFrame({"probe": [1, 1], "source": "ap-southeast-1", "target": ["us-east-1", "eu-west-1"],
                         "lag_min_ms": [42.0, 38.0], "lag_max_ms": [79.0, 72.0], "backend": SIMULATED})
    assert charts.finding(draw("lag_by_target", lags)).startswith("The median lags overlap and cannot be ranked: 38")
    calls = pd.DataFrame({"operation": "get", "region": ["ap-southeast-1"], "ms": [9.5], "backend": SIMULATED})
    found = charts.finding(draw("latency_beside_lag", measure.beside_lag(calls, lags)))
    assert "too close to be ranked" in found and found.endswith("The smallest: get in Singapore, 9.5 ms.")


def test_two_charts_rank_the_same_medians():
    lags = pd.DataFrame({"probe": [1, 1], "source": "ap-southeast-1", "target": ["us-east-1", "eu-west-1"],
                         "lag_min_ms": [541.0, 497.0], "lag_max_ms": [573.0, 524.0], "backend": SIMULATED})
    assert charts.finding(draw("lag_by_target", lags)).startswith("The median lag is smallest to Ireland")
    calls = pd.DataFrame({"operation": "get", "region": ["ap-southeast-1"], "ms": [9.5], "backend": SIMULATED})
    found = charts.finding(draw("latency_beside_lag", measure.beside_lag(calls, lags)))
    assert found.startswith("The largest median is that of replication lag to N. Virginia, 541–573 ms.")


def test_arrivals_that_overlap_are_not_ranked():
    arrivals = CASES["arrivals"]
    later = arrivals["seen_min_ms"].max()  # the first arrival ends after the second one may have begun
    found = charts.finding(draw("arrivals", arrivals.assign(seen_max_ms=arrivals["seen_max_ms"].where(
        arrivals["seen_max_ms"].isna(), later + 99))))
    assert "arrivals, between" in found and "fastest" not in found


def test_a_chart_and_a_table_of_calls_show_the_same_percentiles():
    calls = pd.DataFrame({"operation": "get", "region": "us-east-1", "ms": [float(ms) for ms in range(10, 30)],
                          "error": None, "backend": SIMULATED})
    failed = calls.tail(1).assign(ms=9000.0, error="ThrottlingException")
    calls = pd.concat([calls, failed], ignore_index=True)
    (table,), (chart,) = measure.percentiles(calls).itertuples(), measure.beside_lag(calls).itertuples()
    assert (table.p50_ms, table.p90_ms) == (chart.median_ms, chart.p90_ms) == (19.0, 27.0)


def test_the_percentile_of_intervals_contains_that_of_the_times_within_them():
    draws = random.Random(3)
    for _ in range(200):
        lows = [draws.uniform(0, 100) for _ in range(draws.randint(1, 9))]
        highs = [low + draws.uniform(0, 50) for low in lows]
        times = sorted(draws.uniform(low, high) for low, high in zip(lows, highs, strict=True))
        share = draws.choice([0.07, 0.5, 0.9, 1])
        found = percentile(lows, highs, share)
        assert found.low <= times[rank(len(times), share)] <= found.high
    assert percentile([1.0, 2.0, float("nan")], [5.0, float("nan"), 9.0], 1) == (2.0, float("inf"))
    with pytest.raises(ValueError, match="no time has a lower bound"):
        percentile([float("nan")], [1.0], 0.5)
    with pytest.raises(ValueError, match="share is 50"):
        percentile([1.0], [1.0], 50)


# ---------------------------------------------------------------------------------------- colours and symbols

# The backgrounds of JupyterLab's themes, of Notebook 7's, and of the maps.
LIGHT = (colours.BACK, colours.SEA, colours.LAND)
DARK_BACKGROUNDS = ("#212121", *(colours.DARK[colour] for colour in LIGHT))


def test_each_region_has_its_own_colour_and_symbol():
    pairs = {looks.look(code) for code in regions.REGIONS}
    assert len(pairs) == len(regions.REGIONS) >= 33
    assert {pair.symbol for pair in pairs} == set(looks.SYMBOLS)
    assert looks.look("mars-north-1") == looks.look("mars-north-1")


@pytest.mark.parametrize("together", [
    "ap-southeast-1 us-east-1 eu-west-1",                # the default of the course
    "ap-southeast-1 us-east-1 eu-west-1 us-west-2 ap-northeast-1",
    "us-east-1 us-east-2 us-west-2",                     # the Regions of strongly consistent tables
    "eu-west-1 eu-west-2 eu-west-3 eu-central-1",
    "ap-northeast-1 ap-northeast-2 ap-northeast-3",
    "us-east-1 eu-central-1 ap-southeast-1",
    "us-east-1 eu-west-1 ap-southeast-2",
])
def test_regions_that_are_used_together_differ_in_colour_and_in_symbol(together):
    found = [looks.look(code) for code in together.split()]
    assert len({each.colour for each in found}) == len({each.symbol for each in found}) == len(found)


def test_marks_and_text_have_contrast_in_both_themes():
    fills = {fill for fill, _ in [*colours.STATUS_COLOURS.values(), colours.OTHER_STATUS,
                                  *colours.LOOP_COLOURS.values()]} - {colours.CLEAR}
    for colour in {*looks.COLOURS, *fills}:
        for back in (*LIGHT, *DARK_BACKGROUNDS):
            assert contrast(colour, back) >= 3, (colour, back)
    for text in (colours.INK, colours.QUIET):
        assert all(contrast(text, back) >= 4.5 for back in LIGHT)
        assert all(contrast(colours.DARK[text], back) >= 4.5 for back in DARK_BACKGROUNDS)
    for fill, ink in [*colours.STATUS_COLOURS.values(), colours.OTHER_STATUS, *colours.LOOP_COLOURS.values()]:
        assert fill == colours.CLEAR or contrast(fill, ink) >= 4.5, (fill, ink)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours ("#RRGGBB"), from 1 to 21 (WCAG 2.1)."""
    dim, bright = sorted(map(luminance, (one, other)))
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    parts = [part / 255 for part in colours.red_green_blue(colour)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_contrast_is_that_of_the_guidelines():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


# ------------------------------------------------------------------------------------------------------ map


def test_map_names_every_region_and_round_trip():
    text = words(draw("region_map"))
    for expected in (
        "Singapore (home)",
        "ap-southeast-1",
        "N. Virginia",
        "us-east-1",
        "Ireland",
        "219 ms",
        "179 ms",
    ):
        assert expected in text
    assert "cloudping.co, 2024-25" in text and "not cable routes" in text


def test_map_draws_each_region_with_its_own_look():
    fig = draw("region_map")
    home, replica = traces(fig, "home")[0], traces(fig, "replica")[0]
    drawn = [*zip(home.marker.color, home.marker.symbol, strict=True),
             *zip(replica.marker.color, replica.marker.symbol, strict=True)]
    assert drawn == [looks.look(code) for code in ("ap-southeast-1", "us-east-1", "eu-west-1")]
    assert len(traces(fig, "ap-southeast-1 to eu-west-1")) == 1


REGION_SETS = [
    ("ap-southeast-1", "us-east-1, eu-west-1"),
    ("eu-west-1", "eu-west-2, eu-central-1"),
    ("us-east-1", "us-west-2"),
    ("sa-east-1", "ap-southeast-2"),
    ("us-east-1", "us-west-2, ap-northeast-1, eu-central-1, sa-east-1"),
    ("us-west-2", "ap-northeast-1"),
    ("ap-northeast-1", "ap-northeast-2, ap-northeast-3"),
    ("eu-central-1", "eu-central-2, eu-south-1, eu-west-3"),
    ("us-east-1", "us-east-2"),
]
OTHERS = tuple(code for code in regions.REGIONS if code != "us-east-1")


@cache
def map_of(home, replicas):
    """The map of these Regions, drawn once for all that read it."""
    return charts.region_map(regions.frame(home, replicas))


@pytest.mark.parametrize("width", [468, 640, 880, 1300])
@pytest.mark.parametrize(("home", "replicas"), REGION_SETS)
def test_map_labels_neither_overlap_nor_leave_the_map_at_any_width(home, replicas, width):
    fig = map_of(home, replicas)
    (west, east), (south, north) = fig.layout.xaxis.range, fig.layout.yaxis.range
    tall, wide = plot_height(fig), width - fig.layout.margin.l - fig.layout.margin.r
    # The map keeps its proportions: a narrow one shows more to the north and south, a wide one has empty sides.
    across = min(wide / (east - west), tall / (north - south) / fig.layout.yaxis.scaleratio)
    down = across * fig.layout.yaxis.scaleratio
    boxes = []
    for note in fig.layout.annotations:
        lines = re.sub("</?b>", "", note.text).split("<br>")
        # 7 pixels a letter and 15 a line: 12 px text as browsers set it.
        half_width, half_height = max(map(len, lines)) * 3.5, len(lines) * 7.5
        x = wide / 2 + (note.x - (west + east) / 2) * across + note.xshift
        y = tall / 2 + (note.y - (south + north) / 2) * down + note.yshift
        assert half_width < x < wide - half_width and half_height < y < tall - half_height, note.text
        boxes.append((x, y, half_width, half_height, note.text))
    assert len(boxes) == len(regions.parse(replicas)) + 1
    for number, (x, y, label_width, height, text) in enumerate(boxes):
        for other_x, other_y, other_width, other_height, other in boxes[:number]:
            apart = abs(x - other_x) >= label_width + other_width or abs(y - other_y) >= height + other_height
            assert apart, (text, other)


def test_map_label_stands_at_its_point():
    for note in map_of("ap-southeast-1", "us-east-1, eu-west-1").layout.annotations:
        assert abs(note.yshift) <= 50 and abs(note.xshift) <= 90


@pytest.mark.parametrize(
    ("home", "replicas"),
    [*REGION_SETS, pytest.param("us-east-1", OTHERS, marks=pytest.mark.slow, id="all")],
)
def test_map_shows_all_its_regions(home, replicas):
    fig = map_of(home, replicas)
    (west, east), (south, north) = fig.layout.xaxis.range, fig.layout.yaxis.range
    assert 40 < east - west <= 360.01
    points = [*traces(fig, "home"), *traces(fig, "replica")]
    assert sum(len(trace.x) for trace in points) == len(regions.parse(replicas)) + 1
    for trace in points:
        assert all(west < x < east for x in trace.x) and all(south < y < north for y in trace.y)


@pytest.mark.slow
def test_map_of_all_regions_names_those_for_which_there_is_room_and_has_the_others_in_its_table():
    fig = map_of("us-east-1", OTHERS)
    named = [note for note in fig.layout.annotations if "<b>" in note.text]
    assert 10 < len(named) <= 33 and any("(home)" in note.text for note in named)
    assert set(charts.table(fig)["region"]) == set(regions.REGIONS)


def test_map_draws_the_pacific_in_one_piece():
    fig = map_of("us-west-2", "ap-northeast-1")
    (line,) = traces(fig, "us-west-2 to ap-northeast-1")
    assert max(line.x) - min(line.x) == pytest.approx(360 - 119.70 - 139.69, abs=0.1)


def test_map_needs_one_home():
    frame = regions.frame("us-east-1", "us-west-2").assign(role="replica")
    with pytest.raises(ValueError, match='exactly one row with role "home"; this frame has 0'):
        charts.region_map(frame)


# --------------------------------------------------------------------------------------------------- states


def test_states_are_bars_with_their_status_from_start_to_end():
    fig = draw("replica_states")
    assert [trace.name for trace in fig.data] == ["absent", "CREATING", "ACTIVE", "ARCHIVING"]
    (active,) = traces(fig, "ACTIVE")
    assert list(active.base) == [21, 0] and list(active.x) == [39, 30]
    assert list(active.text) == ["ACTIVE", "ACTIVE"]
    assert "us-east-1" in words(fig) and "N. Virginia" in words(fig)


def test_states_that_end_alike_are_said_with_the_first_and_the_last():
    assert charts.finding(draw("replica_states", STATES.iloc[[0, 1, 2, 3]])) == (
        "Ireland is ACTIVE from the beginning, and N. Virginia, the last one, after 21.0 s.")


@pytest.mark.parametrize(("ends", "said"), [
    ({"ap-southeast-1": ("there", 0.0), "eu-west-1": ("there", 1.04)},
     "The item is there in Singapore from the beginning, and after 1.0 s in Ireland, the last one."),
    ({"us-east-1": ("there", 0.5), "eu-west-1": ("there", 1.0)},
     "The item is there after 1.0 s in Ireland, the last one."),
    ({"us-east-1": ("there", 0.0), "eu-west-1": ("there", 0.0)},
     "The item is there in N. Virginia and Ireland from the beginning."),
    ({"eu-west-1": ("there", 0.5)}, "The item is there after 0.5 s in Ireland."),
    ({"us-east-1": ("there", 0.5), "eu-west-1": ("older", 0.0)},
     "At the end, the item is there in N. Virginia and the item is older in Ireland."),
])
def test_an_item_is_there_in_a_region_and_the_region_is_not(ends, said):
    frame = pd.DataFrame([(region, status, start_s, 2.0) for region, (status, start_s) in ends.items()],
                         columns=["region", "status", "start_s", "end_s"])
    assert charts.finding(draw("replica_states", frame)) == said


def test_a_status_reached_as_the_watching_ends_is_named():
    frame = pd.DataFrame([("us-east-1", "CREATING", 0.0, 9.0), ("us-east-1", "ACTIVE", 9.0, 9.0)],
                         columns=["region", "status", "start_s", "end_s"])
    assert "→ ACTIVE" in words(draw("replica_states", frame))
    assert "→" not in words(draw("replica_states", frame.head(1)))


def test_states_have_fixed_and_different_colours():
    colours = [trace.marker.color for trace in draw("replica_states").data]
    assert len(set(colours)) == 4
    assert draw("replica_states", STATES.tail(2)).data[0].marker.color == colours[2]


# ------------------------------------------------------------------------------------------------------ lag


def test_arrivals_are_intervals_and_name_the_lag_since_the_write():
    fig = draw("arrivals", ARRIVALS.assign(sent_ms=ARRIVALS["sent_ms"] + 50))
    bar = traces(fig, "put Song 1 to us-east-1")[-1]
    assert list(bar.x) == [612, 640] and bar.line.width > 5
    assert "562\N{EN DASH}590 ms" in words(fig)
    assert "put Song 1" in words(fig) and "Singapore" in words(fig)


def test_arrivals_show_what_was_never_seen():
    fig = draw("arrivals")
    (lost,) = traces(fig, "not seen")
    assert len(lost.x) == 1 and "not seen" in words(fig)
    assert traces(draw("arrivals", ARRIVALS.head(3)), "not seen") == []


def test_arrivals_at_about_the_same_time_are_all_labelled():
    """As on a machine that was busy: the answers to all reads came late, and together."""
    sent = (0, 377, 952, 1372)
    rows = [(f"write {n}", region, role, at, low, high) for n, at in enumerate(sent) for region, role, low, high in (
        ("ap-southeast-1", "source", None, None), ("us-east-1", "target", 1487, 3640),
        ("eu-west-1", "target", 1465, 3617))]
    fig = draw("arrivals", pd.DataFrame(rows, columns=list(ARRIVALS.columns[:6])).assign(backend=SIMULATED))
    assert sum(note.text.endswith(" ms") for note in fig.layout.annotations) == 8
    assert all(abs(note.yshift) == 18 for note in fig.layout.annotations if "write" in note.text)


def test_arrivals_need_a_source_for_every_write():
    with pytest.raises(ValueError, match="role \"source\" for every write; none for 'put Song 1'"):
        draw("arrivals", ARRIVALS.drop(index=0))


def test_lag_by_target_marks_the_median():
    text = words(draw("lag_by_target"))
    assert "median 720\N{EN DASH}740 ms" in text and "median 620\N{EN DASH}640 ms" in text
    assert "from Singapore (ap-southeast-1)" in text


def test_lag_by_target_draws_every_interval_the_same_way_twice():
    fig = draw("lag_by_target")
    intervals, dots = traces(fig, "us-east-1")
    assert list(intervals.x[:3]) == [700, 720, None] and dots.x[0] == 710
    assert fig == draw("lag_by_target", LAGS)


def test_lag_by_target_draws_hard_intervals_pale_behind_the_refined_ones():
    fig = draw("lag_by_target", LAGS.assign(hard_min_ms=LAGS["lag_min_ms"] - 100, hard_max_ms=LAGS["lag_max_ms"] + 100))
    hard, refined, _ = fig.data[:3]
    assert (hard.name, refined.name) == ("us-east-1, hard", "us-east-1")
    assert list(hard.x[:3]) == [600, 820, None] and list(refined.x[:3]) == [700, 720, None]
    assert "certainly" in words(fig) and "symmetric" in words(fig)


def test_lag_counts_the_probes_that_were_never_seen():
    frame = LAGS.assign(lag_min_ms=LAGS["lag_min_ms"].where(LAGS.index != 0))
    frame["lag_max_ms"] = LAGS["lag_max_ms"].where(LAGS.index != 0)
    assert "1 of 5 not seen" in words(draw("lag_by_target", frame))
    assert [max(trace.y) for trace in draw("lag_distribution", frame).data] == pytest.approx(
        [80, 80, 100, 100]
    )


@pytest.mark.parametrize("name", ["lag_by_target", "lag_distribution"])
def test_lag_of_a_target_that_never_saw_anything_is_drawn(name):
    nothing = LAGS.assign(lag_min_ms=float("nan"), lag_max_ms=float("nan"))
    assert "us-east-1" in words(draw(name, nothing))


@pytest.mark.parametrize("name", ["lag_by_target", "lag_distribution"])
def test_lag_from_several_sources_keeps_them_apart(name):
    both = pd.concat([LAGS, LAGS.assign(source="eu-west-2")], ignore_index=True)
    text = " ".join(words(draw(name, both)).split())
    assert "ap-southeast-1 → us-east-1" in text and "eu-west-2 → us-east-1" in text


def test_distribution_lies_between_possibly_and_certainly_seen():
    possibly, certainly = draw("lag_distribution").data[:2]
    assert list(possibly.x)[1] == 700 and list(certainly.x)[1] == 720
    assert list(certainly.y)[:3] == [0, 20, 40] and max(certainly.y) == 100
    assert certainly.fill == "tonexty" and certainly.line.shape == "hv"


# -------------------------------------------------------------------------------------------------- latency


def test_t_visibility_names_when_nearly_all_have_arrived_and_the_distance():
    fig = draw("t_visibility")
    band, curve = fig.data[:2]
    assert band.fill == "toself" and list(curve.y[:2]) == pytest.approx([2.78, 8.33])
    assert "all by 900 ms" in words(fig) and "all by 700 ms" in words(fig), "these are few probes"
    assert "N. Virginia 110 ms" in words(fig) and "a write from Singapore" in words(fig)


def test_t_visibility_of_what_never_arrives_names_no_time():
    assert " by 9" not in words(draw("t_visibility", VISIBILITY.assign(certain=0.0)))


def test_t_visibility_ends_where_nobody_knows_how_it_goes_on():
    fig = draw("t_visibility", VISIBILITY.assign(given_up=(VISIBILITY["t_ms"] > 400) / 2))
    curve = fig.data[1]
    assert [y is None for y in curve.y] == [x > 400 for x in curve.x] and {True, False} == {y is None for y in curve.y}


@pytest.mark.parametrize("name", ["lag_by_target", "lag_distribution", "t_visibility"])
def test_many_targets_have_room_and_are_told_apart(name):
    frame = VISIBILITY if name == "t_visibility" else LAGS
    one = frame[frame["target"] == frame["target"].iloc[0]]
    nine = pd.concat([one.assign(target=code) for code in list(regions.REGIONS)[5:14]], ignore_index=True)
    three, fig = draw(name, nine[nine["target"].isin(nine["target"].unique()[:3])]), draw(name, nine)
    assert fig.layout.height > three.layout.height
    if name != "lag_by_target":  # which has rows
        curves = [trace for trace in fig.data if trace.mode == "lines+markers"]
        assert len({(curve.line.color, curve.line.dash) for curve in curves}) == 9
        assert len({(curve.line.color, curve.marker.symbol) for curve in curves}) == 9
    if name == "t_visibility":
        assert not [note for note in fig.layout.annotations if " by " in note.text]
        assert sum("all by 900 ms" in (trace.name or "") for trace in fig.data) == 9


def test_latency_prints_its_values_and_names_its_operations():
    text = words(draw("latency_beside_lag"))
    for expected in (
        "12 ms",
        "221 ms",
        "742 ms",
        "1,210 ms",
        "put",
        "get",
        "replication lag",
        "median",
        "P90",
    ):
        assert expected in text


def test_latency_is_linear_until_values_differ_a_hundredfold():
    assert draw("latency_beside_lag", LATENCY.tail(2)).layout.xaxis.type == "linear"
    far_apart = draw("latency_beside_lag")
    assert far_apart.layout.xaxis.type == "log" and "logarithmic" in far_apart.layout.xaxis.title.text


def test_the_line_of_an_interval_is_no_dash_before_the_value_at_its_bar():
    fig = draw("latency_beside_lag", LATENCY.assign(median_min_ms=LATENCY["median_ms"] / 2))
    values, (line,) = traces(fig, "median")[0], traces(fig, "interval")
    assert line.mode == "lines+markers" and line.marker.symbol == "line-ns", "a line with ends"
    assert values.text[0] == "\N{EN SPACE}6.0\N{EN DASH}12 ms"
    assert values.customdata[0].endswith(": median 6.0\N{EN DASH}12 ms")


def test_latency_has_one_colour_a_region():
    colours = traces(draw("latency_beside_lag"), "median")[0].marker.color
    assert colours[1] == colours[2] != colours[0]


def test_loop_stacks_put_sleep_get_and_marks_the_arrival():
    fig = draw("loop_timing")
    put, sleep, get, arrived = fig.data
    assert [put.name, sleep.name, get.name, arrived.name] == ["put", "sleep", "get", "arrived"]
    assert list(put.base) == [0, 0] and list(sleep.base) == [12, 14] and list(get.base) == [1012, 1014]
    assert list(arrived.x) == [712, 1114]
    assert [note.text for note in fig.layout.annotations] == ["found", "<b>not found</b>"]


def test_loop_without_known_arrivals_has_no_marker():
    assert len(draw("loop_timing", LOOP.drop(columns="lag_max_ms")).data) == 3
    assert len(draw("loop_timing", LOOP.assign(lag_max_ms=None)).data) == 3


def test_labels_from_data_are_text_not_markup():
    fig = draw("loop_timing", LOOP.assign(item="<b>Song</b> & more"))
    assert fig.layout.yaxis.ticktext[0] == "&lt;b&gt;Song&lt;/b&gt; &amp; more"


def test_a_region_outside_the_catalogue_is_shown_by_its_code():
    assert "mars-north-1" in words(draw("replica_states", STATES.assign(region="mars-north-1")))


# ----------------------------------------------------------------------------------------------------- drill


def test_the_drill_shows_what_became_of_each_write_and_where():
    fig = draw("failover_timeline")
    at = {trace.name: list(trace.x) for trace in fig.data}
    assert at["came late"] == [0.505] and at["lost"] == [0.805] and at["not acknowledged"] == [3.2]
    assert at["acknowledged"] == [0.005, 2.23, 2.72] and at["waiting"][:3] == [0.0, 0.005, None]
    assert "no answer" in words(fig) and "Losing Singapore" in words(fig)


def test_the_drill_shows_the_recovery_and_what_was_missing():
    fig = draw("failover_timeline")
    text = words(fig)
    assert "recovery 1.2 s" in text and "missing: 2 writes, 0.5 s" in text and "Singapore is down" in text
    outage = fig.layout.shapes[0]
    assert (outage.type, outage.x0, outage.x1) == ("rect", 1.0, 2.0)


def test_a_drill_that_lost_nothing_or_was_stopped_says_no_more():
    text = words(draw("failover_timeline", DRILL.assign(missing=False, fate="stays")))
    assert "missing: 0 writes" in text and "missing: 0 writes," not in text
    stopped = draw("failover_timeline", DRILL.head(2).assign(outage_from_ms=float("nan"), outage_to_ms=float("nan")))
    assert "recovery" not in words(stopped) and not stopped.layout.shapes


# ------------------------------------------------------------------------------------------- space-time diagram


def events(*rows, **more):
    """A frame of the journal: time, kind, region, source, written_at, and other columns by name."""
    frame = pd.DataFrame(
        [{"time": time, "kind": kind, "region": region, "source": source, "written_at": written_at, "key": KEY} | extra
         for time, kind, region, source, written_at, extra in rows],
        columns=[*EVENTS.columns, "stale", "operation", "items", "stale_items", "newer_in", "newer_written_at",
                 "behind_ms"]).assign(**more)
    for name in ("time", "written_at", "newer_written_at"):
        frame[name] = pd.to_datetime(frame[name].astype("float64"), unit="s", utc=True)
    return frame


SINGAPORE, VIRGINIA = "ap-southeast-1", "us-east-1"


def many(count):
    """Writes every 20 ms, each delivered after 300 ms; every tenth is overwritten and loses."""
    rows = []
    for number in range(count):
        at = number / 50
        rows.append((at, "write", SINGAPORE, None, at, {}))
        rows.append((at + 0.3, *(("discarded", VIRGINIA, SINGAPORE, at, {
            "lag_ms": 300.0, "lost_to": VIRGINIA, "by_ms": 10.0, "conflict": True}) if number % 10 == 0 else (
                "delivery", VIRGINIA, SINGAPORE, at, {"lag_ms": 300.0}))))
        rows.append((at + 0.2, "read", VIRGINIA, None, None, {
            "stale": True, "operation": "GetItem", "newer_in": SINGAPORE, "newer_written_at": at, "behind_ms": 200.0}))
    return events(*sorted(rows, key=lambda row: row[0]))


def test_the_diagram_draws_each_write_and_where_it_went():
    fig = draw("journal")
    by_name = {trace.name: trace for trace in fig.data}
    assert list(by_name) == ["not arrived", "delivery", "overtaken", "loses", "wins", "write", "delete",
                             "labels", "not yet"]
    assert list(by_name["write"].x) == [0.0, 1.5] and list(by_name["delete"].y) == [1]
    assert list(by_name["delivery"].x) == [0.0, 0.5, None] and list(by_name["delivery"].y) == [0, 1, None]
    lost = by_name["loses"]
    assert list(lost.x) == [1.5, 3.1, None] and list(by_name["overtaken"].x) == [0.1, 3.2, None]
    assert lost.y[0] == 0 and 0.5 < lost.y[1] < 1  # it does not reach the Region's row
    assert list(by_name["wins"].x) == [2.0] and list(by_name["wins"].y) == [1]


def test_the_diagram_says_who_lost_and_by_how_much():
    fig = draw("journal")
    assert "lost to N. Virginia (us-east-1) by 500 ms" in words(fig) and "| wins" in words(fig)
    (conflict,) = traces(fig, "loses")
    lines = conflict.text[1].split("<br>")
    assert lines[0] == "&lt;b&gt;Me&lt;/b&gt; / 1" and lines[1].startswith(
        "arrival from ap-southeast-1, lost a conflict in us-east-1, 3.100 s")
    assert lines[2] == "version: 00:00:01.500 UTC in ap-southeast-1"
    assert lines[3] == "lost by 500 ms to the version 00:00:02.000 UTC in us-east-1"
    assert lines[4] == "1,600 ms after it was written"


def test_winners_losers_and_replacements_differ_in_shape_and_in_words():
    frame = events((0.0, "write", SINGAPORE, None, 0.0, {}),
                   (0.4, "delivery", VIRGINIA, SINGAPORE, 0.0, {"lag_ms": 400.0}),
                   (1.0, "write", SINGAPORE, None, 1.0, {}),
                   (1.4, "delivery", VIRGINIA, SINGAPORE, 1.0, {"lag_ms": 400.0}))
    fig = draw("spacetime", frame)
    first, again = traces(fig, "delivery")[0], traces(fig, "replaces")[0]
    assert first.marker.symbol != again.marker.symbol
    assert "replaced the version 00:00:00.000 UTC in ap-southeast-1" in again.text[1]
    assert "replaced the version 00:00:00.000 UTC in ap-southeast-1" in traces(fig, "write")[0].text[1]
    lost = draw("journal")
    symbols = {str(trace.marker.symbol) for trace in lost.data if trace.marker.symbol}
    assert len(symbols) == len([trace for trace in lost.data if trace.marker.symbol])


def test_stale_reads_are_marked_below_the_row_of_their_region():
    frame = events(
        (0.0, "write", SINGAPORE, None, 0.0, {}),
        (0.1, "read", VIRGINIA, None, None, {"stale": True, "operation": "GetItem", "newer_in": SINGAPORE,
                                             "newer_written_at": 0.0, "behind_ms": 100.0}),
        (0.2, "read", VIRGINIA, None, None, {"stale": True, "operation": "Scan", "newer_in": SINGAPORE, "key": None,
                                             "newer_written_at": 0.0, "behind_ms": 200.0, "items": 3,
                                             "stale_items": 1}),
        (0.3, "delivery", VIRGINIA, SINGAPORE, 0.0, {"lag_ms": 300.0}),
        (0.4, "read", VIRGINIA, SINGAPORE, 0.0, {"stale": False, "operation": "GetItem"}))
    fig = draw("spacetime", frame)
    (stale,), (fresh,) = traces(fig, "stale read"), traces(fig, "read")
    assert list(stale.x) == [0.1, 0.2] and 1 < stale.y[0] < 1.5 and list(fresh.x) == [0.4]
    assert stale.marker.symbol != fresh.marker.symbol
    assert "version read: none, the item was not there" in stale.text[0]
    assert "missed the version 00:00:00.000 UTC in ap-southeast-1, 100 ms old" in stale.text[0]
    assert stale.text[1].startswith("page of a Scan, 3 items, 1 stale or not there<br>stale read in us-east-1")
    assert charts.finding(fig) == ("1 write, 1 arrival in other Regions after 300 ms; none lost a "
                                   "conflict; 2 of 3 reads were stale.")


@pytest.mark.parametrize(("count", "drawn_each"), [(5, True), (170, False)])
def test_many_events_are_drawn_together_and_none_is_lost(count, drawn_each):
    frame = many(count)
    fig = draw("spacetime", frame)
    arrivals = sum(len(trace.x) // 3 for name in ("delivery", "replaces") for trace in traces(fig, name))
    assert (arrivals == list(frame["kind"]).count("delivery")) is drawn_each
    assert bool(traces(fig, "ap-southeast-1, together")) is not drawn_each
    assert ("Drawn together" in words(fig)) is not drawn_each
    if not drawn_each:
        said = " ".join(words(fig).split())  # the subtitle is wrapped
        assert "152 deliveries that replace as " in said and "170 writes as " in said
        assert sum(len(trace.x or ()) for trace in fig.data) < 900 and len(fig.to_json()) < 150_000
        assert sum(int(text.split()[0]) for text in traces(fig, "write")[0].text) == 170
        assert "at the median" in traces(fig, "replaces")[0].text[1]
        assert len(traces(fig, "loses")[0].x) == 3 * 17  # losers are few enough to be drawn each
    assert len(charts.table(fig)) == min(200, 3 * count)


def test_a_write_that_has_not_arrived_has_a_line_that_ends_on_its_way():
    def drawn(count):
        writes = [(number / 10, "write", SINGAPORE, None, number / 10, {}) for number in range(count)]
        return draw("spacetime", events(
            *writes, (6.0, "delivery", VIRGINIA, SINGAPORE, 0.0, {"lag_ms": 6000.0})))

    fig = drawn(2)
    (line,) = traces(fig, "not arrived")
    assert list(line.x) == [0.1, 6.0, None] and list(line.y) == [0, 0.75, None]
    assert "not in us-east-1 by the end" in line.text[1] and "1 delivery had not arrived" in charts.finding(fig)
    crowd = drawn(50)
    assert traces(crowd, "not arrived") == [] and "49 deliveries had not arrived" in charts.finding(crowd)
    alone = draw("spacetime", events((0.0, "write", SINGAPORE, None, 0.0, {})))
    assert traces(alone, "not arrived") == []  # nothing says that it is to arrive anywhere


def test_what_is_not_drawn_is_said():
    assert "Not drawn: 1 join." in words(draw("journal"))


def test_the_button_draws_the_diagram_over_time_at_a_small_cost():
    fig = draw("spacetime", many(170))
    curtain = len(fig.data) - 1
    assert all(list(frame.traces) == [curtain] for frame in fig.frames)
    edges = [frame.data[0].x[0] for frame in fig.frames]
    assert edges == sorted(edges) and edges[0] == 0 and edges[-1] == fig.layout.xaxis.range[1] == fig.data[curtain].x[0]
    frames = [frame.to_plotly_json() for frame in fig.frames]
    assert len(json.dumps([frames, fig.layout.sliders[0].to_plotly_json()])) < 20_000
    assert [button.label for button in fig.layout.updatemenus[0].buttons] == ["▶ Play", "Pause"]
    assert len(fig.layout.annotations) == 0  # the curtain could not hide them


def test_the_diagram_shades_what_was_broken_while_it_was():
    def shaded(frame):
        return [(shape.x0, shape.x1, shape.y0, shape.y1) for shape in draw("journal", frame).layout.shapes]

    assert shaded(EVENTS) == [(1.0, 3.0, 0, 1)] and "partition" in words(draw("journal"))
    assert shaded(EVENTS[EVENTS["kind"] != "mended"]) == [(1.0, 3.2, 0, 1)]
    assert shaded(EVENTS[EVENTS["kind"] != "broken"]) == [(0.0, 3.0, 0, 1)]
    alone = EVENTS.replace({"place": {PAIR: "us-east-1"}})
    assert shaded(alone) == [(1.0, 3.0, 0.7, 1.3)]
    everywhere = EVENTS.replace({"place": {PAIR: ""}})
    assert shaded(everywhere) == [(1.0, 3.0, 0, 1)]


def test_events_without_writes_have_nothing_to_draw():
    with pytest.raises(ValueError, match="these events contain no write, no arrival and no read"):
        draw("journal", EVENTS[EVENTS["kind"] == "broken"])
