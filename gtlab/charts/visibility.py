"""The t-visibility curve: the chance that a read sees a write, by the time since the write was acknowledged."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from gtlab.charts.colours import LABEL_BACKGROUND, QUIET, darker, dash_each, faded
from gtlab.charts.columns import need, unique
from gtlab.charts.layout import figure
from gtlab.charts.looks import look
from gtlab.charts.text import ms, ms_span, place_name

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_MARK = 0.99  # the time at which the chance reaches this share is printed
_MOST_LABELS = 3  # more labels than this go into the legend


def t_visibility(frame: pd.DataFrame) -> go.Figure:
    """The chance that a read sees a write if the read is served t milliseconds after the write was acknowledged.

    Columns, as gtlab.statistics.t_visibility returns them: source, target (Region codes), t_ms, certain and possible
    (shares of the probes, 0 to 1), low and high (the confidence band, 0 to 1), distance_ms (half a round trip from
    where the measurement ran to the target; printed). Optionally given_up: where it is above 0 the curve ends, because
    its further course is not known.

    Traces, up to three for each source and target: the band (filled; named after the target with ", band"); the curve,
    halfway between the shares certain and possible (named after the target); and "99 %", a dot where the certain share
    reaches 0.99, with its time (in the legend if there are more than three targets). x is in milliseconds, y in
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
    crowded = len(pairs) > _MOST_LABELS
    legend = {pair: f"{name}: 99 % by {ms(reached[pair])}" if crowded and not isnan(reached[pair]) else name
            for pair, name in names.items()}
    fig = figure(
        frame,
        title="How likely is a read to see the write?"
        if several
        else f"How likely is a read elsewhere to see a write from {place_name(pairs[0][0])}?",
        note="Band: confidence interval of the chance. t-visibility, as in Bailis and others (2012).",
        height=430,
        legend=list(legend.values()),
    )
    for number, pair in enumerate(pairs):
        rows, name, colour, when = curves[pair], names[pair], colours[pair], reached[pair]
        times = list(rows["t_ms"])
        given_up = rows["given_up"] > 0 if "given_up" in rows.columns else [False] * len(rows)
        fig.add_scatter(
            x=times + times[::-1],
            y=[round(100 * value, 2) for value in [*rows["high"], *reversed(list(rows["low"]))]],
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=faded(colour, 0.18),
            name=f"{name}, band",
            legendgroup=name,
            showlegend=False,
            hoverinfo="skip",
        )
        fig.add_scatter(
            x=times,
            y=[None if unknown else round(50 * (sure + maybe), 2) for sure, maybe, unknown in zip(
                rows["certain"], rows["possible"], given_up, strict=True)],
            mode="lines",
            line={"color": colour, "width": 2.5, "dash": dashes[pair]},
            name=legend[pair],
            legendgroup=name,
            hovertemplate=f"%{{x:,.0f}} ms after the acknowledgement: %{{y:.0f}} %<extra>{name}</extra>",
        )
        if not isnan(when):
            fig.add_scatter(
                x=[when], y=[99], mode="markers", marker={"color": colour, "size": 9, "line": {"color": "white",
                                                                                              "width": 1.5}},
                name="99 %", showlegend=False, hovertemplate=f"99 % by {ms(when)}<extra>{name}</extra>",
            )
            if not crowded:
                fig.add_annotation(
                    x=when, y=99, text=f"99 % of these by {ms(when)}", showarrow=False, xanchor="right", yanchor="top",
                    xshift=-8, yshift=-6 - 18 * number, font={"size": 12, "color": darker(colour)},
                    bgcolor=LABEL_BACKGROUND, borderpad=1,
                )
    if not several:
        ways = {pair[1]: float(rows["distance_ms"].iloc[0]) for pair, rows in curves.items()}
        away = (ms_span(min(ways.values()), max(ways.values())) if crowded else
                ", ".join(f"{target} {ms(way)}" for target, way in ways.items()))
        fig.add_annotation(
            xref="paper", yref="paper", x=1, y=0.02, xanchor="right", yanchor="bottom", showarrow=False,
            text=f"A read that you send is served half a round trip later: {away}",
            font={"size": 12, "color": QUIET}, bgcolor=LABEL_BACKGROUND,
        )
    fig.update_xaxes(title_text="t: milliseconds from the acknowledgement to the read",
                     range=[0, 1.02 * max(frame["t_ms"])])
    fig.update_yaxes(title_text="chance to see the write", ticksuffix=" %", range=[0, 104], dtick=25)
    return fig
