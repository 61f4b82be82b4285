"""A still picture of a chart: an SVG without scripts, drawn from the figure's own data.

It is what a reader sees where plotly's script does not run: in nbconvert's HTML, on GitHub, in a reopened notebook
without plotly. It draws what the charts of this package use: lines, filled outlines, markers, bars, shapes,
annotations, linear and logarithmic axes, and a horizontal legend. Buttons, sliders and frames are left out.

``picture`` puts it together. ``plot`` knows where things are, with the help of ``axis``. ``traces``, ``notes``,
``frame`` and ``legend`` draw, each one kind of thing, with the shapes of ``marks`` and ``text``.
"""

from __future__ import annotations

from gtlab.charts.still.picture import note, shows, svg, words
from gtlab.charts.still.plot import WIDTH

__all__ = ["WIDTH", "note", "shows", "svg", "words"]
