"""Arrivals: the writes of a measurement on their way from Region to Region, as lines over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gtlab.charts.colours import EDGE, INK, LABEL_BACKGROUND, faded
from gtlab.charts.columns import each_row, finite, known, need, unique
from gtlab.charts.labels import Labels, Point, boxes
from gtlab.charts.layout import NARROW, figure, height_for, region_axis
from gtlab.charts.looks import look
from gtlab.charts.meta import describe
from gtlab.charts.text import city, ms, ms_span, plain_text, plural, short, text_width

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


def arrivals(frame: pd.DataFrame) -> go.Figure:
    """Space-time diagram: one line per Region, time to the right, and every write on its way to the other Regions.

    Columns: write (its label), region, role ("source" or "target"), sent_ms (when the write was sent: milliseconds
    on the time axis, 0 for the first write), seen_min_ms and seen_max_ms (same axis). The write arrived at a target
    after seen_min_ms, the last poll that did not see it, and before seen_max_ms, the first poll that did. Both are
    ignored for a source; if they are missing for a target, the write was never seen there. One source row per write,
    one target row per arrival.

    Traces: for each arrival a wedge (the range of possible paths), a line to the middle of the interval, and a thick
    bar, all named "write to region"; then "source" (a dot per write) and, if there are any, "not seen" (crosses at the
    right). Raises ValueError for a write without a source row.
    """
    need(frame, "arrivals", "write", "region", "role", "sent_ms", "seen_min_ms", "seen_max_ms")
    sources, targets = frame[frame["role"] == "source"], frame[frame["role"] != "source"]
    origin = {row.write: row.region for row in each_row(sources)}
    orphans = [write for write in unique(targets["write"]) if write not in origin]
    if orphans:
        raise ValueError(f'arrivals needs a row with role "source" for every write; none for {orphans[0]!r}.')

    codes = unique([*sources["region"], *targets["region"]])
    colours = {code: look(code).colour for code in codes}
    said = _finding(targets)
    fig = figure(frame, title="From the write to its arrival in each Region",
                 height=height_for(len(codes), 92))
    times = finite(known(frame, "sent_ms", "seen_min_ms", "seen_max_ms"))
    begin, end = min(0.0, *times), max(times)
    span = (end - begin) or 1.0

    notes = [
        (row.sent_ms, codes.index(row.region), f"<b>{short(row.write)}</b>")
        for row in each_row(sources)
    ]
    lost: list[tuple[int, str]] = []
    for row in each_row(targets):
        start, here = codes.index(origin[row.write]), codes.index(row.region)
        name, colour = f"{plain_text(row.write)} to {row.region}", colours[row.region]
        if len(finite([row.seen_min_ms, row.seen_max_ms])) < 2:
            lost.append((here, name))
            line = {"color": colour, "width": 1.5, "dash": "dot"}
            fig.add_scatter(
                x=[row.sent_ms, end + 0.03 * span], y=[start, here], mode="lines", line=line, name=name
            )
            continue
        for trace in _arrival(row, start, here, colour, name):
            fig.add_scatter(**trace)
        # More labels than this would hide the lines; the hover text still has them.
        if len(targets) <= 15:
            middle = (row.seen_min_ms + row.seen_max_ms) / 2
            text = ms_span(row.seen_min_ms - row.sent_ms, row.seen_max_ms - row.sent_ms)
            notes.append((middle, here, text))
    fig.add_scatter(**_sent(sources, codes, colours))
    if lost:
        fig.add_scatter(**_lost(lost, end + 0.03 * span))
        notes += [(end + 0.03 * span, here, "not seen") for here in sorted({here for here, _ in lost})]

    region_axis(fig, codes, lines=True)
    fig.update_xaxes(
        title_text="milliseconds since the first write was sent",
        range=[begin - 0.04 * span, end + 0.10 * span],
    )
    fig.update_layout(showlegend=False, margin={"b": 52, "l": _LEFT, "r": _RIGHT})
    _note_times(fig, notes, [(start, end) for trace in fig.data if trace.mode == "lines" and len(trace.x) == 2
                             for start, end in [tuple(zip(trace.x, trace.y, strict=True))]])
    describe(fig, said, f"Space-time diagram of {plural(len(origin), 'write')} in {plural(len(codes), 'Region')} over "
             f"{ms(end - begin)}. {said}", _table(targets, origin))
    return fig


_LEFT, _RIGHT = 126, 30  # the margins in pixels
_MOST_AVOIDED = 1000  # pairs of a note and a line: more would take long, and there is no free place anyway


def _finding(targets: pd.DataFrame) -> str:
    seen = [row for row in each_row(targets) if len(finite([row.seen_min_ms, row.seen_max_ms])) == 2]
    lost = len(targets) - len(seen)
    missed = f" {plural(lost, 'arrival')} {'was' if lost == 1 else 'were'} not seen." if lost else ""
    if not seen:
        return f"No write was seen in another Region.{missed}"

    def took(row: Any) -> str:
        return (f"{row.write} in {city(row.region) or row.region}, "
                f"{ms_span(row.seen_min_ms - row.sent_ms, row.seen_max_ms - row.sent_ms)} after it was sent")

    if len(seen) == 1:
        return f"The only arrival: {took(seen[0])}.{missed}"
    took_min = sorted(row.seen_min_ms - row.sent_ms for row in seen)
    took_max = sorted(row.seen_max_ms - row.sent_ms for row in seen)
    if took_max[0] >= took_min[1] or took_min[-1] <= took_max[-2]:  # intervals that overlap are not ranked
        return (f"{plural(len(seen), 'arrival')}, between {ms(took_min[0])} and {ms(took_max[-1])} after the write was "
                f"sent.{missed}")
    fast, *_, slow = sorted(seen, key=lambda row: row.seen_max_ms - row.sent_ms)
    return f"The fastest arrival: {took(fast)}. The slowest: {took(slow)}.{missed}"


def _table(targets: pd.DataFrame, origin: dict[Any, str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [(row.write, origin[row.write], row.region, row.seen_min_ms - row.sent_ms, row.seen_max_ms - row.sent_ms)
         for row in each_row(targets)], columns=["write", "source", "target", "after_min_ms", "after_max_ms"])


def _sent(sources: pd.DataFrame, codes: list[str], colours: dict[str, str]) -> dict[str, Any]:
    return {
        "x": list(sources["sent_ms"]),
        "y": [codes.index(code) for code in sources["region"]],
        "mode": "markers",
        "marker": {"size": 12, "color": [colours[code] for code in sources["region"]],
                   "symbol": [look(code).symbol for code in sources["region"]], "line": EDGE},
        "name": "source",
        "text": [plain_text(write) for write in sources["write"]],
        "hovertemplate": "%{text}: sent at %{x:,.0f} ms<extra></extra>",
    }


def _lost(lost: Sequence[tuple[int, str]], x: float) -> dict[str, Any]:
    return {
        "x": [x] * len(lost),
        "y": [row for row, _ in lost],
        "mode": "markers",
        "marker": {"symbol": "x", "size": 11, "color": INK},
        "name": "not seen",
        "text": [f"{name}: not seen by the last poll" for _, name in lost],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _arrival(row: Any, start: int, here: int, colour: str, name: str) -> Iterator[dict[str, Any]]:
    """The three traces of one arrival."""
    early, late = row.seen_min_ms, row.seen_max_ms
    quiet = {"name": name, "hoverinfo": "skip"}
    yield {
        "x": [row.sent_ms, early, late, row.sent_ms],
        "y": [start, here, here, start],
        "mode": "lines",
        "fill": "toself",
        "fillcolor": faded(colour, 0.15),
        "line": {"width": 0},
        **quiet,
    }
    line = {"color": colour, "width": 1.5}
    yield {"x": [row.sent_ms, (early + late) / 2], "y": [start, here], "mode": "lines", "line": line, **quiet}
    lag = ms_span(early - row.sent_ms, late - row.sent_ms)
    yield {
        "x": [early, late],
        "y": [here, here],
        "mode": "lines",
        "line": {"color": colour, "width": 9},
        "name": name,
        "hovertemplate": f"{name}: {lag} after it was sent<extra></extra>",
    }


def _note_times(fig: go.Figure, notes: Sequence[tuple[float, int, str]], lines: Sequence[tuple[Point, Point]]) -> None:
    """Write each note (time, row, text) above or below its point, moved to a side if it would leave the plot or cover
    one of the lines (from and to a time and a row); leave out a note that would cover another. Call this last: it reads
    the figure's axes, height and margins."""
    (first, last), (below, above), margin = fig.layout.xaxis.range, fig.layout.yaxis.range, fig.layout.margin
    tall = fig.layout.height - margin.t - margin.b
    labels = Labels([(width - _LEFT - _RIGHT, tall) for width in (NARROW, 640, 968, 1300)])

    def pixels(time_ms: float, row: float) -> list[Point]:
        across, y = (time_ms - first) / (last - first), (row - above) / (below - above) * tall
        return [(across * wide, y) for wide, _ in labels.sizes]

    if len(notes) * len(lines) <= _MOST_AVOIDED:
        for (x0, y0), (x1, y1) in lines:
            if y0 != y1:  # not along a row
                parts = [part / 12 for part in range(13)]
                labels.avoid([pixels(x0 + part * (x1 - x0), y0 + part * (y1 - y0)) for part in parts], "a line")
    for time_ms, row, text in notes:
        anchor = pixels(time_ms, row)
        width = text_width(text.replace("<b>", "").replace("</b>", "")) + 6
        # A write's name stays beside its dot; times of bars that overlap may stand above each other.
        rows = (18,) if text.startswith("<b>") else (18, 34)
        shifts = [(side * width / 2, down) for far in rows for side in (0, -0.9, 0.9) for down in (-far, far)]
        places = {boxes(anchor, shift, width, 16): shift for shift in shifts}
        there = labels.place_if_free(places)
        if there is None:
            continue
        fig.add_annotation(
            x=time_ms,
            y=row,
            text=text,
            showarrow=False,
            xshift=places[there][0],
            yshift=-places[there][1],
            font={"color": INK, "size": 12},
            bgcolor=LABEL_BACKGROUND,
            borderpad=0,
        )
