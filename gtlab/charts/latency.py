"""The latency of calls, compared with the replication lag."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gtlab.charts.colours import INK, colour_each, faded
from gtlab.charts.columns import each_row, need, unique
from gtlab.charts.layout import figure, height_for, region_axis
from gtlab.charts.text import ms, place_name, plain_text

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


def latency_beside_lag(frame: pd.DataFrame) -> go.Figure:
    """The latency of calls and the replication lag side by side: two different quantities.

    Columns, as `gtlab.measure.beside_lag` returns them: operation ("put", "get", "replication lag"), region (where the
    call was served; for the lag, the target), median_ms, p90_ms. One row per operation and Region.

    Traces: "median" (solid bars) and "P90" (pale, striped bars), horizontal, grouped by operation, with one colour per
    Region and the values at the bars. x is in milliseconds; the axis is logarithmic, and its title says so, if one
    value is more than a hundred times another.
    """
    need(frame, "latency_beside_lag", "operation", "region", "median_ms", "p90_ms")
    colours = colour_each(unique(frame["region"]))
    rows = [
        row for name in unique(frame["operation"]) for row in each_row(frame[frame["operation"] == name])
    ]
    # There is room for a heading above the first row of each operation.
    places, headings, at = [], [], 0.0
    for number, row in enumerate(rows):
        if number == 0 or row.operation != rows[number - 1].operation:
            at += 0.75
            headings.append((at - 0.82, plain_text(row.operation)))
        places.append(at)
        at += 1
    fig = figure(
        frame,
        title="A call's latency" + (" and the replication lag" if "replication lag" in set(frame["operation"]) else ""),
        note="Solid: median. Striped: 90th percentile (P90).",
        height=height_for(at, 46),
    )
    values = [value for row in rows for value in (row.median_ms, row.p90_ms) if value > 0]
    log = bool(values) and max(values) > 100 * min(values)
    for column, shift, name, opacity in (("median_ms", -0.2, "median", 1.0), ("p90_ms", 0.2, "P90", 0.35)):
        fig.add_bar(
            orientation="h",
            y=[place + shift for place in places],
            x=[getattr(row, column) for row in rows],
            width=0.38,
            marker={
                "color": [faded(colours[row.region], opacity) for row in rows],
                "pattern": {
                    "shape": "" if opacity == 1 else "/",
                    "fgcolor": [colours[row.region] for row in rows],
                },
            },
            name=name,
            text=[ms(getattr(row, column)) for row in rows],
            textposition="outside",
            textfont={"size": 12, "color": INK},
            cliponaxis=False,
            customdata=[f"{plain_text(row.operation)}, {place_name(row.region)}" for row in rows],
            hovertemplate=f"%{{customdata}}: {name} %{{text}}<extra></extra>",
        )
    for y, text in headings:
        fig.add_annotation(
            xref="paper",
            x=0,
            y=y,
            text=f"<b>{text}</b>",
            showarrow=False,
            xanchor="left",
            yanchor="middle",
            font={"size": 13},
        )
    region_axis(fig, [row.region for row in rows], colours, at=places)
    top, low = max(values, default=1.0), min(values, default=1.0)
    # Leave room for the value that is printed beyond the widest bar.
    scale = [math.log10(low) - 0.4, math.log10(top) + 0.35] if log else [0, top * 1.12]
    fig.update_xaxes(
        title_text="milliseconds (logarithmic scale)" if log else "milliseconds",
        type="log" if log else "linear",
        dtick=1 if log else None,
        range=scale,
    )
    fig.update_yaxes(range=[at - 0.4, -0.35])
    fig.update_layout(barmode="overlay", showlegend=False)
    return fig
