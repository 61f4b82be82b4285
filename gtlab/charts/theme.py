"""The stylesheet that lets a chart follow the theme of the page.

JupyterLab and Notebook 7 draw a figure as SVG in the page and say on ``body`` whether the theme is light. A stylesheet
with `!important` therefore replaces the neutral colours that plotly writes on each element, also when the theme changes
while the page is open. Where no such stylesheet is in effect, a chart is drawn in dark ink on white.
"""

from __future__ import annotations

from functools import cache

from gtlab.charts.colours import BACK, DARK, INK, red_green_blue

# The dark themes of JupyterLab and Notebook 7, and those of VS Code.
_WHERE = 'body:is([data-jp-theme-light="false"],.vscode-dark)'
_BACKGROUND = f"var(--jp-layout-color0,{DARK[BACK]})"  # of the cell: black in the theme with high contrast
_PAGE = f"var(--jp-layout-color0,{BACK})"  # the same, in any theme


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
    # Until the mouse enters, JupyterLab shows a chart of a notebook that is opened again as a picture, which is light.
    # Turned round in brightness, white is #121212, the colour of the page, and each hue stays what it is.
    rules.append(f"{_WHERE} .jp-RenderedPlotly .plot-img{{filter:invert(.93) hue-rotate(180deg)}}")
    # The pattern of a bar is not in the bar's own style.
    rules.append(f"{_WHERE} .js-plotly-plot .modebar-btn path{{fill:{DARK[INK]}!important}}")
    return "".join(rules)
