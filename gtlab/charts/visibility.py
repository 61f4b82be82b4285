"""The t-visibility curve: the chance that a read sees a write, by the time since the write was acknowledged."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

from gtlab.charts.colours import EDGE, INK, LABEL_BACKGROUND, dash_each, faded
from gtlab.charts.columns import need, unique
from gtlab.charts.layout import figure, glyph
from gtlab.charts.looks import look
from gtlab.charts.meta import describe
from gtlab.charts.text import city, ms, ms_span, place_name, plural

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

Pair = tuple[str, str]  # source and target
_MARK = 0.99  # the time at which the chance reaches this share is printed
_MOST_LABELS = 3  # more labels than this go into the legend


def t_visibility(frame: pd.DataFrame) -> go.Figure:
    """The chance that a read sees a write if the read is served t milliseconds after the write was acknowledged.

    Columns, as gtlab.statistics.t_visibility returns them: source, target (Region codes), t_ms, certain and possible
    (shares of the probes, 0 to 1), low and high (the confidence band, 0 to 1), distance_ms (half a round trip from
    where the measurement ran to the target; in the note). Optionally given_up: where it is above 0 the curve ends,
    because its further course is not known.

    Traces, up to three for each source and target: the band (filled; with more than three targets, a vertical line at
    each symbol of the curve, because bands would hide each other; named after the target with ", band"); the curve,
    halfway between the shares certain and possible (named after the target); and "99 %", a dot where the certain share
    reaches 0.99, with its time (in the legend if there are more than three targets; "all" if there are so few probes
    that this is all of them). x is in milliseconds, y in
    percent.
    """
    need(frame, "t_visibility", "source", "target", "t_ms", "certain", "possible", "low", "high", "distance_ms")
    pairs = unique(zip(frame["source"], frame["target"], strict=True))
    several = frame["source"].nunique() > 1
    names = {pair: " → ".join(pair) if several else place_name(pair[1]) for pair in pairs}
    colours = {pair: look(pair[1]).colour for pair in pairs}
    dashes = dash_each(colours)
    curves = {pair: frame[(frame["source"] == pair[0]) & (frame["target"] == pair[1])].sort_values("t_ms")
              for pair in pairs}
    reached = {pair: float(rows["t_ms"][rows["certain"] >= _MARK].min()) for pair, rows in curves.items()}
    everything = all(rows["certain"][rows["t_ms"] >= reached[pair]].min() == 1 for pair, rows in curves.items()
                     if not isnan(reached[pair]))
    share = "all" if everything else "99 %"
    crowded = len(pairs) > _MOST_LABELS
    short_names = {pair: name if several else city(pair[1]) or name for pair, name in names.items()}
    legend = {pair: f"{short_names[pair]}: {share} by {ms(when)}" if crowded and not isnan(when) else names[pair]
              for pair, when in reached.items()}
    ways = {pair: float(rows["distance_ms"].iloc[0]) for pair, rows in curves.items()}
    said = _finding(names, reached, everything)
    fig = figure(
        frame,
        title="How likely is a read to see the write?"
        if several
        else f"Reads elsewhere that see a write from {city(pairs[0][0]) or pairs[0][0]}",
        note="Line: halfway between certainly and possibly visible. Outlined mark: certainly, if paths are symmetric. "
        f"{'Vertical line' if crowded else 'Band'}: confidence interval at each t. t-visibility, as in Bailis "
        "and others (2012)."
        + ("" if several else f" A read that you send is served half a round trip later, or more: {_away(ways)}."),
        height=410,
        legend=list(legend.values()),
    )
    for number, pair in enumerate(pairs):
        rows, name, colour, when = curves[pair], names[pair], colours[pair], reached[pair]
        symbols = _symbols(len(rows), number / len(pairs) if crowded else 0.0)
        fig.add_scatter(
            **(_bars(rows, symbols, colour) if crowded else _band(rows, colour)),
            name=f"{name}, band",
            legendgroup=name,
            showlegend=False,
            hoverinfo="skip",
        )
        fig.add_scatter(
            **_curve(rows, symbols, pair[1]),
            line={"color": colour, "width": 2.5, "dash": dashes[pair]},
            name=legend[pair],
            legendgroup=name,
            hovertemplate=f"%{{x:,.0f}} ms after the acknowledgement: %{{y:.0f}} %<extra>{name}</extra>",
        )
        if not isnan(when):
            text = f"{share} by {ms(when)}"
            fig.add_scatter(**_dot(when, pair[1]), hovertemplate=f"{text}<extra>{name}</extra>")
            if not crowded:
                early = when < 0.45 * max(frame["t_ms"])  # to the left of it there may be no room
                fig.add_annotation(**_label(when, glyph(pair[1]) + text, early, below=number))
    fig.update_xaxes(title_text="t: ms from the acknowledgement until the read is served",
                     range=[0, 1.02 * max(frame["t_ms"])])
    fig.update_yaxes(title_text="chance to see the write", ticksuffix=" %", range=[0, 104], dtick=25)
    describe(fig, said, f"Curves of the chance that a read sees a write, from 0 to {ms(max(frame['t_ms']))} after the "
             f"acknowledgement, for {plural(len(pairs), 'target')}. {said}", _table(curves, ways))
    return fig


def _finding(names: dict[Pair, str], reached: dict[Pair, float], everything: bool) -> str:
    """``everything``: 99 % of the probes are all of them, because there are fewer than a hundred."""
    known = sorted((when, names[pair].split(" (")[0]) for pair, when in reached.items() if not isnan(when))
    if not known:
        return "99 % of the probes were certainly visible at no target within the time shown."
    (fast, near), (slow, far) = known[0], known[-1]
    share = "All" if everything else "99 %"
    said = f"{share} of the probes were certainly visible in {near} {ms(fast)} after the acknowledgement"
    lacking = len(reached) - len(known)
    rest = f"; {plural(lacking, 'target')} did not reach 99 %" if lacking else ""
    return f"{said}{rest}." if len(known) == 1 else f"{said}, and in {far} after {ms(slow)}{rest}."


def _away(ways: dict[Pair, float]) -> str:
    if len(ways) > _MOST_LABELS:
        return ms_span(min(ways.values()), max(ways.values()))
    return ", ".join(f"{city(target) or target} {ms(way)}" for (_, target), way in ways.items())


def _symbols(points: int, later: float) -> set[int]:
    """The points of a curve that show its symbol: a few, evenly spread. ``later``: how far they are moved, as a share
    of the distance between two of them, so that those of many curves do not cover each other."""
    return {round((points - 1) * (part + 0.2 * later)) for part in (0.2, 0.4, 0.6, 0.8)}


def _curve(rows: pd.DataFrame, symbols: set[int], target: str) -> dict[str, Any]:
    """The line, which ends where its further course is not known, with a symbol at some of its points."""
    given_up = rows["given_up"] > 0 if "given_up" in rows.columns else [False] * len(rows)
    return {"x": list(rows["t_ms"]),
            "y": [None if unknown else round(50 * (sure + maybe), 2) for sure, maybe, unknown in zip(
                rows["certain"], rows["possible"], given_up, strict=True)],
            "mode": "lines+markers",
            "marker": {"symbol": look(target).symbol, "size": [9 if at in symbols else 0 for at in range(len(rows))],
                       "color": look(target).colour, "line": EDGE, "opacity": 1}}


def _dot(when: float, target: str) -> dict[str, Any]:
    """The mark at the time at which 99 % are certainly visible."""
    return {"x": [when], "y": [99], "mode": "markers", "name": "99 %", "showlegend": False,
            "marker": {"color": look(target).colour, "symbol": look(target).symbol, "size": 11,
                       "line": {"color": INK, "width": 1.5}}}


def _label(when: float, text: str, early: bool, below: int) -> dict[str, Any]:
    """Its label, to the right of an ``early`` mark; ``below`` so many others."""
    return {"x": when, "y": 99, "text": text, "showarrow": False, "xanchor": "left" if early else "right",
            "yanchor": "top", "xshift": 8 if early else -8, "yshift": -6 - 18 * below,
            "font": {"size": 12, "color": INK}, "bgcolor": LABEL_BACKGROUND, "borderpad": 1}


def _band(rows: pd.DataFrame, colour: str) -> dict[str, Any]:
    times = list(rows["t_ms"])
    return {"x": times + times[::-1],
            "y": [round(100 * value, 2) for value in [*rows["high"], *reversed(list(rows["low"]))]],
            "mode": "lines", "line": {"width": 0}, "fill": "toself", "fillcolor": faded(colour, 0.18)}


def _bars(rows: pd.DataFrame, symbols: set[int], colour: str) -> dict[str, Any]:
    x: list[float | None] = []
    y: list[float | None] = []
    for at in sorted(symbols):
        time, low, high = (float(rows[name].iloc[at]) for name in ("t_ms", "low", "high"))
        x += [time, time, None]
        y += [round(100 * low, 2), round(100 * high, 2), None]
    return {"x": x, "y": y, "mode": "lines", "line": {"width": 2.5, "color": faded(colour, 0.45)}}


def _table(curves: dict[Pair, pd.DataFrame], ways: dict[Pair, float]) -> pd.DataFrame:
    """When each share of the probes had certainly become visible, in milliseconds after the acknowledgement."""
    import pandas as pd

    return pd.DataFrame([
        {"source": pair[0], "target": pair[1]}
        | {f"{share}_percent_ms": float(rows["t_ms"][rows["certain"] >= share / 100].min()) for share in (50, 90, 99)}
        | {"half_round_trip_ms": ways[pair]} for pair, rows in curves.items()])
