"""The stylesheet that lets a chart follow the theme of the page, and what stands below a chart.

JupyterLab and Notebook 7 draw a figure as SVG in the page and say on ``body`` whether the theme is light. A stylesheet
with `!important` therefore replaces the neutral colours that plotly writes on each element, also when the theme changes
while the page is open. Where no such stylesheet is in effect, a chart is drawn in dark ink on white.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from functools import cache
from typing import Any

from gtlab.charts.colours import BACK, DARK, INK, red_green_blue

# The dark themes of JupyterLab and Notebook 7, and those of VS Code.
_WHERE = 'body:is([data-jp-theme-light="false"],.vscode-dark)'
_BACKGROUND = f"var(--jp-layout-color0,{DARK[BACK]})"  # of the cell: black in the theme with high contrast
_PAGE = f"var(--jp-layout-color0,{BACK})"  # the same, in any theme
BELOW_STYLE = (
    ".gt-below{font:13px/1.4 system-ui,'Segoe UI','DejaVu Sans',Arial,sans-serif;margin:0 0 0 12px}"
    ".gt-below summary{cursor:pointer;color:var(--jp-ui-font-color1,#1f2933)}"
    ".gt-below .gt-scroll{overflow-x:auto}"
    ".gt-below table{border-collapse:collapse;margin:4px 0}"
    ".gt-below th,.gt-below td{padding:2px 14px 2px 0;text-align:left;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}"
    ".gt-below .gt-number{text-align:right}"
    ".gt-alt{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}")


@cache
def stylesheet() -> str:
    """The rules that replace the neutral colours of plotly's SVG in a dark theme."""
    rules = [f"{_WHERE} .js-plotly-plot .main-svg:first-of-type{{background:{_BACKGROUND}!important}}"]
    for light, dark in DARK.items():
        rgb = f"rgb({', '.join(map(str, red_green_blue(light)))})"
        new = _BACKGROUND if light == BACK else dark
        rules += [f'{_WHERE} .js-plotly-plot [style*="{part}: {rgb}"]{{{part}:{new}!important}}'
                  for part in ("fill", "stroke")]
        # Plotly copies the colour of a part of a text as it is written in the text.
        rules.append(f'{_WHERE} .js-plotly-plot tspan[style*="{light}"]{{fill:{new}!important}}')
    # A text beside a point of the data can be read where a line crosses it.
    rules.append(f".js-plotly-plot .textpoint text{{paint-order:stroke;stroke:{_PAGE};stroke-width:4px;"
                 "stroke-linejoin:round}")
    # The pattern of a bar is not in the bar's own style.
    rules.append(f"{_WHERE} .js-plotly-plot .modebar-btn path{{fill:{DARK[INK]}!important}}")
    return "".join(rules)


def below(meta: Mapping[str, Any]) -> str:
    """HTML to be displayed below a chart: the stylesheet, the alt text (for screen readers) and the table twin."""
    table = meta["table"]
    numeric = [any(isinstance(row[at], int | float) for row in table["rows"]) for at in range(len(table["columns"]))]
    kinds = [' class="gt-number"' if number else "" for number in numeric]
    head = "".join(f'<th scope="col"{kind}>{html.escape(name)}</th>'
                   for kind, name in zip(kinds, table["columns"], strict=True))
    rows = "".join("<tr>" + "".join(f"<td{kind}>{_cell(value)}</td>" for kind, value in zip(kinds, row, strict=True))
                   + "</tr>" for row in table["rows"])
    return (f'<style>{stylesheet()}{BELOW_STYLE}</style><div class="gt-below">'
            f'<p class="gt-alt">{html.escape(meta["alt"])}</p><details><summary>Show as a table</summary>'
            f'<div class="gt-scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
            "</details></div>")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return html.escape(f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value))
