"""What is broken in the simulated world, and a button that mends it."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets
import pandas as pd

from gtlab.lab import Lab
from gtlab.localcloud import process
from gtlab.widgets.keys import guarded


def world(lab: Lab) -> ipywidgets.VBox:
    """What is broken in the lab's simulated world, as a table, with a button that mends everything and one that looks
    again."""
    mend, again = ipywidgets.Button(description="Mend everything"), ipywidgets.Button(description="Look again")
    shown = ipywidgets.HTML()

    def look() -> None:
        state = lab.world.state()
        with pd.option_context("display.max_colwidth", None):  # or to_html cuts long cells
            shown.value = "<b>Nothing is broken.</b>" if state.empty else state.to_html(index=False, na_rep="")

    def show(*steps: Callable[[], object]) -> None:
        try:  # an error in a button's function would be seen by nobody
            for step in steps:
                step()
        except (process.CloudError, ValueError) as error:
            shown.value = f"<b>{html.escape(str(error))}</b>"

    mend.on_click(lambda _: show(lab.world.reset, look))
    again.on_click(lambda _: show(look))
    look()
    return guarded(shown, ipywidgets.HBox([mend, again]), name="What is broken")
