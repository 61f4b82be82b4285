"""What stands below a chart in a notebook: the finding, the note, the table twin, and what a keyboard needs."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from gtlab.charts.theme import stylesheet

_STYLE = (
    ".gt-below{position:relative;font:13px/1.4 system-ui,'Segoe UI','DejaVu Sans',Arial,sans-serif;margin:6px 12px 4px}"
    ".gt-below p{margin:0 0 2px;max-width:66em;color:var(--jp-ui-font-color1,#1f2933)}"
    ".gt-below .gt-note{font-size:12px;color:var(--jp-ui-font-color2,#5a6572)}"
    # The still picture of a chart contains both.
    ".jp-OutputArea-child:has(.jp-RenderedSVG,figcaption)+.jp-OutputArea-child :is(.gt-finding,.gt-note){display:none}"
    ".gt-below summary{cursor:pointer;color:var(--jp-ui-font-color1,#1f2933)}"
    ".gt-below .gt-scroll{overflow-x:auto}"
    ".gt-below table{border-collapse:collapse;margin:4px 0}"
    ".gt-below th,.gt-below td{padding:2px 14px 2px 0;text-align:left;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}"
    ".gt-below .gt-number{text-align:right}"
    ".gt-alt{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}"
    # JupyterLab first shows a chart of a notebook that is opened again as it was drawn, perhaps in a wider window.
    ".jp-RenderedPlotly .plot-img{max-width:100%;height:auto}"
    # In a legend of constant size, plotly draws a line of 5 px, which covers the mark on it.
    ".js-plotly-plot .layers:has(.legendpoints path) .legendlines path{stroke-width:1.5px!important}"
    # Over plotly's own buttons, which no keyboard can reach, while the keyboard is here.
    ".gt-below .gt-play{position:absolute;left:0;bottom:100%;display:flex;gap:8px;align-items:center;padding:6px;"
    "opacity:0;pointer-events:none;color:var(--jp-ui-font-color1,#1f2933);background:var(--jp-layout-color0,#fff);"
    "border:1px solid var(--jp-border-color1,#c3cad1);border-radius:3px}"
    ".gt-below .gt-play:focus-within{opacity:1;pointer-events:auto}"
    ".gt-below .gt-play label{display:flex;gap:6px;align-items:center}"
    ".gt-below .gt-play :is(button,input){font:inherit;color:inherit;background:var(--jp-layout-color1,#fff);margin:0}"
    ".gt-below .gt-play button{border:1px solid var(--jp-border-color1,#5a6572);border-radius:3px;padding:3px 10px}")
# Unmodified keys stay here: in JupyterLab, Enter would open the cell's editor and not the table, and m would turn the
# cell into Markdown. Escape leads back to the cell. What plotly draws as buttons and as a slider hears the mouse only.
_SCRIPT = """<script>
(() => {
  if (window.gtBelowCharts) return;
  window.gtBelowCharts = true;
  const plot = node => [...document.querySelectorAll('.js-plotly-plot')]
    .filter(each => each.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING).at(-1);
  const mouse = (kind, more) => new MouseEvent(kind, { bubbles: true, cancelable: true, view: window, ...more });
  window.addEventListener('keydown', event => {
    const below = event.target.closest?.('.gt-below');
    if (!below || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey && event.key === 'Enter') return;
    event.stopPropagation();
    if (event.key === 'Escape') (below.closest('[tabindex]') ?? document.body).focus();
  }, true);
  document.addEventListener('click', event => {
    const number = event.target.closest?.('.gt-play button')?.value;
    if (number) plot(event.target)?.querySelectorAll('.updatemenu-button')[number]?.dispatchEvent(mouse('click'));
  });
  document.addEventListener('input', event => {
    if (!event.target.matches?.('.gt-play input')) return;
    const chart = plot(event.target), rail = chart?.querySelector('.slider-rail-touch-rect');
    const box = rail?.getBoundingClientRect();
    if (!box) return;
    const clientX = box.left + box.width * event.target.value / 100;
    rail.dispatchEvent(mouse('mousedown', { clientX, clientY: box.top + box.height / 2 }));
    chart.dispatchEvent(mouse('mouseup'));
  });
})();
</script>"""
_PLAY = ('<div class="gt-play" role="group" aria-label="Draw the chart over time">'
         '<button type="button" value="0">Play</button><button type="button" value="1">Pause</button>'
         '<label>Moment, in percent <input type="range" min="0" max="100" step="2" value="100"></label></div>')


def below(meta: Mapping[str, Any], *, plays: bool = False) -> str:
    """HTML to be displayed below a chart, with the stylesheet for both: see the module. ``plays``: the chart has a
    button that draws it over time (:mod:`gtlab.charts.play`)."""
    said = "".join(f'<p class="gt-{name}">{html.escape(meta[name])}</p>' for name in ("finding", "note") if meta[name])
    return (f'<style>{stylesheet()}{_STYLE}</style>{_SCRIPT}<div class="gt-below">{_PLAY if plays else ""}{said}'
            f'<p class="gt-alt">{html.escape(meta["alt"])}</p>{_twin(meta["table"])}</div>')


def _twin(table: Mapping[str, Any]) -> str:
    numeric = [any(isinstance(row[at], int | float) for row in table["rows"]) for at in range(len(table["columns"]))]
    kinds = [' class="gt-number"' if number else "" for number in numeric]
    head = "".join(f'<th scope="col"{kind}>{html.escape(name)}</th>'
                   for kind, name in zip(kinds, table["columns"], strict=True))
    rows = "".join("<tr>" + "".join(f"<td{kind}>{_cell(value)}</td>" for kind, value in zip(kinds, row, strict=True))
                   + "</tr>" for row in table["rows"])
    return ('<details><summary>Show as a table</summary><div class="gt-scroll">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return html.escape(f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value))
