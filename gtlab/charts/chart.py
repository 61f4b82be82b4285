"""The figure that every chart function returns: plotly's, displayed together with what it says in words.

This module imports plotly; import it inside functions.
"""

from __future__ import annotations

import plotly.graph_objects as go

from gtlab.charts.theme import below


class Chart(go.Figure):  # type: ignore[misc]  # plotly has no annotations
    """A plotly figure. A notebook shows below it, in an output of its own, the stylesheet for dark themes and the
    table twin."""

    def _ipython_display_(self) -> None:
        super()._ipython_display_()
        if self.layout.meta:
            from IPython.display import publish_display_data

            words = {"text/plain": self.layout.meta["finding"], "text/html": below(self.layout.meta)}
            publish_display_data(words)  # type: ignore[no-untyped-call]  # IPython
