"""The figure that every chart function returns: plotly's, displayed together with what it says in words.

This module imports plotly; import it inside functions.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from gtlab.charts import still
from gtlab.charts.below import below

_PLOTLY = "application/vnd.plotly.v1+json"
# No button that uploads the chart to Plotly's servers, and no link to them: gtlab contacts nobody unasked.
CONFIG = {"showSendToCloud": False, "displaylogo": False}


class Chart(go.Figure):  # type: ignore[misc]  # plotly has no annotations
    """A plotly figure. Its output in a notebook also holds a still picture (SVG) and the finding (plain text); below
    it, in an output of its own, a notebook shows the finding and the table twin (:mod:`gtlab.charts.below`).

    JupyterLab, Notebook 7 and VS Code prefer plotly's own type and stay interactive. nbconvert, GitHub and other
    readers without plotly show the picture. Other renderers that the user chose for plotly are left alone.
    """

    def still(self) -> str:
        """The chart as an SVG element without scripts."""
        return still.svg(self.to_plotly_json())

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        data: dict[str, Any] = super()._repr_mimebundle_(*args, **kwargs)
        if _PLOTLY not in data:
            return data
        data[_PLOTLY]["config"] = data[_PLOTLY].get("config", {}) | CONFIG
        try:
            picture = {"image/svg+xml": self.still()}
        except Exception:  # a user may have added anything that plotly can draw: that must still be shown
            picture = {}
        return data | picture | {"text/plain": still.words(self.to_plotly_json())[0]}

    def _ipython_display_(self) -> None:
        from IPython.display import publish_display_data
        from plotly.io import renderers

        data = self._repr_mimebundle_() if renderers.render_on_display and renderers.default else {}
        if _PLOTLY in data:
            publish_display_data(data)  # type: ignore[no-untyped-call]  # IPython
        else:
            super()._ipython_display_()
        if self.layout.meta:
            words = {"text/plain": self.layout.meta["finding"],
                     "text/html": below(self.layout.meta, plays=bool(self.frames))}
            publish_display_data(words)  # type: ignore[no-untyped-call]  # IPython
