"""A button that draws a figure over time, and a slider for any moment. It needs no script of its own and no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gtlab.charts.colours import BACK, CLEAR, COAST, INK
from gtlab.charts.layout import below_texts

if TYPE_CHECKING:
    import plotly.graph_objects as go

FRAMES = 50
FRAME_MS = 100
ROOM = 64  # pixels below the x axis for its title, the buttons and the slider
CURTAIN = "not yet"  # the trace's name


def over_time(fig: go.Figure, begin: float, end: float, unit: str) -> None:
    """Let the figure be drawn from ``begin`` to ``end`` on its x axis. Call this when everything is in the figure, and
    its axes have their ranges.

    What is later is behind a curtain: a trace in the colour of the background, in front of the others. A frame only
    moves its edge, so it is about 80 bytes, however much is drawn. Annotations are in front of every trace, so labels
    must be traces, too.
    """
    import plotly.graph_objects as go

    right, (bottom, top) = fig.layout.xaxis.range[1], fig.layout.yaxis.range
    moments = [round(begin + (end - begin) * number / FRAMES, 3) for number in range(FRAMES)] + [right]
    fig.add_scatter(x=[right] * 5, y=[bottom, bottom, top, top, bottom], mode="lines", line={"width": 0}, fill="toself",
                    fillcolor=BACK, name=CURTAIN, showlegend=False, hoverinfo="skip")
    curtain = len(fig.data) - 1
    fig.frames = [go.Frame(name=f"{number}", data=[{"x": [at, right, right, at, at]}], traces=[curtain])
                  for number, at in enumerate(moments)]
    now: dict[str, Any] = {"mode": "immediate", "transition": {"duration": 0}}
    play = now | {"frame": {"duration": FRAME_MS, "redraw": False}}
    at_once = now | {"frame": {"duration": 0, "redraw": False}}
    look = {"bgcolor": BACK, "bordercolor": COAST, "font": {"color": INK, "size": 12}}
    fig.update_layout(
        updatemenus=[{
            "type": "buttons", "direction": "left", "showactive": False, "x": 0, "xanchor": "left", "y": 0,
            "yanchor": "top", "pad": {"t": 66}, **look,
            "buttons": [
                {"label": "\N{BLACK RIGHT-POINTING TRIANGLE} Play", "method": "animate", "args": [None, play]},
                {"label": "Pause", "method": "animate", "args": [[None], at_once]}],
        }],
        sliders=[{
            "active": FRAMES, "x": 0.45, "len": 0.55, "y": 0, "yanchor": "top", "pad": {"t": 60, "b": 4},
            "currentvalue": {"visible": False}, "ticklen": 0, "minorticklen": 0, "bordercolor": COAST,
            "bgcolor": COAST, "activebgcolor": INK, "font": {"color": CLEAR, "size": 12},
            "steps": [{"label": f"{at:.3g} {unit}", "method": "animate", "args": [[f"{number}"], at_once]}
                      for number, at in enumerate(moments)],
        }],
        margin={"b": 48 + ROOM}, height=fig.layout.height + ROOM,
        legend={"y": below_texts(fig.layout.height + ROOM, fig.layout.margin.t)})
